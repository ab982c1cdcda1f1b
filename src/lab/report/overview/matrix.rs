//! The matrix of strategies and columns, with the questions, for the templates.

use itertools::Itertools;
use serde::Serialize;
use serde_json::{Value, json};

use super::columns::{COLUMNS, Column, Shown};
use super::questions::Question;
use super::rules::{Found, Tone, newest, work};
use super::sheets::sheet;
use super::strip::{Scale, draw};
use super::{Run, default_strategy, words};
use crate::lab::report::index::link;
use crate::lab::report::text::{capital, list};
use crate::listener::{Choice, STRATEGIES};

/// More strategies that are better in something are counted.
const MOST: usize = 3;

/// Of a strategy to a question.
#[derive(Debug, Serialize)]
struct Answer {
    key: &'static str,
    /// Among the rows, the best is 0.
    rank: usize,
    /// Why the strategy is the wrong one; otherwise empty.
    against: String,
}

/// A column with its figures, one for each strategy.
struct Filled<'r> {
    column: &'static Column,
    found: Vec<Option<Found<'r>>>,
}

/// For templates.
pub fn overview(runs: &[Run], now: &str) -> Value {
    let choices = strategies(runs);
    let names: Vec<String> = choices.iter().map(Choice::to_string).collect();
    let filled: Vec<Filled> = COLUMNS.iter().map(|column| fill(column, &names, runs)).collect();
    let answers: Vec<Vec<Answer>> =
        Question::ALL.iter().map(|question| answers(*question, &choices, &filled)).collect();
    let question = |(question, answers): (&Question, &Vec<Answer>)| {
        let [key, words, _] = question.text();
        json!({ "key": key, "words": words, "says": says(&names, answers) })
    };
    let shown: Vec<&Filled> = filled.iter().filter(|filled| filled.is_shown()).collect();
    let row = |(index, (name, choice)): (usize, (&String, &Choice))| {
        let advice = (choice.entry.advice)(&choice.argument);
        json!({
            "name": name,
            "anchor": anchor(name),
            "cells": shown.iter().map(|filled| filled.cell(index)).collect::<Vec<_>>(),
            "take": advice.take,
            "avoid": advice.avoid,
            "answers": answers.iter().map(|answers| &answers[index]).collect::<Vec<_>>(),
        })
    };
    json!({
        "lead": lead(&names, &shown, &answers),
        "questions": Question::ALL.iter().zip(&answers).map(question).collect::<Vec<_>>(),
        "columns": shown.iter().map(|filled| filled.head(&names)).collect::<Vec<_>>(),
        "rows": names.iter().zip(&choices).enumerate().map(row).collect::<Vec<_>>(),
        "sheets": names.iter().map(|name| sheet(name, runs, now)).collect::<Vec<_>>(),
    })
}

/// Every strategy, and those with an argument that were measured or often are.
fn strategies(runs: &[Run]) -> Vec<Choice> {
    const ALSO: &str = "reuseport:private";
    let measured = runs.iter().flat_map(|run| &run.summary.cells).map(|cell| cell.strategy.as_str());
    let measured: Vec<&str> = measured.chain([ALSO]).sorted_unstable().dedup().collect();
    let of = |entry: &crate::listener::Entry| {
        let plain: Choice = entry.name.parse().unwrap_or_default();
        let others = measured.iter().filter_map(|name| name.parse::<Choice>().ok());
        let others: Vec<Choice> =
            others.filter(|other| other.entry.name == entry.name && *other != plain).collect();
        std::iter::once(plain).chain(others)
    };
    STRATEGIES.iter().flat_map(of).collect()
}

fn fill<'r>(column: &'static Column, names: &[String], runs: &'r [Run]) -> Filled<'r> {
    let work = work(column, names, runs);
    Filled { column, found: names.iter().map(|name| newest(column, work, name, runs)).collect() }
}

impl Filled<'_> {
    fn is_shown(&self) -> bool {
        match self.column.shown {
            Shown::Always => true,
            Shown::IfMeasured => self.figures().next().is_some(),
            Shown::OnSheets => false,
        }
    }

    fn figures(&self) -> impl Iterator<Item = &Found<'_>> {
        self.found.iter().flatten()
    }

    fn scale(&self) -> Scale {
        let values = self.figures().flat_map(|found| {
            let interval = found.cell.interval.map(|interval| [interval.low, interval.high]);
            std::iter::once(found.cell.estimate).chain(interval.into_iter().flatten())
        });
        Scale::over(self.column.scale, values)
    }

    fn head(&self, names: &[String]) -> Value {
        let Column { key, title, about, unit, .. } = *self.column;
        let from = self.figures().map(|found| [words::origin(found), found.run.place.clone()]).unique();
        let missing = names.iter().zip(&self.found).filter(|(_, found)| found.is_none());
        json!({
            "key": key, "title": title, "about": about, "unit": unit,
            "ends": self.figures().next().map(|_| self.scale().ends()),
            // Experiment, load and work, and the folder of the report.
            "from": from.collect::<Vec<_>>(),
            "missing": missing.map(|(name, _)| name).collect::<Vec<_>>(),
            "command": self.column.command("NAME"),
        })
    }

    fn cell(&self, index: usize) -> Value {
        let title = self.column.title;
        let Some(found) = &self.found[index] else {
            return json!({ "title": title, "fill": self.column.filled_by });
        };
        let cell = &found.cell;
        let [low, high] = cell.interval.map_or([cell.estimate; 2], |interval| [interval.low, interval.high]);
        // In the same run: others may have been made under another load.
        let default = found.default.as_ref().map(|default| default.estimate);
        let [_, class, mark] = found.tone.told();
        json!({
            "title": title, "class": class, "mark": mark,
            "strip": draw(&self.scale(), [low, cell.estimate, high], default, class),
            "value": words::value(self.column, cell),
            "beside": words::beside(self.column, found),
            "says": words::says(self.column, found),
            "tags": found.run.tags(),
        })
    }
}

