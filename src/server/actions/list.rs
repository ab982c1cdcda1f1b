//! `--list-instances`: the running instances.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::{note, print};
use crate::instance::{Folder, Holder, Life, registry};
use crate::scoreboard::Scoreboard;
use crate::server::actions::table::{Align, seconds_since, table, uptime};
use crate::server::config::recorded;
use crate::server::error::Error;

const COLUMNS: [(&str, Align); 6] = [
    ("NAME", Align::Left),
    ("PID", Align::Right),
    ("ADDRESS", Align::Left),
    ("WORKERS", Align::Right),
    ("LISTENER", Align::Left),
    ("UPTIME", Align::Right),
];

pub fn list(state_dir: &Path, json: bool) -> Result<(), Error> {
    let running = registry::running(state_dir)?;
    let listed: Vec<_> = running.iter().filter_map(Listed::of).collect();
    if json {
        // Strings and numbers only, so it can be written.
        return print(&(serde_json::to_string_pretty(&listed).expect("it is JSON") + "\n"));
    }
    if listed.is_empty() {
        return print(&format!("no instance is running in {}\n", state_dir.display()));
    }
    let rows: Vec<_> = listed.iter().map(Listed::row).collect();
    let notes: String = listed.iter().filter_map(|one| Some(format!("{}\n", one.place.as_ref()?))).collect();
    print(&(table(&COLUMNS, &rows) + &notes))
}

/// A running instance. What it has not recorded yet is missing.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_s: Option<f64>,
    /// Where it runs, if not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(skip)]
    since_ms: Option<u64>,
}

impl Listed {
    /// `None` if the instance ended meanwhile.
    fn of(folder: &Folder) -> Option<Self> {
        let pid = match folder.life().ok()? {
            Life::Gone => return None,
            Life::Starting => None,
            Life::Running(there) => match folder.holder() {
                Ok(Some(Holder::Here(pid, _))) => Some(pid),
                _ => Some(there),
            },
        };
        let options = recorded(&folder.config()).unwrap_or_default();
        let board = Scoreboard::open(&folder.scoreboard()).ok();
        let header = board.as_ref().map(Scoreboard::header);
        let port = header.and_then(|header| u16::try_from(header.port.load(Relaxed)).ok());
        let address = options.bind.zip(port).map(|(bind, port)| bind.at(port));
        let address = address.filter(|address| address.is_unix() || address.port() != 0);
        let since_ms = header.map(|header| header.started_ms.load(Relaxed));
        Some(Self {
            name: folder.name().to_string(),
            pid,
            address: address.map(|address| address.to_string()),
            workers: header.map(|header| header.workers.load(Relaxed)),
            listener: options.listener.map(|listener| listener.to_string()),
            uptime_s: since_ms.map(seconds_since),
            place: note(folder).map(|note| note.trim_end().to_owned()),
            since_ms,
        })
    }

    /// One line of the table; `-` stands for what is missing.
    fn row(&self) -> [String; 6] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        [
            self.name.clone(),
            or_dash(self.pid.map(|pid| pid.to_string())),
            or_dash(self.address.clone()),
            or_dash(self.workers.map(|workers| workers.to_string())),
            or_dash(self.listener.clone()),
            or_dash(self.since_ms.map(uptime)),
        ]
    }
}
