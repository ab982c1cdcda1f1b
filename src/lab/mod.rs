//! The program `lab`: experiments from a file to a report.
//!
//! ```text
//! cli       what was typed
//! spec      what an experiment file says, and the cells and runs that follow from it
//! run       lab run, check and verify: servers, load, faults and probes, one run after the other
//! results   the raw data of runs, on disk and back
//! judge     a run as figures, and what can be said about all of them          pure
//! report    words, tables and pages, from a results folder alone
//! plot      the figures of a page; a figure draws what it is given            pure
//! keep      lab keep: a small copy of a results folder
//! compare   lab compare: two results folders side by side
//! ```
//!
//! Each uses those above it, and `report` uses `plot`. The runner never draws, the report never runs anything, a figure
//! never computes.

mod cli;
mod compare;
mod error;
#[cfg(test)]
mod fixture;
mod judge;
mod keep;
mod plot;
mod report;
mod results;
mod run;
mod spec;
mod terminal;

pub use cli::main;
