//! The sheet of a strategy: every figure of it, and what each rests on.

use serde::Serialize;

use super::columns::{COLUMNS, Column};
use super::matrix::anchor;
use super::rules::{Found, newest};
use super::{Run, words};
use crate::lab::report::index::link;
use crate::lab::report::text::list;
use crate::lab::report::view::moment;
use crate::listener::Choice;

#[derive(Debug, Serialize)]
pub struct Sheet {
    pub name: String,
    pub anchor: String,
    pub summary: String,
    /// Figures that cannot be compared with each other.
    pub warning: String,
    pub lines: Vec<Line>,
}

/// A figure, or what is missing.
#[derive(Debug, Default, Serialize)]
pub struct Line {
    pub title: &'static str,
    pub about: &'static str,
    pub value: String,
    pub says: String,
    pub class: &'static str,
    pub tags: Vec<&'static str>,
    pub origin: String,
    pub link: String,
    pub label: String,
    pub commit: String,
    pub machine: String,
    pub when: String,
    pub age: String,
    pub command: String,
}

pub fn sheet(name: &str, runs: &[Run], now: &str) -> Sheet {
    let (mut lines, mut used) = (Vec::new(), Vec::new());
    for column in COLUMNS {
        let found = every(column, name, runs);
        if found.is_empty() {
            let command = column.command(name);
            lines.push(Line { title: column.title, about: column.about, command, ..Line::default() });
        }
        lines.extend(found.iter().map(|found| line(column, found, now)));
        used.extend(found.into_iter().map(|found| found.run));
    }
    Sheet {
        name: name.to_owned(),
        anchor: anchor(name),
        summary: name
            .parse::<Choice>()
            .map_or_else(|_| String::new(), |choice| choice.entry.summary.replace('`', "")),
        warning: warning(&used),
        lines,
    }
}

/// One for each kind of work.
fn every<'r>(column: &Column, name: &str, runs: &'r [Run]) -> Vec<Found<'r>> {
    let works = if column.works.is_empty() { &[""] } else { column.works };
    works.iter().filter_map(|work| newest(column, work, name, runs)).collect()
}

fn line(column: &'static Column, found: &Found, now: &str) -> Line {
    let (basis, summary) = (found.run.basis(), &found.run.summary);
    // The interval of the figure itself is in the next column.
    let beside = words::beside(column, found);
    let beside = if beside.starts_with('[') { "" } else { &beside };
    Line {
        title: column.title,
        about: column.about,
        value: format!("{} {beside}", words::value(column, &found.cell)).trim_end().to_owned(),
        says: words::says(column, found),
        class: found.tone.class(),
        tags: found.run.tags(),
        origin: words::origin(found),
        link: link(&format!("{}/{}", found.run.place, crate::lab::report::PAGE)),
        label: summary.label.clone(),
        commit: if basis.commit.is_empty() { "not known".into() } else { basis.commit.clone() },
        machine: basis.machine.clone(),
        when: moment(&summary.started),
        age: age(&summary.started, now),
        command: String::new(),
    }
}

/// Of figures from several builds or machines; empty if all are from one.
fn warning(runs: &[&Run]) -> String {
    let different = |of: fn(&Run) -> &str| {
        let mut all: Vec<String> = runs.iter().map(|run| of(run).to_owned()).collect();
        all.sort();
        all.dedup();
        all
    };
    let builds = different(|run| &run.basis().commit);
    let machines = different(|run| &run.basis().machine);
    let mut of = Vec::new();
    if builds.len() > 1 {
        let named: Vec<String> = builds
            .iter()
            .map(|build| if build.is_empty() { "one not known" } else { build.as_str() }.to_owned())
            .collect();
        of.push(format!("{} builds ({})", builds.len(), list(&named)));
    }
    if machines.len() > 1 {
        of.push(format!("{} machines ({})", machines.len(), machines.join("; ")));
    }
    if of.is_empty() {
        return String::new();
    }
    format!("These figures are from {}: compare them with those of their own reports only.", of.join(" and "))
}

/// Whole days from one stamp to the other: `today`, `1 day`, `12 days`; empty if one cannot be read.
fn age(started: &str, now: &str) -> String {
    let day = |stamp: &str| {
        let figures = |range: std::ops::Range<usize>| stamp.get(range)?.parse::<i16>().ok();
        let (month, day) = (i8::try_from(figures(4..6)?).ok()?, i8::try_from(figures(6..8)?).ok()?);
        jiff::civil::Date::new(figures(0..4)?, month, day).ok()
    };
    let days =
        day(started).zip(day(now)).and_then(|(started, now)| Some(started.until(now).ok()?.get_days()));
    match days {
        None => String::new(),
        Some(..=0) => "today".into(),
        Some(1) => "1 day".into(),
        Some(days) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Basis;
    use super::*;
    use crate::lab::report::summary::Summary;

    #[test]
    fn an_age_is_in_days() {
        let ages = [
            ("20261125T235959Z", "20261126T000000Z", "1 day"),
            ("20261126T010000Z", "20261126T230000Z", "today"),
            ("20261026T010000Z", "20261126T000000Z", "31 days"),
            ("yesterday", "20261126T000000Z", ""),
            ("20269926T000000Z", "20261126T000000Z", ""),
        ];
        for (started, now, expected) in ages {
            assert_eq!(age(started, now), expected, "{started} to {now}");
        }
    }

    #[test]
    fn several_builds_or_machines_are_a_warning() {
        let run = |commit: &str, machine: &str| {
            let basis = Basis { commit: commit.into(), machine: machine.into(), ..Basis::default() };
            Run { summary: Summary { basis: Some(basis), ..Summary::default() }, ..Run::default() }
        };
        let (one, other, third) = (run("a1", "m"), run("b2", "m"), run("b2", "n"));
        assert_eq!(warning(&[&one, &one]), "");
        assert!(warning(&[&one, &other]).starts_with("These figures are from 2 builds (a1 and b2): "));
        assert!(warning(&[&other, &third]).contains("from 2 machines (m; n)"));
        assert!(warning(&[&one, &third]).contains("2 builds (a1 and b2) and 2 machines"));
    }
}
