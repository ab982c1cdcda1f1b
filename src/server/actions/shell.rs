//! `--completions` and `--man`: for the shell and the packager.

use super::print;
use crate::server::cli::command;
use crate::server::error::Error;

/// Prints the completions for a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "caffeine", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Prints the manual page, flush left: the examples in it are tables.
pub fn man() -> Result<(), Error> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command())
        .render(&mut text)
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))?;
    print(&String::from_utf8_lossy(&text).replacen(".SH NAME", ".ad l\n.nh\n.SH NAME", 1))
}
