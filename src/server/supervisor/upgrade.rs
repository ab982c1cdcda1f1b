//! A new version of the program takes over at a reload: the supervisor executes it in its own place. The process stays the same, so
//! its children stay its children, and its locks stay locked; the sockets stay open ([`Estate`]). The new program starts a
//! generation beside the processes of the old one ([`predecessors`](super::predecessors)), as a reload does.
//!
//! If the new program cannot serve, the old one is executed again, and its workers have never stopped serving.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, geteuid};

use super::estate::{ANSWER, CHECK, Estate, HandlerNote, Inheritance, VARIABLE};
use super::member::Member;
use super::predecessors::Predecessor;
use super::{Beginning, Supervisor, start};
use crate::cgi::mount::OWN_PROGRAM;
use crate::listener::sink::Sink;
use crate::scoreboard::clients::Clients;
use crate::server::config::{Settings, Sources};
use crate::server::error::Error;
use crate::server::keeper::note::Note;
use crate::server::logging;
use crate::sys::descriptors::keep_at_exec;
use crate::sys::fs::unnamed;
use crate::sys::proctable;

/// How long a program may take to say whether it can take over.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of its answer that are read.
const MOST_SAID: usize = 4096;
/// What a start writes at most, in bytes.
const ROOM: i64 = 1 << 20;
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Why this program was executed, if not by a user.
#[derive(Debug)]
pub(in crate::server) enum Call {
    /// To say that it could take over with its settings.
    Check,
    TakeOver(Box<Inheritance>),
}

/// Reads why this program was executed.
///
/// # Errors
/// What it is to take over cannot be read.
pub(in crate::server) fn called() -> Result<Option<Call>, Error> {
    let Some(value) = std::env::var_os(VARIABLE) else { return Ok(None) };
    if value == CHECK {
        return Ok(Some(Call::Check));
    }
    let taken = value.to_str().and_then(|text| text.parse().ok()).map(Inheritance::take);
    match taken {
        Some(Ok(inheritance)) => Ok(Some(Call::TakeOver(Box::new(inheritance)))),
        Some(Err(error)) => Err(Error::Failed(format!("cannot take over from the earlier program: {error}"))),
        None => Err(Error::Usage(format!("{VARIABLE} is for the program itself; unset it"))),
    }
}

/// Where this program lies, or lay.
pub(super) fn own_path() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?;
    let bytes = path.as_os_str().as_bytes();
    Some(PathBuf::from(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes))))
}

impl Supervisor {
    /// The program that lies in the place of the one that runs, if it is another.
    pub(super) fn replacement(&self) -> Option<PathBuf> {
        let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let program = self.program.as_deref()?;
        let (there, own) = (identity(program)?, identity(OWN_PROGRAM.as_ref())?);
        (there != own).then(|| program.to_owned())
    }

    /// Executes the program, which takes over. Returns why it does not.
    pub(super) fn upgrade(&mut self, program: &Path) -> String {
        if let Err(reason) = self.try_out(program) {
            return reason;
        }
        tracing::info!("reload: {} takes over", program.display());
        let Err(error) = self.hand_over(program, None);
        format!("cannot execute {}: {error}", program.display())
    }

    /// The program cannot serve: executes the earlier one, if it has taken over from one. Returns if that is not possible.
    pub(super) fn give_back(&mut self, reason: &str) {
        let Some(program) = self.own().earlier.take() else { return };
        tracing::error!("the earlier program goes on: {reason}");
        self.staff.iter_mut().for_each(Member::leave);
        let Err(error) = self.hand_over(&path_of(&program), Some(reason.to_owned()));
        tracing::error!("the earlier program cannot go on: {error}");
    }

    /// Asks a program whether it could take over with the arguments of this one.
    fn try_out(&self, program: &Path) -> Result<(), String> {
        let shown = program.display();
        let failed = |what: &str| {
            let what = format!("cannot {what} {shown}");
            move |error: io::Error| format!("{what}: {error}")
        };
        let found = fs::metadata(program).map_err(failed("find"))?;
        if ![0, geteuid().as_raw()].contains(&found.uid()) || found.mode() & 0o002 != 0 {
            return Err(format!(
                "{shown} belongs to another user, or others may write to it; it must be root's or the instance's user's alone"
            ));
        }
        let folder = self.claim.folder();
        // It opens the log, and could not go back without one.
        if folder.log().exists() {
            logging::open(&folder.log()).map_err(failed("open the log for"))?;
        }
        // Files: a pipe would be waited for as long as anything has it.
        let said = unnamed(folder.files()).map_err(failed("make a file for the answer of"))?;
        let stream = || said.try_clone().map(Stdio::from).map_err(failed("make a file for the answer of"));
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(VARIABLE, CHECK).stdin(Stdio::null());
        if let Some(folder) = self.sources.started_in() {
            command.current_dir(folder);
        }
        let mut child = command.stdout(stream()?).stderr(stream()?).spawn().map_err(failed("execute"))?;
        let Some(status) = ended(&mut child) else {
            return Err(format!(
                "{shown} does not say within {} s whether it can take over",
                PATIENCE.as_secs()
            ));
        };
        let mut text = [0; MOST_SAID];
        let length = said.read_at(&mut text, 0).map_err(failed("read the answer of"))?;
        let text = String::from_utf8_lossy(&text[..length]);
        if status.success() && text.ends_with(ANSWER) {
            Ok(())
        } else if text.is_empty() {
            Err(format!("{shown} did not say that it can take over ({status}); restart the instance for it"))
        } else {
            Err(format!("{shown} cannot take over: {}", text.trim().replace('\n', " ")))
        }
    }

