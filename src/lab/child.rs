//! The processes of a run: a server and a load generator that never outlive it.
//!
//! Knows how to start, watch and end them; what their figures mean is for others.

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::data::Void;
use super::interrupt::Interrupt;
use crate::sys::tether::tether;

/// How long a server may take until it listens.
const READY: Duration = Duration::from_secs(10);
/// How long a server may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(5);
/// How often a wait looks up.
const TICK: Duration = Duration::from_millis(10);
/// How many of the last lines of stderr are kept of a run that is void.
const KEPT_LINES: usize = 12;

/// Why a run did not finish.
#[derive(Debug)]
pub enum Stop {
    /// Something failed: this run does not count.
    Void(Void),
    /// The user wants to stop.
    Interrupted,
}

/// A child process, with its stderr in a file. Dropping it kills it and its process group.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; its stderr goes to a file in `folder`.
    ///
    /// # Errors
    /// Void: it cannot be started.
    pub fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self, Stop> {
        let stderr = folder.join(format!("{name}.stderr"));
        let void = |why: std::io::Error| {
            Stop::Void(Void { reason: format!("{name} cannot be started: {why}"), stderr: String::new() })
        };
        let file = File::create(&stderr).map_err(void)?;
        let child = tether(command.stdin(Stdio::null()).stderr(file)).spawn().map_err(void)?;
        Ok(Self { name, child, stderr })
    }

    /// A void run because of this process, with what it wrote last.
    pub fn void(&self, reason: &str) -> Stop {
        let text = fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let stderr = lines[lines.len().saturating_sub(KEPT_LINES)..].join("\n");
        Stop::Void(Void { reason: format!("{} {reason}", self.name), stderr })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.ended().is_some();
        // The group may outlive its leader; it cannot be another's as long as a member lives or the leader is unreaped.
        let _ = killpg(self.nix_pid(), Signal::SIGKILL);
        if !ended {
            let _ = self.child.wait();
        }
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    /// The supervisor.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Kept open: a server that writes to a closed pipe would be in trouble.
    _stdout: ChildStdout,
}

impl Server {
    /// Starts a server and waits for its ready line.
    ///
    /// # Errors
    /// It does not get ready, or the user stops the wait.
    pub fn start(command: &mut Command, folder: &Path, interrupt: &Interrupt) -> Result<Self, Stop> {
        let mut process = Process::start("caffeine", command.stdout(Stdio::piped()), folder)?;
        let Some(mut stdout) = process.child.stdout.take() else { return Err(process.void("has no stdout")) };
        let deadline = Instant::now() + READY;
        let mut text = Vec::new();
        loop {
            if let Some(address) = ready_address(&String::from_utf8_lossy(&text)) {
                return Ok(Self { process, address, _stdout: stdout });
            }
            if interrupt.came() {
                return Err(Stop::Interrupted);
            }
            if Instant::now() > deadline {
                return Err(process.void(&format!("did not get ready within {} s", READY.as_secs())));
            }
            let mut wait = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
            if poll(&mut wait, PollTimeout::from(20_u8)).unwrap_or(0) == 0 {
                continue;
            }
            let mut buffer = [0; 1024];
            match stdout.read(&mut buffer) {
                Ok(0) | Err(_) => return Err(process.gone("before it was ready")),
                Ok(n) => text.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Stops the server as a user would, and by force when it does not.
    ///
    /// # Errors
    /// Void: it had to be killed.
    pub fn stop(mut self) -> Result<(), Stop> {
        let _ = kill(self.process.nix_pid(), Signal::SIGTERM);
        let deadline = Instant::now() + STOP;
        while self.process.ended().is_none() {
            if Instant::now() > deadline {
                return Err(self
                    .process
                    .void(&format!("did not stop within {} s of SIGTERM", STOP.as_secs())));
            }
            sleep(TICK);
        }
        Ok(())
    }
}

impl Process {
    /// A void run because the process closed its output: waits a moment for the status to tell.
    fn gone(&mut self, when: &str) -> Stop {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return self.void(&format!("ended {when} ({status})"));
            }
            sleep(TICK);
        }
        self.void(&format!("closed its output {when}"))
    }
}

/// Runs the load generator to its end and returns what it wrote to stdout and how it ended.
///
/// # Errors
/// It hangs, the server dies meanwhile, or the user stops it.
pub fn drive(
    command: &mut Command,
    limit: Duration,
    server: &mut Server,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<(Process, ExitStatus, Vec<u8>), Stop> {
    let output = folder.join("loadgen.stdout");
    let file = File::create(&output).map_err(|e| {
        Stop::Void(Void { reason: format!("{}: {e}", output.display()), stderr: String::new() })
    })?;
    let mut process = Process::start("loadgen", command.stdout(file), folder)?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = process.ended() {
            let text = fs::read(&output).unwrap_or_default();
            return Ok((process, status, text));
        }
        if interrupt.came() {
            return Err(Stop::Interrupted);
        }
        if let Some(status) = server.process.ended() {
            return Err(server.process.void(&format!("died under load ({status})")));
        }
        if Instant::now() > deadline {
            return Err(process.void(&format!("did not end within {:.1} s", limit.as_secs_f64())));
        }
        sleep(TICK);
    }
}

/// The address in `caffeine: NAME ready on ADDR:PORT, N workers, STRATEGY`.
fn ready_address(text: &str) -> Option<SocketAddr> {
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.filter_map(|line| line.split_once(" ready on ")?.1.split_once(',')?.0.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_gives_the_address_once_it_is_whole() {
        let line = "warning\ncaffeine: lab ready on 127.0.0.1:40001, 4 workers, inherited\n";
        assert_eq!(ready_address(line), "127.0.0.1:40001".parse().ok());
        assert_eq!(ready_address(&line[..line.len() - 1]), None);
        assert_eq!(
            ready_address("caffeine: x ready on [::1]:8080, 1 workers, reuseport\n"),
            "[::1]:8080".parse().ok()
        );
    }
}
