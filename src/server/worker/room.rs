//! The room: where connections are that the acceptor cannot serve in one go. Owned by the worker's second thread, which
//! sleeps until one of them moves, a deadline passes, or log lines wait to be written.
//!
//! The acceptor comes here with one epoll_ctl; it wakes nobody. Deadlines share one timer, armed only while
//! somebody is here, so that an idle worker makes no wake-ups.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};

use super::Shared;
use super::connection::Connection;
use super::crowd::Again;
use super::held::{Held, Progress};
use super::keeping::Keeping;
use super::places::{Places, Waiting};
use super::service::Service;
use crate::scoreboard::subtract;
use crate::server::keeper::note::Launch;
use crate::server::logging;
use crate::sys::map::{self, Pages};
use crate::sys::{fork, signal};

/// What the thread needs: [`Service::answer`] and a launch, with room to spare.
const STACK_BYTES: usize = 256 * 1024;
/// One read from a slow client.
const READ_BYTES: usize = 64 * 1024;
/// Deadlines are kept to this accuracy.
const GRAIN: Duration = Duration::from_millis(20);
/// The same for requests that wait for a place.
const PLACE_GRAIN: Duration = Duration::from_micros(100);
/// This many connections may linger in a worker in any case.
const LEAST_LINGERING: usize = 16;
/// A stopping worker waits so long for a client that has sent nothing yet.
const HURRY: Duration = Duration::from_secs(1);

/// The connections that a worker holds, and what wakes its second thread.
#[derive(Debug)]
pub struct Room {
    shared: &'static Shared,
    epoll: Epoll,
    timer: TimerFd,
    flush_timer: Option<RawFd>,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    held: HashMap<RawFd, Held>,
    /// Of these, the ones that linger, the longest first.
    lingering: BTreeSet<(Instant, RawFd)>,
    /// Requests that wait for a place among the handlers.
    places: Places,
    /// Connections that the thread works on at this moment.
    taken: usize,
    /// When the timer is due.
    armed: Option<Instant>,
}

impl Inside {
    fn put(&mut self, held: Held) {
        let key = held.connection.stream.as_raw_fd();
        self.lingering.extend(held.lingers_since().map(|since| (since, key)));
        self.held.insert(key, held);
    }

    fn take(&mut self, key: RawFd) -> Option<Held> {
        let held = self.held.remove(&key)?;
        if let Some(since) = held.lingers_since() {
            self.lingering.remove(&(since, key));
        }
        Some(held)
    }
}

