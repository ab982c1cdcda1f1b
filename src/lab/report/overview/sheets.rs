//! The sheet of a strategy: every figure of it, and what each rests on.

use itertools::Itertools;
use serde_json::{Value, json};

use super::columns::{COLUMNS, Column};
use super::matrix::anchor;
use super::rules::{Found, newest};
use super::{Run, words};
use crate::lab::report::index::link;
use crate::lab::report::text::{holding, list};
use crate::lab::report::view::moment;
use crate::listener::Choice;

/// For templates.
pub fn sheet(name: &str, runs: &[Run], now: &str) -> Value {
    let (mut lines, mut used) = (Vec::new(), Vec::new());
    for column in COLUMNS.iter() {
        let found = every(column, name, runs);
        if found.is_empty() {
            lines.push(json!({ "title": column.title, "command": column.command(name) }));
        }
        lines.extend(found.iter().map(|found| line(column, found, now)));
        used.extend(found.into_iter().map(|found| found.run));
    }
    let summary = name.parse::<Choice>().map(|choice| choice.entry.summary.replace('`', ""));
    json!({
        "name": name, "anchor": anchor(name), "summary": summary.unwrap_or_default(),
        // Figures that cannot be compared with each other.
        "warning": warning(&used),
        "lines": lines,
    })
}

/// One for each kind of work.
fn every<'r>(column: &Column, name: &str, runs: &'r [Run]) -> Vec<Found<'r>> {
    let all_together = column.works.is_empty().then_some("");
    let works = column.works.iter().map(String::as_str).chain(all_together);
    works.filter_map(|work| newest(column, work, name, runs)).collect()
}

fn line(column: &Column, found: &Found, now: &str) -> Value {
    let (basis, summary) = (found.run.basis(), &found.run.summary);
    // The interval of the figure itself is in the next column.
    let beside = words::beside(column, found);
    let beside = if beside.starts_with('[') { "" } else { &beside };
    let [_, class, _] = found.tone.told();
    json!({
        "title": column.title,
        "value": format!("{} {beside}", words::value(column, &found.cell)).trim_end(),
        "says": words::says(column, found),
        "class": class,
        "tags": found.run.tags(),
        "origin": words::origin(found),
        "place": link(&found.run.place),
        "label": summary.label,
        "basis": basis,
        "when": moment(&summary.started),
        "age": age(&summary.started, now),
    })
}

/// Of figures from several builds or machines; empty if all are from one.
fn warning(runs: &[&Run]) -> String {
    let different =
        |of: fn(&Run) -> &str| -> Vec<&str> { runs.iter().map(|run| of(run)).sorted().dedup().collect() };
    let builds = different(|run| &run.basis().commit);
    let machines = different(|run| &run.basis().machine);
    let named = builds.iter().map(|build| if build.is_empty() { "one not known" } else { build });
    let of = holding([
        (builds.len() > 1, format!("{} builds ({})", builds.len(), list(named))),
        (machines.len() > 1, format!("{} machines ({})", machines.len(), machines.join("; "))),
    ])
    .join(" and ");
    if of.is_empty() {
        return of;
    }
    format!("These figures are from {of}: compare them with those of their own reports only.")
}

/// Whole days from one stamp to the other: `today`, `1 day`, `12 days`; empty if one cannot be read.
fn age(started: &str, now: &str) -> String {
    let day = |stamp: &str| jiff::civil::Date::strptime("%Y%m%dT%H%M%SZ", stamp).ok();
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
