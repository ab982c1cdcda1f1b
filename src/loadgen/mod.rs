//! The program `loadgen`: HTTP load whose latencies can be trusted.
//!
//! ```text
//! cli       the command line, and the plan that it means
//! plan      target, request, connections, limits of the machine
//! schedule  when requests start
//! engine    the sending thread
//! count     counts per thread, and their combination
//! session   one run
//! verdict   whether the figures can be used; expect: expectations of the user
//! search    the highest rate that meets an objective
//! output    record, text, files, merge
//! view      the live view
//! ```

pub mod cli;
pub mod control;
pub mod count;
pub mod engine;
pub mod error;
pub mod expect;
mod figures;
pub mod output;
pub mod plan;
pub mod schedule;
pub mod search;
pub mod session;
pub mod verdict;
pub mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use nix::sys::signal::{SigSet, Signal};

use crate::measure::histogram::Histogram;
use crate::measure::record::{OLDEST_SCHEMA, RunRecord, SCHEMA};
use crate::sys::stdio::{self, remark};
use cli::merge::MergeArgs;
use cli::{Args, Command, input};
use control::Interrupt;
use count::Phase;
use error::Error;
use output::files::{self, Files};
use output::{merge, report, text};
use plan::{DEFAULT_URL, Plan};
use session::Findings;
use view::View;

/// Exit code of a run whose verdict is INVALID.
const INVALID: u8 = 3;
/// Exit code after an unmet expectation.
const UNMET: u8 = 4;
/// Exit code after a second Ctrl-C: 128 + SIGINT, as in shells.
const INTERRUPTED: i32 = 130;

pub fn main() -> ExitCode {
    parse().and_then(|args| args.map_or(Ok(0), |args| run(&args))).map_or_else(
        |error| {
            remark(format_args!("loadgen: {error}"));
            ExitCode::from(error.exit_code())
        },
        ExitCode::from,
    )
}

/// The arguments; `None` after printing help or the version. Misuse is reported in one line, like every error.
fn parse() -> Result<Option<Args>, Error> {
    let error = match Args::try_parse() {
        Ok(args) => return Ok(Some(args)),
        Err(error) => error,
    };
    let text = error.render().to_string();
    if !error.use_stderr() {
        return print(&text).map(|()| None);
    }
    let message = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = message.split_whitespace().collect();
    Err(Error::Usage(format!("{}; try `loadgen --help`", words.join(" "))))
}

fn run(args: &Args) -> Result<u8, Error> {
    if let Some(shell) = args.completions {
        return print(&cli::completions(shell)).map(|()| 0);
    }
    if args.man {
        return print(&cli::man()?).map(|()| 0);
    }
    if let Some(Command::Merge(merge)) = &args.command {
        return run_merge(merge);
    }
    let plan = args.plan()?;
    args.check_samples(&plan)?;
    let inputs = [&args.request.body_file, &args.request.urls, &args.schedule.replay];
    let inputs: Vec<_> = inputs.into_iter().filter_map(Option::as_deref).collect();
    let mut files = Files::open(&args.output.files(), &inputs)?;
    if args.url.is_none() && args.request.urls.is_none() && !args.output.quiet {
        remark(format_args!("loadgen: no URL given; using {}", DEFAULT_URL));
    }
    for warning in plan.warnings.iter().filter(|_| !args.output.quiet) {
        remark(format_args!("loadgen: warning: {warning}"));
    }
    let interrupt = watch_signals()?;
    let mut view = View::open(args.output.quiet, !args.output.no_live, &interrupt);
    let (mut record, findings) = match args.goal() {
        Some(goal) => search::find_rate(&goal, &plan, &interrupt, &mut view)?,
        None => run_once(&plan, &interrupt, &mut files, &mut view)?,
    };
    drop(view);
    record.expectations = args.search.expect.iter().map(|expected| expected.judge(&record)).collect();
    let (response, json) = (findings.tally.histogram(Phase::Response), args.output.json.as_deref());
    deliver(&record, response, files, json, args.output.quiet)
}

/// Writes the files, then prints: the terminal may be gone. Returns the exit code.
fn deliver(
    record: &RunRecord,
    response: &Histogram,
    files: Files,
    json: Option<&Path>,
    quiet: bool,
) -> Result<u8, Error> {
    let written = files.finish(record, response);
    print_result(record, json, quiet)?;
    written?;
    exit_code(record)
}

