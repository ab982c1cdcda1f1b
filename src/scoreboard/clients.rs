//! What each client holds: its slow connections, by worker, and its running handlers. In memory of a fixed size that all
//! processes of an instance share; an instance that never counts does not touch it.
//!
//! A set-associative table: a cell counts what one client holds through one owner, a worker's row or, for handlers, the
//! instance. The place of a client depends on a random key, so that no client can aim at the cells of another. Where all cells
//! of a set are taken, a further client is not counted, and so not limited.
//!
//! What a dead worker held is given back at once ([`Clients::clear`]). Handlers outlive workers: the keeper counts them off, and
//! after a death it counts them anew ([`Clients::recount`]).

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use super::Scoreboard;
use crate::sys::map::SharedMap;

const SETS: usize = 8192;
/// Cells of a set: two cache lines.
const WAYS: usize = 16;

/// A cell: 28 bits of the client's hash, 12 of the owner, 24 of the count; 0 if it is free.
const COUNT: u64 = (1 << 24) - 1;
const OWNER: u64 = 0xfff << 24;
/// The owner of handlers; rows follow.
const HANDLERS: u64 = 1;
/// More than this cannot be counted.
pub const MOST: u64 = COUNT;

#[repr(C, align(128))]
#[derive(Debug)]
struct Set([AtomicU64; WAYS]);

crate::sys::map::shared!(Set);

/// An IPv4 address or the first 64 bits of an IPv6 address, hashed with the key of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(NonZeroU64);

impl Scoreboard {
    /// What each client holds, in processes of the instance.
    pub fn clients(&self) -> Option<&Clients> {
        self.clients.as_ref()
    }
}

impl Client {
    /// For messages and notes; never 0.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// `None` for 0.
    pub fn numbered(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// The outcome of an attempt to count one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Counted,
    /// No cell is free: neither counted nor limited.
    Uncounted,
    /// The client holds as much as it may.
    Refused,
}

#[derive(Debug)]
pub struct Clients {
    map: SharedMap,
    sets: usize,
    key: Key,
}

/// What makes the places of clients unpredictable.
pub type Key = [u64; 2];

/// Where a client is counted for one owner.
#[derive(Clone, Copy)]
struct Place<'a> {
    set: &'a Set,
    /// The cell's value without its count; never 0.
    id: u64,
}

