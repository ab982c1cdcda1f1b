//! `lab run`: from the command line to a results folder and its report.

mod background;
mod check;
mod child;
mod fault_injector;
pub mod guard;
mod http;
mod interrupt;
pub mod options;
mod probe;
mod processes;
mod programs;
mod resume;
mod rounds;
mod runner;
mod sequence;
mod server;
mod settings;
mod slow;
mod soak;
pub mod suite;
mod turns;
pub mod verify;
mod workers;

use std::path::{Path, PathBuf};

use self::child::Timeouts;
use self::interrupt::Interrupt;
use self::options::{Check, Run};
use self::programs::Programs;
use self::runner::Runner;
use crate::lab::error::{Error, Result};
use crate::lab::judge::claims::Claim;
use crate::lab::judge::{self, Analysis};
use crate::lab::report;
use crate::lab::report::card::Card;
use crate::lab::results::store::{self, Data, Results};
use crate::lab::spec::catalogue::{self, Experiment, Found};
use crate::lab::spec::{Spec, plan};
use crate::lab::terminal::{self, minutes, print, print_line};
use crate::sys::stdio::remark;

/// Common to all experiments of a command.
#[derive(Debug)]
pub struct Session<'a> {
    pub wanted: &'a Run,
    interrupt: &'a Interrupt,
    programs: Programs,
    /// The last part of the name of the results folder.
    pub label: String,
    /// UTC: the first part of that name.
    pub started: String,
}

#[derive(Debug)]
pub struct Ended {
    pub directory: PathBuf,
    pub how: Result<()>,
}

/// Runs an experiment or a suite and writes the report. Measurements are kept in any case.
pub fn run(wanted: &Run) -> Result<()> {
    let interrupt = hold()?;
    let found = wanted.name.as_deref().map(catalogue::find).transpose()?;
    settings::label(wanted.label.as_deref())?;
    // Report mistakes in the experiment before those about programs.
    let experiment = found.as_ref().map(Found::experiment).transpose()?;
    let session = Session::new(wanted, &interrupt)?;
    match (&wanted.resume, found, experiment) {
        (Some(directory), found, _) if suite::is_suite(directory) => {
            suite::resume(&session, directory, found)
        }
        (Some(directory), found, _) => finish(session.resume(directory, found.as_ref())?).1,
        (None, Some(found), Some(Experiment::Suite(suite))) => suite::run(&session, &found, &suite),
        (None, Some(found), Some(Experiment::One(spec))) => {
            finish(session.experiment(&found, *spec, None)?).1
        }
        (None, ..) => Err(Error::Usage("name an experiment (lab list)".into())),
    }
}

fn hold() -> Result<Interrupt> {
    Interrupt::hold().map_err(|e| Error::Failed(format!("cannot watch for signals: {e}")))
}

/// Runs an experiment as it was once, writes the report, and returns its folder. `first` is called with the time that it will
/// take, in seconds. What goes wrong after the first run is printed: the runs that were made are there.
fn again(wanted: &Run, found: &Found, spec: Spec, first: impl FnOnce(f64) -> Result<()>) -> Result<PathBuf> {
    let interrupt = hold()?;
    let session = Session::new(wanted, &interrupt)?;
    first(session.seconds(found, spec.clone())?)?;
    let ended = session.experiment(found, spec, None)?;
    let directory = ended.directory.clone();
    match finish(ended).1 {
        Err(Error::Interrupted(why)) => return Err(Error::Interrupted(why)),
        Err(error) => remark(format_args!("lab: {error}")),
        Ok(()) => {}
    }
    Ok(directory)
}

pub fn check(wanted: &Check) -> Result<()> {
    let interrupt = hold()?;
    let found = catalogue::find(&wanted.name)?;
    let members = match found.experiment()? {
        Experiment::One(spec) => vec![(found, *spec)],
        Experiment::Suite(suite) => suite.members()?,
    };
    let is_suite = members.len() > 1;
    let as_run = Run { allow_debug: true, ..Run::of(wanted.scope.clone()) };
    let session = Session::new(&as_run, &interrupt)?;
    let (mut refused, mut seconds) = (0, 0.0);
    for (found, spec) in members {
        let (spec, _) = settings::adjusted(spec, &found, &wanted.scope)?;
        let runner = session.runner(&spec)?;
        let means = &wanted.scope.means;
        let findings = check::findings(&spec, &runner, &means.results.join(&found.name), means)?;
        print_line(format_args!("{}: {}", found.name, check::effort(&spec)))?;
        for finding in &findings {
            print_line(format_args!("  {finding}"))?;
        }
        refused += findings.iter().filter(|finding| finding.refuses()).count();
        seconds += plan::seconds(&spec);
    }
    if is_suite {
        print_line(format_args!("together about {}", minutes(seconds)))?;
        suite::within(seconds, wanted.scope.means.max_time)?;
    }
    if refused > 0 {
        return Err(Error::Failed(format!("{refused} findings refuse the experiment (marked refused)")));
    }
    Ok(())
}

