//! Standard output and error of the programs, without the panics of `println!` and `eprintln!`.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes to standard output. A closed pipe (`head`) is not an error.
///
/// # Errors
/// The output cannot be written, for example to a full disk: a message for the user.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error. Errors are ignored.
pub fn remark(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
