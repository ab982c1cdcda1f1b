//! Runs an instance in the background: the launching process stays until the instance is ready or has failed, and
//! reports the outcome.
//!
//! One fork and `setsid`: the daemon leads a session without a terminal and opens none, so a second fork would add
//! nothing. Its standard streams become `/dev/null` at once, before workers inherit them, and other inherited
//! descriptors are closed: otherwise a reader of the launcher's output would wait for the server, and a lock held by a
//! wrapper would stay held. The daemon reports through a pipe.
//!
//! A start that fails leaves nothing running: the launcher returns when the daemon has ended.

use std::cell::RefCell;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sys::descriptors::close_from_3_but;
use crate::sys::fork::exit_now;
use crate::sys::process::{fork_single_threaded, standard_streams_to_null};

/// A failed daemon has this long to end...
const LAST_MOMENT: Duration = Duration::from_secs(5);
/// ...and is polled this often.
const LOOK: Duration = Duration::from_millis(2);

type Words = Rc<RefCell<Option<PipeWriter>>>;

/// Reports once that the instance is ready: to the launching process, or on standard output in the foreground.
#[derive(Debug)]
pub struct Ready(Option<Words>);

/// Reports why the instance did not become ready. Without effect afterwards and in the foreground.
#[derive(Debug)]
pub struct Failure(Option<Words>);

/// The outcome of the daemon's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code for the launching process.
    pub code: u8,
    /// The ready line or the error.
    pub text: String,
}

/// The process after the fork.
#[derive(Debug)]
pub enum Detached {
    /// The launching process, with the outcome.
    Launcher(Outcome),
    Daemon(Ready, Failure),
}

/// For an instance that stays in the foreground.
pub fn foreground() -> Ready {
    Ready(None)
}

/// Forks the daemon. The process must be single-threaded and use absolute paths only: the daemon's directory is `/`. It
/// closes all descriptors from 3 on except `kept`.
///
/// # Errors
/// Those of pipe(2) and fork(2).
pub fn detach(kept: Option<BorrowedFd<'_>>) -> io::Result<Detached> {
    let (reader, writer) = io::pipe()?;
    if let Some(daemon) = fork_single_threaded()? {
        drop(writer);
        return Ok(Detached::Launcher(outcome(reader, daemon)));
    }
    drop(reader);
    let kept: Vec<_> = kept.iter().map(AsRawFd::as_raw_fd).chain([writer.as_raw_fd()]).collect();
    close_from_3_but(&kept);
    let words = Rc::new(RefCell::new(Some(writer)));
    if let Err(error) = leave_the_launcher() {
        say(&words, 1, &format!("cannot start a daemon: {error}"));
        exit_now(1);
    }
    Ok(Detached::Daemon(Ready(Some(words.clone())), Failure(Some(words))))
}

fn leave_the_launcher() -> io::Result<()> {
    nix::unistd::setsid()?;
    std::env::set_current_dir("/")?;
    standard_streams_to_null()
}

impl Ready {
    /// Reports readiness; `line` is shown to the user.
    pub fn ready(self, line: &str) {
        match &self.0 {
            Some(words) => say(words, 0, line),
            None => {
                // A closed standard output does not stop the server.
                let mut out = io::stdout().lock();
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            }
        }
    }

    /// Closes a forked child's copy, so that only the supervisor can report.
    pub fn close_in_child(&self) {
        if let Some(words) = &self.0 {
            words.take();
        }
    }
}

impl Failure {
    /// Reports the reason and the exit code.
    pub fn report(&self, code: u8, reason: &str) {
        if let Some(words) = &self.0 {
            say(words, code, reason);
        }
    }
}

/// One message: the exit code, the text, a NUL. Only the first word counts; then the pipe is closed.
fn say(words: &Words, code: u8, text: &str) {
    if let Some(mut pipe) = words.take() {
        let message: Vec<u8> =
            [code].into_iter().chain(text.bytes().filter(|&byte| byte != 0)).chain([0]).collect();
        // The launcher may have been killed.
        let _ = pipe.write_all(&message);
    }
}

/// Waits for the message, or for the end of a daemon that died without one; if it failed, also for its end. Workers
/// close the pipe first of all, so that it ends with the daemon.
fn outcome(mut pipe: PipeReader, daemon: Pid) -> Outcome {
    let mut message = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match pipe.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = kill(daemon, Signal::SIGKILL);
                let _ = waitpid(daemon, None);
                return Outcome {
                    code: 1,
                    text: format!("cannot hear from the daemon: {error}; it was ended"),
                };
            }
            Ok(0) => return Outcome { code: 1, text: last_words(end_of(daemon), daemon) },
            Ok(got) => message.extend_from_slice(&bytes[..got]),
        }
        if let [code, text @ .., 0] = message.as_slice() {
            if *code != 0 {
                end_of(daemon);
            }
            return Outcome { code: *code, text: String::from_utf8_lossy(text).into_owned() };
        }
    }
}

/// Waits for the end of a failed daemon, and kills it after a while.
fn end_of(daemon: Pid) -> Option<WaitStatus> {
    let end = Instant::now() + LAST_MOMENT;
    while Instant::now() < end {
        match waitpid(daemon, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(LOOK),
            ended => return ended.ok(),
        }
    }
    let _ = kill(daemon, Signal::SIGKILL);
    waitpid(daemon, None).ok()
}

/// How a daemon ended without a message.
fn last_words(ended: Option<WaitStatus>, daemon: Pid) -> String {
    let how = match ended {
        Some(WaitStatus::Signaled(_, signal, _)) => format!("was killed by {signal}"),
        Some(WaitStatus::Exited(_, code)) => format!("ended with status {code}"),
        other => format!("ended ({other:?})"),
    };
    format!("the daemon (pid {daemon}) {how} before it was ready; start it without --daemon to see why")
}
