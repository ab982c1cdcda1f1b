//! A sample of an instance: its counters, and their growth since the previous sample.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::instance::{Folder, Life};
use crate::scoreboard::{Counters, Header, REFUSALS, Scoreboard};
use crate::server::actions::note;
use crate::server::config::recorded;
use crate::server::error::Error;

#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub name: String,
    pub life: Life,
    /// Where it runs, if not here.
    pub note: Option<String>,
    pub address: String,
    pub listener: String,
    pub since_ms: u64,
    pub generation: u64,
    pub respawns: u64,
    pub refused: u64,
    pub is_closing: bool,
    /// Workers of the serving generation, by number.
    pub workers: Vec<Counters>,
    /// Auxiliary processes of that generation.
    pub beside: Vec<Counters>,
    /// Handlers, if they are watched.
    pub handlers: Option<Handlers>,
    /// What is known of handlers, also if they are no longer watched.
    pub ended: Handlers,
    /// The server's own answers by kind of refusal.
    pub refusals: [u64; REFUSALS],
    /// Responses passed on by the keeper, if there were any.
    pub relayed: Option<Relayed>,
    /// Totals of all generations since the start.
    pub totals: Counters,
    /// Growth since the previous sample, or since the start.
    pub pace: Pace,
    pub at: Instant,
}

/// The keeper's counts, which include handlers of workers that are gone.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Handlers {
    /// Pid of the keeper.
    #[serde(rename = "keeper_pid")]
    pub pid: u64,
    pub running: u64,
    pub ok: u64,
    pub failed: u64,
    pub killed: u64,
    pub client_gone: u64,
}

/// Document responses.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Relayed {
    #[serde(rename = "under_way")]
    pub now: u64,
    /// By status class.
    pub ended: [u64; 5],
    pub cut: u64,
}

impl Relayed {
    fn of(header: &Header) -> Option<Self> {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let relayed = Self {
            now: get(&header.relaying),
            ended: header.relayed.each_ref().map(get),
            cut: get(&header.cut),
        };
        (relayed.now + relayed.cut + relayed.ended.iter().sum::<u64>() > 0).then_some(relayed)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// The interval; `None` for the first sample.
    pub over: Option<Duration>,
    pub accepted: u64,
    pub launched: u64,
    pub answered: u64,
    /// Busy time of each worker in ns, by pid.
    busy_ns: HashMap<u64, u64>,
}

impl Sight {
    /// Takes a sample.
    pub fn of(folder: &Folder, life: Life) -> Result<Self, Error> {
        let path = folder.scoreboard();
        let board = Scoreboard::open(&path).map_err(|error| {
            Error::Failed(format!(
                "cannot read the scoreboard {}: {error}; is the instance still starting?",
                path.display()
            ))
        })?;
        let header = board.header();
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let options = recorded(&folder.config()).unwrap_or_default();
        let port = get(&header.port);
        let keeper = board.keeper();
        let ended = Handlers {
            pid: keeper.as_ref().map_or(0, |keeper| keeper.pid),
            running: board.handlers(),
            ok: get(&header.handlers_ok),
            failed: get(&header.handlers_failed),
            killed: get(&header.handlers_killed),
            client_gone: get(&header.handlers_client_gone),
        };
        Ok(Self {
            name: folder.name().to_string(),
            life,
            note: note(folder),
            address: options
                .bind
                .zip(u16::try_from(port).ok())
                .map_or_else(|| format!("port {port}"), |(bind, port)| bind.at(port).to_string()),
            listener: options.listener.map(|listener| listener.to_string()).unwrap_or_default(),
            since_ms: get(&header.started_ms),
            generation: get(&header.generation),
            respawns: get(&header.respawns),
            refused: get(&header.refused),
            is_closing: get(&header.closing) == 1,
            workers: board.snapshot(),
            beside: board.auxiliaries(),
            handlers: keeper.map(|_| ended),
            ended,
            refusals: board.refusals(),
            relayed: Relayed::of(header),
            totals: board.totals(),
            pace: Pace::default(),
            at: Instant::now(),
        })
    }

    /// Computes growth since an earlier sample.
    pub fn after(mut self, earlier: Self) -> Self {
        let own = |totals: &Counters| totals.answered.iter().sum::<u64>();
        let busy = |sight: &Self| {
            sight
                .workers
                .iter()
                .chain(&sight.beside)
                .map(|row| (row.pid, row.busy_ns))
                .collect::<HashMap<_, _>>()
        };
        let before = busy(&earlier);
        let grown = |(pid, busy_ns): (u64, u64)| {
            (pid, busy_ns.saturating_sub(before.get(&pid).copied().unwrap_or_default()))
        };
        self.pace = Pace {
            over: Some(self.at.saturating_duration_since(earlier.at)),
            accepted: self.totals.accepted.saturating_sub(earlier.totals.accepted),
            launched: self.totals.launched.saturating_sub(earlier.totals.launched),
            answered: own(&self.totals).saturating_sub(own(&earlier.totals)),
            busy_ns: busy(&self).into_iter().map(grown).collect(),
        };
        self
    }

    /// The fraction of time in which a worker was busy: since the previous sample, or since the start.
    pub fn busy(&self, row: &Counters) -> f64 {
        match self.pace.over {
            Some(over) => {
                let busy = self.pace.busy_ns.get(&row.pid).copied().unwrap_or_default();
                busy as f64 / over.as_nanos().max(1) as f64
            }
            None => {
                let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
                let up_ns = now_ms.saturating_sub(u128::from(self.since_ms)).max(1) * 1_000_000;
                row.busy_ns as f64 / up_ns as f64
            }
        }
    }

    /// ` (12/s)`, if there is a previous sample.
    pub fn rate(&self, grown: u64) -> String {
        let Some(over) = self.pace.over else { return String::new() };
        let rate = grown as f64 / over.as_secs_f64().max(1e-3);
        let places = usize::from(rate > 0.0 && rate < 9.95);
        format!(" ({rate:.places$}/s)")
    }
}

#[cfg(test)]
impl Sight {
    /// An instance without workers, for the tests of pages.
    pub fn made_up() -> Self {
        Self {
            name: "lab".into(),
            life: Life::Running(4711),
            note: None,
            address: "127.0.0.1:8080".into(),
            listener: "inherited".into(),
            since_ms: 0,
            generation: 1,
            respawns: 0,
            refused: 0,
            is_closing: false,
            workers: Vec::new(),
            beside: Vec::new(),
            handlers: None,
            ended: Handlers::default(),
            refusals: [0; REFUSALS],
            relayed: None,
            totals: Counters::default(),
            pace: Pace::default(),
            at: Instant::now(),
        }
    }
}
