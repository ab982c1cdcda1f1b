//! `--completions` and `--man`: for the shell and the packager.

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::lab::error::{Error, Result};
use crate::lab::spec::catalogue;
use crate::manual;

/// The completions for a shell, which offer the experiments by name.
pub fn completions(shell: Shell, command: Command) -> String {
    let names: Vec<&'static str> = catalogue::all().into_iter().map(|found| &*found.name.leak()).collect();
    let offers = |command: Command| {
        command.mut_arg("name", |name| name.value_parser(PossibleValuesParser::new(names.clone())))
    };
    let mut command = command.mut_subcommand("run", offers).mut_subcommand("check", offers);
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "lab", &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if shell == Shell::Fish {
        // For fish, clap says nothing of what stands without an option.
        let names = names.join(" ");
        text += &format!("complete -c lab -n \"__fish_lab_using_subcommand run check\" -a \"{names}\"\n");
    }
    text
}

/// The manual page, in roff.
pub fn man(command: Command) -> Result<String> {
    manual::render(command, include_str!("../manual/lab.1"))
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))
}
