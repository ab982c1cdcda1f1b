//! All runs of an experiment, one after the other, each on disk before the next begins.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::programs::BUILD;
use super::runner::{RunRequest, Runner};
use crate::lab::error::{Error, Result};
use crate::lab::judge::capacity::Capacity;
use crate::lab::judge::rounds::Rounds;
use crate::lab::judge::rows::{self, Row};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Results;
use crate::lab::spec::Spec;
use crate::lab::spec::blocks::{self, Block};
use crate::lab::spec::plan::{self, Cell, Planned};
use crate::lab::terminal::minutes;
use crate::sys::stdio::remark;

struct Making<'a> {
    spec: &'a Spec,
    runner: &'a Runner<'a>,
    results: &'a mut Results,
    allow_debug: bool,
    cells: Vec<Cell>,
    /// All runs so far but the trials.
    rows: Vec<Row>,
    /// In requests per second.
    capacities: Vec<(Cell, f64)>,
    progress: ProgressBar,
    widths: [usize; 2],
}

/// Makes the runs that are not in `made`, and repeats rounds that are not complete.
pub fn make(
    spec: &Spec,
    runner: &Runner,
    results: &mut Results,
    made: &[RunData],
    allow_debug: bool,
) -> Result<()> {
    let cells = plan::cells(spec);
    let of_cell = |run: &RunData| {
        let cell = cells.iter().find(|cell| cell.id == run.cell)?;
        (run.round > 0).then(|| rows::row(run, cell, &spec.rules, None))
    };
    let rows: Vec<Row> = made.iter().filter_map(of_cell).collect();
    let widths = [
        cells.iter().map(|cell| cell.id.len()).max().unwrap_or(0),
        spec.load.iter().map(|load| load.name.len()).max().unwrap_or(0),
    ];
    let (progress, capacities) = (progress(), Vec::new());
    let mut making = Making { spec, runner, results, allow_debug, cells, rows, capacities, progress, widths };
    let planned = making.missing(plan::runs(spec));
    making.announce(&planned);
    if !planned.is_empty() || !making.repeats().is_empty() {
        making.trials(made)?;
    }
    making.runs(planned)?;
    // As long as a round is missing: one more of what it lacks.
    loop {
        let again = making.repeats();
        if again.is_empty() {
            break;
        }
        making.runs(again)?;
    }
    making.progress.finish_and_clear();
    Ok(())
}

impl Making<'_> {
    fn say(&self, line: String) {
        if self.progress.is_hidden() { remark(line) } else { self.progress.println(line) }
    }

    fn announce(&self, planned: &[Planned]) {
        let seconds =
            |run: &Planned| plan::run_seconds(self.spec, &self.cells[run.cell], &self.spec.load[run.load]);
        let time = minutes(planned.iter().map(seconds).sum());
        let (count, directory) = (planned.len(), self.results.directory.display());
        self.say(format!("{count} runs, about {time}; results in {directory}"));
    }

    fn missing(&self, planned: Vec<Planned>) -> Vec<Planned> {
        let is_made = |run: &Planned| {
            let (cell, load) = (&self.cells[run.cell].id, &self.spec.load[run.load].name);
            self.rows.iter().any(|row| row.round == run.round && row.cell == *cell && row.load == *load)
        };
        planned.into_iter().filter(|run| !is_made(run)).collect()
    }

    /// The runs that complete the last repeated round, or else those of the next one; none if no round lacks or no more
    /// may be made.
    fn repeats(&self) -> Vec<Planned> {
        let blocks = blocks::all(self.spec);
        let last = self.rows.iter().map(|row| row.round).max().unwrap_or(0).max(self.spec.rounds);
        let before = self.rows.iter().map(|row| row.order).max().unwrap_or(0).max(plan::count(self.spec));
        let lacking = |until: u32| -> Vec<&Block> {
            let lacks = |block: &&Block| {
                let within = |row: &&Row| row.round < until && self.holds(block, row);
                Rounds::of(&self.rows.iter().filter(within).collect::<Vec<_>>(), self.spec).lacking(self.spec)
            };
            blocks.iter().filter(lacks).collect()
        };
        let round = |round: u32| self.missing(blocks::repeated(self.spec, round, &lacking(round), before));
        let unfinished = if last > self.spec.rounds { round(last) } else { Vec::new() };
        if unfinished.is_empty() { round(last + 1) } else { unfinished }
    }

    fn holds(&self, block: &Block, row: &Row) -> bool {
        row.load == self.spec.load[block.load].name
            && block.cells.iter().any(|cell| self.cells[*cell].id == row.cell)
    }

    fn runs(&mut self, planned: Vec<Planned>) -> Result<()> {
        self.progress.inc_length(planned.len() as u64);
        if let Some(first) = planned.first().filter(|run| run.round > self.spec.rounds) {
            self.say(format!(
                "round {}: repeats rounds in which a run is void, {} runs",
                first.round,
                planned.len()
            ));
        }
        for Planned { round, order, cell, load } in planned {
            let (cell, load) = (&self.cells[cell], &self.spec.load[load]);
            let known = self.capacities.iter().find(|(trial, _)| plan::same_work(trial, cell));
            let (capacity, results) = (known.map(|(_, rate)| *rate), self.results.directory.as_path());
            let run = self.runner.run(&RunRequest { round, order, cell, load, capacity, results })?;
            self.results.append(&run)?;
            refuse_debug(&run, self.allow_debug)?;
            let row = rows::row(&run, cell, &self.spec.rules, None);
            self.say(line(&run, &row, self.widths));
            self.rows.push(row);
            self.progress.inc(1);
        }
        Ok(())
    }

    /// Makes the missing trial runs, one of each cell in turn, and sets the capacities to their medians.
    fn trials(&mut self, made: &[RunData]) -> Result<()> {
        let trials = plan::trials(self.spec);
        let mut runs: Vec<RunData> = made.iter().filter(|run| run.round == 0).cloned().collect();
        let mut order = runs.iter().map(|run| run.order).max().unwrap_or(0);
        for turn in 0..plan::TRIALS {
            for cell in &trials {
                if runs.iter().filter(|run| run.cell == cell.id).count() > turn {
                    continue;
                }
                order += 1;
                let run = self.runner.trial(cell, order, &self.results.directory)?;
                self.results.append(&run)?;
                refuse_debug(&run, self.allow_debug)?;
                runs.push(run);
            }
        }
        for cell in trials {
            let Some(capacity) = Capacity::of(&cell.id, &runs) else { continue };
            self.say(format!("trial runs: {capacity}"));
            self.capacities.push((cell, capacity.median));
        }
        Ok(())
    }
}

fn line(run: &RunData, row: &Row, [cells, loads]: [usize; 2]) -> String {
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

fn progress() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
