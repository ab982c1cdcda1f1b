//! The command lines of a run. Pure: nothing is started here.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processors::Share;
use crate::dist::Distribution;
use crate::lab::error::{Error, Result};
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{Fault, FaultKind, Load, Sources, Spec, words};

/// Of every measured instance; each has a state directory of its own.
pub const INSTANCE: &str = "lab";
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Accept queue of other servers if the experiment sets none: the default of ours.
pub const BACKLOG: u32 = 4096;

/// The program first.
pub type CommandLine = Vec<OsString>;

pub fn prefix(text: Option<&str>, key: &str) -> Result<CommandLine> {
    let words = words(text.unwrap_or_default()).map_err(|e| Error::Usage(format!("{key}: {e}")))?;
    Ok(words.into_iter().map(OsString::from).collect())
}

/// The command after `prefix`, with its share of the processors.
pub fn command(prefix: &[OsString], words: &[OsString], share: Share) -> Command {
    let mut all = prefix.iter().chain(words);
    let mut command = Command::new(all.next().map_or(OsStr::new(""), OsString::as_os_str));
    command.args(all);
    share.give(&mut command);
    command
}

/// The configuration file, if the number of workers changes.
pub const CONFIG: &str = "caffeine.toml";

/// Whether the number of workers changes during the run.
pub fn resizes(cell: &Cell) -> bool {
    cell.levels.fault.is_some_and(|fault| matches!(fault.kind, FaultKind::Shrink | FaultKind::Grow))
}

/// Our server; `folder` holds its state and configuration, `handlers` what it serves.
pub fn server(program: &Path, cell: &Cell, folder: &Path, handlers: &Path, seed: u64) -> CommandLine {
    let mut words: CommandLine = vec![program.into()];
    let mut add = |option: &str, value: &OsStr| words.extend([option.into(), value.to_owned()]);
    add("-n", OsStr::new(INSTANCE));
    add("--bind", OsStr::new(&ADDRESS.to_string()));
    add("-p", OsStr::new("0"));
    if resizes(cell) {
        add("-c", folder.join(CONFIG).as_os_str());
    } else {
        add("-w", OsStr::new(&cell.levels.workers.to_string()));
    }
    add("--listener", OsStr::new(cell.strategy()));
    add("--respond", OsStr::new(&cell.levels.respond));
    // A configuration file holds 63 bits.
    add("--seed", OsStr::new(&(seed >> 1).to_string()));
    if let Some(backlog) = cell.levels.backlog {
        add("--backlog", OsStr::new(&backlog.to_string()));
    }
    add("--state-dir", folder.join("state").as_os_str());
    add("--path", handlers.as_os_str());
    // Standard error is kept, and says why a server has failed: it has no room for a line per request.
    add("--log-to", OsStr::new("file"));
    // Allows reading memory and descriptors of its workers.
    words.push("--dumpable".into());
    words.extend(cell.listener.split_whitespace().skip(1).map(OsString::from));
    words
}

#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub spec: &'a Spec,
    pub load: &'a Load,
    pub path: &'a str,
    pub fault: Option<Fault>,
    /// In requests per second, from the trial run.
    pub capacity: Option<f64>,
    pub sources: Option<Sources>,
    pub seed: u64,
    /// What each request asks the server to take.
    pub jobs: Option<Distribution>,
    pub hlog: Option<&'a Path>,
    pub body: Option<PathBuf>,
}

/// The load generator, for a server at `authority`.
pub fn load(program: &Path, authority: &str, ask: &Ask<'_>) -> CommandLine {
    let Ask { spec, load, path, .. } = *ask;
    let mut words: CommandLine = vec![program.into(), format!("http://{authority}/{path}").into()];
    let share = |share: f64| ask.capacity.map(|capacity| (capacity * share).round().max(1.0));
    let rate = load.open.or_else(|| load.open_of_capacity.and_then(share));
    let measured_s = load.requests.is_none().then(|| spec.measured_s(load, ask.fault));
    let faults = spec.soak.is_some() || spec.factors.fault.iter().any(Option::is_some);
    let options = [
        ("-c", load.closed.map(|connections| connections.to_string())),
        ("-r", rate.map(|rate| rate.to_string())),
        ("-n", load.requests.map(|requests| requests.to_string())),
        ("-d", measured_s.map(|seconds| format!("{seconds}s"))),
        ("-w", Some(format!("{}s", spec.warmup_s))),
        ("--seed", Some(ask.seed.to_string())),
        ("--occupy", ask.jobs.map(|jobs| jobs.to_string())),
        ("--arrivals", load.arrivals.clone()),
        ("--think", load.think.clone()),
        ("--timeout", load.timeout_s.map(|seconds| format!("{seconds}s"))),
        ("--sources", ask.sources.map(|sources| sources.to_string())),
        ("--interval", Some(format!("{}s", spec.interval_s))),
        ("--slow", faults.then(|| format!("{}ms", spec.rules.late_ms))),
    ];
    for (option, value) in options {
        words.extend(value.into_iter().flat_map(|value| [option.into(), value.into()]));
    }
    if let Some(hlog) = ask.hlog {
        words.extend(["--hlog".into(), hlog.into()]);
    }
    if let Some(body) = &ask.body {
        words.extend(["--body-file".into(), body.into()]);
    }
    if load.keep_alive {
        words.push("--keep-alive".into());
    }
    words.extend(["--json", "-", "-q"].map(OsString::from));
    words
}

/// The interval log of a run, relative to the results folder.
pub fn hlog(order: u32) -> String {
    format!("intervals/{order}.hlog")
}

/// Path of the URL, without the leading slash.
pub fn path<'s>(spec: &'s Spec, load: &'s Load) -> &'s str {
    let path = load.path.as_deref().or(spec.handler.as_deref()).unwrap_or_default();
    path.strip_prefix('/').unwrap_or(path)
}

/// A command as text: programs without their folders, `hidden` folders as `DIR`.
pub fn shown(words: &[OsString], hidden: &[&Path]) -> String {
    let word = |word: &OsString| {
        let mut text = word.to_string_lossy().into_owned();
        for folder in hidden {
            text = text.replace(&*folder.to_string_lossy(), "DIR");
        }
        let plain =
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+@%[]".contains(c));
        if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let all: Vec<_> = words.iter().map(word).collect();
    all.join(" ")
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
