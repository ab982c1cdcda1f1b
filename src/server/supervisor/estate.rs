//! What a program of the instance leaves to the next one in the same process: descriptors, and what it knows of its children.
//!
//! The list is a JSON object in an unnamed file, whose descriptor an environment variable names. The descriptors stand in one
//! list, in the order of the fields of [`Inheritance`].

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::predecessors::Predecessor;
use crate::scoreboard::Scoreboard;
use crate::scoreboard::clients::{Client, Key, MOST};
use crate::scoreboard::mounts::{Noted, Shares};
use crate::sys::activation;
use crate::sys::fs::unnamed;

/// The variable that names the descriptor, or has the value [`CHECK`].
pub(super) const VARIABLE: &str = "CAFFEINE_TAKE_OVER";
/// Asks the program whether it could take over; it answers with [`ANSWER`].
pub(super) const CHECK: &str = "check";
/// The number is the version of [`Estate`]: programs of different versions leave nothing to each other.
pub(in crate::server) const ANSWER: &str = "takes over 1\n";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Estate {
    pub descriptors: Vec<RawFd>,
    pub sockets: usize,
    pub has_sink: bool,
    /// Whether the files of the claim are among them; otherwise the name is free.
    pub has_claim: bool,
    /// The worker of each pipe that handlers write to.
    pub stderr: Vec<Option<usize>>,
    /// The deployed tree of each lease.
    pub leases: Vec<Vec<u8>>,
    pub name: String,
    /// The listening socket is a service manager's.
    pub given: bool,
    pub in_background: bool,
    /// Limits for handlers.
    pub nofile: Option<(u64, u64)>,
    /// Number of the next generation.
    pub next_number: u64,
    /// Reloads that were refused.
    pub refused: u64,
    pub predecessors: Vec<Predecessor>,
    /// Sessions that may hold handlers.
    pub sessions: Vec<i32>,
    /// Handlers that run. An earlier version leaves none.
    #[serde(default)]
    pub running: u64,
    /// What is known of those that count elsewhere too, and the key to their clients. An earlier version leaves none.
    #[serde(default)]
    pub handlers: Vec<HandlerNote>,
    #[serde(default)]
    pub clients: Option<Key>,
    /// Why a newer program gave the instance back.
    pub reason: Option<String>,
}

/// Where a handler counts besides the instance, and when it times out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HandlerNote {
    pid: i32,
    place: Option<u16>,
    client: u64,
    timeout_s: Option<u64>,
}

impl HandlerNote {
    /// What is noted of a handler.
    pub fn of(pid: i32, board: &Scoreboard) -> Option<Self> {
        let Noted { shares: Shares { place, client }, timeout } = board.mounts()?.noted(pid)?;
        let client = client.map_or(0, Client::number);
        Some(Self { pid, place, client, timeout_s: timeout.map(|time| time.as_secs()) })
    }

    /// Notes it, and counts it for its mount and its client until a keeper has counted all.
    pub fn enter(&self, board: &Scoreboard) {
        let shares = Shares { place: self.place, client: Client::numbered(self.client) };
        let noted = Noted { shares, timeout: self.timeout_s.map(Duration::from_secs) };
        if let Some(mounts) = board.mounts() {
            mounts.note(self.pid, noted);
            shares.place.inspect(|&place| _ = mounts.place(place).watched.fetch_add(1, SeqCst));
        }
        if let (Some(clients), Some(client)) = (board.clients(), shares.client) {
            clients.take_handler(client, MOST);
        }
    }
}

impl Estate {
    /// Writes the list into an unnamed file in `folder`.
    ///
    /// # Errors
    /// The disk is full, for instance.
    pub fn write(&self, folder: &Path) -> io::Result<File> {
        let mut file = unnamed(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file)
    }
}

/// What a supervisor inherits.
#[derive(Debug)]
pub(in crate::server) struct Inheritance {
    pub(super) estate: Estate,
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) sink: Option<OwnedFd>,
    /// For [`Claim::inherit`](crate::instance::Claim::inherit).
    pub(in crate::server) claim: Option<[OwnedFd; 2]>,
    /// The ends of the socket for leases: the supervisor's and the workers'.
    pub(super) arrivals: OwnedFd,
    pub(super) entrance: OwnedFd,
    pub(super) stderr: Vec<(OwnedFd, Option<usize>)>,
    pub(super) leases: Vec<(PathBuf, OwnedFd)>,
    /// The earlier program.
    pub(super) program: OwnedFd,
}

impl Inheritance {
    /// Takes what descriptor `number` lists.
    ///
    /// # Errors
    /// The list cannot be read, or is of another version.
    pub(super) fn take(number: RawFd) -> io::Result<Self> {
        let estate: Estate = serde_json::from_reader(File::open(format!("/proc/self/fd/{number}"))?)?;
        let numbers: Vec<RawFd> = estate.descriptors.iter().copied().chain([number]).collect();
        let mut taken = activation::take_over(&numbers)?.into_iter();
        let mut next = || taken.next().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
        let sockets = (0..estate.sockets).map(|_| next()).collect::<io::Result<_>>()?;
        let sink = estate.has_sink.then(&mut next).transpose()?;
        let claim = if estate.has_claim { Some([next()?, next()?]) } else { None };
        let (arrivals, entrance) = (next()?, next()?);
        let stderr = estate.stderr.iter().map(|worker| Ok((next()?, *worker))).collect::<io::Result<_>>()?;
        let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
        let leases =
            estate.leases.iter().map(|bytes| Ok((path(bytes), next()?))).collect::<io::Result<_>>()?;
        let program = next()?;
        Ok(Self { sockets, sink, claim, arrivals, entrance, stderr, leases, program, estate })
    }

    pub(in crate::server) fn name(&self) -> &str {
        &self.estate.name
    }

    pub(in crate::server) fn in_background(&self) -> bool {
        self.estate.in_background
    }

    /// Copies of all but the claim, with which the earlier program can go on if this one does not get as far as a supervisor.
    ///
    /// # Errors
    /// `EMFILE`.
    pub(super) fn spare(&self) -> io::Result<(Estate, Vec<OwnedFd>)> {
        let before = self.sockets.iter().chain(&self.sink).chain([&self.arrivals, &self.entrance]);
        let after = self.stderr.iter().map(|(pipe, _)| pipe).chain(self.leases.iter().map(|(_, lock)| lock));
        let copies = before.chain(after).chain([&self.program]).map(OwnedFd::try_clone);
        let copies = copies.collect::<io::Result<Vec<OwnedFd>>>()?;
        let descriptors = copies.iter().map(AsRawFd::as_raw_fd).collect();
        Ok((Estate { descriptors, has_claim: false, ..self.estate.clone() }, copies))
    }
}
