//! Prepares a supervisor up to the first fork: descriptors, limits, log, sockets, state on disk, in this order.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::bind::Bound;
use super::estate::Inheritance;
use super::handlers::Handlers;
use super::stderr::Collector;
use super::trees::Trees;
use super::{Beginning, Own, Phase, Supervisor, bind, closing, upgrade};
use crate::cgi::stderr::Table;
use crate::instance::Folder;
use crate::listener::address::{Address, Bind};
use crate::listener::socket;
use crate::listener::unix::SocketFile;
use crate::scoreboard::Scoreboard;
use crate::scoreboard::clients::Key;
use crate::server::config::{MAX_WORKERS, Settings, Sources};
use crate::server::error::Error;
use crate::server::logging::{self, LogTo, Places, access};
use crate::server::notify::Notify;
use crate::server::platform;
use crate::server::privileges::Identity;
use crate::sys::fdpass::Parking;
use crate::sys::{descriptors, fork, net, oom};

/// Least number of rows in a scoreboard: 64 kB.
const LEAST_ROWS: usize = 255;
const SIGNALS: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCHLD];

/// Prepares everything up to the first fork, with the members of the first generation.
///
/// # Errors
/// The reason, for the user.
pub(super) fn open(
    mut settings: Settings,
    sources: Sources,
    beginning: Beginning,
) -> Result<Supervisor, Error> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| Error::Failed(format!("cannot {what}: {error}"))
    };
    descriptors::close_on_exec_from_3().map_err(failed("set close-on-exec on inherited descriptors"))?;
    // Before anything else, so that no signal is missed.
    let signals = block_signals().map_err(failed("take signals"))?;
    fork::adopt_orphans().map_err(failed("adopt orphaned handlers"))?;
    let nofile = raise_descriptor_limit().map_err(failed("raise the limit on open files"))?;
    let Beginning { claim, ready, identity, given, in_background, mut inheritance } = beginning;
    let notify = Notify::from_environment().map_err(failed("reach the service manager (NOTIFY_SOCKET)"))?;
    let by_manager = given.is_some() || inheritance.as_ref().is_some_and(|left| left.estate.given);
    let Bound { sockets, sink, file } = match (given, &mut inheritance) {
        (Some(given), _) => Bound { sockets: bind::adopt(given, &settings)?, sink: None, file: None },
        (None, Some(left)) => bind::inherit(std::mem::take(&mut left.sockets), left.sink.take())
            .map_err(failed("take over the sockets"))?,
        (None, None) => bind::bind(&settings, &identity)?,
    };
    let log_to = settings.log_to.unwrap_or(if in_background { LogTo::File } else { LogTo::Both });
    let (stderr, oom) = identity.as_starter(|| Ok((stderr_for(log_to), oom::Score::open())))?;
    identity.settle(&settings)?;
    if !settings.dumpable {
        fork::be_private().map_err(failed("make this process undumpable"))?;
    }
    if by_manager || !settings.bind.is_unix() {
        let bound = socket::bound_to(sockets[0].as_fd()).map_err(failed("read the bound address"))?;
        (settings.bind, settings.port) = match bound {
            Address::Ip(address) => (Bind::Ip(address.ip()), address.port()),
            Address::Unix(path) => (Bind::Unix(path), 0),
        };
    }
    let address = settings.address();
    open_logs(claim.folder(), stderr, log_to, &settings)?;
    if let Some(warning) = platform::warning() {
        tracing::warn!("{warning}");
    }
    if matches!(identity, Identity::Root) {
        tracing::warn!(
            "running as root, and so will every handler; pass --user NAME (--user root silences this)"
        );
    }
    let sink =
        sink.and_then(|sink| sink.inspect_err(|error| tracing::warn!("{} ({error})", closing::DROPPED)).ok());
    let folder = claim.folder();
    settings.save(&folder.config())?;
    let clients = inheritance.as_ref().and_then(|left| left.estate.clients);
    let board = open_scoreboard(&folder.scoreboard(), &settings, clients)?;
    let table = Table::new(2 * board.rows()).map_err(failed("set up standard errors"))?;
    let stderr = Collector::new(Box::leak(Box::new(table))).map_err(failed("set up standard errors"))?;
    let (reports_in, reports) = io::pipe().map_err(failed("make a pipe"))?;
    net::set_nonblocking(reports_in.as_fd(), true).map_err(failed("set up a pipe"))?;
    let (trees, leases) = Trees::open().map_err(failed("make a socket pair"))?;
    let mut parking = Parking::default();
    parking.park(&sockets).map_err(failed("park the listening sockets"))?;
    drop(sockets);
    tracing::info!(
        "starting {} on {address}: {} workers, {}",
        settings.name,
        settings.workers,
        settings.listener
    );
    let oom = oom.inspect_err(|error| tracing::debug!("cannot set oom_score_adj: {error}")).ok();
    let mut supervisor = Supervisor {
        sources,
        claim,
        program: upgrade::own_path(),
        in_background,
        address,
        board,
        nofile,
        next_number: 1,
        current: None,
        starting: None,
        reload_again: false,
        generations: Vec::new(),
        next_cover: None,
        given: by_manager,
        staff: Vec::new(),
        predecessors: Vec::new(),
        handlers: Handlers::default(),
        keeper_socket: None,
        phase: Phase::Running,
        ready: Some(ready),
        own: Some(Own {
            parking,
            oom,
            sink,
            file,
            signals,
            reports: reports_in,
            stderr,
            notify,
            trees,
            earlier: None,
            has_just_started: false,
        }),
        reports: Some(reports),
        leases: Some(leases),
    };
    if let Some(left) = inheritance {
        inherit(&mut supervisor, left).map_err(failed("take over from the earlier program"))?;
        if let Err(reason) = supervisor.begin(settings) {
            supervisor.give_back(&reason);
            return Err(Error::Failed(reason));
        }
        return Ok(supervisor);
    }
    let first = supervisor.new_generation(Rc::new(settings)).map_err(Error::Failed)?;
    supervisor.ensure_keeper(&first).map_err(Error::Failed)?;
    supervisor.lend_sockets(&first).map_err(Error::Failed)?;
    supervisor.starting = Some(first);
    Ok(supervisor)
}

