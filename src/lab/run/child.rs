//! Child processes of a run, which never outlive it, and the reasons for which a run may fail.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::guard::Guard;
use super::interrupt::Interrupt;
use crate::lab::results::data::Void;
use crate::sys::pidfd::Pidfd;
use crate::sys::tether::tether;

pub const TICK: Duration = Duration::from_millis(10);
/// Lines of stderr to keep of a void run.
const KEPT_LINES: usize = 12;

#[derive(Debug)]
pub enum Stop {
    /// Something failed: the run does not count.
    Void(Void),
    Skipped(String),
    Interrupted,
}

impl Stop {
    /// A void run without a process that could explain it.
    pub fn void(reason: String) -> Self {
        Self::Void(Void { reason, ..Void::default() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a server to become ready, and for a load generator to end after its load.
    pub ready: Duration,
    /// For a server to stop before it is killed.
    pub stop: Duration,
}

impl Timeouts {
    /// From `--patience`. Stopping takes as long as the server needs for its requests, so that limit is at
    /// least 5 s.
    pub fn of(seconds: f64) -> Self {
        let ready = Duration::from_secs_f64(seconds);
        Self { ready, stop: ready.max(Duration::from_secs(5)) }
    }
}

/// What every wait needs.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    pub interrupt: &'a Interrupt,
    /// Ends the processes if the lab cannot.
    pub guard: &'a Guard,
    pub timeouts: Timeouts,
}

/// A child process, with its stderr in a file. Dropping it kills it and its process group.
#[derive(Debug)]
pub struct Process<'a> {
    name: String,
    child: Child,
    stderr: PathBuf,
    guard: &'a Guard,
    pidfd: Option<Pidfd>,
}

impl<'a> Process<'a> {
    /// Starts `command`; its stderr goes to a file in `folder`.
    pub fn start(name: &str, command: &mut Command, folder: &Path, watch: &Watch<'a>) -> Result<Self, Stop> {
        let stderr = folder.join(format!("{}.stderr", name.replace([':', '/'], "-")));
        let program = command.get_program().to_string_lossy().into_owned();
        let void = |why: std::io::Error| Stop::void(format!("{name} cannot be started ({program}): {why}"));
        let file = File::create(&stderr).map_err(void)?;
        let child = tether(command.stdin(Stdio::null()).stderr(file)).spawn().map_err(void)?;
        let pidfd = Pidfd::open(child.id()).ok();
        let process = Self { name: name.to_owned(), child, stderr, guard: watch.guard, pidfd };
        process.guard.watch(process.nix_pid());
        Ok(process)
    }

    /// A void run because of this process, with its last lines of stderr.
    pub fn void(&self, reason: &str) -> Stop {
        self.void_with(reason, None)
    }

    fn void_with(&self, reason: &str, status: Option<i32>) -> Stop {
        let text = fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let stderr = lines[lines.len().saturating_sub(KEPT_LINES)..].join("\n");
        Stop::Void(Void { reason: format!("{} {reason}", self.name), stderr, status })
    }

    /// A void run because the process ended or closed its output; waits a moment for its status.
    pub fn gone(&mut self, when: &str) -> Stop {
        match self.end_by(Instant::now() + Duration::from_secs(1)) {
            Some(status) => self.void_with(&format!("ended {when} ({status})"), status.code()),
            None => self.void(&format!("closed its output {when}")),
        }
    }

    /// Waits for its end; `None` if it does not end before `deadline`.
    pub fn end_by(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            let status = self.ended();
            if status.is_some() || Instant::now() > deadline {
                return status;
            }
            self.wait(TICK);
        }
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, at most this long, without polling.
    pub fn wait(&self, at_most: Duration) {
        let ms = u16::try_from(at_most.as_millis()).unwrap_or(u16::MAX).max(1);
        if self.pidfd.as_ref().is_none_or(|pidfd| pidfd.wait(ms).is_err()) {
            sleep(TICK);
        }
    }

    pub fn terminate(&self) {
        let _ = kill(self.nix_pid(), Signal::SIGTERM);
    }

    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let ended = self.ended().is_some();
        // The group may outlive its leader. Its number is not reused while a member lives or the leader is
        // unreaped.
        let _ = killpg(self.nix_pid(), Signal::SIGKILL);
        if !ended {
            let _ = self.child.wait();
        }
        self.guard.forget(self.nix_pid());
    }
}
