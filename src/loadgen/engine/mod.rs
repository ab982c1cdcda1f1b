//! One sending thread: an epoll loop over its connections. `slot` is the state of one request, `link` its socket,
//! `exchange` its response, `wait` the sleep until the next start.
//!
//! In steady state a request costs no allocation and no lock. On a new connection it takes the system calls socket,
//! connect, send, `epoll_ctl`, recv (twice if the close arrives after the data), close, and a share of `epoll_wait`; on a
//! kept one send, recv, and a share of `epoll_wait`.

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
use nix::sys::socket::SockaddrStorage;
use socket2::SockAddr;

use crate::dist::{Sampler, mix};
use crate::loadgen::control::Control;
use crate::loadgen::count::{CpuMeter, Failure, Handoff, Recorder, ThreadUse};
use crate::loadgen::plan::{Plan, Timeouts, write_sized};
use crate::loadgen::schedule::{Cursor, Job, Jobs, Share, Window};
use crate::sys::clock::monotonic_ns;
use link::local_port;
use slot::{Begin, Slot, Step};
use wait::{Pace, Until, Waiter};

const EVENTS: usize = 64;
/// Bytes per `recv`.
const BUFFER: usize = 64 * 1024;
/// Longest sleep, in ns: the delay until a stop is noticed.
const TICK_NS: u64 = 50_000_000;
/// Pause of a closed loop's slot after a failure to connect, in ns, so as not to hammer a dead server.
const REST_NS: u64 = 1_000_000;
/// Shortest time between checks for timeouts, in ns.
const MIN_CHECK_NS: u64 = 1_000_000;
/// Timeouts are exact to this fraction of them.
const CHECK_PART: u64 = 20;

#[derive(Debug)]
struct Connection {
    slot: Slot,
    socket: Option<OwnedFd>,
    /// The request, if each has a size of its own.
    sized: Vec<u8>,
    /// Which of the plan's requests it sends.
    number: usize,
    /// Which of the addresses it was opened to.
    address: usize,
}

impl Connection {
    /// The bytes of the request under way, which is the plan's of this `number`.
    fn request<'b>(plan: &'b Plan, slot: &Slot, sized: &'b [u8], number: usize) -> &'b [u8] {
        let asks_close = slot.is_last() && !plan.persistence.client_closes;
        match () {
            () if !sized.is_empty() => sized,
            () if asks_close => &plan.requests[number].close,
            () => &plan.requests[number].keep,
        }
    }
}

#[derive(Debug)]
pub struct Engine<'a> {
    plan: &'a Plan,
    control: &'a Control,
    thread: usize,
    waiter: Waiter,
    /// Where to connect, and which of them is in use: the first that answered.
    addresses: Vec<SockAddr>,
    address: usize,
    /// Local addresses, used in turn; empty: the kernel chooses.
    sources: Vec<SockaddrStorage>,
    next_source: usize,
    cursor: Cursor,
    window: Window,
    connections: Vec<Connection>,
    /// Indexes of idle connections, the last used on top: an open loop keeps few connections busy.
    free: Vec<usize>,
    /// Indexes of pausing connections, and until when.
    resting: BinaryHeap<Reverse<(u64, usize)>>,
    think: Option<Sampler>,
    jobs: Jobs,
    /// When a slot was last freed while no other was free: requests due before that had to wait.
    freed_at: u64,
    connected_once: bool,
    /// Requests in flight.
    busy: usize,
    open: u64,
    finished: u64,
    buffer: Vec<u8>,
    recorder: Recorder,
}

