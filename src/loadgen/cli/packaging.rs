//! `--completions` and `--man`.

use clap::CommandFactory as _;

use super::Args;
use crate::loadgen::error::Error;
use crate::manual;

pub fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "loadgen", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The manual page, in roff.
pub fn man() -> Result<String, Error> {
    manual::render(Args::command(), include_str!("../../manual/loadgen.1"))
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))
}
