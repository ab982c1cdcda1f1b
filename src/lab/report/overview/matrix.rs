//! The matrix of strategies and columns, with the questions, for the templates.

use serde::Serialize;

use super::columns::{COLUMNS, Column, Shown};
use super::questions::Question;
use super::rules::{Found, Tone, newest, work};
use super::sheets::{Sheet, sheet};
use super::strip::{Scale, draw};
use super::{Run, default_strategy, words};
use crate::lab::report::index::link;
use crate::lab::report::text::{capital, list};
use crate::listener::{Choice, STRATEGIES};

/// More strategies that are better in something are counted.
const MOST: usize = 3;

#[derive(Debug, Serialize)]
pub struct Overview {
    pub lead: Vec<String>,
    pub questions: Vec<QuestionView>,
    pub columns: Vec<ColumnView>,
    pub rows: Vec<RowView>,
    pub sheets: Vec<Sheet>,
}

#[derive(Debug, Serialize)]
pub struct QuestionView {
    pub key: &'static str,
    pub words: &'static str,
    pub says: String,
}

#[derive(Debug, Serialize)]
pub struct ColumnView {
    pub key: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub unit: &'static str,
    /// Of the scale; empty without figures.
    pub ends: Vec<String>,
    /// Experiment, load and work, and the folder of the report.
    pub from: Vec<(String, String)>,
    /// Strategies without a figure.
    pub missing: Vec<String>,
    /// It fills them, for a strategy `NAME`.
    pub command: String,
}

#[derive(Debug, Serialize)]
pub struct RowView {
    pub name: String,
    pub anchor: String,
    pub cells: Vec<CellView>,
    pub take: &'static str,
    pub avoid: &'static str,
    pub answers: Vec<Answer>,
}

/// Of a row to a question.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    pub key: &'static str,
    /// Among the rows, the best is 0.
    pub rank: usize,
    /// Why the strategy is the wrong one; otherwise empty.
    pub against: String,
}

#[derive(Debug, Default, Serialize)]
pub struct CellView {
    pub title: &'static str,
    pub class: &'static str,
    pub strip: String,
    pub mark: &'static str,
    pub value: String,
    pub beside: String,
    /// For a screen reader, and for the sheet.
    pub says: String,
    pub tags: Vec<&'static str>,
    /// The experiment that fills the cell; otherwise empty.
    pub fill: &'static str,
}

/// A column with its figures, one for each strategy.
struct Filled<'r> {
    column: &'static Column,
    found: Vec<Option<Found<'r>>>,
}

pub fn overview(runs: &[Run], now: &str) -> Overview {
    let choices = strategies(runs);
    let names: Vec<String> = choices.iter().map(Choice::to_string).collect();
    let filled: Vec<Filled> = COLUMNS.iter().map(|column| fill(column, &names, runs)).collect();
    let answers: Vec<Vec<Answer>> =
        Question::ALL.iter().map(|question| answers(*question, &choices, &filled)).collect();
    let questions = Question::ALL.iter().zip(&answers).map(|(question, answers)| QuestionView {
        key: question.key(),
        words: question.words(),
        says: says(&names, answers),
    });
    let questions = questions.collect();
    let shown: Vec<&Filled> = filled.iter().filter(|filled| is_shown(filled)).collect();
    let lead = lead(&names, &shown, &answers);
    let mut columns = answers;
    let rows = choices.iter().enumerate().map(|(index, choice)| RowView {
        anchor: anchor(&names[index]),
        cells: shown.iter().map(|filled| filled.cell(index)).collect(),
        take: (choice.entry.advice)(&choice.argument).take,
        avoid: (choice.entry.advice)(&choice.argument).avoid,
        answers: columns.iter_mut().map(|answers| std::mem::take(&mut answers[index])).collect(),
        name: names[index].clone(),
    });
    Overview {
        lead,
        questions,
        rows: rows.collect(),
        columns: shown.iter().map(|filled| filled.head(&names)).collect(),
        sheets: names.iter().map(|name| sheet(name, runs, now)).collect(),
    }
}

