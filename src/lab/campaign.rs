//! `lab run`: from the command line to a results folder and its report.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::child::Patience;
use super::cli::{Run, minutes};
use super::data::{Environment, RunData, SCHEMA};
use super::error::{Error, Result};
use super::interrupt::Interrupt;
use super::plan::Cell;
use super::programs::{BUILD, Programs};
use super::runner::{Manner, Occasion, Runner, debug_built, explain};
use super::spec::{Load, Spec};
use super::store::Results;
use super::{catalogue, plan, report, rows};
use crate::measure::machine::Facts;

/// Runs an experiment and writes its report. What was measured is kept whatever happens.
///
/// # Errors
/// The experiment, the programs or the results folder will not do; the user stopped it; no run counts.
pub fn run(wanted: &Run) -> Result<()> {
    let interrupt = Interrupt::hold().map_err(|e| Error::Failed(format!("cannot watch for signals: {e}")))?;
    let found = catalogue::find(&wanted.name)?;
    let spec = found.spec()?;
    let (spec, text) = adjusted(spec, found.text, wanted, &found.origin)?;
    let label = label(wanted.label.as_deref())?;
    let programs = Programs::find(wanted.programs.as_deref(), wanted.allow_debug)?;
    let manner = Manner { patience: Patience::of(wanted.patience), probes: !wanted.no_probes };
    let runner = Runner::new(&programs, &spec, &interrupt, manner)?;
    let environment = Environment {
        schema: SCHEMA,
        experiment: found.name,
        label,
        started: jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string(),
        handler: runner.handler.clone(),
        peers: runner.peers(),
        commands: commands(&spec, &runner),
        machine: Facts::collect(&programs.folder),
        ..Environment::default()
    };
    let mut results = Results::create(&wanted.results, &text, &environment)?;
    let ended = measure(&spec, &runner, &mut results, wanted.allow_debug);
    drop(runner);
    finish(&results.directory, ended)
}

/// What is run for each cell and load; shares of a capacity that is not known yet are left out.
fn commands(spec: &Spec, runner: &Runner) -> BTreeMap<String, Vec<String>> {
    let of = |cell: &Cell, load: &Load| runner.commands(cell, load, None).to_vec();
    let loads = |cell: Cell| {
        spec.load.iter().map(move |load| (format!("{} / {}", cell.id, load.name), of(&cell, load)))
    };
    plan::cells(spec).into_iter().flat_map(loads).collect()
}

/// The experiment with what the command line changes, and the text that is kept of it.
fn adjusted(mut spec: Spec, text: String, wanted: &Run, origin: &str) -> Result<(Spec, String)> {
    if wanted.rounds.is_none() && wanted.duration_s.is_none() {
        return Ok((spec, text));
    }
    spec.rounds = wanted.rounds.unwrap_or(spec.rounds);
    spec.duration_s = wanted.duration_s.unwrap_or(spec.duration_s);
    let body = toml::to_string(&spec).map_err(|e| Error::Failed(format!("{origin}: {e}")))?;
    let text = format!("# {origin} with changes from the command line\n{body}");
    Ok((Spec::parse(&text, "command line")?, text))
}

/// The last part of the folder's name.
fn label(wanted: Option<&str>) -> Result<String> {
    let host = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let label = wanted.map_or_else(|| host().unwrap_or_else(|_| "host".into()), str::to_owned);
    let fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match wanted {
        Some(wanted) if wanted.is_empty() || !wanted.chars().all(fit) => Err(Error::Usage(format!(
            "label `{wanted}` does not fit into a folder's name: use letters, digits, dots, dashes"
        ))),
        _ => Ok(label.chars().map(|c| if fit(c) { c } else { '-' }).collect()),
    }
}

/// Makes all runs.
fn measure(spec: &Spec, runner: &Runner, results: &mut Results, allow_debug: bool) -> Result<()> {
    let (cells, runs) = (plan::cells(spec), plan::runs(spec));
    let progress = progress(runs.len() as u64);
    let say = |line: String| if progress.is_hidden() { eprintln!("{line}") } else { progress.println(line) };
    say(format!(
        "{} runs, about {}; results in {}",
        runs.len(),
        minutes(plan::seconds(spec)),
        results.directory.display()
    ));
    let mut capacity = None;
    if spec.load.iter().any(|load| load.open_of_capacity.is_some()) {
        let trial = runner.trial(&cells[0], &results.directory)?;
        results.append(&trial)?;
        refuse_debug(&trial, allow_debug)?;
        capacity = trial.record.map(|record| record.rate);
    }
    for planned in runs {
        let (cell, load) = (&cells[planned.cell], &spec.load[planned.load]);
        let run = runner.run(&Occasion {
            round: planned.round,
            order: planned.order,
            cell,
            load,
            capacity,
            results: &results.directory,
        })?;
        results.append(&run)?;
        refuse_debug(&run, allow_debug)?;
        let row = rows::row(&run, cell, &spec.rules);
        let figures = match (row.rate_per_s, row.response_p99_us, &run.void) {
            (Some(rate), Some(p99), None) => format!("{rate:7.0}/s  p99 {:8.2} ms  ", p99 / 1e3),
            _ => String::new(),
        };
        let why = run.void.as_ref().map_or(row.reasons.clone(), explain);
        say(format!(
            "round {}  {:24} {:12} {figures}{}{}{why}",
            run.round,
            run.cell,
            run.load,
            row.verdict.name(),
            if why.is_empty() { "" } else { ": " }
        ));
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

fn refuse_debug(run: &RunData, allow_debug: bool) -> Result<()> {
    if debug_built(run) && !allow_debug {
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

/// Writes the report of what there is, and says how it ended.
fn finish(directory: &Path, ended: Result<()>) -> Result<()> {
    let measured = super::store::load(directory)?.runs.into_iter().filter(|run| run.round > 0);
    let (whole, void): (Vec<_>, Vec<_>) =
        measured.partition(|run| run.void.is_none() && run.skipped.is_none());
    let count = whole.len() + void.len();
    if count > 0 {
        match report::write(directory) {
            Ok((page, answer)) => {
                for sentence in answer {
                    println!("{sentence}");
                }
                println!("{}", page.display());
            }
            // What ended the runs, such as a full disk, says more than that there is no report because of it.
            Err(_) if ended.is_err() => {}
            Err(error) => return Err(error),
        }
    }
    match ended {
        Err(Error::Interrupted(_)) => Err(Error::Interrupted(format!(
            "interrupted after {count} runs, which are kept in {}",
            directory.display()
        ))),
        Ok(()) if whole.is_empty() => Err(Error::Failed(format!(
            "no run succeeded; {} says why",
            directory.join(report::PAGE).display()
        ))),
        other => other,
    }
}
