//! The scoreboard: a mapped file with one row of counters per worker.
//!
//! Workers write their own row with relaxed atomics; any process may read at any time at no cost to the workers. It
//! holds numbers only; readers interpret them.
//!
//! Layout (native byte order): a header of [`ROW_BYTES`] bytes, then one row of [`ROW_BYTES`] bytes per slot. Each row
//! starts on its own pair of cache lines, so that workers never share a line.

pub mod clients;
mod lines;
pub mod mounts;
mod totals;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

mod counters;
mod other;
mod process;

pub use counters::{Balance, Counters};
pub use process::{Role, State};

use crate::sys::fs::open_regular;
use crate::sys::guard;
use crate::sys::map::SharedMap;
use clients::{Clients, Key};
use counters::TOTALLED;
use mounts::MountCounts;
use totals::Earlier;

/// `"caffsb"` and the layout version in the last two bytes: a reader of another version refuses it.
const MAGIC: u64 = u64::from_be_bytes(*b"caffsb\0\x0a");
/// All but the version.
const KIND: u64 = MAGIC & !0xffff;
/// Size of the header and of a row, in bytes.
pub const ROW_BYTES: usize = 512;
/// Number of kinds of refusals that are counted.
pub const REFUSALS: usize = 20;

/// The first [`ROW_BYTES`] bytes of the file.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Header {
    magic: AtomicU64,
    rows: AtomicU64,
    /// When the supervisor started, in ms since the Unix epoch.
    pub started_ms: AtomicU64,
    /// Number of the generation of workers that accepts now; the first is 1.
    pub generation: AtomicU64,
    /// Replacements of dead workers.
    pub respawns: AtomicU64,
    /// 1 once the instance stops: workers empty the accept queues before they end.
    pub closing: AtomicU64,
    /// Number of workers of the current generation.
    pub workers: AtomicU64,
    /// Port that the instance listens on.
    pub port: AtomicU64,
    /// Slots that have been used; later rows are all zero.
    pub slots: AtomicU64,
    /// Failed reloads.
    pub refused: AtomicU64,
    /// Running handlers that the keeper has counted. Written by the keeper.
    pub watched: AtomicU64,
    /// Launches that workers did not report before they died, in total...
    pub lost: AtomicU64,
    /// ...and those among them that the keeper has looked for and counted if they run.
    pub found: AtomicU64,
    /// Handlers that ended with exit code 0, if ends are recorded.
    pub handlers_ok: AtomicU64,
    /// Handlers that ended with another exit code.
    pub handlers_failed: AtomicU64,
    /// Handlers killed by a signal, but not for writing to a client that has gone.
    pub handlers_killed: AtomicU64,
    /// Counts of rows before they were given to other workers.
    earlier: Earlier,
    /// Responses that the keeper passes on now, from a handler to its client. Written by the keeper, as all of these.
    pub relaying: AtomicU64,
    /// Such responses that have ended, by status class: index 0 is 1xx, 4 is 5xx.
    pub relayed: [AtomicU64; 5],
    /// Bytes of their bodies.
    pub relayed_bytes: AtomicU64,
    /// Those among them that were cut off after their head was sent; those of a dead keeper are counted by the supervisor.
    pub cut: AtomicU64,
    /// Handlers whose client had gone before they ended.
    pub handlers_client_gone: AtomicU64,
}

/// The counters of one worker slot. A dead worker's replacement continues in the same row.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Row {
    /// Process id, 0 when the slot is empty.
    pub pid: AtomicU64,
    /// A [`State`].
    pub state: AtomicU64,
    /// Generation of the worker in the slot.
    pub generation: AtomicU64,
    /// Worker's number within its generation, from 0: what handlers see as `CAFFEINE_WORKER`.
    pub number: AtomicU64,
    /// A [`Role`].
    pub role: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Those among them that waited for another worker.
    pub stolen: AtomicU64,
    /// Returns from the wait for a connection.
    pub wakeups: AtomicU64,
    /// Returns from the wait that found nothing to accept.
    pub empty_wakeups: AtomicU64,
    /// Handlers started.
    pub launched: AtomicU64,
    /// Handlers that could not be started (fork, clone or exec failed).
    pub launch_failures: AtomicU64,
    /// The server's own answers by status class, static files among them: index 0 is 1xx, 4 is 5xx.
    pub answered: [AtomicU64; 5],
    /// Connections closed because a client was too slow.
    pub timeouts: AtomicU64,
    /// Connections that the worker itself holds now (half-read, kept alive, lingering).
    pub open: AtomicU64,
    /// Those among them that have their answer and linger.
    pub lingering: AtomicU64,
    /// Bytes of arriving request bodies in memory, if they have a limit.
    pub bodies: AtomicU64,
    /// Not 0 while log lines are buffered: which flush they wait for.
    pub unwritten: AtomicU64,
    /// Running handlers of this worker that the keeper has counted. Written by the keeper.
    pub running: AtomicU64,
    /// Launches that workers in this slot began and that have not failed. Counted if there is a keeper...
    pub begun: AtomicU64,
    /// ...those reported to the keeper...
    pub sent: AtomicU64,
    /// ...and those that the keeper has counted. Written by the keeper.
    pub passed: AtomicU64,
    /// Time spent on connections between accept and the next wait, in ns.
    pub busy_ns: AtomicU64,
    /// The worker's own answers by kind of refusal.
    pub refused: [AtomicU64; REFUSALS],
}

