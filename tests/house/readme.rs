//! README against the program: its tables name every option and every strategy, and none that is not there.

use std::collections::BTreeMap;

use caffeine::listener::STRATEGIES;
use caffeine::server::cli;

const README: &str = include_str!("../../README.md");

/// The words in backticks in one cell of a table.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The cells of the table rows whose first cell begins with a word like this.
fn rows<'a>(text: &'a str, first: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    let rows = text.lines().filter(move |line| line.starts_with(&format!("| `{first}")));
    rows.map(|line| line.split('|').skip(1).collect())
}

#[test]
fn the_option_tables_are_those_of_the_program() {
    let written: BTreeMap<String, Option<String>> = rows(README, "--")
        .map(|cells| {
            let long = quoted(cells[0]).next().unwrap().to_string();
            (long, quoted(cells[1]).next().map(String::from))
        })
        .collect();
    let mut command = cli::command();
    command.build();
    let real: BTreeMap<String, Option<String>> = command
        .get_arguments()
        .filter_map(|option| {
            Some((format!("--{}", option.get_long()?), option.get_short().map(|short| format!("-{short}"))))
        })
        .collect();
    assert_eq!(written, real, "README, then caffeine --help");
}

#[test]
fn the_strategies_are_those_of_the_table() {
    let section = README.split("\n## Strategies\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let written: Vec<(&str, Vec<&str>)> = rows(section, "")
        .map(|cells| {
            let arguments =
                quoted(cells[2]).filter_map(|word| word.split_once(':').map(|(_, argument)| argument));
            (quoted(cells[0]).next().unwrap(), arguments.collect())
        })
        .collect();
    let real: Vec<_> = STRATEGIES.iter().map(|entry| (entry.name, entry.arguments.to_vec())).collect();
    assert_eq!(written, real, "README, then caffeine::listener::STRATEGIES");
}
