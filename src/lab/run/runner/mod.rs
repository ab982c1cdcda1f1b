//! Makes runs: a fresh server, a load generator, probes and faults meanwhile. It draws and concludes nothing.

mod command;
mod one_run;
mod side_loads;
mod trial;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use self::command::CommandLine;
pub use self::trial::Tried;
use super::child::{Stop, Timeouts, Watch};
use super::guard::Guard;
use super::interrupt::Interrupt;
use super::programs::Programs;
use crate::lab::error::{Error, Result};
use crate::lab::results::data::{RunData, SCHEMA};
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{Levels, Load, Spec, Sysctl, handlers, peers};
use crate::sys::netns::OwnNetwork;
use crate::sys::tether;

/// Name of every measured instance; each has a state directory of its own.
const INSTANCE: &str = "lab";
/// Connections of the trial run, unless a load of the experiment has more.
const TRIAL_CONNECTIONS: u64 = 16;

/// A folder of our own under the system's temporary one, removed in the end.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let template = std::env::temp_dir().join("caffeine-lab-XXXXXX");
        let folder =
            nix::unistd::mkdtemp(&template).map_err(|e| Error::file("make a folder like", &template, e))?;
        let scratch = Self(folder);
        // Servers that will not run as root must be able to reach what they serve.
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o711))
            .map_err(|e| Error::file("open to others", &scratch.0, e))?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How runs are made, beside what the experiment says.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// How long is waited for servers and load generators.
    pub timeouts: Timeouts,
    /// Whether probes run meanwhile: counters over time and hiccups.
    pub probes: bool,
}

/// One run to be made.
#[derive(Clone, Copy, Debug)]
pub struct RunRequest<'a> {
    /// Round, from 1; 0 is the trial run.
    pub round: u32,
    /// Position among all runs, from 1.
    pub order: u32,
    pub cell: &'a Cell,
    /// The load that it is put under.
    pub load: &'a Load,
    /// What the trial run found, in requests per second.
    pub capacity: Option<f64>,
    /// The results folder, for what is too large for the record.
    pub results: &'a Path,
}

/// Everything that runs have in common.
#[derive(Debug)]
pub struct Runner<'a> {
    programs: &'a Programs,
    spec: &'a Spec,
    interrupt: &'a Interrupt,
    options: RunOptions,
    guard: Guard,
    scratch: Scratch,
    server_prefix: CommandLine,
    client_prefix: CommandLine,
    /// Numbers of the processors that may be used.
    processors: Vec<usize>,
    /// What is served, in words.
    pub handler: Option<String>,
    /// Strategies that do not start here, and why: their runs are skipped.
    unavailable: RefCell<BTreeMap<String, String>>,
}

impl<'a> Runner<'a> {
    /// Prepares the folder to run in and the handler.
    pub fn new(
        programs: &'a Programs,
        spec: &'a Spec,
        interrupt: &'a Interrupt,
        options: RunOptions,
    ) -> Result<Self> {
        let server_prefix = command::prefix(spec.server_prefix.as_deref(), "server_prefix")?;
        let client_prefix = command::prefix(spec.client_prefix.as_deref(), "client_prefix")?;
        let scratch = Scratch::new()?;
        let folder = scratch.0.join("handlers");
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        let handler = spec.handler.as_deref().map(|name| handlers::install(name, &folder)).transpose()?;
        for name in spec.other_handlers() {
            handlers::install(name, &folder)?;
        }
        for bytes in spec.load.iter().chain(&spec.beside).filter_map(|load| load.body_bytes) {
            let path = scratch.0.join(format!("body-{bytes}"));
            fs::write(&path, vec![b'x'; bytes]).map_err(|e| Error::file("write", &path, e))?;
        }
        let failed = |e: std::io::Error| Error::Failed(format!("cannot start the guard of the runs: {e}"));
        let guard = Guard::start().map_err(failed)?;
        let processors = tether::processors()
            .map_err(|e| Error::Failed(format!("cannot ask which processors there are: {e}")))?;
        Ok(Self {
            programs,
            spec,
            interrupt,
            options,
            guard,
            scratch,
            server_prefix,
            client_prefix,
            processors,
            handler,
            unavailable: RefCell::default(),
        })
    }