impl<'a> Session<'a> {
    fn new(wanted: &'a Run, interrupt: &'a Interrupt) -> Result<Self> {
        let programs = Programs::find(wanted.scope.means.programs.as_deref(), wanted.allow_debug)?;
        let label = settings::label(wanted.label.as_deref())?;
        Ok(Self { wanted, interrupt, programs, label, started: settings::now() })
    }

    fn runner<'s>(&'s self, spec: &'s Spec) -> Result<Runner<'s>> {
        let timeouts = Timeouts::of(self.wanted.scope.means.patience);
        Runner::new(&self.programs, spec, self.interrupt, timeouts, !self.wanted.no_probes)
    }

    /// Estimated seconds of an experiment with the changes of the command line.
    pub fn seconds(&self, found: &Found, spec: Spec) -> Result<f64> {
        Ok(plan::seconds(&settings::adjusted(spec, found, &self.wanted.scope)?.0))
    }

    /// Makes all runs of an experiment, in a new folder for it and this time, or in `folder`, which does not exist yet. The outer
    /// result concerns what precedes the first run.
    pub fn experiment(&self, found: &Found, spec: Spec, folder: Option<&Path>) -> Result<Ended> {
        let (spec, text) = settings::adjusted(spec, found, &self.wanted.scope)?;
        let (runner, means) = (self.runner(&spec)?, &self.wanted.scope.means);
        let parent = folder.map_or_else(|| means.results.join(&found.name), Path::to_owned);
        check::refuse(&check::findings(&spec, &runner, &parent, means)?)?;
        let environment = settings::environment(self, &found.name, &spec, &text, &runner);
        let mut results = match folder {
            None => Results::create(&means.results, &text, &environment)?,
            Some(folder) => Results::create_at(folder, &text, &environment)?,
        };
        let how = rounds::make(&spec, &runner, &mut results, &[], self.wanted.allow_debug);
        Ok(Ended { directory: results.directory, how })
    }
}

/// Writes the report. The claims, none without a run, and the final result.
pub fn finish(Ended { directory, how }: Ended) -> (Vec<Claim>, Result<()>) {
    let data = match store::load(&directory) {
        Ok(data) => data,
        Err(error) => return (Vec::new(), how.and(Err(error))),
    };
    let analysis = judge::judge(&data);
    let how = conclude(&directory, &data, &analysis, how);
    (analysis.claims, how)
}

fn conclude(directory: &Path, data: &Data, analysis: &Analysis, ended: Result<()>) -> Result<()> {
    let count = data.runs.iter().filter(|run| run.round > 0).count();
    let written = if count > 0 { publish(directory, data, analysis) } else { Ok(()) };
    match ended {
        Err(Error::Interrupted(_)) => Err(Error::Interrupted(format!(
            "interrupted after {count} runs, which are kept in {0} (continue: lab run --resume {0})",
            directory.display()
        ))),
        // The cause, such as a full disk, matters more than the missing report.
        Err(error) => Err(error),
        Ok(()) => written.and_then(|()| passed(directory, data, analysis)),
    }
}

fn publish(directory: &Path, data: &Data, analysis: &Analysis) -> Result<()> {
    let report = report::write(directory, data, analysis)?;
    summarise(&report.card, &report.page)
}

/// The card of a report on standard output, and where the report is.
fn summarise(card: &Card, page: &Path) -> Result<()> {
    print(&card.for_terminal(terminal::width(), terminal::is_coloured()))?;
    print_line(page.display())
}

fn passed(directory: &Path, data: &Data, analysis: &Analysis) -> Result<()> {
    if !analysis.rows.iter().any(|row| row.counts) {
        let page = directory.join(report::PAGE);
        return Err(Error::Failed(format!("no run counts; {} says why", page.display())));
    }
    match data.spec.soak.as_ref().map_or(Vec::new(), |_| judge::soak::failed(analysis)).as_slice() {
        [] => Ok(()),
        failed => Err(Error::Failed(format!("did not pass the soak: {}", failed.join(", ")))),
    }
}