impl Room {
    /// An empty room. `flush_timer` tells when log lines have waited long enough.
    ///
    /// # Errors
    /// No descriptors.
    pub fn open(shared: &'static Shared, flush_timer: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let room = Self {
            shared,
            epoll,
            timer,
            flush_timer: flush_timer.map(|fd| fd.as_raw_fd()),
            inside: Mutex::default(),
        };
        room.listen_to(room.timer.as_fd())?;
        flush_timer.map_or(Ok(()), |timer| room.listen_to(timer))?;
        Ok(room)
    }

    fn listen_to(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, fd.as_raw_fd() as u64))?)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the connection may keep its descriptor while it is waited for. Where descriptors are short, one that lingers
    /// makes way for it.
    pub fn find_place(&self, connection: &mut Connection) -> bool {
        let may_stay = |stream: &OwnedFd| self.shared.descriptors.may_be_held(stream.as_raw_fd());
        if may_stay(&connection.stream) {
            return true;
        }
        let mut inside = self.inside();
        if self.end_oldest_lingerer(&mut inside)
            && let Ok(lower) = connection.stream.try_clone()
            && may_stay(&lower)
        {
            connection.stream = lower;
            return true;
        }
        false
    }

    /// Closes the connection that lingers longest, if there is one.
    fn end_oldest_lingerer(&self, inside: &mut Inside) -> bool {
        let Some(&(_, key)) = inside.lingering.first() else { return false };
        let Some(held) = inside.take(key) else { return false };
        held.drain();
        self.forget(inside, &held);
        true
    }

    /// A connection is about to be closed.
    fn forget(&self, inside: &Inside, held: &Held) {
        // Explicitly, because a handler may have the same socket, and closing our descriptor would not end the watch.
        let _ = self.epoll.delete(held.connection.stream.as_fd());
        self.count_lingering(inside);
        subtract(&self.shared.row().open, 1);
    }

    fn count_lingering(&self, inside: &Inside) {
        self.shared.row().lingering.store(inside.lingering.len() as u64, Relaxed);
    }

    /// With `--max-connections` as many may linger beside those that wait, shared out among the workers.
    fn most_lingering(&self) -> usize {
        let settings = &self.shared.settings;
        let share = |most| usize::try_from(most).unwrap_or(usize::MAX) / settings.workers;
        settings.max_connections.map_or(usize::MAX, |most| share(most).max(LEAST_LINGERING))
    }

    /// Takes in a connection. If the system has no memory to watch it, it is closed.
    pub fn admit(&self, held: Held) {
        let mut inside = self.inside();
        if held.is_answered() && inside.lingering.len() >= self.most_lingering() {
            self.end_oldest_lingerer(&mut inside);
        }
        self.arm(&mut inside, held.deadline);
        // In this order: the thread may wake at once, and waits for the lock to find the connection.
        let watched = self.listen_to(held.connection.stream.as_fd());
        match watched {
            Ok(()) => {
                inside.put(held);
                self.count_lingering(&inside);
            }
            Err(error) => {
                tracing::warn!(peer = %held.connection.peer, "cannot hold a connection: {error}");
                subtract(&self.shared.row().open, 1);
            }
        }
    }

    /// Reports a launch to the keeper.
    pub fn report(&self, keeping: &Keeping, pidfd: Option<OwnedFd>, launch: Launch) {
        let number = pidfd.as_ref().map(AsRawFd::as_raw_fd);
        if keeping.report(self.shared.row(), pidfd, launch) {
            number.inspect(|number| self.shared.descriptors.taken(*number));
            self.arm(&mut self.inside(), Instant::now() + GRAIN);
        }
    }

    /// Whether a request may wait for a place among `limit` handlers.
    pub fn may_wait(&self, limit: u64) -> bool {
        self.inside().places.may_wait(limit)
    }

    /// Takes in a request that waits for a place.
    pub fn wait_for_place(&self, request: Waiting) {
        self.shared.row().open.fetch_add(1, Relaxed);
        let mut inside = self.inside();
        inside.places.push(request);
        self.arm_for_places(&mut inside);
    }

    /// Tries the requests that wait for a place again.
    fn try_waiting(&self, service: &mut Service, now: Instant) {
        let mut inside = self.inside();
        let due = inside.places.due(now);
        inside.taken += due.len();
        drop(inside);
        for request in due {
            let outcome = service.try_again(request);
            let mut inside = self.inside();
            inside.taken -= 1;
            match outcome {
                Again::Waits(request) => {
                    inside.places.push(request);
                    self.arm_for_places(&mut inside);
                    continue;
                }
                Again::InVain => inside.places.close(),
                Again::Over => {}
            }
            drop(inside);
            subtract(&self.shared.row().open, 1);
        }
    }

    /// Whether every connection has been served.
    pub fn is_empty(&self) -> bool {
        let inside = self.inside();
        inside.held.is_empty() && inside.places.is_empty() && inside.taken == 0
    }

    /// The worker stops: clients that have sent nothing, or have their answer, are not waited for much longer.
    pub fn hurry(&self) {
        let mut inside = self.inside();
        let soon = Instant::now() + HURRY;
        let done = |held: &Held| held.is_idle() || held.is_answered();
        let idle = inside.held.values_mut().filter(|held| done(held) && held.deadline > soon);
        idle.for_each(|held| held.deadline = soon);
        self.arm(&mut inside, soon);
    }

    /// Sets the timer unless it is due before `deadline` anyway.
    fn arm(&self, inside: &mut Inside, deadline: Instant) {
        self.arm_within(inside, deadline, GRAIN);
    }

    /// Requests that wait for a place are tried again sooner than deadlines are looked at.
    fn arm_for_places(&self, inside: &mut Inside) {
        if let Some(next) = inside.places.next() {
            self.arm_within(inside, next, PLACE_GRAIN);
        }
    }

    fn arm_within(&self, inside: &mut Inside, deadline: Instant, grain: Duration) {
        if inside.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        let wait = deadline.saturating_duration_since(Instant::now()).max(grain);
        if self.timer.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty()).is_ok() {
            inside.armed = Some(deadline);
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(&'static self) -> io::Result<()> {
        let life = move || {
            let lived = catch_unwind(AssertUnwindSafe(|| self.live()));
            // Without this thread the worker is none: its successor does better.
            tracing::error!("the worker's second thread ended: {lived:?}");
            logging::flush();
            fork::exit_now(101)
        };
        let room = std::thread::Builder::new().name("room".into()).stack_size(STACK_BYTES);
        signal::with_signals_blocked(|| room.spawn(life))??;
        Ok(())
    }

    fn live(&'static self) -> io::Result<()> {
        let mut service = Service::new(self.shared, self, true)?;
        let mut scratch = Pages::new(READ_BYTES)?;
        let mut events = [EpollEvent::empty(); 64];
        // This thread is the last to be set up, and the start is most of the code that a worker ever runs.
        let _ = map::forget_code();
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(nix::Error::EINTR) => continue,
                count => count?,
            };
            for event in &events[..count] {
                let key = event.data() as RawFd;
                if key == self.timer.as_fd().as_raw_fd() {
                    self.sweep(&mut service);
                } else if Some(key) == self.flush_timer {
                    self.flush();
                } else {
                    self.visit(key, &mut service, &mut scratch);
                }
            }
        }
    }

    fn flush(&self) {
        logging::disarm();
        logging::flush();
    }

    /// Something happened to one connection.
    fn visit(&self, key: RawFd, service: &mut Service, scratch: &mut [u8]) {
        let mut inside = self.inside();
        let Some(mut held) = inside.take(key) else { return };
        inside.taken += 1;
        drop(inside);
        let progress = held.advance(service, scratch);
        self.put_back(held, progress);
    }

    fn put_back(&self, held: Held, progress: Progress) {
        let mut inside = self.inside();
        inside.taken -= 1;
        if progress == Progress::Waiting {
            self.arm(&mut inside, held.deadline);
            inside.put(held);
            self.count_lingering(&inside);
            return;
        }
        self.forget(&inside, &held);
    }

    /// The timer is due: deals with every connection whose deadline has passed.
    fn sweep(&self, service: &mut Service) {
        let now = Instant::now();
        let mut inside = self.inside();
        inside.armed = None;
        let overdue = |held: &Held| held.deadline <= now;
        let late: Vec<RawFd> =
            inside.held.iter().filter(|(_, held)| overdue(held)).map(|(key, _)| *key).collect();
        let late: Vec<Held> = late.iter().filter_map(|&key| inside.take(key)).collect();
        inside.taken += late.len();
        if self.shared.keeping.as_ref().is_some_and(|keeping| keeping.retry(self.shared.row())) {
            self.arm(&mut inside, now + GRAIN);
        }
        let next = inside.held.values().map(|held| held.deadline).min();
        next.inspect(|next| self.arm(&mut inside, *next));
        self.arm_for_places(&mut inside);
        if inside.armed.is_none() {
            let _ = self.timer.unset();
        }
        drop(inside);
        self.try_waiting(service, now);
        for mut held in late {
            let progress = held.timed_out(service);
            self.put_back(held, progress);
        }
    }
}
