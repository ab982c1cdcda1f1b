//! Records how a handler ended, in the log and the scoreboard.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::watch::Watched;
use crate::scoreboard::{Header, add};
use crate::sys::fork::Fate;

/// The warning about an old kernel has been logged.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Counts and logs the end. Each launch is in the log already, so success is logged at DEBUG level only.
pub fn record(header: &Header, handler: &Watched, fate: Option<Fate>) {
    let counter = match fate {
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
    match fate {
        _ if handler.timed_out() => {
            tracing::warn!(handler = name, worker, pid, outcome = "timed out", duration_us);
        }
        Some(Fate::Exited(0)) => tracing::debug!(handler = name, worker, pid, outcome = "ok", duration_us),
        Some(Fate::Exited(code)) => {
            tracing::warn!(handler = name, worker, pid, outcome = "failed", code, duration_us);
        }
        // The client closed before its response was written: common, and not the handler's fault.
        Some(Fate::Killed(signal @ libc::SIGPIPE)) => {
            tracing::debug!(handler = name, worker, pid, outcome = "client gone", signal, duration_us);
        }
        Some(Fate::Killed(signal)) => {
            tracing::error!(handler = name, worker, pid, outcome = "killed", signal, duration_us);
        }
        _ => {
            // For a handler found in the process table the kernel may not know it.
            if worker.is_some() && !TOLD.swap(true, Relaxed) {
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
