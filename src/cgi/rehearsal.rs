//! Rehearses a launch: tests before the server is ready whether this process can start a handler under the limits of
//! handlers.
//!
//! The program is our own executable, which exits at once with this argument; /proc leads to it even if its file was
//! replaced or removed. The server's user may not be allowed to execute it, and it needs more memory than a small
//! script, so a shell that does nothing is tried next. If neither exists, the test is inconclusive and passes.

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

/// The argument that makes our executable exit at once.
pub const ARGUMENT: &str = "--rehearse-a-launch";
/// SIGALRM after this time, in case it hangs.
const TIME_S: u32 = 10;
/// The programs to try; one success is enough.
const PROGRAMS: [(&CStr, &[&str]); 2] =
    [(c"/proc/self/exe", &["caffeine", ARGUMENT]), (c"/bin/sh", &["sh", "-c", ":"])];

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
    let Some(trouble) = run().map_err(|error| format!("cannot start a test handler: {error}"))? else {
        return Ok(());
    };
    if watched && works(&[], false) && !works(&[], true) {
        return Err(format!(
            "cannot watch handlers ({trouble}): this kernel or sandbox has no pidfds; omit max-handlers, \
             handler-timeout and listener strategies that count handlers"
        ));
    }
    if !limits.is_empty() && works(&[], false) {
        return Err(format!(
            "handler-limit (or the limit on open files) is too low to run even /bin/sh: {trouble}; raise it"
        ));
    }
    Err(format!("cannot start handlers: {trouble}; a sandbox must allow clone and execve"))
}

/// Tests whether this user may execute our own executable, which serves files.
///
/// # Errors
/// `EACCES`.
pub fn own_program() -> nix::Result<()> {
    access(PROGRAMS[0].0, AccessFlags::X_OK)
}

/// Tests whether a program can be started and runs.
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
            Self::Ended(None) => f.write_str("its exit was not reported"),
        }
    }
}
