//! Starts a server for a moment, to see whether it starts, how much memory its workers need, and whether a load reaches it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::Process as Child;

use super::processors::Share;
use super::{Runner, command};
use crate::lab::error::{Error, Result};
use crate::lab::judge::verdict::useless;
use crate::lab::results::data::Void;
use crate::lab::run::child::{Process, Stop, TICK};
use crate::lab::run::server::Server;
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{Levels, Load, Spec};
use crate::measure::record::RunRecord;

/// Exit code for invalid arguments.
const USAGE: i32 = 2;
/// Exit code for a failure.
const FAILED: i32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The private memory of a worker, if known.
    Serves {
        worker_bytes: Option<u64>,
    },
    /// It does not know the strategy or the work.
    Unknown(String),
    Unavailable(String),
    Fails(String),
}

impl Runner<'_> {
    pub fn try_start(&self, cell: &Cell) -> Result<Tried> {
        let folder = self.scratch.0.join("try");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        // One that is resized would need its configuration file.
        let cell = &Cell { levels: Levels { fault: None, ..cell.levels.clone() }, ..cell.clone() };
        let words = self.server_words(cell, &folder, self.spec.seed);
        let mut command = command::command(&self.server_prefix, &words, Share::default());
        let tried = Server::start(&mut command, &folder, self.watch()).and_then(|server| {
            let worker_bytes = largest_child(server.process.pid());
            server.stop().map(|()| worker_bytes)
        });
        match tried {
            Ok(worker_bytes) => Ok(Tried::Serves { worker_bytes }),
            Err(Stop::Interrupted) => Err(Error::Interrupted("interrupted".into())),
            Err(Stop::Skipped(why)) => Ok(Tried::Fails(why)),
            Err(Stop::Void(void)) if void.status == Some(USAGE) => Ok(Tried::Unknown(said(&void))),
            Err(Stop::Void(void)) if void.status == Some(FAILED) && names(&void, &cell.listener) => {
                Ok(Tried::Unavailable(said(&void)))
            }
            Err(Stop::Void(void)) => Ok(Tried::Fails(said(&void))),
        }
    }
}

/// Measured seconds of a rehearsal.
const REHEARSAL_S: f64 = 0.05;
/// The capacity that it assumes.
const REHEARSED_PER_S: f64 = 500.0;

impl Runner<'_> {
    /// Sends a load to a server for a moment; returns why its runs would all be void, if they would.
    pub fn rehearse(&self, cell: &Cell, load: &Load) -> Result<Option<String>> {
        let folder = self.scratch.0.join("try");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        match self.brief(cell, load, &folder) {
            // Whether the server starts has been tried.
            Ok(None) => Ok(None),
            // At a low rate nothing may have been due.
            Ok(Some(record)) if record.completed == 0 && record.errors.is_empty() => Ok(None),
            Ok(Some(record)) => Ok(useless(&record, &self.spec.rules)),
            Err(Stop::Interrupted) => Err(Error::Interrupted("interrupted".into())),
            Err(Stop::Skipped(why)) => Ok(Some(why)),
            Err(Stop::Void(void)) => Ok(Some(said(&void))),
        }
    }

    fn brief(&self, cell: &Cell, load: &Load, folder: &Path) -> std::result::Result<Option<RunRecord>, Stop> {
        let [of_server, of_client] = self.shares(cell);
        let words = self.server_words(cell, folder, self.spec.seed);
        let mut command = command::command(&self.server_prefix, &words, of_server);
        let server = match Server::start(&mut command, folder, self.watch()) {
            Err(Stop::Void(_)) => return Ok(None),
            started => started?,
        };
        let spec = Spec { warmup_s: 0.0, ..self.spec.clone() };
        let load = Load { duration_s: Some(REHEARSAL_S), requests: None, ..load.clone() };
        let ask = self.ask(cell, &load, Some(REHEARSED_PER_S), self.spec.seed, None);
        let ask = command::Ask { spec: &spec, fault: None, ..ask };
        let words = command::load(&self.programs.loadgen, &server.address.to_string(), &ask);
        let output = folder.join("loadgen.stdout");
        let file = fs::File::create(&output)
            .map_err(|e| Stop::void(format!("cannot write {}: {e}", output.display())))?;
        let mut command = command::command(&self.client_prefix, &words, of_client);
        let mut generator = Process::start("loadgen", command.stdout(file), folder, &self.watch())?;
        let deadline = Instant::now() + Duration::from_secs_f64(REHEARSAL_S) + self.options.timeouts.ready;
        let status = loop {
            if let Some(status) = generator.ended() {
                break status;
            }
            if self.interrupt.requested() {
                return Err(Stop::Interrupted);
            }
            if Instant::now() > deadline {
                return Err(generator.void("did not end in a rehearsal"));
            }
            generator.wait(TICK);
        };
        let record = serde_json::from_slice(&fs::read(&output).unwrap_or_default());
        record.map(Some).map_err(|e| generator.void(&format!("gave no record ({status}): {e}")))
    }
}

/// Whether the program named this strategy.
fn names(void: &Void, listener: &str) -> bool {
    listener.split([':', ' ']).next().is_some_and(|name| void.stderr.contains(name))
}

/// The first line of stderr, or else the reason.
fn said(void: &Void) -> String {
    let line = void.stderr.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| void.reason.clone(), |line| format!("{} ({})", line, void.reason))
}

fn largest_child(pid: u32) -> Option<u64> {
    let parent = Child::new(i32::try_from(pid).ok()?).ok()?;
    let children = parent.task_main_thread().ok()?.children().ok()?;
    let private = |pid: u32| {
        let rollup = Child::new(i32::try_from(pid).ok()?).ok()?.smaps_rollup().ok()?;
        let fields = &rollup.memory_map_rollup.0.first()?.extension.map;
        let of = |name: &str| fields.get(name).copied().unwrap_or(0);
        Some(of("Private_Clean") + of("Private_Dirty"))
    };
    children.into_iter().filter_map(private).max()
}
