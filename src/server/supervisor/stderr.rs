//! Handlers' standard error: reads the pipes of all workers and writes each line to the log with its worker and, if the
//! handler has a pipe to itself, the handler ([`cgi::stderr`](crate::cgi::stderr)).
//!
//! The supervisor reads the pipes, because a handler may outlive its worker. The pipes of a dead worker go to its
//! replacement; those of a retired worker are read until its last handler has closed them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::lines::Lines;
use crate::cgi::stderr::{PIPES, Pipes, Table, Writer};
use crate::server::logging;
use crate::sys::net;

const READ_BYTES: usize = 16 * 1024;
/// Reads per turn of the main loop: a handler that never stops writing must not delay signals and deaths.
const READS_PER_TURN: usize = 8;
/// Most lendable pipes of all workers together. The kernel shrinks the pipes of a user who has many
/// (pipe-user-pages-soft).
const MOST_PIPES: usize = 256;
/// At most one descriptor in this many is a pipe.
const SHARE_OF_DESCRIPTORS: usize = 16;

/// How many lendable pipes each of `workers` workers gets, if a process may have `descriptors`.
pub(super) fn pipes_each(workers: usize, descriptors: u64) -> usize {
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX) / SHARE_OF_DESCRIPTORS;
    PIPES.min(MOST_PIPES.min(descriptors) / workers.max(1))
}

/// The owner of pipes: a row of the scoreboard, and the process in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub row: usize,
    pub generation: u64,
    /// Worker number; `None` for an auxiliary process.
    pub worker: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Collector {
    epoll: Epoll,
    table: &'static Table,
    pipes: BTreeMap<u64, Pipe>,
    next_key: u64,
}

#[derive(Debug)]
struct Pipe {
    owner: Owner,
    reader: PipeReader,
    /// For the worker and its replacements; `None` when there will be none.
    end: Option<OwnedFd>,
    /// Index in the table of borrowers; `None` for the shared pipe.
    lent: Option<(usize, usize)>,
    lines: Lines,
}

impl Collector {
    /// Reads pipes for as many members as `table` has entries.
    ///
    /// # Errors
    /// Those of epoll_create1(2).
    pub fn new(table: &'static Table) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, table, pipes: BTreeMap::new(), next_key: 0 })
    }

    /// Makes the pipes of a process before its fork: the shared one and `count` lendable ones. It keeps those of a
    /// predecessor, and makes fewer if descriptors are scarce.
    ///
    /// # Errors
    /// Not even the shared pipe can be made.
    pub fn prepare(&mut self, owner: Owner, count: usize) -> io::Result<()> {
        if self.pipes.values().any(|pipe| pipe.owner == owner && pipe.end.is_some()) {
            return Ok(());
        }
        self.vacate(|row| row == owner.row);
        self.add(owner, None)?;
        let taken =
            |place: usize| self.pipes.values().any(|pipe| pipe.lent.is_some_and(|(of, _)| of == place));
        if let Some(place) = (0..self.table.places()).find(|&place| !taken(place)) {
            let _ = (0..count).try_for_each(|pipe| self.add(owner, Some((place, pipe))));
        }
        Ok(())
    }

    fn add(&mut self, owner: Owner, lent: Option<(usize, usize)>) -> io::Result<()> {
        let (reader, writer) = io::pipe()?;
        net::set_nonblocking(reader.as_fd(), true)?;
        // Opened for reading too, so that a writer never gets SIGPIPE for want of a reader.
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let end = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_or_else(|_| writer.into(), OwnedFd::from);
        self.watch(Pipe { owner, reader, end: Some(end), lent, lines: Lines::default() })
    }

    fn watch(&mut self, pipe: Pipe) -> io::Result<()> {
        self.epoll.add(&pipe.reader, EpollEvent::new(EpollFlags::EPOLLIN, self.next_key))?;
        self.pipes.insert(self.next_key, pipe);
        self.next_key += 1;
        Ok(())
    }

