//! The program `caffeine`.

pub mod cli;
pub mod config;
pub mod error;
pub mod logging;
pub mod responders;
pub mod supervisor;
mod values;
mod worker;

/// The program `caffeine`.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