    /// Skips all runs of a strategy that cannot be had here.
    pub fn skip(&self, listener: &str, why: String) {
        self.unavailable.borrow_mut().insert(listener.to_owned(), why);
    }

    /// The trial run: requests per second of the baseline in a closed loop, which open loads may refer to.
    pub fn trial(&self, cell: &Cell, results: &Path) -> Result<RunData> {
        let most = self.spec.load.iter().filter_map(|load| load.closed).max();
        let connections = most.map_or(TRIAL_CONNECTIONS, |most| most.max(TRIAL_CONNECTIONS));
        let load = Load { name: "trial".into(), closed: Some(connections), ..Load::default() };
        let cell = Cell { levels: Levels { fault: None, ..cell.levels.clone() }, ..cell.clone() };
        let run =
            self.run(&RunRequest { round: 0, order: 0, cell: &cell, load: &load, capacity: None, results })?;
        match (&run.void, run.record.as_ref().map(|record| record.rate)) {
            (None, Some(rate)) if rate > 0.0 => Ok(run),
            (Some(void), _) => Err(Error::Failed(format!(
                "the trial run failed, so the others were not begun: {}\n{}",
                void.reason, void.stderr
            ))),
            _ => Err(Error::Failed(
                "no request was answered in the trial run, so the others were not begun".into(),
            )),
        }
    }

    /// One run. A run that fails is not an error but a void run, and one that cannot be made here a skipped one.
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
        let folder = self.scratch.0.join("run");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
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

    /// Whether the cell can be run here; with the network that it is to be run in, if not the system's.
    fn possible(&self, cell: &Cell) -> std::result::Result<Option<OwnNetwork>, Stop> {
        match self.unavailable.borrow().get(&cell.listener) {
            Some(why) if cell.peer.is_none() => Err(Stop::Skipped(why.clone())),
            _ => cell.levels.sysctl.as_ref().map(network).transpose().map_err(Stop::Skipped),
        }
    }

    fn watch(&self) -> Watch<'_> {
        Watch { interrupt: self.interrupt, guard: &self.guard, timeouts: self.options.timeouts }
    }

    /// The commands of a cell under a load, for the record: the server's and the load generator's. Ports are written `PORT`,
    /// folders `DIR`; another server's command is known when it runs, so its name is_stopped here.
    pub fn commands(&self, cell: &Cell, load: &Load, capacity: Option<f64>) -> [String; 2] {
        let hidden = [self.scratch.0.as_path(), self.programs.folder.as_path()];
        let shown = |prefix: &CommandLine, words: CommandLine| {
            command::shown(&[prefix.clone(), words].concat(), &hidden).replace("DIR/caffeine", "caffeine")
        };
        let server = match &cell.peer {
            Some(peer) => vec![peer.into()],
            None => self.server_words(cell, &self.scratch.0.join("run")),
        };
        let ask = self.ask(cell, load, capacity, command::seed(self.spec, 1, load), None);
        let client = command::load(Path::new("loadgen"), "127.0.0.1:PORT", &ask);
        [shown(&self.server_prefix, server), shown(&self.client_prefix, client)]
    }

    /// The versions of the other servers that the experiment names.
    pub fn peers(&self) -> BTreeMap<String, String> {
        peers::versions(self.spec.factors.peers.iter().map(String::as_str))
    }

    fn server_words(&self, cell: &Cell, folder: &Path) -> CommandLine {
        let handlers = self.scratch.0.join("handlers");
        command::server(&self.programs.caffeine, INSTANCE, cell, folder, &handlers)
    }

    /// Where a body of this length lies.
    fn body(&self, bytes: usize) -> PathBuf {
        self.scratch.0.join(format!("body-{bytes}"))
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
            fault,
            capacity,
            sources: cell.levels.sources,
            seed,
            hlog,
            body: load.body_bytes.map(|bytes| self.body(bytes)),
        }
    }
}

/// A network of its own with this setting; or why there is none.
pub fn network(setting: &Sysctl) -> std::result::Result<OwnNetwork, String> {
    let why = |what: &str, e: &std::io::Error| {
        format!("{setting} is set in a network of its own only, {what}: {e}")
    };
    let network = OwnNetwork::enter().map_err(|e| why("which cannot be made (it takes root)", &e))?;
    fs::write(setting.path(), &setting.value).map_err(|e| why("and there it cannot be set", &e))?;
    Ok(network)
}