    /// Reads a pipe of an earlier program of this process, until its last handler has closed it.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn inherit(&mut self, reader: PipeReader, worker: Option<usize>) -> io::Result<()> {
        let owner = Owner { row: usize::MAX, generation: 0, worker };
        self.watch(Pipe { owner, reader, end: None, lent: None, lines: Lines::default() })
    }

    /// Copies of all pipes, with the workers' numbers. What has been read of them is in the log.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn copies(&mut self) -> io::Result<Vec<(OwnedFd, Option<usize>)>> {
        self.pipes.values_mut().for_each(Pipe::log_rest);
        self.pipes.values().map(|pipe| Ok((pipe.reader.try_clone()?.into(), pipe.owner.worker))).collect()
    }

    /// In a forked process: its own standard error, which handlers share if they must, and the lendable pipes.
    pub fn take_ends(&mut self, owner: Owner) -> Option<(OwnedFd, Pipes)> {
        let mut own = self.pipes.values_mut().filter(|pipe| pipe.owner == owner && pipe.end.is_some());
        let shared = own.next()?.end.take()?;
        let mut place = 0;
        let ends = own.filter_map(|pipe| {
            place = pipe.lent?.0;
            pipe.end.take()
        });
        let ends = ends.collect();
        Some((shared, Pipes::new(self.table, place, ends)))
    }

    /// Closes our copy of the write ends for rows that get no further process.
    pub fn vacate(&mut self, is_vacant: impl Fn(usize) -> bool) {
        self.pipes.values_mut().filter(|pipe| is_vacant(pipe.owner.row)).for_each(|pipe| pipe.end = None);
    }

    /// When [`collect`](Self::collect) is due without new input.
    pub fn due(&self) -> Option<Instant> {
        self.pipes.values().filter_map(|pipe| pipe.lines.due()).min()
    }

    /// Logs every whole line, and unfinished lines whose time is over.
    pub fn collect(&mut self) {
        let mut piece = [0; READ_BYTES];
        let mut events = [EpollEvent::empty(); READS_PER_TURN];
        let mut left = READS_PER_TURN;
        logging::hold();
        while left > 0 {
            let Ok(count @ 1..) = self.epoll.wait(&mut events[..left], EpollTimeout::ZERO) else { break };
            events[..count].iter().for_each(|event| self.read(event.data(), &mut piece));
            left -= count;
        }
        let now = Instant::now();
        let late = self.pipes.values_mut().filter(|pipe| pipe.lines.due().is_some_and(|due| due <= now));
        late.for_each(Pipe::log_rest);
        logging::flush();
    }

    fn read(&mut self, key: u64, piece: &mut [u8]) {
        let Some(pipe) = self.pipes.get_mut(&key) else { return };
        // A pipe is lent again only when it is empty, so it has the same borrower before and after a read of one
        // handler's output.
        let before = pipe.writer(self.table);
        match pipe.reader.read(piece) {
            Ok(0) => {
                pipe.log_rest();
                // Explicitly: a process that was just forked may still have the pipe, and then closing our copy does
                // not end the watch.
                let _ = self.epoll.delete(&pipe.reader);
                self.pipes.remove(&key);
            }
            Ok(n) => {
                let writer = before.filter(|before| pipe.writer(self.table).as_ref() == Some(before));
                pipe.log(&piece[..n], writer);
            }
            Err(_) => {} // another time
        }
    }

    /// Logs the remaining output at the end of the instance.
    pub fn finish(&mut self) {
        const LAST_TURNS: usize = 64;
        (0..LAST_TURNS).for_each(|_| self.collect());
        self.pipes.values_mut().for_each(Pipe::log_rest);
    }
}

impl Pipe {
    fn writer(&self, table: &Table) -> Option<Writer> {
        self.lent.and_then(|(place, pipe)| table.writer(place, pipe))
    }

    fn log(&mut self, bytes: &[u8], writer: Option<Writer>) {
        let worker = self.owner.worker;
        self.lines.add(bytes, writer, |line, writer| log(worker, writer, line));
    }

    fn log_rest(&mut self) {
        let worker = self.owner.worker;
        self.lines.end(|line, writer| log(worker, writer, line));
    }
}

/// The marker and the names precede the text, which could contain a marker itself.
fn log(worker: Option<usize>, writer: Option<&Writer>, line: &[u8]) {
    let name = writer.map(|writer| String::from_utf8_lossy(&writer.name).into_owned());
    logging::on_behalf_of(worker, || {
        tracing::warn!(
            stream = "stderr",
            pid = writer.map(|writer| writer.pid),
            handler = name,
            message = %String::from_utf8_lossy(line),
        );
    });
}

impl AsFd for Collector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const OWNER: Owner = Owner { row: 3, generation: 1, worker: Some(0) };

    fn collector() -> Collector {
        Collector::new(Box::leak(Box::new(Table::new(2).unwrap()))).unwrap()
    }

    #[test]
    fn few_descriptors_and_many_workers_mean_few_pipes() {
        assert_eq!(pipes_each(4, 1 << 20), PIPES);
        assert_eq!(pipes_each(64, 1 << 20), 4);
        assert_eq!(pipes_each(1024, 1 << 20), 0);
        assert_eq!(pipes_each(1, 64), 4);
    }

    #[test]
    fn a_flood_is_collected_in_turns() {
        let mut collector = collector();
        collector.prepare(OWNER, 3).unwrap();
        let (_shared, pipes) = collector.take_ends(OWNER).unwrap();
        let flood: Vec<_> = (0..3).map(|_| pipes.lend(b"/flood").unwrap()).collect();
        for lent in &flood {
            std::fs::File::from(lent.end.try_clone_to_owned().unwrap()).write_all(&[b'\n'; 60_000]).unwrap();
        }
        let left = || flood.iter().map(|lent| net::unread(lent.end).unwrap()).sum::<usize>();
        collector.collect();
        assert_eq!(left(), 180_000 - READS_PER_TURN * READ_BYTES);
        collector.collect();
        assert_eq!(left(), 0);
    }

    #[test]
    fn pipes_stay_for_a_successor_and_end_with_the_last_who_has_one() {
        let mut collector = collector();
        collector.prepare(OWNER, 2).unwrap();
        assert_eq!(collector.pipes.len(), 3);
        collector.prepare(OWNER, 2).unwrap();
        assert_eq!(collector.pipes.len(), 3, "a successor");
        let handler = collector.pipes[&1].end.as_ref().unwrap().try_clone().unwrap();
        collector.prepare(Owner { generation: 2, ..OWNER }, 2).unwrap();
        assert_eq!(collector.pipes.len(), 6, "of another generation");
        collector.collect();
        assert_eq!(collector.pipes.len(), 4, "one of the old is a handler's");
        drop(handler);
        collector.vacate(|row| row == OWNER.row);
        collector.collect();
        assert!(collector.pipes.is_empty());
    }
}
