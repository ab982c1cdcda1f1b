//! The program `loadgen`.

/// The program `loadgen`.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
