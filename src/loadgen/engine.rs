//! One thread that sends: an epoll loop that owns its connections. It knows sockets and the clock; what a response
//! means is `exchange`'s business, when a request starts is `agenda`'s, what is counted is `tally`'s.
//!
//! In steady state a request costs no allocation, no lock and these system calls: socket, connect, send, epoll_ctl,
//! recv (twice, where the end of the connection comes later than the data), close, and its part of an epoll_wait.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike as _, SockaddrStorage, connect, recv, send,
    socket,
};

use super::agenda::{Agenda, Window};
use super::control::Control;
use super::exchange::Exchange;
use super::fault::Fault;
use super::meter::Meter;
use super::plan::{Load, Plan, Share};
use super::recorder::{Recorder, Wire};
use super::session::ThreadUse;
use super::tally::Moments;
use crate::sys::client::epoll_wait_ns;
use crate::sys::clock::{exact_timers, monotonic_ns};

/// Events taken from the kernel at once.
const EVENTS: usize = 64;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Longest sleep, in ns: how soon a wish to stop is seen.
const TICK_NS: u64 = 50_000_000;
/// How long a slot of a closed loop rests after it got no connection, in ns: a dead server is not hammered.
const REST_NS: u64 = 1_000_000;

/// One connection at a time.
#[derive(Debug)]
struct Slot {
    socket: Option<OwnedFd>,
    exchange: Exchange,
    moments: Moments,
    sent: usize,
    /// A send was told that the connection is reset; what had arrived before can still be read.
    reset: bool,
    /// The request belongs to the measured time.
    counted: bool,
}

/// The loop.
#[derive(Debug)]
pub struct Engine<'a> {
    plan: &'a Plan,
    control: &'a Control,
    shard: usize,
    epoll: Epoll,
    address: SockaddrStorage,
    family: AddressFamily,
    agenda: Agenda,
    window: Window,
    slots: Vec<Slot>,
    free: Vec<usize>,
    resting: Vec<usize>,
    /// When, for the last time, a slot became free and was the only one: who was due before that had to wait.
    freed_at: u64,
    connected_once: bool,
    completed: u64,
    failed: u64,
    finished: u64,
    buffer: Vec<u8>,
    recorder: Recorder,
}

impl<'a> Engine<'a> {
    /// Prepares everything, then waits for the other threads. What is counted goes over `wire`.
    ///
    /// # Errors
    /// Those of `epoll_create`.
    pub fn new(plan: &'a Plan, share: &Share, control: &'a Control, wire: Wire) -> io::Result<Self> {
        let timers = exact_timers();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        let address = SockaddrStorage::from(plan.address);
        let slot = || Slot {
            socket: None,
            exchange: Exchange::new(plan.head_request),
            moments: Moments::default(),
            sent: 0,
            reset: false,
            counted: false,
        };
        let slots: Vec<Slot> = (0..share.connections).map(|_| slot()).collect();
        let buffer = vec![0; BUFFER];
        // The others wait for this thread, even where it has failed.
        let window = Window::new(plan, control.origin_ns());
        timers?;
        Ok(Self {
            plan,
            control,
            shard: share.shard as usize,
            epoll: epoll?,
            family: address.family().unwrap_or(AddressFamily::Inet),
            address,
            agenda: Agenda::new(plan, share, window),
            window,
            free: (0..slots.len()).rev().collect(),
            resting: Vec::with_capacity(slots.len()),
            slots,
            freed_at: 0,
            connected_once: false,
            completed: 0,
            failed: 0,
            finished: window.begin,
            buffer,
            recorder: Recorder::new(plan, share, window, wire),
        })
    }

