//! `--status`: the scoreboard of an instance, once, or every second on a terminal.

use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{note, print, running};
use crate::instance::{Folder, Life};
use crate::scoreboard::{Counters, Scoreboard};
use crate::server::error::Error;
use crate::server::table::{Align, count, table, uptime};

/// How often the live view is drawn.
const EVERY: Duration = Duration::from_secs(1);
/// Home, and clear from there on: what was on the screen is drawn over without flicker.
const CLEAR: &str = "\x1b[H\x1b[J";

const COLUMNS: [(&str, Align); 11] = [
    ("#", Align::Right),
    ("PID", Align::Right),
    ("STATE", Align::Left),
    ("ACCEPT", Align::Right),
    ("LAUNCH", Align::Right),
    ("OPEN", Align::Right),
    ("2XX", Align::Right),
    ("4XX", Align::Right),
    ("5XX", Align::Right),
    ("EMPTY", Align::Right),
    ("BUSY", Align::Right),
];

/// Prints the counters until the instance ends, or once where standard output is no terminal.
pub fn status(folder: &Folder) -> Result<(), Error> {
    let life = running(folder)?;
    let live = io::stdout().is_terminal();
    loop {
        let board = open(folder)?;
        let text = show(folder, life, &board);
        print(&if live { format!("{CLEAR}{text}\nCtrl-C ends this view\n") } else { text })?;
        if !live {
            return Ok(());
        }
        std::thread::sleep(EVERY);
        if folder.life()? != life {
            return Ok(());
        }
    }
}

/// A reload may put a new scoreboard in place, so it is opened for each look.
fn open(folder: &Folder) -> Result<Scoreboard, Error> {
    let path = folder.scoreboard();
    Scoreboard::open(&path).map_err(|error| {
        Error::Failed(format!(
            "cannot read the scoreboard {}: {error}; is the instance still starting?",
            path.display()
        ))
    })
}

fn show(folder: &Folder, life: Life, board: &Scoreboard) -> String {
    let header = board.header();
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    let workers = board.snapshot();
    let sum = |of: fn(&Counters) -> u64| workers.iter().map(of).sum::<u64>();
    let since = get(&header.started_ms);
    let mut rows: Vec<_> = workers.iter().map(|worker| row(worker, since)).collect();
    // What serves the strategy beside the workers has no number, and its connections are counted where they went.
    let beside = board.auxiliaries();
    rows.extend(beside.iter().map(|beside| {
        let mut cells = row(beside, since);
        cells[0] = "-".to_owned();
        cells
    }));
    format!(
        "{}{} port {}, up {}, generation {}, {} respawned{}\n\
         accepted {}{}, launched {}, launch failures {}, time-outs {}\n{}{}\n{}",
        folder.name(),
        if let Life::Running(pid) = life { format!(" (pid {pid})") } else { String::new() },
        get(&header.port),
        uptime(since),
        get(&header.generation),
        get(&header.respawns),
        if get(&header.closing) == 1 { ", stopping" } else { "" },
        sum(|worker| worker.accepted),
        match sum(|worker| worker.stolen) {
            0 => String::new(),
            stolen => format!(" ({stolen} from another worker's queue)"),
        },
        sum(|worker| worker.launched),
        sum(|worker| worker.launch_failures),
        sum(|worker| worker.timeouts),
        note(folder).unwrap_or_default(),
        handlers(board),
        table(&COLUMNS, &rows),
    )
}

/// The instance's handlers, where they are watched: also those whose worker is gone.
fn handlers(board: &Scoreboard) -> String {
    let Some(keeper) = board.keeper() else { return String::new() };
    let header = board.header();
    let [ok, failed, killed] =
        [&header.handlers_ok, &header.handlers_failed, &header.handlers_killed].map(|n| n.load(Relaxed));
    format!(
        "handlers: {} running, {ok} ok, {failed} failed, {killed} killed (keeper: pid {})\n",
        board.handlers(),
        keeper.pid
    )
}

fn row(worker: &Counters, since_ms: u64) -> [String; 11] {
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let up_ns = now_ms.saturating_sub(u128::from(since_ms)).max(1) * 1_000_000;
    [
        worker.worker.to_string(),
        worker.pid.to_string(),
        worker.state_name().to_owned(),
        count(worker.accepted),
        count(worker.launched),
        count(worker.open),
        count(worker.answered[1]),
        count(worker.answered[3]),
        count(worker.answered[4]),
        count(worker.empty_wakeups),
        percent(worker.busy_ns as f64 / up_ns as f64),
    ]
}

/// In at most four characters.
fn percent(share: f64) -> String {
    let places = usize::from(share < 0.0995);
    format!("{:.places$}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_large_numbers_fits_eighty_columns() {
        let worker = Counters {
            worker: 1023,
            pid: 4_194_304,
            state: 3,
            accepted: 9_999_999,
            launched: 9_999_999,
            open: 99_999,
            answered: [999_999; 5],
            empty_wakeups: 9_999_999,
            ..Counters::default()
        };
        let text = table(&COLUMNS, &[row(&worker, 0)]);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
