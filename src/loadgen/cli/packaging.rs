//! `--completions` and `--man`.

use clap::CommandFactory as _;

use super::Args;
use crate::loadgen::error::Error;

pub fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "loadgen", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The manual page, in roff, flush left because the examples in it are tables.
///
/// # Errors
/// It cannot be rendered.
pub fn man() -> Result<String, Error> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Args::command())
        .render(&mut text)
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))?;
    Ok(String::from_utf8_lossy(&text).replacen(".SH NAME", ".ad l\n.nh\n.SH NAME", 1))
}
