//! The matrix of strategies and columns, with the questions, for the templates.

use std::iter::once;

use itertools::Itertools;
use serde::Serialize;
use serde_json::{Value, json};

use super::columns::{COLUMNS, Column, Shown};
use super::questions::Question;
use super::rules::{Found, Tone, newest, work};
use super::sheets::sheet;
use super::strip::{Scale, places};
use super::{Run, default_strategy, words};
use crate::lab::error::Result;
use crate::lab::report::index::link;
use crate::lab::report::templates;
use crate::lab::report::text::list;
use crate::listener::{Choice, Entry, STRATEGIES};

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
pub fn overview(runs: &[Run], now: &str) -> Result<Value> {
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
    Ok(json!({
        "lead": lead(&names, &shown, &answers)?,
        "questions": Question::ALL.iter().zip(&answers).map(question).collect::<Vec<_>>(),
        "columns": shown.iter().map(|filled| filled.head(&names)).collect::<Vec<_>>(),
        "rows": names.iter().zip(&choices).enumerate().map(row).collect::<Vec<_>>(),
        "sheets": names.iter().map(|name| sheet(name, runs, now)).collect::<Vec<_>>(),
    }))
}

/// Every strategy, and those with an argument that were measured or often are.
fn strategies(runs: &[Run]) -> Vec<Choice> {
    const ALSO: &str = "reuseport:private";
    let measured = runs.iter().flat_map(|run| &run.summary.cells).map(|cell| cell.strategy.as_str());
    let measured: Vec<&str> = measured.chain([ALSO]).sorted_unstable().dedup().collect();
    let of = |entry: &Entry| {
        let plain: Choice = entry.name.parse().unwrap_or_default();
        let measured = measured.iter().filter_map(|name| name.parse::<Choice>().ok());
        let others = measured.filter(|other| other.entry.name == entry.name && *other != plain);
        once(plain.clone()).chain(others).collect::<Vec<_>>()
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
            once(found.cell.estimate).chain(interval.into_iter().flatten())
        });
        Scale::over(self.column.scale, values)
    }

    fn head(&self, names: &[String]) -> Value {
        let Column { key, title, about, unit, .. } = self.column;
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
        let title = &self.column.title;
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
            "strip": places(&self.scale(), [low, cell.estimate, high], default),
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
    let ranks = ranks(&columns[0].found);
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
fn ranks(found: &[Option<Found>]) -> Vec<usize> {
    let key = |found: &Option<Found>| match found {
        None => (2, 0.0, 0.0),
        Some(Found { run, cell, .. }) => {
            (u8::from(!run.is_usable()), cell.estimate, cell.interval.map_or(0.0, |interval| interval.high))
        }
    };
    let keys: Vec<(u8, f64, f64)> = found.iter().map(key).collect();
    let before = |a: &(u8, f64, f64), b: &(u8, f64, f64)| {
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)).is_lt()
    };
    keys.iter().map(|own| keys.iter().filter(|other| before(other, own)).count()).collect()
}

/// The answer to a question in words.
fn says(names: &[String], answers: &[Answer]) -> String {
    let out = names.iter().zip(answers).filter(|(_, answer)| !answer.against.is_empty());
    let out = list(out.map(|(name, _)| name));
    if out.is_empty() { "If so, any strategy will do.".into() } else { format!("If so, leave out {out}.") }
}

/// Which strategy to take, and how much of the table is measured.
fn lead(names: &[String], shown: &[&Filled], answers: &[Vec<Answer>]) -> Result<Vec<String>> {
    let figures = || shown.iter().flat_map(|filled| filled.figures());
    let usable = figures().filter(|found| found.run.is_usable()).count();
    let strategy = |(index, name): (usize, &String)| {
        let of = |tone: Tone| {
            let has =
                |filled: &&&Filled| filled.found[index].as_ref().is_some_and(|found| found.tone == tone);
            list(shown.iter().filter(has).map(|filled| &filled.column.title))
        };
        let wrong =
            Question::ALL.iter().zip(answers).filter(|(_, answers)| !answers[index].against.is_empty());
        let wrong = wrong.map(|(question, _)| question.text()[2]).join(" or ");
        json!({ "name": name, "better": of(Tone::Better), "worse": of(Tone::Worse), "wrong": wrong })
    };
    let content = json!({
        "default": default_strategy(),
        "usable": usable,
        "old": figures().count() - usable,
        "all": names.len() * shown.len(),
        "strategies": names.iter().enumerate().map(strategy).collect::<Vec<_>>(),
    });
    templates::sentences("lead.txt", include_str!("lead.txt"), &content)
}

/// Of the sheet of a strategy.
pub fn anchor(name: &str) -> String {
    format!("sheet-{}", link(&name.replace([':', '=', ','], "-")))
}
