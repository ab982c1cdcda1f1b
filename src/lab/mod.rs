//! The program `lab`: experiments from a file to a report.
//!
//! plan (pure) -> runner -> raw data on disk -> judge (pure) -> report and plots. The runner never draws, the report
//! never runs anything and works from the results folder alone, a figure never computes.

mod catalogue;
mod child;
mod data;
mod error;
mod handlers;
mod interrupt;
mod plan;
mod probe;
mod programs;
mod runner;
mod spec;
mod store;

/// The program `lab`.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
