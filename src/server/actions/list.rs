//! `--list-instances`: the running instances.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use super::{note, print};
use crate::instance::{Folder, Holder, Life, registry};
use crate::scoreboard::Scoreboard;
use crate::server::actions::table::{Align, table, uptime};
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

pub fn list(state_dir: &Path) -> Result<(), Error> {
    let running = registry::running(state_dir)?;
    let rows: Vec<_> = running.iter().filter_map(row).collect();
    if rows.is_empty() {
        return print(&format!("no instance is running in {}\n", state_dir.display()));
    }
    let notes: String = running.iter().filter_map(note).collect();
    print(&(table(&COLUMNS, &rows) + &notes))
}

/// One line; `None` if the instance ended meanwhile. `-` stands for what the instance has not recorded yet.
fn row(folder: &Folder) -> Option<[String; 6]> {
    let pid = match folder.life().ok()? {
        Life::Gone => return None,
        Life::Starting => "-".into(),
        Life::Running(there) => match folder.holder() {
            Ok(Some(Holder::Here(pid, _))) => pid.to_string(),
            _ => there.to_string(),
        },
    };
    let options = recorded(&folder.config()).unwrap_or_default();
    let board = Scoreboard::open(&folder.scoreboard()).ok();
    let header = board.as_ref().map(Scoreboard::header);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let port = header.map(|header| header.port.load(Relaxed)).filter(|&port| port != 0);
    let port = port.and_then(|port| u16::try_from(port).ok());
    let address = options.bind.zip(port).map(|(bind, port)| SocketAddr::new(bind, port).to_string());
    Some([
        folder.name().to_string(),
        pid,
        or_dash(address),
        or_dash(header.map(|header| header.workers.load(Relaxed).to_string())),
        or_dash(options.listener.map(|listener| listener.to_string())),
        or_dash(header.map(|header| uptime(header.started_ms.load(Relaxed)))),
    ])
}
