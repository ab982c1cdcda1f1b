//! Makes runs: a fresh server, a load generator, probes and faults.

mod command;
mod generator;
mod one_run;
mod processors;
mod side_loads;
mod trial;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;

use self::command::CommandLine;
use self::processors::{Processors, Share};
pub use self::trial::Tried;
use super::child::{Stop, Timeouts, Watch};
use super::guard::Guard;
use super::interrupt::Interrupt;
use super::programs::Programs;
use super::server::Server;
use crate::dist::mix;
use crate::lab::error::{self, Error, Result};
use crate::lab::results::data::{RunData, SCHEMA};
use crate::lab::spec::plan::{self, Cell};
use crate::lab::spec::{Cpus, Levels, Load, Pin, Spec, Sysctl, handlers};
use crate::sys::netns::OwnNetwork;

/// Unless a load of the experiment has more.
const TRIAL_CONNECTIONS: u64 = 16;

/// A temporary folder that others may enter: servers that do not run as root must reach what they serve.
fn scratch() -> Result<TempDir> {
    let parent = std::env::temp_dir();
    let failed = |e: io::Error| Error::file("make a folder in", &parent, e);
    let folder = tempfile::Builder::new().prefix("caffeine-lab-").tempdir().map_err(failed)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).map_err(failed)?;
    Ok(folder)
}

fn unwritable(path: &Path, error: &io::Error) -> Stop {
    Stop::void(format!("cannot write {}: {error}", path.display()))
}

#[derive(Clone, Copy, Debug)]
pub struct RunRequest<'a> {
    /// From 1; 0 is a trial run.
    pub round: u32,
    /// Position among all runs, or among the trial runs, from 1.
    pub order: u32,
    pub cell: &'a Cell,
    pub load: &'a Load,
    /// In requests per second, from the trial run.
    pub capacity: Option<f64>,
    /// The results folder, for what is too large for the record.
    pub results: &'a Path,
}

impl RunRequest<'_> {
    /// Of arrivals, jobs and the server. Trial runs are all of round 0.
    fn seed(&self, spec: &Spec) -> u64 {
        let seed = plan::seed(spec, self.round, self.load);
        if self.round == 0 { mix([seed, u64::from(self.order)]) } else { seed }
    }
}

#[derive(Debug)]
pub struct Runner<'a> {
    programs: &'a Programs,
    spec: &'a Spec,
    interrupt: &'a Interrupt,
    timeouts: Timeouts,
    /// Whether counters over time and hiccups are recorded.
    probes: bool,
    guard: Guard,
    scratch: TempDir,
    server_prefix: CommandLine,
    client_prefix: CommandLine,
    processors: Processors,
    pub handler: Option<String>,
    /// Strategies that do not start here, and why: their runs are skipped.
    unavailable: RefCell<BTreeMap<String, String>>,
}

impl<'a> Runner<'a> {
    pub fn new(
        programs: &'a Programs,
        spec: &'a Spec,
        interrupt: &'a Interrupt,
        timeouts: Timeouts,
        probes: bool,
    ) -> Result<Self> {
        let server_prefix = command::prefix(spec.server_prefix.as_deref(), "server_prefix")?;
        let client_prefix = command::prefix(spec.client_prefix.as_deref(), "client_prefix")?;
        let scratch = scratch()?;
        let folder = scratch.path().join("handlers");
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        let handler = spec.handler.as_deref().map(|name| handlers::install(name, &folder)).transpose()?;
        for name in spec.other_handlers() {
            handlers::install(name, &folder)?;
        }
        for bytes in spec.load.iter().chain(&spec.beside).filter_map(|load| load.body_bytes) {
            error::write(&scratch.path().join(format!("body-{bytes}")), vec![b'x'; bytes])?;
        }
        let failed = |e: io::Error| Error::Failed(format!("cannot start the guard of the runs: {e}"));
        let guard = Guard::start().map_err(failed)?;
        Ok(Self {
            programs,
            spec,
            interrupt,
            timeouts,
            probes,
            guard,
            scratch,
            server_prefix,
            client_prefix,
            processors: Processors::of_this_process()?,
            handler,
            unavailable: RefCell::default(),
        })
    }

    pub fn skip(&self, listener: &str, why: String) {
        self.unavailable.borrow_mut().insert(listener.to_owned(), why);
    }

    /// A trial run measures the capacity: requests per second of the baseline in a closed loop.
    pub fn trial(&self, cell: &Cell, order: u32, results: &Path) -> Result<RunData> {
        let most = self.spec.load.iter().filter_map(|load| load.closed).max();
        let connections = most.map_or(TRIAL_CONNECTIONS, |most| most.max(TRIAL_CONNECTIONS));
        // The work of the loads that ask for a share of the capacity.
        let path = self.spec.load.iter().find(|load| load.open_of_capacity.is_some());
        let path = path.and_then(|load| load.path.clone());
        let load = Load {
            name: "trial".into(),
            closed: Some(connections),
            duration_s: Some(plan::trial_s(self.spec)),
            path,
            ..Load::default()
        };
        let cell = Cell { levels: Levels { fault: None, ..cell.levels.clone() }, ..cell.clone() };
        let run =
            self.run(&RunRequest { round: 0, order, cell: &cell, load: &load, capacity: None, results })?;
        match (&run.void, run.record.as_ref().map(|record| record.rate)) {
            (None, Some(rate)) if rate > 0.0 => Ok(run),
            (Some(void), _) => Err(Error::Failed(format!(
                "the trial run failed, so the other runs were not started: {}\n{}",
                void.reason, void.stderr
            ))),
            _ => Err(Error::Failed(
                "no request was answered in the trial run, so the other runs were not started".into(),
            )),
        }
    }

