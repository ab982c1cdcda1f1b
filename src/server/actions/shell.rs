//! `--completions` and `--man`: generated for shells and packages.

use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use super::print;
use crate::listener::STRATEGIES;
use crate::manual;
use crate::server::cli::command;
use crate::server::error::Error;

/// Placeholder for instance names in clap's output.
const NAMES: &str = "INSTANCES";

/// Prints completions for a shell. Strategies are listed in them; instances are looked up at each use.
pub fn completions(shell: Shell) -> Result<(), Error> {
    let strategies = STRATEGIES.iter().map(|entry| entry.name).chain(["help"]);
    let mut command = command()
        .mut_arg("listener", |listener| listener.value_parser(PossibleValuesParser::new(strategies)))
        .mut_arg("name", |name| name.value_parser([NAMES]))
        .mut_arg("forget", |forget| forget.value_parser([NAMES]));
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "caffeine", &mut text);
    print(&String::from_utf8_lossy(&text).replace(NAMES, instances(shell)))
}

/// A shell expression for the names of instances in the default directory, to be inserted where clap puts values.
fn instances(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "$(ls \"${XDG_STATE_HOME:-$HOME/.local/state}/caffeine\" 2>/dev/null)",
        Shell::Zsh => "$(ls ${XDG_STATE_HOME-$HOME/.local/state}/caffeine 2>/dev/null)",
        Shell::Fish => {
            "(ls (set -q XDG_STATE_HOME; and echo \\$XDG_STATE_HOME; or echo \\$HOME/.local/state)/caffeine 2>/dev/null)"
        }
        // Other shells get no values.
        _ => "",
    }
}

/// Prints the manual page.
pub fn man() -> Result<(), Error> {
    let page = manual::render(command(), include_str!("../../manual/caffeine.1"))
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))?;
    print(&page)
}