impl<'a> Engine<'a> {
    /// Prepares everything, then waits for the other threads; counts go to `handoff`.
    pub fn new(plan: &'a Plan, share: &Share, control: &'a Control, handoff: Handoff) -> io::Result<Self> {
        let pace = match plan.timing.is_open_loop() {
            false => Pace::Free,
            true if plan.spin => Pace::Awake,
            true => Pace::Timed,
        };
        let waiter = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(io::Error::from);
        let waiter = waiter.and_then(|epoll| Waiter::new(epoll, pace));
        let addresses = plan.peers.iter().map(link::address).collect::<io::Result<Vec<_>>>();
        let is_head = plan.requests[0].is_head();
        let connection = || Connection {
            slot: Slot::new(is_head, plan.persistence),
            socket: None,
            sized: Vec::new(),
            number: 0,
            address: 0,
        };
        let connections: Vec<_> = (0..share.connections).map(|_| connection()).collect();
        let source = |ip: &IpAddr| SockaddrStorage::from(std::net::SocketAddr::new(*ip, 0));
        let pauses = mix([plan.seed, share.stream(plan.timing.shard).0]);
        // Before returning an error: the other threads wait for this one.
        let window = Window::new(&plan.timing, control.origin_ns());
        Ok(Self {
            plan,
            control,
            thread: share.thread as usize,
            waiter: waiter?,
            addresses: addresses?,
            address: 0,
            sources: plan.sources.iter().map(source).collect(),
            next_source: share.thread as usize,
            cursor: Cursor::new(&plan.timing, share, window),
            window,
            free: (0..connections.len()).rev().collect(),
            resting: BinaryHeap::with_capacity(connections.len()),
            think: plan.think.map(|think| think.sampler(pauses)),
            jobs: Jobs::new(plan.occupy.as_ref(), plan.seed, &plan.timing, share),
            connections,
            freed_at: 0,
            connected_once: false,
            busy: 0,
            open: 0,
            finished: window.begin,
            buffer: vec![0; BUFFER],
            recorder: Recorder::new(plan, share, window, handoff),
        })
    }

