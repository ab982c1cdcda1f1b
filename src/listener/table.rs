//! The table of strategies as people read it: `--listener help`, and the same as the README has it.

use std::fmt::Write as _;

use super::choice::Choice;
use super::{Entry, STRATEGIES};

/// Narrow enough for every terminal.
const COLUMNS: usize = 80;
const INDENT: &str = "    ";

/// The heads of the columns after the name.
const HEADS: [&str; 7] = [
    "sockets",
    "who gets the next connection",
    "spread when idle",
    "wait for a busy worker",
    "reset by a crash",
    "reset by a stop, a reload or fewer workers",
    "system calls per connection",
];

/// What stands under [`HEADS`] for one strategy with its default argument; where others promise differently, they follow.
fn cells(entry: &Entry) -> [String; 7] {
    let each = |words: fn(&Choice) -> String| {
        let mut told: Vec<(String, String)> = Vec::new();
        for choice in Choice::all().filter(|choice| choice.entry.name == entry.name) {
            let text = words(&choice);
            if told.last().is_none_or(|(_, last)| *last != text) {
                told.push((choice.argument, text));
            }
        }
        let first = told.remove(0).1;
        let others = told.into_iter().map(|(argument, text)| format!("; `:{argument}`: {text}"));
        std::iter::once(first).chain(others).collect::<String>()
    };
    [
        each(|choice| choice.sockets().words().into()),
        entry.summary.into(),
        each(|choice| choice.promises().spread.words().into()),
        each(|choice| choice.promises().busy.words()),
        each(|choice| choice.promises().crash.words().into()),
        each(|choice| choice.promises().leave.words().into()),
        each(|choice| {
            let calls = choice.promises().calls;
            format!("{}: {}", calls.len(), calls.join(", "))
        }),
    ]
}

/// The table in Markdown.
pub fn markdown() -> String {
    let mut text = format!("| strategy | {} |\n|{}\n", HEADS.join(" | "), " --- |".repeat(HEADS.len() + 1));
    for entry in STRATEGIES {
        // A bar in the argument's form would end the cell.
        let name = format!("{}{}", entry.name, entry.argument.form()).replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | {} |", cells(entry).join(" | "));
    }
    text
}

/// When to take each strategy, in Markdown.
pub fn advice() -> String {
    let mut text = "| strategy | take it when | avoid it when |\n| --- | --- | --- |\n".to_owned();
    for choice in Choice::all() {
        let advice = (choice.entry.advice)(&choice.argument);
        let usual = (choice.entry.advice)(choice.entry.argument.default());
        if choice.argument == choice.entry.argument.default() || advice != usual {
            let _ = writeln!(text, "| `{choice}` | {} | {} |", advice.take, advice.avoid);
        }
    }
    text
}

/// The table for a terminal: one paragraph per strategy.
pub fn text() -> String {
    let mut text = format!("Strategies, for --listener NAME[:ARG] (default {}):\n", Choice::default());
    for entry in STRATEGIES {
        let _ = writeln!(text, "\n{}{}", entry.name, entry.argument.form());
        if let Err(reason) = (Choice { entry, argument: entry.argument.default().into() }).available() {
            wrap(&mut text, &format!("NOT AVAILABLE HERE: {reason}"));
        }
        let [sockets, summary, promises @ ..] = cells(entry);
        wrap(&mut text, &format!("{summary}; sockets: {}.", sockets.replace('`', "")));
        let facts =
            HEADS[2..].iter().zip(promises).map(|(head, cell)| format!("{head}: {}", cell.replace('`', "")));
        wrap(&mut text, &facts.collect::<Vec<_>>().join("; "));
        let advice = (entry.advice)(entry.argument.default());
        wrap(&mut text, &format!("Take it when {}; avoid it when {}.", advice.take, advice.avoid));
    }
    text.push_str(
        "\nWhat a killed worker held half-read is lost with every strategy; \"reset\" counts\nwhat waited in a queue.\n",
    );
    text
}

/// Appends a paragraph of indented lines that fit.
fn wrap(text: &mut String, paragraph: &str) {
    let mut width = COLUMNS;
    for word in paragraph.split(' ') {
        if width + 1 + word.chars().count() > COLUMNS {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(INDENT);
            width = INDENT.len();
        } else {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += word.chars().count();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_fits_a_terminal_and_names_every_strategy() {
        let text = text();
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(STRATEGIES.iter().all(|entry| text.contains(&format!("\n{}", entry.name))));
    }

    #[test]
    fn a_row_has_as_many_cells_as_heads() {
        for row in markdown().lines() {
            assert_eq!(row.replace("\\|", "").matches('|').count(), HEADS.len() + 2, "{row}");
        }
    }
}
