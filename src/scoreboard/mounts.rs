//! Counts of the handlers of single mounts, for limits of their own, and a note of each running handler, for a keeper that
//! takes over. In memory that all processes of an instance share; parts that nothing uses take no memory.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use super::clients::Client;
use super::{Row, Scoreboard};
use crate::sys::map::SharedMap;

/// Places for mounts.
pub const PLACES: usize = 512;
/// Handlers that are noted; one whose pid has the same last bits as a later one is forgotten.
const NOTES: usize = 1 << 16;
/// Stands for no place in a note.
const NOWHERE: u64 = 0x3ff;
const PLACE_BITS: u32 = 10;
const PID_BITS: u32 = 24;
const LONGEST_S: u64 = (1 << (64 - PID_BITS - PLACE_BITS)) - 1;

/// The handlers of one mount.
#[repr(C)]
#[derive(Debug)]
pub struct Place {
    /// Launches that workers have begun and that have not failed...
    pub begun: AtomicU64,
    /// ...those that the keeper has counted...
    pub passed: AtomicU64,
    /// ...and those whose worker died before it reported them.
    pub lost: AtomicU64,
    /// Running handlers that the keeper has counted.
    pub watched: AtomicU64,
}

#[repr(C)]
#[derive(Debug)]
struct Note {
    known: AtomicU64,
    /// [`Client::number`], or 0.
    client: AtomicU64,
}

crate::sys::map::shared!(Place, Note);

impl Scoreboard {
    /// Counts of the handlers of mounts, in processes of the instance.
    pub fn mounts(&self) -> Option<&MountCounts> {
        self.mounts.as_ref()
    }

    /// Launches that workers have begun and that the keeper has not counted.
    pub fn pending(&self) -> u64 {
        self.used().map(Row::pending).sum()
    }
}

impl Place {
    /// Launches that the keeper has not counted yet.
    pub fn pending(&self) -> u64 {
        let settled = self.passed.load(SeqCst) + self.lost.load(SeqCst);
        self.begun.load(SeqCst).saturating_sub(settled)
    }

    /// Running handlers. Never too few: a handler is counted by the keeper before it is uncounted among the pending ones, and
    /// this reads in that order.
    pub fn running(&self) -> u64 {
        self.pending() + self.watched.load(SeqCst)
    }
}

/// Where a handler counts besides the instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// The place of a mount with a limit.
    pub place: Option<u16>,
    /// Its client, if clients have a limit.
    pub client: Option<Client>,
}

/// What is known of a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    pub shares: Shares,
    /// In whole seconds.
    pub timeout: Option<Duration>,
}

#[derive(Debug)]
pub struct MountCounts {
    map: SharedMap,
}

impl MountCounts {
    /// All zero.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let bytes = PLACES * size_of::<Place>() + NOTES * size_of::<Note>();
        Ok(Self { map: SharedMap::anonymous(bytes)? })
    }

    /// One of the [`PLACES`].
    pub fn place(&self, place: u16) -> &Place {
        self.map.at(usize::from(place) % PLACES * size_of::<Place>())
    }

    pub fn places(&self) -> impl Iterator<Item = (u16, &Place)> {
        (0..PLACES as u16).map(|place| (place, self.place(place)))
    }

    /// Notes a handler that has just been started.
    pub fn note(&self, pid: i32, noted: Noted) {
        let timeout = noted.timeout.map_or(0, |time| time.as_secs().min(LONGEST_S));
        let Shares { place, client } = noted.shares;
        let place = place.map_or(NOWHERE, u64::from);
        let pid_bits = u64::from(pid.unsigned_abs()) << (64 - PID_BITS);
        let note = self.note_of(pid);
        note.client.store(client.map_or(0, Client::number), SeqCst);
        note.known.store(pid_bits | place << (64 - PID_BITS - PLACE_BITS) | timeout, SeqCst);
    }

    /// What was noted of the handler.
    pub fn noted(&self, pid: i32) -> Option<Noted> {
        let Note { known, client } = self.note_of(pid);
        let note = known.load(SeqCst);
        let client = Client::numbered(client.load(SeqCst));
        let place = note >> (64 - PID_BITS - PLACE_BITS) & NOWHERE;
        let timeout = note & LONGEST_S;
        (pid > 0 && note >> (64 - PID_BITS) == u64::from(pid.unsigned_abs())).then(|| Noted {
            shares: Shares { place: u16::try_from(place).ok().filter(|_| place != NOWHERE), client },
            timeout: (timeout > 0).then(|| Duration::from_secs(timeout)),
        })
    }

    fn note_of(&self, pid: i32) -> &Note {
        let index = pid.unsigned_abs() as usize % NOTES;
        self.map.at(PLACES * size_of::<Place>() + index * size_of::<Note>())
    }
}

/// The places of mounts, by their paths. A path has the same place in each generation, unless another one wants it too.
pub fn places<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<u16> {
    let mut taken = Vec::new();
    for path in paths {
        // FNV-1a.
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let first = (hash % PLACES as u64) as u16;
        let places = (0..PLACES as u16).map(|more| (first + more) % PLACES as u16);
        let free = places.into_iter().find(|place| !taken.contains(place));
        taken.push(free.unwrap_or(first));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_of_a_handler_is_read_until_a_pid_with_the_same_last_bits_comes() {
        let counts = MountCounts::new().unwrap();
        assert_eq!(counts.noted(0), None);
        let shares = |place, client| Shares { place, client: Client::numbered(client) };
        for noted in [
            Noted::default(),
            Noted { shares: shares(Some(0), 1), timeout: None },
            Noted { shares: shares(Some(511), u64::MAX), timeout: Some(Duration::from_secs(7)) },
            Noted { shares: shares(None, 0), timeout: Some(Duration::from_secs(LONGEST_S)) },
        ] {
            counts.note(4_194_303, noted);
            assert_eq!(counts.noted(4_194_303), Some(noted));
        }
        counts.note(4_194_303 - (1 << 16), Noted::default());
        assert_eq!(counts.noted(4_194_303), None);
    }

    #[test]
    fn every_mount_has_a_place_of_its_own_and_keeps_it() {
        let paths: Vec<_> = (0..300).map(|n| format!("/{n}")).collect();
        let all = places(paths.iter().map(String::as_str));
        let mut distinct = all.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 300);
        assert_eq!(places(["/0"].into_iter()), all[..1]);
        assert_eq!(places((0..600).map(|_| "/")).len(), 600);
    }

    #[test]
    fn a_handler_on_its_way_to_the_keeper_counts_once_or_twice_and_never_not() {
        let counts = MountCounts::new().unwrap();
        let place = counts.place(3);
        place.begun.fetch_add(2, SeqCst);
        assert_eq!(place.running(), 2);
        place.watched.fetch_add(1, SeqCst);
        assert_eq!(place.running(), 3);
        place.passed.fetch_add(1, SeqCst);
        assert_eq!(place.running(), 2);
        place.lost.fetch_add(1, SeqCst);
        assert_eq!(place.running(), 1);
    }
}
