//! Records how a handler ended, in the log and the scoreboard.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::watch::Watched;
use crate::scoreboard::{Header, add};
use crate::server::platform;
use crate::sys::fork::Fate;

/// The warning about an old kernel has been logged.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Counts and logs the end. Each launch is in the log already, so success is logged at DEBUG level only. `client_gone`: its
/// response was given up, because its client had gone.
pub fn record(header: &Header, handler: &Watched, fate: Option<Fate>, client_gone: bool) {
    // The client closed before its response was written: common, and not the handler's fault.
    let client_gone = match fate {
        _ if handler.timed_out() => false,
        Some(Fate::Exited(code)) => client_gone && code != 0,
        Some(Fate::Killed(signal)) => signal == libc::SIGPIPE,
        _ => false,
    };
    let counter = match fate {
        _ if client_gone => Some(&header.handlers_client_gone),
        Some(Fate::Exited(0)) => Some(&header.handlers_ok),
        Some(Fate::Exited(_)) => Some(&header.handlers_failed),
        Some(Fate::Killed(_)) => Some(&header.handlers_killed),
        _ => None,
    };
    counter.inspect(|counter| add(counter, 1));
    let name = String::from_utf8_lossy(&handler.name);
    let name = (!name.is_empty()).then_some(&*name);
    let (pid, worker) = (handler.pid.as_raw(), handler.worker);
    let duration_us = micros(handler.started.elapsed());
    let (code, signal) = match fate {
        Some(Fate::Exited(code)) => (Some(code), None),
        Some(Fate::Killed(signal)) => (None, Some(signal)),
        _ => (None, None),
    };
    match fate {
        _ if handler.timed_out() => {
            tracing::warn!(handler = name, worker, pid, outcome = "timed out", duration_us);
        }
        _ if client_gone => {
            tracing::debug!(handler = name, worker, pid, outcome = "client gone", code, signal, duration_us);
        }
        Some(Fate::Exited(0)) => tracing::debug!(handler = name, worker, pid, outcome = "ok", duration_us),
        Some(Fate::Exited(_)) => {
            tracing::warn!(handler = name, worker, pid, outcome = "failed", code, duration_us);
        }
        Some(Fate::Killed(_)) => {
            tracing::error!(handler = name, worker, pid, outcome = "killed", signal, duration_us);
        }
        _ => {
            // A newer kernel does not know it of a handler whose worker has gone.
            if !platform::is_at_least((6, 15)) && !TOLD.swap(true, Relaxed) {
                tracing::warn!(
                    "this kernel does not report how handlers end (Linux 6.15 does); recording only their duration"
                );
            }
            tracing::debug!(handler = name, worker, pid, outcome = "unknown", duration_us);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
