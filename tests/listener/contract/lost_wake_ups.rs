//! Lost wake-ups: a worker is held between the wait that a connection ended and the call that takes the
//! connection (seccomp(2) intercepts that call), and is killed, stopped or told to leave there. The
//! connection must be served without a second one that wakes another worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caffeine::listener::{Loss, Promises, Wait};
use nix::sys::signal::{Signal, kill};

use super::{Listener, everywhere};
use crate::harness::traffic::{Pending, begin, state};
use crate::harness::{Answer, Sandbox, Server, eventually, pid, standstill};

/// The calls that take a connection.
const TAKING: [i64; 3] = [libc::SYS_accept4, libc::SYS_recvmsg, libc::SYS_io_uring_enter];
/// The server is idle when nothing changes for this long.
const QUIET: Duration = Duration::from_millis(100);
/// The calls in which some strategies wait first.
const WAITING: [i64; 2] = [libc::SYS_epoll_pwait, EPOLL_WAIT];
#[cfg(target_arch = "x86_64")]
const EPOLL_WAIT: i64 = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
const EPOLL_WAIT: i64 = libc::SYS_epoll_pwait;
const WORKERS: usize = 3;

/// What happens to the held worker.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Killed,
    Stopped,
    ToldToLeave,
    KilledThenReload,
    StoppedThenReload,
}

impl Fate {
    const ALL: [Self; 5] =
        [Self::Killed, Self::Stopped, Self::ToldToLeave, Self::KilledThenReload, Self::StoppedThenReload];

    /// Whether a strategy with these promises loses nothing by it.
    fn is_promised(self, promises: &Promises) -> bool {
        let stopped = matches!(promises.stopped, Wait::Nothing | Wait::UpToMs(_));
        match self {
            Self::Killed | Self::KilledThenReload => promises.crash == Loss::Nothing,
            Self::Stopped => stopped,
            Self::StoppedThenReload => stopped && promises.leave == Loss::Nothing,
            Self::ToldToLeave => promises.leave == Loss::Nothing,
        }
    }

    fn strike(self, worker: u32, sandbox: &Sandbox, server: &Server) {
        let send = |signal| kill(pid(worker), signal).unwrap();
        match self {
            Self::Killed | Self::KilledThenReload => send(Signal::SIGKILL),
            Self::Stopped | Self::StoppedThenReload => {
                send(Signal::SIGSTOP);
                eventually("it is stopped", || state(worker) == 'T');
            }
            Self::ToldToLeave => {}
        }
        if matches!(self, Self::ToldToLeave | Self::KilledThenReload | Self::StoppedThenReload) {
            sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
        }
    }
}

/// The worker held at the gate: the first of `wanted` that takes a connection. Where a strategy waits in
/// another call, that call must have been its last one: then it was woken.
#[derive(Debug, Default)]
struct Held {
    wanted: Vec<u32>,
    held: Option<u32>,
    /// For each thread that has waited: whether that was its last call.
    waited: HashMap<u32, bool>,
}

impl Held {
    fn answer(&mut self, thread: u32, call: i64) -> Answer {
        let waits = WAITING.contains(&call);
        let woken = match self.waited.get_mut(&thread) {
            Some(waited) => std::mem::replace(waited, waits),
            None if waits => self.waited.insert(thread, true).is_some(),
            None => true,
        };
        if waits || !woken || self.held.is_some() || !self.wanted.contains(&thread) {
            return Answer::Allow;
        }
        self.held = Some(thread);
        Answer::Hold
    }
}

/// Makes one connection after the other until one waits although all but the held worker sleep.
fn strand(server: &Server, held: &Mutex<Held>) -> Option<(u32, Pending)> {
    for _ in 0..WORKERS + 2 {
        let client = begin(server, "/");
        loop {
            if client.has_answer() {
                break;
            }
            let is_held = held.lock().unwrap().held;
            if let Some(worker) = is_held
                && standstill::lasts(server, 2 * QUIET)
                && !client.has_answer()
            {
                return Some((worker, client));
            }
        }
        assert_eq!(client.finish().status, 200);
    }
    None
}

/// Strategies in which no connection waits for a held worker: the wait itself takes the connection, all
/// workers are woken, or the queue belongs to the worker and its replacement reads it first.
const NEED_NOTHING: &[&str] = &[
    "inherited",
    "inherited-herd",
    "inherited-delay",
    "reuseport",
    "uring",
    "uring-multishot",
    "reuseport-cbpf",
];
/// Attempts before a strategy counts as one of these: a worker may be awake for another reason.
const TRIES: usize = 3;

/// Tries one fate. `false` when no connection waits for the held worker.
fn is_served(listener: &Listener, fate: Fate) -> bool {
    let sandbox = Sandbox::new();
    let held = Arc::new(Mutex::new(Held::default()));
    let gate = Arc::clone(&held);
    let options = listener.with(&sandbox, &["--respond", "fixed", "-w", &WORKERS.to_string()]);
    let server = sandbox.start_behind(
        &[&TAKING[..], &WAITING].concat(),
        move |call| gate.lock().unwrap().answer(call.thread, call.number),
        &options.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let Some(server) = server else { return true };
    assert_eq!(server.get("/").status, 200);
    eventually("all sleep", || standstill::lasts(&server, QUIET));
    held.lock().unwrap().wanted = server.worker_pids();
    let Some((worker, client)) = strand(&server, &held) else { return false };
    eprintln!("{listener}: {fate:?} {worker} while it is held");
    fate.strike(worker, &sandbox, &server);
    assert_eq!(client.finish().status, 200, "{listener}: {fate:?}");
    true
}

#[test]
fn a_connection_is_served_although_the_worker_it_woke_never_accepts() {
    everywhere(|choice, listener| {
        let promises = choice.promises();
        for fate in Fate::ALL.into_iter().filter(|fate| fate.is_promised(&promises)) {
            if !(0..TRIES).any(|_| is_served(listener, fate)) {
                assert!(
                    NEED_NOTHING.contains(&choice.entry.name),
                    "{listener}: no connection waits for a worker that is held; if none can, it belongs in NEED_NOTHING"
                );
                return;
            }
        }
    });
}