    fn hand_over(&mut self, program: &Path, reason: Option<String>) -> io::Result<Infallible> {
        let (mut estate, copies) = self.estate(reason)?;
        let [pid, process] = self.claim.kept_at_exec(true)?;
        let at = estate.sockets + usize::from(estate.has_sink);
        estate.descriptors = copies.iter().map(AsRawFd::as_raw_fd).collect();
        estate.descriptors.splice(at..at, [pid, process]);
        self.tell_keeper(Note::Succeeded);
        let folder = self.claim.folder().files().to_owned();
        let failed = execute(program, &estate, &copies, &folder, self.sources.started_in());
        self.claim.kept_at_exec(false)?;
        failed
    }

    /// What the next program needs, without the claim.
    fn estate(&mut self, reason: Option<String>) -> io::Result<(Estate, Vec<OwnedFd>)> {
        let leases_to = self.leases.as_ref().ok_or(io::ErrorKind::NotFound)?.try_clone()?;
        let own = self.own.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let mut copies = own.parking.copies()?;
        let sockets = copies.len();
        let sink = own.sink.as_ref().map(Sink::copy).transpose()?;
        let has_sink = sink.is_some();
        let (arrivals, leases) = own.trees.copies()?;
        copies.extend(sink.into_iter().chain([arrivals, leases_to]));
        let (pipes, stderr): (Vec<OwnedFd>, Vec<_>) = own.stderr.copies()?.into_iter().unzip();
        let (paths, locks): (Vec<PathBuf>, Vec<OwnedFd>) = leases.into_iter().unzip();
        let program = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(OWN_PROGRAM)?;
        copies.extend(pipes.into_iter().chain(locks).chain([program.into()]));
        let members = self.staff.iter().filter_map(Predecessor::of);
        let all = proctable::processes().unwrap_or_default();
        let running: Vec<Pid> = self.handlers.first(&all).collect();
        let handlers = running.iter().filter_map(|pid| HandlerNote::of(pid.as_raw(), self.board));
        let estate = Estate {
            sockets,
            has_sink,
            has_claim: true,
            stderr,
            leases: paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect(),
            name: self.claim.folder().name().to_string(),
            given: self.given,
            in_background: self.in_background,
            nofile: self.nofile,
            next_number: self.next_number,
            refused: self.board.header().refused.load(SeqCst),
            predecessors: self.predecessors.iter().copied().chain(members).collect(),
            sessions: self.handlers.sessions().map(Pid::as_raw).collect(),
            handlers: handlers.collect(),
            running: running.len() as u64,
            clients: self.board.clients().map(Clients::key),
            reason,
            ..Estate::default()
        };
        Ok((estate, copies))
    }
}

/// As [`start::open`]. If that fails, an earlier program goes on with what it had left.
///
/// # Errors
/// Those of [`start::open`].
pub(super) fn open(settings: Settings, sources: Sources, beginning: Beginning) -> Result<Supervisor, Error> {
    let Some(left) = &beginning.inheritance else { return start::open(settings, sources, beginning) };
    let spare = left.spare().map_err(|error| Error::Failed(format!("cannot take over: {error}")));
    let (mut estate, copies) = spare?;
    let folder = beginning.claim.folder().files().to_owned();
    let started_in = sources.started_in().map(Path::to_owned);
    start::open(settings, sources, beginning).inspect_err(|error| {
        // Of two programs that cannot serve, neither is executed again.
        let Some(program) = copies.last().filter(|_| estate.reason.is_none()).map(path_of) else { return };
        estate.reason = Some(error.to_string());
        let Err(error) = execute(&program, &estate, &copies, &folder, started_in.as_deref());
        tracing::error!("the earlier program cannot go on: {error}");
    })
}

fn path_of(program: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", program.as_raw_fd()).into()
}

/// Executes a program with the arguments of this one; `copies` and the list of the estate stay open.
fn execute(
    program: &Path,
    estate: &Estate,
    copies: &[OwnedFd],
    folder: &Path,
    started_in: Option<&Path>,
) -> io::Result<Infallible> {
    let list = estate.write(folder)?;
    // Room on the disk for the new program's files, until it makes them.
    let reserve = unnamed(folder)?;
    nix::fcntl::posix_fallocate(&reserve, 0, ROOM)?;
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let arguments: Vec<CString> = std::env::args_os().map(|word| text(&word)).collect::<Result<_, _>>()?;
    let mut environment: Vec<CString> = Vec::new();
    for (name, value) in std::env::vars_os().filter(|(name, _)| name != VARIABLE) {
        environment.push(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?);
    }
    environment.push(CString::new(format!("{VARIABLE}={}", list.as_raw_fd()))?);
    let program = text(program.as_os_str())?;
    let here = std::env::current_dir();
    let keep = |keep: bool| {
        copies.iter().map(AsFd::as_fd).chain([list.as_fd()]).try_for_each(|fd| keep_at_exec(fd, keep))
    };
    logging::flush();
    let executed = keep(true).and_then(|()| {
        // Relative paths among the arguments count from there.
        started_in.map_or(Ok(()), std::env::set_current_dir)?;
        Ok(nix::unistd::execve(&program, &arguments, &environment)?)
    });
    keep(false)?;
    let _ = here.and_then(std::env::set_current_dir);
    executed
}

/// Waits for its end; kills it after [`PATIENCE`].
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(LOOK),
            done => return done.ok().flatten(),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
