//! Records static files that were sent. The process that sends one ([`file_server`]) alone knows status and size: the worker that
//! starts it puts into its environment what a record needs ([`variables`]), and at its end it counts itself and adds its line to
//! the access log.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::config::Settings;
use super::logging;
use super::logging::access::{self, Entry, Response};
use crate::cgi::file_server::{self, End, Served};
use crate::instance::registry::Folder;
use crate::scoreboard::Scoreboard;
use crate::sys::clock::monotonic_ns;
use crate::sys::{signal, stdio};

/// When the instance started, the worker's slot, when the request arrived, `--log-size`.
const NUMBERS: &str = "CAFFEINE_RECORD";
const BOARD: &str = "CAFFEINE_SCOREBOARD";
const LOG: &str = "CAFFEINE_ACCESS_LOG";
/// The line without the response.
const ENTRY: &str = "CAFFEINE_ACCESS_ENTRY";

/// The worker that starts the process.
#[derive(Clone, Copy, Debug)]
pub struct Starter<'a> {
    pub settings: &'a Settings,
    pub board: &'a Scoreboard,
    pub slot: usize,
}

/// The variables for a request that arrived `age` ago.
pub fn variables(starter: Starter<'_>, entry: Option<&Entry>, age: Duration) -> Vec<(&'static str, Vec<u8>)> {
    let Starter { settings, board, slot } = starter;
    let begun = monotonic_ns().saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
    let numbers =
        [board.header().started_ms.load(Relaxed), slot as u64, begun, settings.log_size.unwrap_or(0)];
    let folder = Folder::new(&settings.state_dir, &settings.name);
    let mut all = vec![
        (NUMBERS, numbers.map(|number| number.to_string()).join(" ").into_bytes()),
        (BOARD, folder.scoreboard().into_os_string().into_vec()),
    ];
    if let (Some(entry), Some(log)) = (entry, access::path()) {
        all.push((LOG, log.as_os_str().as_bytes().to_vec()));
        all.push((ENTRY, entry.as_bytes().to_vec()));
    }
    all
}

/// Serves the file of the request in the environment.
pub fn serve() -> ExitCode {
    let served = file_server::serve();
    record(&served);
    match served.end {
        End::Whole => return ExitCode::SUCCESS,
        End::Shorter => stdio::remark("a file became shorter while it was sent"),
        // As a handler ends whose client has gone.
        End::ClientGone => signal::end_by(Signal::SIGPIPE),
    }
    ExitCode::FAILURE
}

fn record(served: &Served) {
    let Some([started_ms, slot, begun, log_size]) = numbers() else { return };
    let path = |name| env::var_os(name).map(PathBuf::from);
    if let Some(board) = path(BOARD).and_then(|path| Scoreboard::open_to_count(&path, started_ms).ok()) {
        board.count_answer(usize::try_from(slot).unwrap_or(usize::MAX), served.status);
    }
    let entry = env::var_os(ENTRY).map(OsString::into_vec).and_then(|bytes| Entry::from_bytes(&bytes));
    let (Some(log), Some(entry)) = (path(LOG), entry) else { return };
    logging::limit_size(Some(log_size).filter(|&bytes| bytes > 0));
    enter(&log, &entry, served, Duration::from_nanos(monotonic_ns().saturating_sub(begun)));
}

fn numbers() -> Option<[u64; 4]> {
    let text = env::var(NUMBERS).ok()?;
    let numbers: Option<Vec<u64>> = text.split(' ').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Adds the line to the access log.
fn enter(log: &Path, entry: &Entry, served: &Served, took: Duration) {
    access::install(log);
    if let Err(error) = access::set(entry.form()) {
        return stdio::remark(format_args!("cannot open the access log {}: {error}", log.display()));
    }
    entry.finish(&Response {
        status: Some(served.status),
        bytes: Some(served.bytes),
        took: Some(took),
        cut: served.end != End::Whole,
    });
    if access::flush() > 0 {
        stdio::remark("a line of the access log is missing; it could not be written");
    }
}
