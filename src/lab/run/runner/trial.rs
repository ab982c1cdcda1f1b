//! Starts a server for a moment, to see whether it starts and how much memory its workers need.

use std::fs;

use procfs::process::Process;

use super::{Runner, command};
use crate::lab::error::{Error, Result};
use crate::lab::results::data::Void;
use crate::lab::run::child::Stop;
use crate::lab::run::server::Server;
use crate::lab::spec::plan::Cell;

/// Exit code for invalid arguments.
const USAGE: i32 = 2;
/// Exit code for a failure.
const FAILED: i32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The private memory of a worker, if known.
    Serves { worker_bytes: Option<u64> },
    /// It does not know the strategy or the work.
    Unknown(String),
    /// The strategy is unavailable here.
    Unavailable(String),
    /// It fails otherwise.
    Fails(String),
}

impl Runner<'_> {
    pub fn try_start(&self, cell: &Cell) -> Result<Tried> {
        let folder = self.scratch.0.join("try");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        let words = self.server_words(cell, &folder, self.spec.seed);
        let mut command = command::command(&self.server_prefix, &words, None);
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

/// Whether the program named this strategy.
fn names(void: &Void, listener: &str) -> bool {
    listener.split([':', ' ']).next().is_some_and(|name| void.stderr.contains(name))
}

/// The first line of stderr, or else the reason.
fn said(void: &Void) -> String {
    let line = void.stderr.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| void.reason.clone(), |line| format!("{} ({})", line, void.reason))
}

/// The largest private memory of a child.
fn largest_child(pid: u32) -> Option<u64> {
    let parent = Process::new(i32::try_from(pid).ok()?).ok()?;
    let children = parent.task_main_thread().ok()?.children().ok()?;
    let private = |pid: u32| {
        let rollup = Process::new(i32::try_from(pid).ok()?).ok()?.smaps_rollup().ok()?;
        let fields = &rollup.memory_map_rollup.0.first()?.extension.map;
        let of = |name: &str| fields.get(name).copied().unwrap_or(0);
        Some(of("Private_Clean") + of("Private_Dirty"))
    };
    children.into_iter().filter_map(private).max()
}
