//! The server.

pub mod config;
pub mod error;
pub mod logging;
pub mod responders;

/// The program `caffeine`.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
