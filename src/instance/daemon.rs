//! Going into the background: the launching process stays until the instance is ready or has failed, and
//! reports which.
//!
//! One fork and `setsid`: the daemon leads a session without a terminal and opens none, so a second fork would
//! add nothing. Its standard streams become `/dev/null` at once, before workers inherit them: whoever reads the
//! launcher's output to its end would otherwise wait for the server. All it has to say goes through a pipe.

use std::cell::RefCell;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sys::process::{Pidfd, fork_single_threaded, standard_streams_to_null};

type Words = Rc<RefCell<Option<PipeWriter>>>;

/// Says once that the instance is ready: to the launching process, or on standard output in the foreground.
#[derive(Debug)]
pub struct Ready(Option<Words>);

/// Says why the instance did not become ready. Without effect afterwards, and in the foreground.
#[derive(Debug)]
pub struct Failure(Option<Words>);

/// What became of the daemon's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code for the launching process.
    pub code: u8,
    /// The ready line, or the reason.
    pub text: String,
}

/// In which process one finds oneself.
#[derive(Debug)]
pub enum Detached {
    /// The launching process, once the outcome is known.
    Launcher(Outcome),
    /// The daemon.
    Daemon(Ready, Failure),
}

/// For an instance that stays in the foreground.
pub fn foreground() -> Ready {
    Ready(None)
}

/// Forks the daemon. The process must have a single thread, and only absolute paths: the daemon's directory is `/`.
///
/// # Errors
/// No pipe or no process could be made.
pub fn detach() -> io::Result<Detached> {
    let (reader, writer) = io::pipe()?;
    if let Some(daemon) = fork_single_threaded()? {
        drop(writer);
        return Ok(Detached::Launcher(outcome(reader, daemon)?));
    }
    nix::unistd::setsid()?;
    std::env::set_current_dir("/")?;
    standard_streams_to_null()?;
    let words = Rc::new(RefCell::new(Some(writer)));
    Ok(Detached::Daemon(Ready(Some(words.clone())), Failure(Some(words))))
}

impl Ready {
    /// The instance is ready: `line` is what the user reads.
    pub fn ready(self, line: &str) {
        match &self.0 {
            Some(words) => say(words, 0, line),
            None => {
                // A closed standard output is no reason not to serve.
                let mut out = io::stdout().lock();
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            }
        }
    }

    /// Closes the copy that a forked child has, so that only the supervisor can speak.
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
        // The launcher may have been killed meanwhile: then nobody wants to know.
        let _ = pipe.write_all(&message);
    }
}

/// Waits for the message, or for the end of a daemon that died without one. The end of the pipe alone would not
/// do: workers may hold it.
fn outcome(mut pipe: PipeReader, daemon: Pid) -> io::Result<Outcome> {
    let process = Pidfd::open(daemon.as_raw().cast_unsigned())?;
    let mut message = Vec::new();
    loop {
        let mut ready =
            [PollFd::new(pipe.as_fd(), PollFlags::POLLIN), PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            polled => polled?,
        };
        let mut bytes = [0; 4096];
        let got = if ready[0].any() == Some(true) { pipe.read(&mut bytes)? } else { 0 };
        message.extend_from_slice(&bytes[..got]);
        match message.as_slice() {
            [code, text @ .., 0] => {
                return Ok(Outcome { code: *code, text: String::from_utf8_lossy(text).into_owned() });
            }
            _ if got == 0 => return Ok(Outcome { code: 1, text: last_words(daemon)? }),
            _ => {}
        }
    }
}

/// How a daemon ended that had said nothing.
fn last_words(daemon: Pid) -> io::Result<String> {
    let how = match waitpid(daemon, None)? {
        WaitStatus::Signaled(_, signal, _) => format!("was killed by {signal}"),
        WaitStatus::Exited(_, code) => format!("ended with status {code}"),
        other => format!("ended ({other:?})"),
    };
    Ok(format!("the daemon (pid {daemon}) {how} before it was ready; start it without --daemon to see why"))
}
