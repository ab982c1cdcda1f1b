//! Lost and late connections under each fault, all strategies in one table.

use itertools::Itertools;
use serde::Serialize;

use super::Table;
use crate::lab::judge::Analysis;
use crate::lab::judge::losses::{AFTERMATH_S, Losses, Mean};
use crate::lab::judge::struck::{Struck, names as columns_of, struck};
use crate::lab::report::names;
use crate::lab::report::text::{self, at_most, number, percent};
use crate::lab::spec::{Fault, FaultKind};

/// "None" is shown as good where at most this share of the faults can still cost a connection.
const GOOD: f64 = 0.05;
const SUPERSEDED: &str = "method superseded";

#[derive(Debug, Default, Serialize)]
pub struct LossTable {
    /// A line feed begins small print.
    pub head: Vec<String>,
    pub rows: Vec<(String, Vec<LossCell>)>,
    /// Whether nothing failed anywhere.
    pub none: bool,
    /// Runs with a record, and those that also count for medians.
    counted: usize,
    used: usize,
    /// Late connections and seconds waited; no rows if the method is superseded.
    pub delays: Table,
    /// Until when after a fault, in s.
    aftermath: String,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct LossCell {
    /// A line feed begins small print.
    pub text: String,
    pub class: &'static str,
}

/// Whether it is known what the struck worker held.
fn holds(struck: &Struck, names: &[String]) -> bool {
    let strikes = struck.fault.is_none_or(|fault| matches!(fault.kind, FaultKind::Kill | FaultKind::Stop));
    strikes && names.iter().filter_map(|name| struck.losses(name)).any(|losses| !losses.superseded)
}

/// `None` without a fault.
pub fn losses(analysis: &Analysis) -> Option<LossTable> {
    let columns = struck(analysis);
    let names = columns_of(&columns);
    if names.is_empty() {
        return None;
    }
    let mut head = vec!["Strategy".to_owned()];
    let mut rows: Vec<(String, Vec<LossCell>)> =
        names.iter().map(|name| (name.clone(), Vec::new())).collect();
    for column in &columns {
        let mut add = |title: String, cell: fn(&Losses) -> LossCell| {
            head.push(title);
            for (name, cells) in &mut rows {
                cells.push(column.losses(name).map_or_else(|| plain("-".into()), |losses| cell(&losses)));
            }
        };
        let title = title(column.fault);
        add(title.clone(), failed);
        if holds(column, &names) {
            let what = title.split('\n').next().unwrap_or_default();
            add(format!("{what}\n(it was answering)"), |losses| {
                held(losses, losses.total(|effect| effect.answering))
            });
            add(format!("{what}\n(accepted, not read)"), |losses| {
                held(losses, losses.total(|effect| effect.untouched))
            });
        }
    }
    let none = names.iter().all(|name| {
        columns.iter().filter_map(|column| column.losses(name)).all(|losses| losses.failed() == 0)
    });
    let own = || columns.iter().flat_map(|column| &column.scenes).flat_map(|scene| scene.own());
    Some(LossTable {
        head,
        rows,
        none,
        counted: own().map(|result| result.counted).sum(),
        used: own().filter(|result| result.counted > 0).map(|result| result.used).sum(),
        delays: delays(&columns, &names),
        aftermath: AFTERMATH_S.to_string(),
    })
}

fn plain(text: String) -> LossCell {
    LossCell { text, class: "" }
}

/// The cell of what failed.
fn failed(losses: &Losses) -> LossCell {
    let n = grouped(losses.faults());
    match (losses.failed(), losses.share()) {
        (0, None) => LossCell { text: "no fault happened".into(), class: "flag" },
        (0, Some(share)) => LossCell {
            text: format!("none in {n}\n(< {} of faults)", at_most(share.high)),
            class: if share.high <= GOOD { "good" } else { "" },
        },
        (failed, _) if losses.superseded => LossCell {
            text: format!("{} failed in {n}\n({SUPERSEDED}: not told apart)", grouped(failed)),
            class: "open",
        },
        (_, share) => {
            let share =
                share.map(|share| format!(": {} to {}", percent(share.low, 1), percent(share.high, 1)));
            let (parts, hit, share) = (parts(losses), grouped(losses.hit()), share.unwrap_or_default());
            LossCell { text: format!("{parts} in {n}\n({hit} of {n} faults{share})"), class: "flag" }
        }
    }
}

fn parts(losses: &Losses) -> String {
    let (reset, lost) = (losses.total(|effect| effect.reset), losses.total(|effect| effect.lost));
    let all = [(reset, "reset"), (lost, "lost"), (losses.outside, "failed without a fault")];
    let all = all.iter().filter(|(count, _)| *count > 0);
    all.map(|(count, what)| format!("{} {what}", grouped(*count))).join(", ")
}

fn held(losses: &Losses, count: u64) -> LossCell {
    if losses.superseded {
        return plain(SUPERSEDED.into());
    }
    let per = count as f64 / losses.faults().max(1) as f64;
    plain(format!("{} in {}\n({} per fault)", grouped(count), grouped(losses.faults()), number(per, 2)))
}

/// Connections late and seconds waited per fault.
fn delays(columns: &[Struck], names: &[String]) -> Table {
    let any = |column: &&Struck| {
        names.iter().filter_map(|name| column.losses(name)).any(|losses| losses.delayed().is_some())
    };
    let columns: Vec<&Struck> = columns.iter().filter(any).collect();
    if columns.is_empty() {
        return Table::default();
    }
    let head = columns.iter().map(|column| title(column.fault));
    let cell = |column: &&Struck, name: &str| -> String {
        let losses = column.losses(name).unwrap_or_default();
        let (Some(late), Some(waited)) = (losses.delayed(), losses.waited_s()) else { return "-".into() };
        let known = losses.known(|effect| effect.delayed_more).len();
        let ranges = [range(&late, 1), range(&waited, 2), format!("n = {known}")];
        format!("{} late, {} s\n({})", number(late.0, 1), number(waited.0, 2), ranges.join("; "))
    };
    let cells = |name: &str| columns.iter().map(|column| cell(column, name)).collect();
    Table::by_strategy(names, head, cells)
}

fn range((_, interval): &Mean, digits: usize) -> String {
    interval.map_or_else(|| "no interval".into(), |interval| text::range(interval, digits))
}

fn title(fault: Option<Fault>) -> String {
    fault.map_or_else(|| "Faults at random".into(), |fault| names::fault(fault).title)
}

fn grouped(figure: u64) -> String {
    number(figure as f64, 0)
}