impl Row {
    /// The counters that add up over workers and generations, in the order of [`Counters::totalled`].
    fn totalled(&self) -> [&AtomicU64; TOTALLED] {
        let [informational, successful, redirection, client_error, server_error] = &self.answered;
        [
            &self.accepted,
            &self.stolen,
            &self.wakeups,
            &self.empty_wakeups,
            &self.launched,
            &self.launch_failures,
            informational,
            successful,
            redirection,
            client_error,
            server_error,
            &self.timeouts,
            &self.busy_ns,
        ]
    }

    /// Launches that the keeper has not counted yet.
    pub fn pending(&self) -> u64 {
        self.begun.load(SeqCst).saturating_sub(self.passed.load(SeqCst))
    }
}

// Both are `repr(C)` and hold nothing but atomics.
crate::sys::map::shared!(Header, Row);

const _: () = assert!(size_of::<Header>() <= ROW_BYTES && size_of::<Row>() <= ROW_BYTES);

/// Adds to a counter of the caller's own row.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

/// Subtracts from a counter of the caller's own row; not below 0, in case the counters were lost.
pub fn subtract(counter: &AtomicU64, n: u64) {
    let less = |count: u64| Some(count.saturating_sub(n));
    let _ = counter.fetch_update(SeqCst, Relaxed, less);
}

/// A mapped scoreboard.
#[derive(Debug)]
pub struct Scoreboard {
    map: SharedMap,
    rows: usize,
    /// The mapped file, until it is guarded.
    file: Option<File>,
    started_ms: u64,
    /// `None` for readers, as the next.
    mounts: Option<MountCounts>,
    clients: Option<Clients>,
}

impl Scoreboard {
    /// Creates a zeroed scoreboard of `rows` rows at `path`, replacing an older one. Readers of the older one keep
    /// their (dead) mapping: the file is renamed into place.
    ///
    /// # Errors
    /// Those of creating, sizing, renaming and mapping the file.
    pub fn create(path: &Path, rows: usize) -> io::Result<Self> {
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = open_regular(options, &temporary, libc::O_NOFOLLOW)?;
        let bytes = (rows + 1) * ROW_BYTES;
        // Allocated, not a hole: a full disk is an error now, not SIGBUS at the first use of a row.
        nix::fcntl::posix_fallocate(
            &file,
            0,
            i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?,
        )?;
        let board = Self::over(SharedMap::file(&file, bytes, true)?, rows, Some(file));
        board.mend();
        std::fs::rename(&temporary, path)?;
        Ok(board)
    }

    /// Makes a scoreboard in anonymous memory that forked children share (tests, benches).
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn anonymous(rows: usize) -> io::Result<Self> {
        let mut board = Self::over(SharedMap::anonymous((rows + 1) * ROW_BYTES)?, rows, None);
        board.mounts = Some(MountCounts::new()?);
        board.clients = Some(Clients::new(None)?);
        board.mend();
        Ok(board)
    }

