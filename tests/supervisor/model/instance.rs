//! A real instance: it carries out actions and is observed in the terms of the model.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use caffeine::listener::{Choice, SocketCount};
use caffeine::scoreboard::{Role, Scoreboard};
use nix::sys::signal::{Signal, kill};

use super::account::{Account, held_by};
use super::reference::{Child, Row, Seen};
use crate::harness::traffic::{children, state};
use crate::harness::{DEADLINE, Sandbox, Server, pid};

/// Workers at the start.
pub const WORKERS: usize = 4;

/// A server, its clients, and all processes it was ever seen to have.
pub struct Instance {
    sandbox: Sandbox,
    pub server: Server,
    listener: String,
    board: Scoreboard,
    pub account: Account,
    /// A process was killed.
    pub has_killed: bool,
    pub ever: BTreeSet<u32>,
    logs: Vec<PathBuf>,
}

impl Instance {
    pub fn start(choice: &Choice, listener: &str) -> Self {
        let sandbox = Sandbox::new();
        let config = sandbox.write("lab.toml", configuration(listener, WORKERS));
        let server = sandbox.start(&["-n", "lab", "--config", config.to_str().unwrap()]);
        let refusals = choice.sockets() == SocketCount::Private;
        let (board, account) = (server.scoreboard(), Account::new(server.port(), refusals));
        let logs = vec![server.folder().log()];
        let listener = listener.to_owned();
        Self { sandbox, server, listener, board, account, has_killed: false, ever: BTreeSet::new(), logs }
    }

    /// SIGHUP with a configuration for this many workers, or with an invalid one.
    pub fn reload(&mut self, workers: Option<usize>) {
        let text = match workers {
            Some(workers) => configuration(&self.listener, workers),
            None => "workers = \"broken\n".into(),
        };
        // Replaced atomically: the supervisor may be reading it for an earlier reload.
        let new = self.sandbox.write("lab.new", text);
        std::fs::rename(new, self.sandbox.path("lab.toml")).unwrap();
        self.server.signal(Signal::SIGHUP);
    }

    /// The living children of the supervisor.
    pub fn children(&mut self) -> Vec<u32> {
        let mut children = children(self.server.pid());
        children.retain(|&child| !matches!(state(child), 'Z' | 'X' | '?'));
        self.ever.extend(&children);
        children
    }

    fn row_of(&self, pid: u32) -> Option<Row> {
        let row_with = |(slot, row): (usize, &caffeine::scoreboard::Row)| {
            let found = Row {
                slot,
                generation: row.generation.load(Relaxed),
                is_worker: row.role.load(Relaxed) == Role::Worker as u64,
                number: row.number.load(Relaxed),
                state: row.state.load(Relaxed),
                open: row.open.load(Relaxed),
            };
            (row.pid.load(Relaxed) == u64::from(pid)).then_some(found)
        };
        self.board.used().enumerate().find_map(row_with)
    }

    pub fn see(&mut self) -> Seen {
        let header = self.board.header();
        let (generation, workers) = (header.generation.load(Relaxed), header.workers.load(Relaxed));
        let refused = header.refused.load(Relaxed);
        let seen = |pid| Child { pid, stopped: state(pid) == 'T', row: self.row_of(pid) };
        let children = children(self.server.pid());
        let children: Vec<Child> =
            children.into_iter().filter(|&pid| !matches!(state(pid), 'Z' | 'X' | '?')).map(seen).collect();
        self.ever.extend(children.iter().map(|child| child.pid));
        Seen { generation, workers: usize::try_from(workers).unwrap(), refused, children }
    }

    /// One of the children, or one of the dispatchers.
    pub fn choose(&mut self, which: u8, dispatcher: bool) -> Option<u32> {
        let fits = |child: &Child| !dispatcher || child.row.is_some_and(|row| !row.is_worker);
        let children: Vec<u32> =
            self.see().children.into_iter().filter(fits).map(|child| child.pid).collect();
        let count = children.len().max(1);
        children.get(usize::from(which) % count).copied()
    }

    /// Kills a process. The connections it holds may be lost; while requests are in flight, that may be any
    /// of them.
    pub fn kill(&mut self, victim: u32, stop_first: bool) {
        self.has_killed = true;
        if stop_first {
            self.stop(victim);
        } else {
            self.account.held_by_killed += self.account.waiting();
        }
        self.account.held_by_killed += held_by(victim, self.server.port());
        let _ = kill(pid(victim), Signal::SIGKILL);
        until(victim, &['Z', 'X', '?']);
    }

    /// Stops a process and waits until it is stopped. A dispatcher is resumed at once and exits soon.
    pub fn stop(&mut self, victim: u32) {
        let _ = kill(pid(victim), Signal::SIGSTOP);
        until(victim, &['T', 'Z', 'X', '?']);
    }

    /// SIGCONT to every stopped child.
    pub fn go_on(&mut self) {
        for child in self.children().into_iter().filter(|&child| state(child) == 'T') {
            let _ = kill(pid(child), Signal::SIGCONT);
        }
    }

    /// Renames the log and has it reopened, unless the last rotation is still in progress.
    pub fn rotate(&mut self) {
        let log = self.server.folder().log();
        let old = log.with_extension(self.logs.len().to_string());
        if std::fs::rename(&log, &old).is_ok() {
            self.logs.push(old);
            self.server.signal(Signal::SIGUSR1);
        }
    }

    /// Whether every running process writes to the current log.
    pub fn has_reopened(&self, seen: &Seen) -> Result<(), String> {
        if !self.logs[0].exists() {
            return Err("the new log is missing".into());
        }
        let running = seen.children.iter().filter(|child| !child.stopped).map(|child| child.pid);
        for process in running.chain([self.server.pid()]) {
            let links = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
            let mut open = links.filter_map(|link| std::fs::read_link(link.path()).ok());
            if let Some(old) = open.find(|file| self.logs[1..].contains(file)) {
                return Err(format!("{process} still writes to {}", old.display()));
            }
        }
        Ok(())
    }

    /// The contents of all logs.
    pub fn log(&self) -> String {
        self.logs.iter().rev().map(|log| std::fs::read_to_string(log).unwrap_or_default()).collect()
    }

    /// Processes that outlived the instance.
    pub fn survivors(&self) -> Vec<u32> {
        let home = self.sandbox.path("lab.toml").to_string_lossy().into_owned();
        let ours = |pid: &u32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&home)
        };
        self.ever.iter().copied().filter(ours).collect()
    }
}

/// Waits until a process is in one of these states, polling without delay.
fn until(process: u32, states: &[char]) {
    let end = Instant::now() + DEADLINE;
    while !states.contains(&state(process)) {
        assert!(Instant::now() < end, "{process} is not in one of {states:?}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Half-sent requests must stay open for a whole life.
fn configuration(listener: &str, workers: usize) -> String {
    format!(
        "workers = {workers}\nlistener = \"{listener}\"\nrespond = \"fixed\"\nheader-timeout = \"60s\"\nlog-level = \"DEBUG\"\n"
    )
}