fn run_once(
    plan: &Plan,
    interrupt: &Arc<Interrupt>,
    files: &mut Files,
    view: &mut View,
) -> Result<(RunRecord, Findings), Error> {
    view.begin(plan, "");
    let findings = session::run(plan, interrupt, &mut |snapshot| {
        files.interval(snapshot);
        view.show(snapshot);
    })?;
    match &findings.unreachable {
        Some(server) => Err(session::unreachable(plan, server)),
        None => Ok((report::record(plan, &findings), findings)),
    }
}

fn run_merge(args: &MergeArgs) -> Result<u8, Error> {
    let records = args.files.iter().map(|path| read_record(path)).collect::<Result<Vec<_>, _>>()?;
    let misfits = merge::misfits(&records);
    if !misfits.is_empty() && !args.force {
        let why = misfits.join("; ");
        return Err(Error::Failed(format!(
            "these results do not belong together: {why} (--force merges them)"
        )));
    }
    let (json, hgrm) = (args.json.as_deref(), args.hgrm.as_deref());
    let inputs: Vec<_> = args.files.iter().map(PathBuf::as_path).collect();
    let files = Files::open(&[("--json", json), ("--hgrm", hgrm)], &inputs)?;
    let (record, response) = merge::merge(&records, misfits).map_err(Error::Failed)?;
    deliver(&record, &response, files, json, args.quiet)
}

fn read_record(path: &Path) -> Result<merge::Named, Error> {
    let shown = path.display();
    let failed = |why: String| Error::Failed(format!("cannot read the result in {shown}: {why}"));
    let bytes = input::read(path, "the result in")?;
    let record: RunRecord = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    match record.schema {
        OLDEST_SCHEMA..=SCHEMA => Ok((shown.to_string(), record)),
        schema => Err(failed(format!(
            "its schema is {schema}, and this program reads {OLDEST_SCHEMA} to {SCHEMA}; use the loadgen that wrote it"
        ))),
    }
}

fn exit_code(record: &RunRecord) -> Result<u8, Error> {
    let search = record.search.as_ref().map(|search| search.outcome.as_str());
    match record {
        record if record.verdict == "INVALID" && search.is_none() => Ok(INVALID),
        _ if search == Some("generator") => Ok(INVALID),
        _ if search == Some("none") => {
            Err(Error::Failed("no rate meets the objective: see the search above, or lower --rate".into()))
        }
        record if record.expectations.iter().any(|expected| !expected.holds) => Ok(UNMET),
        RunRecord { completed: 0, plan, .. } => {
            Err(Error::Failed(format!("no request to {} completed", plan.url)))
        }
        _ => Ok(0),
    }
}

/// Prints the result: as JSON if `json` is `-`, else as text unless `quiet`.
fn print_result(record: &RunRecord, json: Option<&Path>, quiet: bool) -> Result<(), Error> {
    let to_stdout = json == Some(Path::new("-"));
    if to_stdout {
        print(&files::as_json(record)?)?;
    }
    if !quiet && !to_stdout {
        let width = view::width();
        let search = record.search.as_ref().map(|search| search::text(search, record.interrupted, width));
        let search = search.unwrap_or_default();
        return print(&(text::text(record, width) + &search + &expect::text(&record.expectations)));
    }
    for reason in record.reasons.iter().filter(|_| record.verdict != "OK") {
        remark(format_args!("loadgen: {}: {reason}", record.verdict));
    }
    for unmet in record.expectations.iter().filter(|expected| !expected.holds) {
        remark(format_args!("loadgen: expected {}", expect::line(unmet)));
    }
    Ok(())
}

/// The first SIGINT, SIGTERM or SIGHUP ends the run, which then reports; the second SIGINT or SIGTERM ends the program.
fn watch_signals() -> Result<Arc<Interrupt>, Error> {
    let asked: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    let mut signals = asked;
    // Under nohup a run goes on without its terminal.
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    let failed = |error: io::Error| Error::Failed(format!("cannot watch for signals: {error}"));
    // Threads inherit the mask, so that only the watcher receives these signals.
    signals.thread_block().map_err(|error| failed(error.into()))?;
    let interrupt = Arc::new(Interrupt::default());
    let seen = interrupt.clone();
    let watch = move || {
        if signals.wait().is_ok() {
            seen.set();
        }
        // A terminal that goes away may send SIGHUP twice: itself, and by the shell.
        if asked.wait().is_ok() {
            view::leave();
            std::process::exit(INTERRUPTED);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(interrupt)
}

/// Whether this process was started with `signal` ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal as i32 - 1) & 1 == 1
}

fn print(text: &str) -> Result<(), Error> {
    stdio::print(text).map_err(Error::Failed)
}

#[cfg(test)]
mod stall_tests;
