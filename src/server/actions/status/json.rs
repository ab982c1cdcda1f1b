//! `--status --json`: the counters of an instance as one JSON object. The manual page describes it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sight::{Handlers, Relayed, Sight};
use crate::http::refusal::KINDS;
use crate::instance::Life;
use crate::scoreboard::{Balance, Counters};
use crate::server::actions::table::seconds_since;

#[derive(Debug, Serialize)]
struct Instance<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Where it runs, if not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    address: &'a str,
    listener: &'a str,
    uptime_s: f64,
    generation: u64,
    restarts: u64,
    reloads_refused: u64,
    stopping: bool,
    workers: Vec<Process>,
    auxiliaries: Vec<Process>,
    totals: Counts,
    refusals: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handlers: Option<Handlers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<Relayed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<Balance>,
}

#[derive(Debug, Serialize)]
struct Process {
    worker: u64,
    pid: u64,
    state: &'static str,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct Counts {
    accepted: u64,
    stolen: u64,
    wakeups: u64,
    empty_wakeups: u64,
    launched: u64,
    launch_failures: u64,
    /// The server's own answers by status class, from 1xx to 5xx.
    answered: [u64; 5],
    timeouts: u64,
    open: u64,
    running: u64,
    busy_s: f64,
}

impl From<&Counters> for Counts {
    fn from(row: &Counters) -> Self {
        Self {
            accepted: row.accepted,
            stolen: row.stolen,
            wakeups: row.wakeups,
            empty_wakeups: row.empty_wakeups,
            launched: row.launched,
            launch_failures: row.launch_failures,
            answered: row.answered,
            timeouts: row.timeouts,
            open: row.open,
            running: row.running,
            busy_s: row.busy_ns as f64 / 1e9,
        }
    }
}

fn processes(rows: &[Counters]) -> Vec<Process> {
    let process = |row: &Counters| Process {
        worker: row.worker,
        pid: row.pid,
        state: row.state_name(),
        counts: row.into(),
    };
    rows.iter().map(process).collect()
}

/// The object in lines.
pub(super) fn text(sight: &Sight) -> String {
    let instance = Instance {
        name: &sight.name,
        pid: match sight.life {
            Life::Running(pid) if sight.note.is_none() => Some(pid),
            _ => None,
        },
        place: sight.note.as_deref().map(str::trim_end),
        address: &sight.address,
        listener: &sight.listener,
        uptime_s: seconds_since(sight.since_ms),
        generation: sight.generation,
        restarts: sight.respawns,
        reloads_refused: sight.refused,
        stopping: sight.is_closing,
        workers: processes(&sight.workers),
        auxiliaries: processes(&sight.beside),
        totals: (&sight.totals).into(),
        refusals: KINDS.iter().map(|(_, word)| *word).zip(sight.refusals).collect(),
        handlers: sight.handlers,
        documents: sight.relayed,
        balance: Balance::of(&sight.workers),
    };
    // Strings and numbers only, so it can be written.
    serde_json::to_string_pretty(&instance).expect("it is JSON") + "\n"
}