impl Clients {
    /// With the key of another table, clients have the same numbers as there.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(key: Option<Key>) -> io::Result<Self> {
        Self::with_sets(SETS, key)
    }

    fn with_sets(sets: usize, key: Option<Key>) -> io::Result<Self> {
        let bytes = sets * size_of::<Set>() + size_of::<AtomicU64>();
        let random = || [RandomState::new().hash_one(0), RandomState::new().hash_one(1)];
        Ok(Self { map: SharedMap::anonymous(bytes)?, sets, key: key.unwrap_or_else(random) })
    }

    pub fn key(&self) -> Key {
        self.key
    }

    /// The client with this address.
    pub fn of(&self, address: IpAddr) -> Client {
        // SipHash, whose state depends on a secret before it sees the address.
        let mut hasher = DefaultHasher::new();
        self.key.hash(&mut hasher);
        match address.to_canonical() {
            IpAddr::V4(address) => (4, u64::from(address.to_bits())).hash(&mut hasher),
            IpAddr::V6(address) => (6, (address.to_bits() >> 64) as u64).hash(&mut hasher),
        }
        Client(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN))
    }

    /// Running handlers of a client.
    pub fn handlers(&self, client: Client) -> u64 {
        self.place(client, HANDLERS).count()
    }

    /// Counts a handler that is about to be started, unless the client has `most`.
    pub fn take_handler(&self, client: Client, most: u64) -> Taken {
        let place = self.place(client, HANDLERS);
        self.take(place, most, || place.count())
    }

    /// Counts off a handler that was counted.
    pub fn end_handler(&self, client: Client) {
        self.place(client, HANDLERS).subtract();
    }

    /// Slow connections of a client, in the first `rows` rows.
    pub fn connections(&self, client: Client, rows: usize) -> u64 {
        (0..rows).map(|row| self.place(client, owner(row)).count()).sum()
    }

    /// Counts a connection of the worker in `row`, unless the client has `most` in the first `rows` rows.
    pub fn take_connection(&self, client: Client, row: usize, rows: usize, most: u64) -> Taken {
        self.take(self.place(client, owner(row)), most, || self.connections(client, rows))
    }

    /// Counts off a connection that was counted.
    pub fn end_connection(&self, client: Client, row: usize) {
        self.place(client, owner(row)).subtract();
    }

    /// The worker in `row` has ended: its connections are gone.
    pub fn clear(&self, row: usize) {
        let cells = self.cells().map(|(_, cell)| cell);
        for cell in cells {
            let value = cell.load(SeqCst);
            if value & OWNER == owner(row) << 24 {
                cell.store(0, SeqCst);
            }
        }
    }

    /// Corrects the counts of handlers: `running` has the client of each. A count is certain only at a moment without a launch
    /// under way, which `quiet` tells. Returns whether all counts are right.
    pub fn recount(&self, running: impl Iterator<Item = Client>, quiet: impl Fn() -> bool) -> bool {
        let mut counts: HashMap<(usize, u64), u64> = HashMap::new();
        running.for_each(|client| *counts.entry(self.position(client, HANDLERS)).or_default() += 1);
        let mut right = true;
        for (set, cell) in self.cells() {
            let value = cell.load(SeqCst);
            if value & OWNER != HANDLERS << 24 {
                continue;
            }
            let id = value & !COUNT;
            let count = counts.remove(&(set, id)).unwrap_or(0);
            if value & COUNT == count {
                continue;
            }
            // A launch that begins after this changes the cell.
            let next = if count == 0 { 0 } else { id | count };
            right &= quiet() && cell.compare_exchange(value, next, SeqCst, Relaxed).is_ok();
        }
        right
    }

    fn take(&self, place: Place<'_>, most: u64, held: impl Fn() -> u64) -> Taken {
        if held() >= most {
            return Taken::Refused;
        }
        let in_use: &AtomicU64 = self.in_use();
        if in_use.load(Relaxed) == 0 {
            in_use.store(1, SeqCst);
        }
        if !place.add() {
            return Taken::Uncounted;
        }
        // Of two processes that add at the same time, at least one sees both.
        if held() > most {
            place.subtract();
            return Taken::Refused;
        }
        Taken::Counted
    }

    /// Whether anything was ever counted, behind the sets.
    fn in_use(&self) -> &AtomicU64 {
        self.map.at(self.sets * size_of::<Set>())
    }

    /// Every cell with the number of its set; none if nothing was ever counted.
    fn cells(&self) -> impl Iterator<Item = (usize, &AtomicU64)> {
        let sets = if self.in_use().load(SeqCst) == 0 { 0 } else { self.sets };
        (0..sets).flat_map(|set| self.set(set).0.iter().map(move |cell| (set, cell)))
    }

    fn set(&self, number: usize) -> &Set {
        self.map.at(number * size_of::<Set>())
    }

    fn place(&self, client: Client, owner: u64) -> Place<'_> {
        let (set, id) = self.position(client, owner);
        Place { set: self.set(set), id }
    }

    /// The number of the set, and the cell's value without its count.
    fn position(&self, client: Client, owner: u64) -> (usize, u64) {
        // Fibonacci hashing: what one client holds through several workers is in several sets.
        let spread = (client.number() ^ owner).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((spread >> 40) as usize % self.sets, spread << 28 & !(COUNT | OWNER) | owner << 24)
    }
}

fn owner(row: usize) -> u64 {
    HANDLERS + 1 + row as u64
}

impl Place<'_> {
    fn count(&self) -> u64 {
        let cells = self.set.0.iter().map(|cell| cell.load(SeqCst));
        cells.filter(|value| value & !COUNT == self.id).map(|value| value & COUNT).sum()
    }

    /// Returns whether there was a cell.
    fn add(&self) -> bool {
        loop {
            let cells = self.set.0.each_ref().map(|cell| (cell, cell.load(SeqCst)));
            let has_room = |value: u64| value & !COUNT == self.id && value & COUNT < COUNT;
            let own = cells.iter().find(|(_, value)| has_room(*value));
            let Some(&(cell, value)) = own.or_else(|| cells.iter().find(|(_, value)| *value == 0)) else {
                return false;
            };
            let next = if value == 0 { self.id | 1 } else { value + 1 };
            if cell.compare_exchange(value, next, SeqCst, Relaxed).is_ok() {
                return true;
            }
        }
    }

    fn subtract(&self) {
        loop {
            let mut cells = self.set.0.iter().map(|cell| (cell, cell.load(SeqCst)));
            let Some((cell, value)) = cells.find(|(_, value)| value & !COUNT == self.id) else { return };
            let next = if value & COUNT <= 1 { 0 } else { value - 1 };
            if cell.compare_exchange(value, next, SeqCst, Relaxed).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