fn answers(question: Question, choices: &[Choice], filled: &[Filled]) -> Vec<Answer> {
    let of = |key: &&str| filled.iter().find(|filled| filled.column.key == *key);
    let columns: Vec<&Filled> = question.columns().iter().filter_map(of).collect();
    let ranks = ranks(columns.first().map_or(&[], |filled| &filled.found), choices.len());
    let answer = |(index, choice): (usize, &Choice)| {
        let found: Vec<(&Column, Option<&Found>)> =
            columns.iter().map(|filled| (filled.column, filled.found[index].as_ref())).collect();
        Answer {
            key: question.text()[0],
            rank: ranks[index],
            against: question.rules_out(choice, &found).unwrap_or_default(),
        }
    };
    choices.iter().enumerate().map(answer).collect()
}

/// The place of each strategy by its figure. Those of an earlier method come after, those without a figure last.
fn ranks(found: &[Option<Found>], rows: usize) -> Vec<usize> {
    let key = |index: usize| {
        let found = found.get(index)?.as_ref()?;
        let high = found.cell.interval.map_or(0.0, |interval| interval.high);
        Some((!found.run.is_usable(), found.cell.estimate, high))
    };
    let before = |index: usize, other: usize| match (key(other), key(index)) {
        (Some(other), Some(own)) => {
            let order = other.0.cmp(&own.0).then(other.1.total_cmp(&own.1)).then(other.2.total_cmp(&own.2));
            order.is_lt()
        }
        (other, own) => other.is_some() && own.is_none(),
    };
    (0..rows).map(|index| (0..rows).filter(|other| before(index, *other)).count()).collect()
}

/// The answer to a question in words.
fn says(names: &[String], answers: &[Answer]) -> String {
    let out = names.iter().zip(answers).filter(|(_, answer)| !answer.against.is_empty());
    let out = list(out.map(|(name, _)| name));
    if out.is_empty() { "If so, any strategy will do.".into() } else { format!("If so, leave out {out}.") }
}

/// Which strategy to take, and how much of the table is measured.
fn lead(names: &[String], shown: &[&Filled], answers: &[Vec<Answer>]) -> Vec<String> {
    let figures = || shown.iter().flat_map(|filled| filled.figures());
    let all = names.len() * shown.len();
    let usable = figures().filter(|found| found.run.is_usable()).count();
    let old = figures().count() - usable;
    let better = |(name, index): (&String, usize)| {
        let of = |tone: Tone| {
            let has =
                |filled: &&&Filled| filled.found[index].as_ref().is_some_and(|found| found.tone == tone);
            list(shown.iter().filter(has).map(|filled| filled.column.title))
        };
        let wrong =
            Question::ALL.iter().zip(answers).filter(|(_, answers)| !answers[index].against.is_empty());
        let wrong = wrong.map(|(question, _)| question.text()[2]).join(" or ");
        let parts = [(", worse in ", of(Tone::Worse)), (", but wrong if ", wrong)];
        let parts = parts.into_iter().filter(|(_, what)| !what.is_empty());
        let but: String = parts.map(|(before, what)| before.to_owned() + &what).collect();
        (!of(Tone::Better).is_empty()).then(|| format!("{name} is better in {}{but}", of(Tone::Better)))
    };
    let better: Vec<String> = names.iter().zip(0..).filter_map(better).collect();
    let more = better.len().saturating_sub(MOST);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let default = default_strategy();
    let advice = match (usable, better.as_slice()) {
        (0, _) => format!(
            "Take {default}, the default, by what it promises: nothing is measured with the present method."
        ),
        (_, []) => {
            format!("Take {default}, the default: no strategy was measured to be better in any column.")
        }
        (_, better) => format!(
            "Take {default}, the default, unless a column matters most to you: {}{more}.",
            better[..better.len().min(MOST)].join("; ")
        ),
    };
    let old = if old > 0 {
        format!("; {old} are of a superseded method or a debug build, and marked")
    } else {
        String::new()
    };
    let rest = all - usable;
    let hatched =
        if rest > 0 { "; where nothing was measured the cell is hatched and names the command" } else { "" };
    vec![advice, capital(&format!("{usable} of {all} figures are measured{old}{hatched}."))]
}

/// Of the sheet of a strategy.
pub fn anchor(name: &str) -> String {
    format!("sheet-{}", link(&name.replace([':', '=', ','], "-")))
}