    /// Maps the scoreboard of an instance for reading.
    ///
    /// # Errors
    /// The file cannot be read, or is not a scoreboard of this version (`InvalidData`).
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::map(path, false)
    }

    fn map(path: &Path, writable: bool) -> io::Result<Self> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let file = open_regular(OpenOptions::new().read(true).write(writable), path, libc::O_NOFOLLOW)?;
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        if size < ROW_BYTES {
            return Err(bad("it is too short for a scoreboard"));
        }
        let board = Self::over(SharedMap::file(&file, size, writable)?, size / ROW_BYTES - 1, None);
        let header = board.header();
        match header.magic.load(Relaxed) {
            MAGIC if header.rows.load(Relaxed) == board.rows as u64 => Ok(board),
            MAGIC => Err(bad("its length does not match its header")),
            magic if magic & !0xffff == KIND => Err(bad(&format!(
                "it has version {}, but this program reads version {}; use the program that started the instance, or restart \
                 it again",
                magic & 0xffff,
                MAGIC & 0xffff
            ))),
            _ => Err(bad("it is not a scoreboard")),
        }
    }

    fn over(map: SharedMap, rows: usize, file: Option<File>) -> Self {
        Self { map, rows, file, started_ms: 0, mounts: None, clients: None }
    }

    /// Sets the start time of the instance, in ms since the Unix epoch, and the key for its clients if an earlier program had
    /// one. From now on truncation of the file does not harm this process or its forked children: the contents are lost, and
    /// [`is_whole`](Self::is_whole) tells.
    ///
    /// # Errors
    /// Those of `sigaction(2)`; `ENOMEM`.
    pub fn guarded(mut self, started_ms: u64, clients: Option<Key>) -> io::Result<&'static Self> {
        self.started_ms = started_ms;
        self.mounts = Some(MountCounts::new()?);
        self.clients = Some(Clients::new(clients)?);
        self.mend();
        let file = self.file.take();
        let board: &'static Self = Box::leak(Box::new(self));
        file.map_or(Ok(()), |file| guard::keep_whole(&board.map, file))?;
        Ok(board)
    }

    /// Whether the contents are intact.
    pub fn is_whole(&self) -> bool {
        self.header().magic.load(Relaxed) == MAGIC
    }

    /// Writes the fields that identify a scoreboard; the supervisor writes the others before.
    pub fn mend(&self) {
        self.header().started_ms.store(self.started_ms, Relaxed);
        self.header().rows.store(self.rows as u64, Relaxed);
        self.header().magic.store(MAGIC, SeqCst);
    }

    /// The instance-wide numbers.
    pub fn header(&self) -> &Header {
        self.map.at(0)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The row of a slot.
    ///
    /// # Panics
    /// When `slot` is not below [`Self::rows`].
    pub fn row(&self, slot: usize) -> &Row {
        assert!(slot < self.rows, "slot {slot} of {}", self.rows);
        self.map.at((slot + 1) * ROW_BYTES)
    }

    /// Sets the counters of a row to 0 for a worker of a new generation, except those that messages to the keeper refer
    /// to. The [totals](Self::totals) stay.
    pub fn clear(&self, slot: usize) {
        let row = self.row(slot);
        let state = [
            &row.pid,
            &row.state,
            &row.generation,
            &row.number,
            &row.role,
            &row.open,
            &row.lingering,
            &row.bodies,
            &row.unwritten,
            &row.running,
        ];
        let counters = state.into_iter().chain(row.totalled()).chain(&row.refused);
        let clear = || counters.for_each(|counter| counter.store(0, Relaxed));
        self.header().earlier.take_over(row, clear);
    }

    /// Running handlers of the instance, if there is a keeper. Never too few: a handler that passes from a worker to
    /// the keeper is counted there before it is uncounted here, and this reads in that order.
    pub fn handlers(&self) -> u64 {
        let header = self.header();
        let pending = self.pending();
        let missing = header.lost.load(SeqCst).saturating_sub(header.found.load(SeqCst));
        pending + missing + header.watched.load(SeqCst)
    }

    /// Connections that wait for their clients now, over all workers: open ones that do not linger.
    pub fn waiting_connections(&self) -> u64 {
        let waiting = |row: &Row| row.open.load(Relaxed).saturating_sub(row.lingering.load(Relaxed));
        self.used().map(waiting).sum()
    }

    /// How many rows have been used.
    pub fn used_rows(&self) -> usize {
        usize::try_from(self.header().slots.load(Relaxed)).unwrap_or(self.rows).min(self.rows)
    }

    /// The rows that have been used.
    pub fn used(&self) -> impl Iterator<Item = &Row> {
        (0..self.used_rows()).map(|slot| self.row(slot))
    }

    /// A copy of the rows whose worker is of the current generation, in the order of the workers' numbers.
    /// The fields of a row are read one after the other, not at one instant.
    pub fn snapshot(&self) -> Vec<Counters> {
        self.current(Role::Worker)
    }

    /// The keeper, if there is one.
    pub fn keeper(&self) -> Option<Counters> {
        let keeper = |row: &&Row| {
            row.role.load(Relaxed) == Role::Keeper as u64 && row.state.load(Relaxed) != State::Empty as u64
        };
        self.used().find(keeper).map(Counters::read)
    }

    /// Like [`Self::snapshot`], for auxiliary processes.
    pub fn auxiliaries(&self) -> Vec<Counters> {
        self.current(Role::Auxiliary)
    }

    fn current(&self, role: Role) -> Vec<Counters> {
        let generation = self.header().generation.load(Relaxed);
        let mut rows: Vec<_> = self
            .used()
            .filter(|row| row.role.load(Relaxed) == role as u64)
            .map(Counters::read)
            .filter(|row| row.generation == generation && generation != 0)
            .collect();
        rows.sort_by_key(|row| row.worker);
        rows
    }
}

#[cfg(test)]
#[path = "scoreboard_tests.rs"]
mod tests;
