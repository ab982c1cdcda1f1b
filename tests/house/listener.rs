//! `src/listener`: its README has the tables that the code and a kept report have, and its files are formatted.

use std::process::Command;

use caffeine::listener::{STRATEGIES, table};

use super::readme::{has_table, quoted, table_in};
use super::root;

/// The heads of the generated tables.
const STRATEGY_TABLE: &str = "| strategy | sockets |";
const ADVICE_TABLE: &str = "| strategy | take it when |";
const LOSS_TABLE: &str = "| Strategy | A worker crashes";

const README: &str = "src/listener/README.md";

#[test]
fn the_readme_has_the_table_of_strategies() {
    has_table(README, STRATEGY_TABLE, &table::markdown());
}

#[test]
fn the_readme_says_when_to_take_each_strategy() {
    has_table(README, ADVICE_TABLE, &table::advice());
}

#[test]
fn the_readme_has_the_losses_of_the_kept_report() {
    let report = std::fs::read_to_string(root().join("results/losses/reference/report.md")).unwrap();
    let table = table_in(&report, LOSS_TABLE);
    assert!(table.len() > 10, "results/losses/reference has no such table: lab run losses, then lab keep");
    for row in &table[2..] {
        let name = quoted(row).next().unwrap().split(':').next().unwrap();
        assert!(STRATEGIES.iter().any(|entry| entry.name == name), "{row}");
    }
    has_table(README, LOSS_TABLE, &table.join("\n"));
}

/// `cargo fmt` follows `mod` lines, and does not see those that a macro writes.
#[test]
fn the_files_of_the_strategies_are_formatted() {
    let file = |name: &str| root().join(format!("src/listener/{}.rs", name.replace('-', "_")));
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024"]).args(STRATEGIES.iter().map(|entry| file(entry.name)));
    let Ok(output) = rustfmt.output() else { return crate::harness::skipped("rustfmt is not installed") };
    assert!(output.status.success(), "run rustfmt on the file:\n{}", String::from_utf8_lossy(&output.stdout));
}