    /// Sends until the agenda is over and every request has ended, or until asked to stop.
    ///
    /// # Errors
    /// Those of `epoll_wait`.
    pub fn run(mut self) -> io::Result<ThreadUse> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let check_ns = (self.plan.timeout_ns / 20).clamp(REST_NS, 2 * TICK_NS);
        let mut next_check = self.window.origin + check_ns;
        let mut meter = Meter::new(self.window);
        loop {
            self.launch();
            let now = monotonic_ns();
            meter.read(now, self.agenda.is_over())?;
            self.publish();
            self.recorder.tick(now);
            if self.control.is_stopped() || (self.agenda.is_over() && self.free.len() == self.slots.len()) {
                break;
            }
            if now >= next_check {
                next_check = now + check_ns;
                self.expire(now);
            }
            let ready = match epoll_wait_ns(&self.epoll, &mut events, self.patience(now)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                ready => ready.unwrap_or(0),
            };
            for event in &events[..ready] {
                self.on_event(event.data() as usize, event.events());
                self.launch();
            }
            if !self.resting.is_empty() {
                self.wake_resting();
            }
        }
        let now = monotonic_ns();
        meter.read(now, true)?;
        let unfinished =
            self.slots.iter().filter(|slot| slot.socket.is_some() && slot.counted).count() as u64;
        let spans = self.recorder.finish(now, self.agenda.unsent(now), unfinished);
        let (cpu_ns, wall_ns) = meter.used();
        Ok(ThreadUse { window: self.window, finished: self.finished, cpu_ns, wall_ns, spans })
    }

    /// How long there is nothing to do unless a socket becomes ready, in ns.
    fn patience(&self, now: u64) -> u64 {
        let due = self.agenda.next_due().filter(|_| !self.free.is_empty());
        let rest = if self.resting.is_empty() { TICK_NS } else { REST_NS };
        due.map_or(rest, |due| due.saturating_sub(now).min(rest))
    }

    fn publish(&self) {
        let progress = &self.control.progress[self.shard];
        progress.completed.store(self.completed, Relaxed);
        progress.failed.store(self.failed, Relaxed);
        progress.open.store((self.slots.len() - self.free.len() - self.resting.len()) as u64, Relaxed);
    }

    /// Starts what is due, as far as slots are free.
    fn launch(&mut self) {
        let paced = matches!(self.plan.load, Load::Open(_));
        while !self.free.is_empty() {
            let now = monotonic_ns();
            let Some(intended) = self.agenda.due(now) else { return };
            let Some(index) = self.free.pop() else { return };
            self.agenda.take(intended);
            let slot = &mut self.slots[index];
            slot.moments = Moments { intended, started: now, connected: 0, first_byte: 0 };
            slot.counted = intended >= self.window.begin;
            slot.exchange.reset();
            (slot.sent, slot.reset) = (0, false);
            self.recorder.start(slot.counted, intended, now, paced && intended < self.freed_at);
            if let Err(error) = self.open(index) {
                self.fail_connect(index, &error);
            }
        }
    }

    /// Connects and sends. On a local network the connection stands when `connect` returns, so that the request can
    /// be sent at once; elsewhere `send` says EAGAIN, and epoll tells when.
    fn open(&mut self, index: usize) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = slot.socket.insert(socket(self.family, SockType::Stream, flags, None)?);
        match connect(socket.as_raw_fd(), &self.address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let returned = monotonic_ns();
        match send(socket.as_raw_fd(), &self.plan.request, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => (slot.sent, slot.moments.connected) = (sent, returned),
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        self.connected_once |= slot.moments.connected > 0;
        let event = EpollEvent::new(interest(slot.sent == self.plan.request.len()), index as u64);
        Ok(self.epoll.add(&*socket, event)?)
    }

    fn on_event(&mut self, index: usize, flags: EpollFlags) {
        let slot = &self.slots[index];
        let unsent = slot.sent < self.plan.request.len() && !slot.reset;
        if unsent && let Err(error) = self.send_rest(index) {
            return self.fail_connect(index, &error);
        }
        let readable =
            EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if flags.intersects(readable) && self.slots[index].moments.connected > 0 {
            self.receive(index, flags);
        }
    }

    /// Goes on sending. An error before the connection stands is one of connecting; afterwards the response, which
    /// may have come before the whole request was sent, decides.
    fn send_rest(&mut self, index: usize) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let Some(socket) = &slot.socket else { return Ok(()) };
        match send(socket.as_raw_fd(), &self.plan.request[slot.sent..], MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => slot.sent += sent,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET) if slot.moments.connected > 0 => slot.reset = true,
            Err(error) => return Err(error.into()),
        }
        if slot.moments.connected == 0 {
            slot.moments.connected = monotonic_ns();
            self.connected_once = true;
        }
        if slot.reset || slot.sent == self.plan.request.len() {
            self.epoll.modify(socket, &mut EpollEvent::new(interest(true), index as u64))?;
        }
        Ok(())
    }

    /// Reads what is there. When the peer's end has been announced with the data, a read that does not fill the
    /// buffer was the last one: there is no need to ask again.
    fn receive(&mut self, index: usize, flags: EpollFlags) {
        loop {
            let slot = &mut self.slots[index];
            let Some(socket) = &slot.socket else { return };
            let received = recv(socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty());
            match received {
                Ok(0) => return self.finish(index, false),
                Ok(bytes) => {
                    if slot.moments.first_byte == 0 {
                        slot.moments.first_byte = monotonic_ns();
                    }
                    if let Err(why) = slot.exchange.receive(&self.buffer[..bytes]) {
                        return self.fail(index, Fault::BadResponse, || why.to_owned());
                    }
                    if bytes < self.buffer.len() && !flags.contains(EpollFlags::EPOLLERR) {
                        if flags.contains(EpollFlags::EPOLLRDHUP) {
                            return self.finish(index, false);
                        }
                        return;
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(_) => return self.finish(index, true),
            }
        }
    }

    /// The connection has ended.
    fn finish(&mut self, index: usize, reset: bool) {
        let now = monotonic_ns();
        let slot = &self.slots[index];
        match slot.exchange.end(reset || slot.reset) {
            Ok(answer) => {
                self.completed += 1;
                if slot.counted {
                    self.finished = now;
                }
                self.recorder.tally(slot.counted, now).complete(answer, slot.moments, now);
                self.release(index, now, false);
            }
            Err(fault) => self.fail(index, fault, String::new),
        }
    }

    fn fail_connect(&mut self, index: usize, error: &io::Error) {
        let (fault, address) = (Fault::of_connect(error), self.plan.address);
        if matches!(fault, Fault::ConnectRefused | Fault::ConnectFailed) && !self.connected_once {
            self.control.give_up(|| format!("{address}: {error}"));
        }
        self.fail(index, fault, || error.to_string());
    }

    fn fail(&mut self, index: usize, fault: Fault, detail: impl FnOnce() -> String) {
        self.failed += 1;
        let now = monotonic_ns();
        let slot = &self.slots[index];
        if slot.counted {
            self.finished = now;
        }
        let after_ms = (now - slot.moments.started) as f64 / 1e6;
        let received = slot.exchange.received();
        self.recorder.tally(slot.counted, now).fail(fault, || {
            let detail = detail();
            let separator = if detail.is_empty() { "" } else { "; " };
            format!("{detail}{separator}after {after_ms:.1} ms, {received} bytes received")
        });
        self.release(index, now, fault.is_before_connection());
    }

    /// Closes the connection. Its slot is free for the next request, or rests first.
    fn release(&mut self, index: usize, now: u64, unconnected: bool) {
        self.slots[index].socket = None;
        if self.free.is_empty() {
            self.freed_at = now;
        }
        if unconnected && self.plan.load == Load::Closed {
            self.resting.push(index);
        } else {
            self.free.push(index);
        }
    }

    fn wake_resting(&mut self) {
        let now = monotonic_ns();
        let (slots, free) = (&self.slots, &mut self.free);
        self.resting.retain(|index| {
            let rested = slots[*index].moments.started + REST_NS <= now;
            if rested {
                free.push(*index);
            }
            !rested
        });
    }

    /// Ends the requests whose time is over.
    fn expire(&mut self, now: u64) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if slot.socket.is_none() || now < slot.moments.started + self.plan.timeout_ns {
                continue;
            }
            let connected = slot.moments.connected > 0;
            let fault = if connected { slot.exchange.timed_out() } else { Fault::ConnectTimeout };
            self.fail(index, fault, String::new);
        }
    }
}

fn interest(sent: bool) -> EpollFlags {
    let read = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
    if sent { read } else { read | EpollFlags::EPOLLOUT }
}
