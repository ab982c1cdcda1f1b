//! Service-time distributions: parsed from text, drawn from a seed. Pure.
