//! One thread that sends: an epoll loop that owns its connections. It knows the clock and which request has which
//! connection; what becomes of one request is `slot`'s business, what its socket does is `link`'s, when it starts is
//! `cursor`'s, what is counted is `tally`'s.
//!
//! In steady state a request costs no allocation, no lock and these system calls. On a new connection: socket,
//! connect, send, `epoll_ctl`, recv (twice, where the end of the connection comes later than the data), close, and its
//! part of an `epoll_wait`. On a kept one: send, recv, and its part of an `epoll_wait`.

pub mod exchange;
mod link;
pub mod slot;
pub mod wait;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent};
use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage};

use crate::dist::Sampler;
use crate::loadgen::control::Control;
use crate::loadgen::count::cpu::{CpuMeter, ThreadUse};
use crate::loadgen::count::failure::Failure;
use crate::loadgen::count::recorder::{Handoff, Recorder};
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::cursor::Cursor;
use crate::loadgen::schedule::timing::{Share, Window};
use crate::sys::clock::monotonic_ns;
use slot::{Begin, Slot, Step};
use wait::{Pace, Until, Waiter};

/// Events taken from the kernel at once.
const EVENTS: usize = 64;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Longest sleep, in ns: how soon a wish to stop is seen.
const TICK_NS: u64 = 50_000_000;
/// How long a slot of a closed loop rests after it got no connection, in ns: a dead server is not hammered.
const REST_NS: u64 = 1_000_000;
/// Shortest time between two looks for requests that are overdue, in ns.
const MIN_CHECK_NS: u64 = 1_000_000;
/// Time-outs are met to this part of them.
const CHECK_PART: u64 = 20;

/// A slot and its socket.
#[derive(Debug)]
struct Connection {
    slot: Slot,
    socket: Option<OwnedFd>,
}

/// The loop.
#[derive(Debug)]
pub struct Engine<'a> {
    plan: &'a Plan,
    control: &'a Control,
    thread: usize,
    waiter: Waiter,
    address: SockaddrStorage,
    family: AddressFamily,
    /// Where connections come from, in turn; empty: the kernel chooses.
    sources: Vec<SockaddrStorage>,
    next_source: usize,
    cursor: Cursor,
    window: Window,
    connections: Vec<Connection>,
    /// Places whose next request may start, the one used last on top: so an open loop keeps few connections busy.
    free: Vec<usize>,
    /// Places that think or rest, and until when.
    resting: BinaryHeap<Reverse<(u64, usize)>>,
    think: Option<Sampler>,
    /// When, for the last time, a slot became free and was the only one: who was due before that had to wait.
    freed_at: u64,
    connected_once: bool,
    /// Requests under way, and sockets open.
    busy: usize,
    open: u64,
    completed: u64,
    failed: u64,
    finished: u64,
    buffer: Vec<u8>,
    recorder: Recorder,
}

