//! A launch before there is a request: whether this process can start a handler at all, under the limits of handlers. A server
//! that could not is to say so before it is ready.
//!
//! The program is our own executable, which does nothing when it is called like this; /proc leads to it also when its file was
//! replaced or removed meanwhile. The server's user may not be allowed to execute it, and it needs more memory than a small
//! script: so a shell that does nothing is tried next. Where there is neither, nothing is known and nothing is said.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::unistd::{AccessFlags, access};

use crate::sys::cstrings::CStrings;
use crate::sys::fork::{self, Fate};
use crate::sys::signal;
use crate::sys::spawn::{Limit, Order, SpawnError, Spawner};

/// The argument with which our executable does nothing.
pub const ARGUMENT: &str = "--rehearse-a-launch";
/// It gets SIGALRM after so long: nothing takes that much time, unless it hangs.
const TIME_S: u32 = 10;
/// What is tried, the first that succeeds is enough.
const PROGRAMS: [(&CStr, &[&str]); 2] =
    [(c"/proc/self/exe", &["caffeine", ARGUMENT]), (c"/bin/sh", &["sh", "-c", ":"])];

/// What went wrong.
#[derive(Debug)]
enum Trouble {
    Spawn(SpawnError),
    Ended(Option<Fate>),
}

/// Starts a program as handlers are started, with `limits`, and with a pidfd if `watched`; waits for its end. For a worker
/// that has no children and no threads yet.
///
/// # Errors
/// Why no handler can be started, and the way out where there is one.
pub fn rehearse(limits: &[Limit], watched: bool) -> Result<(), String> {
    let run = || {
        signal::keep_ended_children(true)?;
        let tried = try_all(limits, watched);
        signal::keep_ended_children(false)?;
        tried
    };
    let Some(trouble) = run().map_err(|error| format!("cannot try to start a handler: {error}"))? else {
        return Ok(());
    };
    if watched && works(&[], false) && !works(&[], true) {
        return Err(format!(
            "handlers cannot be watched here ({trouble}): this kernel or sandbox has no pidfds; leave out max-handlers, \
             handler-timeout and listener strategies that count handlers"
        ));
    }
    if !limits.is_empty() && works(&[], false) {
        return Err(format!(
            "under handler-limit (or the limit on open files) no handler can run, not even /bin/sh: {trouble}; raise it"
        ));
    }
    Err(format!("no handler can be started here: {trouble}; a sandbox must allow clone and execve"))
}

/// Whether a program can be started and can run like this.
fn works(limits: &[Limit], watched: bool) -> bool {
    signal::keep_ended_children(true).is_ok()
        && matches!(try_all(limits, watched), Ok(None))
        && signal::keep_ended_children(false).is_ok()
}

/// `None` when one has run, or none may be executed by this user; else what happened to the last one.
fn try_all(limits: &[Limit], watched: bool) -> io::Result<Option<Trouble>> {
    let mut spawner = Spawner::new()?;
    let mut trouble = None;
    for (program, words) in PROGRAMS {
        if access(program, AccessFlags::X_OK).is_err() {
            continue;
        }
        match try_one(&mut spawner, program, words, limits, watched)? {
            None => return Ok(None),
            last => trouble = last,
        }
    }
    Ok(trouble)
}

fn try_one(
    spawner: &mut Spawner,
    program: &CStr,
    words: &[&str],
    limits: &[Limit],
    watched: bool,
) -> io::Result<Option<Trouble>> {
    let null = File::options().write(true).open("/dev/null")?;
    let (mut arguments, mut environment) = (CStrings::default(), CStrings::default());
    for word in words {
        arguments.push(&[word.as_bytes()]);
    }
    let order = Order {
        program,
        arguments: &mut arguments,
        environment: &mut environment,
        directory: c"/",
        stdin: None,
        stdout: null.as_fd(),
        stderr: None,
        pid: None,
        alarm_s: TIME_S,
        limits,
        clear_mask: true,
    };
    Ok(match spawner.spawn(order, watched) {
        Err(error) => Some(Trouble::Spawn(error)),
        Ok(started) => match fork::wait_for(started.pid) {
            Some(Fate::Exited(0)) => None,
            fate => Some(Trouble::Ended(fate)),
        },
    })
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(error) => error.fmt(f),
            Self::Ended(Some(fate)) => fate.fmt(f),
            Self::Ended(None) => f.write_str("its end was not seen"),
        }
    }
}