/// Gives a supervisor what an earlier program has left. The file of a unix socket comes last: a supervisor that ends removes it.
fn inherit(supervisor: &mut Supervisor, left: Inheritance) -> io::Result<()> {
    let Inheritance { estate, arrivals, entrance, stderr, leases, program, .. } = left;
    (supervisor.leases, supervisor.nofile) = (Some(entrance), estate.nofile);
    supervisor.next_number = estate.next_number;
    // One may have been reaped just before the end of the program that knew it.
    supervisor.predecessors =
        estate.predecessors.into_iter().filter(|one| fork::is_child(one.pid())).collect();
    supervisor.board.header().watched.store(estate.running, SeqCst);
    estate.handlers.iter().for_each(|handler| handler.enter(supervisor.board));
    for session in estate.sessions {
        supervisor.handlers.session(Pid::from_raw(session));
    }
    supervisor.board.header().refused.store(estate.refused, Relaxed);
    let address = supervisor.address.clone();
    let own = supervisor.own();
    own.trees = Trees::inherit(arrivals, leases);
    for (pipe, worker) in stderr {
        own.stderr.inherit(pipe.into(), worker)?;
    }
    match estate.reason {
        Some(reason) => supervisor.refuse_reload("upgrade failed", &reason),
        // Of two programs that cannot serve, neither is executed again.
        None => own.earlier = Some(program),
    }
    if let (Address::Unix(path), false) = (&address, estate.given) {
        supervisor.own().file = Some(SocketFile::inherit(path)?);
    }
    Ok(())
}

fn block_signals() -> io::Result<SignalFd> {
    let set: SigSet = SIGNALS.into_iter().collect();
    set.thread_block()?;
    // At its size limit, writing the log must fail instead of raising SIGXFSZ; and a background process may write to
    // the terminal.
    [Signal::SIGXFSZ, Signal::SIGTTOU].into_iter().collect::<SigSet>().thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// Raises the soft limit to the hard one. Returns the previous limits if they changed.
fn raise_descriptor_limit() -> io::Result<Option<(u64, u64)>> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft == hard {
        return Ok(None);
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(Some((soft, hard)))
}

fn open_logs(
    folder: &Folder,
    stderr: Option<logging::Stderr>,
    to: LogTo,
    settings: &Settings,
) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| Error::Failed(format!("cannot write the log {path}: {error}"))
    };
    let path = folder.log();
    let open = || logging::open(&path).map(|file| (file, path.clone())).map_err(failed(&path));
    let file = to.has_file().then(open).transpose()?;
    let places = Places { file, stderr };
    logging::limit_size(settings.log_size);
    logging::install(places, settings.log_format, settings.log_level).map_err(failed(&path))?;
    let path = settings.access_log_file.clone().unwrap_or_else(|| folder.access_log());
    access::install(&path);
    access::set(settings.access_log).map_err(failed(&path))
}

/// Standard error, if the log goes there.
fn stderr_for(to: LogTo) -> Option<logging::Stderr> {
    let journal = std::env::var("JOURNAL_STREAM").ok();
    to.has_stderr().then(|| logging::Stderr::open(journal.as_deref())).flatten()
}

fn open_scoreboard(
    path: &Path,
    settings: &Settings,
    clients: Option<Key>,
) -> Result<&'static Scoreboard, Error> {
    // Room for one generation, one that is finishing, and more workers after a reload.
    let rows = (4 * settings.workers).clamp(LEAST_ROWS, 2 * MAX_WORKERS + LEAST_ROWS);
    let board = Scoreboard::create(path, rows)
        .map_err(|error| Error::Failed(format!("cannot write the scoreboard {}: {error}", path.display())))?;
    let header = board.header();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    header.port.store(u64::from(settings.port), Relaxed);
    header.workers.store(settings.workers as u64, Relaxed);
    let started_ms = u64::try_from(now.as_millis()).unwrap_or(0);
    let failed = |error| Error::Failed(format!("cannot guard the scoreboard: {error}"));
    board.guarded(started_ms, clients).map_err(failed)
}
