//! Any other server as a peer: a command with placeholders from the experiment.

use std::process::Command;

use super::{Refused, Setup};
use crate::lab::spec::words;

/// Placeholders are replaced word by word: a path with a space stays one word.
pub fn command(setup: &Setup<'_>, template: &str) -> Result<Command, Refused> {
    let mut words = words(template).map_err(Refused::Void)?.into_iter().map(|word| setup.fill(&word, &[]));
    let program = words.next().ok_or_else(|| Refused::Void("the command of the peer is empty".into()))?;
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn placeholders_are_replaced_within_words() {
        let setup = Setup::example(Path::new("/a folder"));
        let command = command(&setup, "serve --at={address}:{port} -w {workers} '{folder}/x y'").unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(command.get_program(), "serve");
        assert_eq!(words, ["--at=127.0.0.1:8080", "-w", "2", "/a folder/x y"]);
    }
}