    /// A failed run is not an error but void, and an impossible one is skipped.
    pub fn run(&self, request: &RunRequest<'_>) -> Result<RunData> {
        let mut data = RunData {
            schema: SCHEMA,
            round: request.round,
            order: request.order,
            cell: request.cell.id.clone(),
            load: request.load.name.clone(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ..RunData::default()
        };
        let folder = self.empty_folder("run")?;
        let made = self.possible(request.cell).and_then(|network| {
            let made = self.measure(request, &folder, &mut data);
            drop(network);
            made
        });
        match made {
            Ok(()) => {}
            Err(Stop::Void(void)) => data.void = Some(void),
            Err(Stop::Skipped(why)) => data.skipped = Some(why),
            Err(Stop::Interrupted) => return Err(Error::Interrupted("interrupted".into())),
        }
        Ok(data)
    }

    fn empty_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.path().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        Ok(folder)
    }

    /// Whether the cell can be run here; returns the network namespace to run it in, if it needs one.
    fn possible(&self, cell: &Cell) -> std::result::Result<Option<OwnNetwork>, Stop> {
        match self.unavailable.borrow().get(&cell.listener) {
            Some(why) if cell.peer.is_none() => Err(Stop::Skipped(why.clone())),
            _ => cell.levels.sysctl.as_ref().map(network).transpose().map_err(Stop::Skipped),
        }
    }

    fn watch(&self) -> Watch<'_> {
        Watch { interrupt: self.interrupt, guard: &self.guard, timeouts: self.timeouts }
    }

    /// The commands of server and load generator, for the record, with `PORT` and `DIR` in place of ports and
    /// folders, and the seed of the first round. The command of another server is known only when it runs, so its name
    /// stands in.
    pub fn commands(&self, cell: &Cell, load: &Load, capacity: Option<f64>) -> [String; 2] {
        let hidden = [self.scratch.path(), self.programs.folder.as_path()];
        let shown = |prefix: &CommandLine, words: CommandLine| {
            command::shown(&[prefix.clone(), words].concat(), &hidden).replace("DIR/caffeine", "caffeine")
        };
        let seed = plan::seed(self.spec, 1, load);
        let server = match &cell.peer {
            Some(peer) => vec![peer.into()],
            None => self.server_words(cell, &self.scratch.path().join("run"), seed),
        };
        let ask = self.ask(cell, load, capacity, seed, None);
        let client = command::load(Path::new("loadgen"), "127.0.0.1:PORT", &ask);
        [shown(&self.server_prefix, server), shown(&self.client_prefix, client)]
    }

    fn server_words(&self, cell: &Cell, folder: &Path, seed: u64) -> CommandLine {
        let handlers = self.scratch.path().join("handlers");
        command::server(&self.programs.caffeine, cell, folder, &handlers, seed)
    }

    /// Starts our server.
    fn serve(&self, cell: &Cell, folder: &Path, seed: u64) -> std::result::Result<Server<'_>, Stop> {
        let words = self.server_words(cell, folder, seed);
        let [share, _] = self.shares(cell);
        let mut command = command::command(&self.server_prefix, &words, share);
        Server::start(&mut command, folder, self.watch())
    }

    /// The processors of server and load generator.
    fn shares(&self, cell: &Cell) -> [Share; 2] {
        let split = cell.levels.pin == Some(Pin::Split);
        self.processors.shares(if split { Cpus::Apart } else { self.spec.cpus })
    }

    pub fn cpus(&self) -> String {
        self.processors.describe(self.spec.cpus)
    }

    /// Path of the URL without the slash in front.
    fn path<'s>(&'s self, cell: &Cell, load: &'s Load) -> &'s str {
        let peer = cell.peer.as_deref().and_then(|peer| peer.strip_prefix("command:"));
        let own = peer.and_then(|name| self.spec.peer.get(name)?.path.as_deref());
        own.map_or_else(|| command::path(self.spec, load), |path| path.trim_start_matches('/'))
    }

    fn ask<'s>(
        &'s self,
        cell: &'s Cell,
        load: &'s Load,
        capacity: Option<f64>,
        seed: u64,
        hlog: Option<&'s Path>,
    ) -> command::Ask<'s> {
        let fault = cell.levels.fault;
        command::Ask {
            spec: self.spec,
            load,
            path: self.path(cell, load),
            fault,
            capacity,
            sources: cell.levels.sources,
            seed,
            jobs: cell.levels.jobs(),
            hlog,
            body: load.body_bytes.map(|bytes| self.scratch.path().join(format!("body-{bytes}"))),
        }
    }
}

/// A network namespace with this setting, or why it is impossible.
pub fn network(setting: &Sysctl) -> std::result::Result<OwnNetwork, String> {
    let why =
        |what: &str, e: &io::Error| format!("{setting} is set in a network of its own only, {what}: {e}");
    let network = OwnNetwork::enter().map_err(|e| why("which cannot be made (it takes root)", &e))?;
    fs::write(setting.path(), &setting.value).map_err(|e| why("and there it cannot be set", &e))?;
    Ok(network)
}
