//! All runs of an experiment, one after the other, each on disk before the next begins.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::programs::BUILD;
use super::runner::{RunRequest, Runner};
use crate::lab::error::{Error, Result};
use crate::lab::judge::rows;
use crate::lab::results::data::RunData;
use crate::lab::results::store::Results;
use crate::lab::spec::Spec;
use crate::lab::spec::plan::{self, Cell, Planned};
use crate::lab::terminal::minutes;
use crate::sys::stdio::remark;

/// Makes the runs that are not in `made`.
pub fn make(
    spec: &Spec,
    runner: &Runner,
    results: &mut Results,
    made: &[RunData],
    allow_debug: bool,
) -> Result<()> {
    let cells = plan::cells(spec);
    let is_made = |planned: &Planned| made.iter().any(|run| run.round > 0 && run.order == planned.order);
    let missing: Vec<Planned> = plan::runs(spec).into_iter().filter(|planned| !is_made(planned)).collect();
    let progress = progress(missing.len() as u64);
    let say = |line: String| if progress.is_hidden() { remark(line) } else { progress.println(line) };
    say(format!(
        "{} runs, about {}; results in {}",
        missing.len(),
        minutes(missing.len() as f64 * plan::run_seconds(spec)),
        results.directory.display()
    ));
    let longest = |names: &mut dyn Iterator<Item = usize>| names.max().unwrap_or(0);
    let widths = [
        longest(&mut cells.iter().map(|cell| cell.id.len())),
        longest(&mut spec.load.iter().map(|load| load.name.len())),
    ];
    let mut capacities = Vec::new();
    for trial in if missing.is_empty() { Vec::new() } else { plan::trials(spec) } {
        let rate = capacity(&trial, runner, results, made, allow_debug)?;
        capacities.push((trial, rate));
    }
    for planned in missing {
        let (cell, load) = (&cells[planned.cell], &spec.load[planned.load]);
        let (round, order) = (planned.round, planned.order);
        let capacity =
            capacities.iter().find(|(trial, _)| plan::same_work(trial, cell)).map(|(_, rate)| *rate);
        let run =
            runner.run(&RunRequest { round, order, cell, load, capacity, results: &results.directory })?;
        results.append(&run)?;
        refuse_debug(&run, allow_debug)?;
        say(line(&run, cell, spec, widths));
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// The capacity of a cell in requests per second, from its trial run, made now if it is missing.
fn capacity(
    cell: &Cell,
    runner: &Runner,
    results: &mut Results,
    made: &[RunData],
    allow_debug: bool,
) -> Result<f64> {
    let rate = |run: &RunData| run.record.as_ref().map_or(0.0, |record| record.rate);
    if let Some(trial) = made.iter().find(|run| run.round == 0 && run.cell == cell.id) {
        return Ok(rate(trial));
    }
    let trial = runner.trial(cell, &results.directory)?;
    results.append(&trial)?;
    refuse_debug(&trial, allow_debug)?;
    Ok(rate(&trial))
}

fn line(run: &RunData, cell: &Cell, spec: &Spec, [cells, loads]: [usize; 2]) -> String {
    let row = rows::row(run, cell, &spec.rules);
    let figures = match (row.rate_per_s, row.response_p99_us, &run.void) {
        (Some(rate), Some(p99), None) => format!("{rate:7.0}/s  p99 {:8.2} ms  ", p99 / 1e3),
        _ => String::new(),
    };
    let why = run.void.as_ref().map_or(row.why(), ToString::to_string);
    let colon = if why.is_empty() { "" } else { ": " };
    format!(
        "round {}  {:cells$}  {:loads$}  {figures}{}{colon}{why}",
        run.round,
        run.cell,
        run.load,
        row.verdict.name()
    )
}

fn refuse_debug(run: &RunData, allow_debug: bool) -> Result<()> {
    if run.is_debug_build() && !allow_debug {
        return Err(Error::Failed(format!(
            "loadgen was built with debug assertions, which would be measured too (or allow it: --allow-debug); build with: {BUILD}"
        )));
    }
    Ok(())
}

fn progress(runs: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(runs), target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
