//! README against the program: its tables name every option, and no other.

use std::collections::BTreeMap;

use caffeine::loadgen::cli::Args;
use caffeine::server::cli;
use clap::CommandFactory as _;

const README: &str = include_str!("../../README.md");

/// The quoted words in one cell of a table.
pub fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The cells of the table rows whose first cell begins with a word like this.
fn rows<'a>(text: &'a str, first: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    let rows = text.lines().filter(move |line| line.starts_with(&format!("| `{first}")));
    rows.map(|line| line.split('|').skip(1).collect())
}

/// Long options and their short forms in the tables of `text`.
fn written(text: &str) -> BTreeMap<String, Option<String>> {
    let option = |cells: Vec<&str>| {
        let long = quoted(cells[0]).next().unwrap().to_string();
        (long, quoted(cells[1]).next().map(String::from))
    };
    rows(text, "--").map(option).collect()
}

/// Long options and their short forms on a command line.
fn real(mut command: clap::Command) -> BTreeMap<String, Option<String>> {
    command.build();
    let options = command.get_arguments().filter_map(|option| {
        Some((format!("--{}", option.get_long()?), option.get_short().map(|short| format!("-{short}"))))
    });
    options.collect()
}

#[test]
fn the_option_tables_match_the_programs() {
    let (serving, measuring) = README.split_once("\n## Measuring\n").unwrap();
    assert_eq!(written(serving), real(cli::command()), "README, then caffeine --help");
    assert_eq!(written(measuring), real(Args::command()), "README, then loadgen --help");
}

#[test]
fn the_failures_table_names_existing_tests() {
    let section = README.split("\n## When something goes wrong\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let named: Vec<&str> = section.split('`').filter(|word| word.contains("::")).collect();
    assert!(named.len() > 10, "{named:?}");
    let sources = super::sources(&["tests"]);
    for name in named {
        let (module, test) = name.rsplit_once("::").unwrap();
        let file = format!("tests/{}", module.replace("::", "/"));
        let is_file = |path: &str| path == format!("{file}.rs") || path == format!("{file}/mod.rs");
        let source = sources.iter().find(|(path, _)| is_file(path));
        let is_there = source.is_some_and(|(_, text)| text.contains(&format!("#[test]\nfn {test}()")));
        assert!(is_there, "there is no test {name}");
    }
}

#[test]
fn the_failures_table_quotes_real_messages() {
    let section = README.split("\n## When something goes wrong\n").nth(1).unwrap();
    let said: String = super::sources(&["src"]).into_iter().map(|(_, text)| text).collect();
    for row in section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| ")) {
        let operator = row.split('|').nth(3).unwrap();
        for words in quoted(operator).filter(|words| words.contains(' ') && !words.contains('=')) {
            // Numbers are examples; fields of a line are formatted elsewhere.
            let constant = words.split(|c: char| c.is_ascii_digit()).next().unwrap();
            assert!(said.contains(constant), "the program never says {constant:?}: {row}");
        }
    }
}