impl<'a> Engine<'a> {
    /// Prepares everything, then waits for the other threads. What is counted goes over `handoff`.
    ///
    /// # Errors
    /// Those of `epoll_create` and `prctl`.
    pub fn new(plan: &'a Plan, share: &Share, control: &'a Control, handoff: Handoff) -> io::Result<Self> {
        let pace = match plan.timing.is_open_loop() {
            false => Pace::Free,
            true if plan.spin => Pace::Awake,
            true => Pace::Timed,
        };
        let waiter = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(io::Error::from);
        let waiter = waiter.and_then(|epoll| Waiter::new(epoll, pace));
        let address = SockaddrStorage::from(plan.address);
        let connection =
            || Connection { slot: Slot::new(plan.request.is_head, plan.persistence), socket: None };
        let connections: Vec<_> = (0..share.connections).map(|_| connection()).collect();
        let source = |ip: &IpAddr| SockaddrStorage::from(std::net::SocketAddr::new(*ip, 0));
        let seed = plan.seed.wrapping_add(share.thread.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The others wait for this thread, even where it has failed.
        let window = Window::new(&plan.timing, control.origin_ns());
        Ok(Self {
            plan,
            control,
            thread: share.thread as usize,
            waiter: waiter?,
            family: address.family().unwrap_or(AddressFamily::Inet),
            address,
            sources: plan.sources.iter().map(source).collect(),
            next_source: share.thread as usize,
            cursor: Cursor::new(&plan.timing, share, window),
            window,
            free: (0..connections.len()).rev().collect(),
            resting: BinaryHeap::with_capacity(connections.len()),
            think: plan.think.map(|think| think.sampler(seed)),
            connections,
            freed_at: 0,
            connected_once: false,
            busy: 0,
            open: 0,
            completed: 0,
            failed: 0,
            finished: window.begin,
            buffer: vec![0; BUFFER],
            recorder: Recorder::new(plan, share, window, handoff),
        })
    }

    /// Sends until the cursor is over and every request has ended, or until asked to stop.
    ///
    /// # Errors
    /// Those of `epoll_wait`.
    pub fn run(mut self) -> io::Result<ThreadUse> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let check_ns = (self.plan.timeouts.shortest_ns() / CHECK_PART).clamp(MIN_CHECK_NS, 2 * TICK_NS);
        let mut next_check = self.window.origin + check_ns;
        let mut meter = CpuMeter::new(self.window);
        let paced = self.plan.timing.is_open_loop();
        loop {
            self.launch();
            let now = monotonic_ns();
            meter.read(now, self.cursor.is_over())?;
            self.publish();
            self.recorder.tick(now);
            if self.control.is_stopped() || (self.cursor.is_over() && self.busy == 0) {
                break;
            }
            if now >= next_check {
                next_check = now + check_ns;
                self.expire(now);
            }
            let ready = self.wait(&mut events, now, next_check)?;
            self.drop_lost(&mut events[..ready]);
            for event in &events[..ready] {
                self.on_event(event.data() as usize, event.events());
                // A schedule waits for nothing. A closed loop starts again when all answers that are there have been read:
                // otherwise each would be timed later by the connections that were opened before it.
                if paced {
                    self.launch();
                }
            }
        }
        let now = monotonic_ns();
        meter.read(now, true)?;
        let unfinished = |connection: &&Connection| connection.slot.is_busy() && connection.slot.is_counted();
        let unfinished = self.connections.iter().filter(unfinished).count() as u64;
        let gaps = self.recorder.finish(now, self.cursor.unsent(now), unfinished);
        let (cpu_ns, wall_ns) = meter.used();
        Ok(ThreadUse { window: self.window, finished: self.finished, stopped: now, cpu_ns, wall_ns, gaps })
    }

    /// Waits until a socket is ready, a request is due or overdue, or a slot has rested.
    fn wait(&mut self, events: &mut [EpollEvent], now: u64, next_check: u64) -> io::Result<usize> {
        let mut limit_ns = TICK_NS;
        if self.busy > 0 {
            limit_ns = limit_ns.min(next_check.saturating_sub(now));
        }
        let until = if self.free.is_empty() {
            let rested = self.resting.peek().map_or(u64::MAX, |Reverse((until, _))| *until);
            // While all clients think, nothing else asks the cursor whether it is over.
            let _ = self.cursor.due(now);
            Until::About(rested.min(self.window.end).saturating_sub(now).min(limit_ns))
        } else {
            match self.cursor.next_due() {
                Some(due) if self.plan.spin || due.saturating_sub(now) <= limit_ns => Until::Due(due),
                _ => Until::About(limit_ns),
            }
        };
        self.waiter.wait(events, now, until)
    }

    fn publish(&self) {
        let progress = &self.control.progress[self.thread];
        progress.completed.store(self.completed, Relaxed);
        progress.failed.store(self.failed, Relaxed);
        progress.open.store(self.open, Relaxed);
    }

