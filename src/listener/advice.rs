//! When to take a strategy: `--listener help`, the README and the overview of results print it.

/// Each text goes on after "take it when" or "avoid it when".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// What it is good for.
    pub take: &'static str,
    /// What it is bad for.
    pub avoid: &'static str,
}

impl Advice {
    /// For a strategy without an argument that matters.
    pub(super) const NONE: Self = Self { take: "", avoid: "" };
}