    /// Runs until the schedule and every request have ended, or until stopped.
    pub fn run(mut self) -> io::Result<ThreadUse> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let Timeouts { total_ns, connect_ns, first_byte_ns } = self.plan.timeouts;
        let shortest_ns = total_ns.min(connect_ns).min(first_byte_ns);
        let check_ns = (shortest_ns / CHECK_PART).clamp(MIN_CHECK_NS, 2 * TICK_NS);
        let mut next_check = self.window.origin + check_ns;
        let mut meter = CpuMeter::new(self.window);
        let paced = self.plan.timing.is_open_loop();
        loop {
            // Before the first request, which the measured time may begin with.
            meter.read(monotonic_ns(), false)?;
            self.launch();
            let now = monotonic_ns();
            self.control.open[self.thread].0.store(self.open, Relaxed);
            self.recorder.tick(now);
            if self.control.is_stopped() || (self.cursor.is_over && self.busy == 0) {
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
                // A schedule does not wait. A closed loop reads all responses that have arrived before it starts requests:
                // otherwise the time to open connections would add to the responses read later.
                if paced {
                    self.launch();
                }
            }
        }
        let now = monotonic_ns();
        meter.read(now, true)?;
        let unfinished = |connection: &&Connection| connection.slot.is_busy() && connection.slot.counted;
        let unfinished = self.connections.iter().filter(unfinished).count() as u64;
        let (_, unsent) = self.cursor.pass(now);
        let (gaps, starts) = self.recorder.finish(now, unsent, unfinished);
        let (cpu_ns, wall_ns) = meter.used();
        let [finished_ns, stopped_ns] = [self.finished, now].map(|at| at.saturating_sub(self.window.begin));
        Ok(ThreadUse { finished_ns, stopped_ns, cpu_ns, wall_ns, gaps, starts })
    }

    /// Waits until a socket is ready, a request is due, or a timeout or pause may have ended.
    fn wait(&mut self, events: &mut [EpollEvent], now: u64, next_check: u64) -> io::Result<usize> {
        let mut limit_ns = TICK_NS;
        if self.busy > 0 {
            limit_ns = limit_ns.min(next_check.saturating_sub(now));
        }
        let until = if self.free.is_empty() {
            let rested = self.resting.peek().map_or(u64::MAX, |Reverse((until, _))| *until);
            // While all clients pause, nothing else lets the cursor notice the end.
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

    /// Starts the requests that are due, as far as slots are free.
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
            self.load(index, counted);
            let sent = if begin == Begin::Reuse { self.send_kept(index) } else { self.open(index) };
            if let Err(error) = sent {
                self.fail_connect(index, &error);
            }
        }
    }

    /// Prepares the request of a slot that has begun.
    fn load(&mut self, index: usize, counted: bool) {
        let Connection { slot, sized, number, .. } = &mut self.connections[index];
        let Job { turn, size } = self.jobs.next_job(counted);
        *number = (turn % self.plan.requests.len() as u64) as usize;
        if let Some(size) = size {
            write_sized(Connection::request(self.plan, slot, &[], *number), size, sized);
        }
        slot.unsent = Connection::request(self.plan, slot, sized, *number).len();
    }

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
        let Connection { slot, socket, .. } = &self.connections[index];
        if slot.counted {
            self.finished = now;
        }
        let tally = self.recorder.tally(slot.counted, now);
        tally.complete(slot.exchange.answer(), slot.timestamps, now);
        self.recorder.starts.complete(slot.timestamps, now, || {
            let worker = slot.exchange.answer().worker;
            (local_port(socket.as_ref()), worker.map(|name| String::from_utf8_lossy(name).into_owned()))
        });
        if !keep {
            self.close(index);
        }
        self.release(index, now, false);
    }

    fn fail_connect(&mut self, index: usize, error: &io::Error) {
        let failure = Failure::of_connect(error);
        let unconnected = matches!(failure, Failure::ConnectRefused | Failure::ConnectFailed);
        if unconnected && self.next_address(index) {
            self.close(index);
            return self.open(index).unwrap_or_else(|error| self.fail_connect(index, &error));
        }
        if unconnected && !self.connected_once {
            let peers: Vec<_> = self.plan.peers.iter().map(ToString::to_string).collect();
            self.control.give_up(|| format!("{}: {error}", peers.join(", ")));
        }
        self.fail(index, failure, || error.to_string());
    }

    /// Whether there is another address to try than the one that failed. The first that answers stays in use.
    fn next_address(&mut self, index: usize) -> bool {
        let failed = self.connections[index].address;
        if !self.connected_once && failed == self.address && self.address + 1 < self.addresses.len() {
            self.address += 1;
        }
        failed < self.address
    }

    fn fail(&mut self, index: usize, failure: Failure, detail: impl FnOnce() -> String) {
        if let Step::Fail(failure, _) = self.connections[index].slot.fail(failure, "") {
            self.count_failure(index, failure, detail);
        }
    }

    fn count_failure(&mut self, index: usize, failure: Failure, detail: impl FnOnce() -> String) {
        let now = monotonic_ns();
        let Connection { slot, socket, .. } = &self.connections[index];
        if slot.counted {
            self.finished = now;
        }
        self.recorder.starts.fail(failure, slot.timestamps, now, || local_port(socket.as_ref()));
        let after_ms = (now - slot.timestamps.started) as f64 / 1e6;
        let received = slot.exchange.received();
        self.recorder.tally(slot.counted, now).fail(failure, || {
            let detail = detail();
            let separator = if detail.is_empty() { "" } else { "; " };
            format!("{detail}{separator}after {after_ms:.1} ms, {received} bytes received")
        });
        self.close(index);
        self.release(index, now, failure.is_before_connection());
    }

    /// Frees the slot, or starts its pause.
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

    fn expire(&mut self, now: u64) {
        for index in 0..self.connections.len() {
            if let Some(failure) = self.connections[index].slot.overdue(now, &self.plan.timeouts) {
                if failure == Failure::ConnectTimeout {
                    self.next_address(index);
                }
                self.fail(index, failure, String::new);
            }
        }
    }
}