/// Every strategy, and those with an argument that were measured or often are.
fn strategies(runs: &[Run]) -> Vec<Choice> {
    const ALSO: &str = "reuseport:private";
    let mut measured: Vec<&str> =
        runs.iter().flat_map(|run| &run.summary.cells).map(|cell| cell.strategy.as_str()).collect();
    measured.push(ALSO);
    measured.sort_unstable();
    measured.dedup();
    let of = |entry: &crate::listener::Entry| {
        let mut choices: Vec<Choice> = vec![entry.name.parse().unwrap_or_default()];
        let others = measured.iter().filter_map(|name| name.parse::<Choice>().ok());
        choices.extend(
            others.filter(|other| other.entry.name == entry.name && *other != choices[0]).collect::<Vec<_>>(),
        );
        choices
    };
    STRATEGIES.iter().flat_map(of).collect()
}

fn fill<'r>(column: &'static Column, names: &[String], runs: &'r [Run]) -> Filled<'r> {
    let work = work(column, names, runs);
    Filled { column, found: names.iter().map(|name| newest(column, work, name, runs)).collect() }
}

fn is_shown(filled: &Filled) -> bool {
    match filled.column.shown {
        Shown::Always => true,
        Shown::IfMeasured => filled.found.iter().any(Option::is_some),
        Shown::OnSheets => false,
    }
}

impl Filled<'_> {
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

    fn head(&self, names: &[String]) -> ColumnView {
        let Column { key, title, about, unit, .. } = *self.column;
        let mut from: Vec<(String, String)> = Vec::new();
        for found in self.figures() {
            let origin = (words::origin(found), found.run.place.clone());
            if !from.contains(&origin) {
                from.push(origin);
            }
        }
        let without = names.iter().zip(&self.found).filter(|(_, found)| found.is_none());
        ColumnView {
            key,
            title,
            about,
            unit,
            ends: if self.figures().next().is_some() { self.scale().ends().into() } else { Vec::new() },
            from,
            missing: without.map(|(name, _)| name.clone()).collect(),
            command: self.column.command("NAME"),
        }
    }

    fn cell(&self, index: usize) -> CellView {
        let title = self.column.title;
        let Some(found) = &self.found[index] else {
            return CellView { title, fill: self.column.filled_by, ..CellView::default() };
        };
        let cell = &found.cell;
        let [low, high] = cell.interval.map_or([cell.estimate; 2], |interval| [interval.low, interval.high]);
        // In the same run: others may have been made under another load.
        let default = found.default.as_ref().map(|default| default.estimate);
        CellView {
            title,
            class: found.tone.class(),
            strip: draw(&self.scale(), [low, cell.estimate, high], default, found.tone),
            mark: found.tone.mark(),
            value: words::value(self.column, cell),
            beside: words::beside(self.column, found),
            says: words::says(self.column, found),
            tags: found.run.tags(),
            fill: "",
        }
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
            key: question.key(),
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
    let out: Vec<String> = names
        .iter()
        .zip(answers)
        .filter(|(_, answer)| !answer.against.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    if out.is_empty() {
        return "If so, any strategy will do.".into();
    }
    format!("If so, leave out {}.", list(&out))
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
            let titles = shown.iter().filter(has).map(|filled| filled.column.title.to_owned());
            list(&titles.collect::<Vec<_>>())
        };
        let wrong =
            Question::ALL.iter().zip(answers).filter(|(_, answers)| !answers[index].against.is_empty());
        let wrong: Vec<&str> = wrong.map(|(question, _)| question.clause()).collect();
        let mut but = String::new();
        if !of(Tone::Worse).is_empty() {
            but += &format!(", worse in {}", of(Tone::Worse));
        }
        if !wrong.is_empty() {
            but += &format!(", but wrong if {}", wrong.join(" or "));
        }
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
