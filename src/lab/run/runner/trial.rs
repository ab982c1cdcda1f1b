//! Starts a server for a moment, to see whether it starts, how much memory its workers need, and whether a load reaches it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Runner, command};
use crate::lab::error::{Error, Result};
use crate::lab::judge::verdict::useless;
use crate::lab::results::data::Void;
use crate::lab::run::child::{Stop, TICK};
use crate::lab::run::processes::{children, private_bytes};
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
        let folder = self.empty_folder("try")?;
        // One that is resized would need its configuration file.
        let cell = &Cell { levels: Levels { fault: None, ..cell.levels.clone() }, ..cell.clone() };
        let tried = self.serve(cell, &folder, self.spec.seed).and_then(|server| {
            let workers = children(server.process.pid());
            let worker_bytes = workers.into_iter().filter_map(private_bytes).max();
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
        let folder = self.empty_folder("try")?;
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
        let server = match self.serve(cell, folder, self.spec.seed) {
            Err(Stop::Void(_)) => return Ok(None),
            started => started?,
        };
        let spec = Spec { warmup_s: 0.0, ..self.spec.clone() };
        let load = Load { duration_s: Some(REHEARSAL_S), requests: None, ..load.clone() };
        let ask = self.ask(cell, &load, Some(REHEARSED_PER_S), self.spec.seed, None);
        let ask = command::Ask { spec: &spec, fault: None, ..ask };
        let mut generator = self.generate("loadgen", cell, server.address, &ask, folder)?;
        let deadline = Instant::now() + Duration::from_secs_f64(REHEARSAL_S) + self.timeouts.ready;
        while generator.process.ended().is_none() {
            if self.interrupt.requested() {
                return Err(Stop::Interrupted);
            }
            if Instant::now() > deadline {
                return Err(generator.process.void("did not end in a rehearsal"));
            }
            generator.process.wait(TICK);
        }
        let record = generator.record()?;
        server.stop()?; // not killed: what a killed server leaves behind ends a moment later
        Ok(Some(record))
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
