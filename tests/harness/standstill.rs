//! A request that waits although nothing moves: within seconds the test fails and says which connections wait and where each
//! process sleeps, rather than after a long time-out.

use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use caffeine::scoreboard::{Role, Row, Scoreboard};

use super::{DEADLINE, Place, Server, syscalls};

/// How often a waiting client looks at the instance.
const PERIOD: Duration = Duration::from_secs(1);
/// Equal looks in a row after which it gives up: while connections are in an accept queue, and while they may be elsewhere.
const ENOUGH: u32 = 4;
const ENOUGH_OUTSIDE_QUEUES: u32 = 8;

/// Where to look at an instance from outside.
#[derive(Clone, Debug)]
pub struct Instance {
    supervisor: u32,
    place: Place,
    scoreboard: PathBuf,
}

impl Instance {
    pub fn of(server: &Server) -> Self {
        let place = server.place().clone();
        Self { supervisor: server.pid(), place, scoreboard: server.folder().scoreboard() }
    }

    fn look(&self) -> Look {
        let board = Scoreboard::open(&self.scoreboard).ok();
        let row = |pid| {
            let board = board.as_ref()?;
            (0..board.rows()).map(|slot| board.row(slot)).find(|row| row.pid.load(Relaxed) == u64::from(pid))
        };
        let processes = children(self.supervisor).map(|pid| Process::look(pid, row(pid))).collect();
        Look { place: self.place.clone(), queues: queues(&self.place), processes }
    }

    /// Reads to the end of the connection.
    ///
    /// # Errors
    /// Those of read(2); `TimedOut` after [`DEADLINE`].
    ///
    /// # Panics
    /// When nothing moves any more.
    #[track_caller]
    pub fn read_to_end(&self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(PERIOD))?;
        let (end, mut last, mut equal) = (Instant::now() + DEADLINE, None, 0);
        let mut bytes = Vec::new();
        while let Err(error) = stream.read_to_end(&mut bytes) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            let look = self.look();
            equal = if last.as_ref() == Some(&look) { equal + 1 } else { 0 };
            assert!(!look.is_standstill_after(equal), "a request waits and nothing moves: {look}");
            if Instant::now() > end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, look.to_string()));
            }
            last = Some(look);
        }
        Ok(bytes)
    }
}

/// Whether all children of a server sleep, and nothing about them changes for this long. Ends early with `false`.
pub fn lasts(server: &Server, time: Duration) -> bool {
    let instance = Instance::of(server);
    let (first, begun) = (instance.look(), Instant::now());
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(10));
        if !first.all_sleep() || instance.look() != first {
            return false;
        }
    }
    true
}

/// An instance at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    place: Place,
    /// Connections in the accept queue of each listening socket; none is known of a unix socket.
    queues: Vec<u64>,
    /// The children of the supervisor.
    processes: Vec<Process>,
}

impl Look {
    fn all_sleep(&self) -> bool {
        self.processes.iter().all(|process| matches!(process.state, 'S' | 'T' | 'Z'))
    }

    /// Whether an instance that looked like this `equal` times before will not move by itself.
    fn is_standstill_after(&self, equal: u32) -> bool {
        let has_work = |process: &Process| process.has_children || process.call.ends_with("nanosleep");
        // A worker that has the connection has its reasons; a child of the supervisor without a row is a handler.
        let is_held = |process: &Process| process.counters.as_ref().is_none_or(|counters| counters.open > 0);
        let queued = self.queues.iter().sum::<u64>() > 0;
        let enough = if queued { ENOUGH } else { ENOUGH_OUTSIDE_QUEUES };
        let may_move = self.processes.iter().any(|process| has_work(process) || !queued && is_held(process));
        equal >= enough && self.all_sleep() && !may_move
    }
}

impl fmt::Display for Look {
    /// `3 connections wait in the accept queue of port 8000, 4 workers sleep in epoll_wait`, and a line per process.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting: u64 = self.queues.iter().sum();
        match (&self.place, &self.queues[..]) {
            (Place::Unix(path), _) => write!(f, "connections may wait in the queue of {}", path.display())?,
            (Place::Port(port), [_]) => {
                write!(f, "{waiting} connections wait in the accept queue of port {port}")?
            }
            (Place::Port(port), queues) => {
                write!(f, "{waiting} connections wait in the accept queues of port {port} {queues:?}")?
            }
        }
        let mut told = Vec::new();
        for process in &self.processes {
            let does = process.does();
            if !told.contains(&does) {
                let count = self.processes.iter().filter(|other| other.does() == does).count();
                write!(f, ", {count} {does}")?;
                told.push(does);
            }
        }
        self.processes.iter().try_for_each(|process| write!(f, "\n  {process}"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    state: char,
    /// The system call that its main thread is in.
    call: String,
    has_children: bool,
    counters: Option<Counters>,
}

/// What the scoreboard says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counters {
    role: &'static str,
    worker: u64,
    generation: u64,
    accepted: u64,
    open: u64,
    wakeups: u64,
    empty_wakeups: u64,
}

impl Process {
    fn look(pid: u32, row: Option<&Row>) -> Self {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let state = of("stat").rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        let number = of("syscall").split(' ').next().and_then(|number| number.parse().ok());
        // Without the right to see the call, the place in the kernel.
        let call = number.and_then(syscalls::name).map_or_else(|| of("wchan"), str::to_owned);
        let has_children = children(pid).next().is_some();
        Self { pid, state: state.unwrap_or('?'), call, has_children, counters: row.map(Counters::read) }
    }

    /// What it does, for several that do the same.
    fn does(&self) -> String {
        let role = self.counters.as_ref().map_or("other processes", |counters| counters.role);
        match self.state {
            'S' => format!("{role} sleep in {}", self.call),
            'T' => format!("{role} are stopped in {}", self.call),
            'Z' => format!("{role} have ended"),
            _ => format!("{role} run"),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}: state {}, in {}", self.pid, self.state, self.call)?;
        let Some(counters) = &self.counters else { return Ok(()) };
        let Counters { worker, generation, accepted, open, wakeups, empty_wakeups, .. } = counters;
        write!(f, "; worker {worker} of generation {generation}: {accepted} accepted, {open} open, ")?;
        write!(f, "{wakeups} wake-ups, {empty_wakeups} of them empty")
    }
}

impl Counters {
    fn read(row: &Row) -> Self {
        let role = row.role.load(Relaxed);
        let roles = [(Role::Worker, "workers"), (Role::Auxiliary, "dispatchers"), (Role::Keeper, "keepers")];
        let role = roles.into_iter().find(|(known, _)| *known as u64 == role);
        Self {
            role: role.map_or("processes", |(_, name)| name),
            worker: row.number.load(Relaxed),
            generation: row.generation.load(Relaxed),
            accepted: row.accepted.load(Relaxed),
            open: row.open.load(Relaxed),
            wakeups: row.wakeups.load(Relaxed),
            empty_wakeups: row.empty_wakeups.load(Relaxed),
        }
    }
}

/// The children of a process' main thread.
fn children(pid: u32) -> impl Iterator<Item = u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    children.into_iter()
}

/// The length of each accept queue of a port: what /proc/net/tcp shows as received of a socket that listens.
fn queues(place: &Place) -> Vec<u64> {
    let Place::Port(port) = place else { return Vec::new() };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!(":{port:04X}");
    let queue = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&"0A") && fields[1].ends_with(&local);
        listens.then(|| u64::from_str_radix(fields[4].split_once(':')?.1, 16).ok()).flatten()
    };
    table.lines().filter_map(queue).collect()
}