    /// Starts what is due, as far as slots are free.
    fn launch(&mut self) {
        if !self.resting.is_empty() {
            self.wake_resting();
        }
        let paced = self.plan.timing.is_open_loop();
        while !self.free.is_empty() {
            let now = monotonic_ns();
            let Some(intended) = self.cursor.due(now) else { return };
            let Some(index) = self.free.pop() else { return };
            self.cursor.take(intended);
            self.drop_stale(index, now);
            let counted = intended >= self.window.begin;
            let begin = self.connections[index].slot.begin(intended, now, counted);
            self.busy += 1;
            self.recorder.start(counted, intended, now, paced && intended < self.freed_at);
            let connections = &mut self.recorder.tally(counted, now).connections;
            connections.reused += u64::from(begin == Begin::Reuse);
            connections.reconnects += u64::from(begin == Begin::Open { again: true });
            let request = self.request(index).len();
            self.connections[index].slot.load(request);
            let sent = if begin == Begin::Reuse { self.send_kept(index) } else { self.open(index) };
            if let Err(error) = sent {
                self.fail_connect(index, &error);
            }
        }
    }

    /// The bytes of the request on a slot.
    fn request(&self, index: usize) -> &'a [u8] {
        let plan = self.plan;
        let says_close = self.connections[index].slot.is_last() && !plan.persistence.client_closes;
        if says_close { &plan.request.close } else { &plan.request.keep }
    }

    /// What follows from what happened on a slot.
    fn follow(&mut self, index: usize, step: Step) {
        match step {
            Step::Wait => {}
            Step::Complete { keep } => self.complete(index, keep),
            Step::Fail(failure, why) => self.count_failure(index, failure, || why.to_owned()),
            Step::Lost => self.close(index),
        }
    }

    fn complete(&mut self, index: usize, keep: bool) {
        let now = monotonic_ns();
        let slot = &self.connections[index].slot;
        self.completed += 1;
        if slot.is_counted() {
            self.finished = now;
        }
        let tally = self.recorder.tally(slot.is_counted(), now);
        tally.complete(slot.exchange().answer(), slot.timestamps(), now);
        if !keep {
            self.close(index);
        }
        self.release(index, now, false);
    }

    fn fail_connect(&mut self, index: usize, error: &io::Error) {
        let (failure, address) = (Failure::of_connect(error), self.plan.address);
        if matches!(failure, Failure::ConnectRefused | Failure::ConnectFailed) && !self.connected_once {
            self.control.give_up(|| format!("{address}: {error}"));
        }
        self.fail(index, failure, || error.to_string());
    }

    fn fail(&mut self, index: usize, failure: Failure, detail: impl FnOnce() -> String) {
        if let Step::Fail(failure, _) = self.connections[index].slot.fail(failure, "") {
            self.count_failure(index, failure, detail);
        }
    }

    fn count_failure(&mut self, index: usize, failure: Failure, detail: impl FnOnce() -> String) {
        self.failed += 1;
        let now = monotonic_ns();
        let slot = &self.connections[index].slot;
        if slot.is_counted() {
            self.finished = now;
        }
        let after_ms = (now - slot.timestamps().started) as f64 / 1e6;
        let received = slot.exchange().received();
        self.recorder.tally(slot.is_counted(), now).fail(failure, || {
            let detail = detail();
            let separator = if detail.is_empty() { "" } else { "; " };
            format!("{detail}{separator}after {after_ms:.1} ms, {received} bytes received")
        });
        self.close(index);
        self.release(index, now, failure.is_before_connection());
    }

    /// The slot's request has ended: it is free for the next one, or thinks or rests first.
    fn release(&mut self, index: usize, now: u64, unconnected: bool) {
        self.busy -= 1;
        if self.free.is_empty() {
            self.freed_at = now;
        }
        let pause_ns = match &mut self.think {
            _ if unconnected && !self.plan.timing.is_open_loop() => REST_NS,
            Some(think) => think.next().as_nanos() as u64,
            None => 0,
        };
        if pause_ns > 0 {
            self.resting.push(Reverse((now + pause_ns, index)));
        } else {
            self.free.push(index);
        }
    }

    fn wake_resting(&mut self) {
        let now = monotonic_ns();
        while let Some(Reverse((until, index))) = self.resting.peek().copied()
            && until <= now
        {
            self.resting.pop();
            self.free.push(index);
        }
    }

    /// Ends the requests whose time is over.
    fn expire(&mut self, now: u64) {
        for index in 0..self.connections.len() {
            if let Some(failure) = self.connections[index].slot.overdue(now, &self.plan.timeouts) {
                self.fail(index, failure, String::new);
            }
        }
    }
}
