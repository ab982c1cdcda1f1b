//! Kernel behaviour that strategies rely on: one test per fact, with threads instead of workers. A failure
//! means that this kernel behaves differently, and names the strategy that relies on the fact.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use caffeine::listener::Choice;
use caffeine::listener::socket::{Terms, first, local_address, sibling};
use caffeine::sys::net;
use caffeine::sys::uring::AcceptRing;
use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::harness::{eventually, skipped};

const CREW: usize = 3;
/// Sockets that deliver a connection at once, with or without data.
const TERMS: Terms = Terms { backlog: 512, defer_accept_s: 0 };

fn socket() -> OwnedFd {
    first((Ipv4Addr::LOCALHOST, 0).into(), TERMS).unwrap()
}

fn address(socket: &OwnedFd) -> SocketAddr {
    local_address(socket.as_fd()).unwrap()
}

/// Threads that all wait for connections in the same way.
struct Crew {
    listener: Arc<OwnedFd>,
    /// Thread ids in the order in which they began to wait.
    tids: Vec<i32>,
    accepted: Receiver<usize>,
    threads: Vec<JoinHandle<()>>,
}

/// How a thread accepts one connection; an error ends the thread.
type Wait1 = Box<dyn FnMut(&OwnedFd) -> io::Result<()>>;

impl Crew {
    /// Starts a thread for each number in `order` once the previous one waits. `way` is called in the thread.
    fn start(listener: OwnedFd, order: &[usize], way: fn(&OwnedFd) -> io::Result<Wait1>) -> Self {
        let (send, accepted) = channel();
        let mut crew = Self { listener: Arc::new(listener), tids: Vec::new(), accepted, threads: Vec::new() };
        for &number in order {
            crew.join_in(number, way, send.clone());
        }
        crew
    }

    fn join_in(&mut self, number: usize, way: fn(&OwnedFd) -> io::Result<Wait1>, send: Sender<usize>) {
        let (tell, tid) = channel();
        let listener = Arc::clone(&self.listener);
        self.threads.push(std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            let mut wait = way(&listener).unwrap();
            while wait(&listener).is_ok() && send.send(number).is_ok() {}
        }));
        self.tids.push(tid.recv().unwrap());
        self.all_sleep();
    }

    /// Two samples in a row, because a thread may sleep briefly for another reason.
    fn all_sleep(&self) {
        let asleep = || self.tids.iter().all(|tid| sleeps(*tid));
        eventually("all threads wait", || asleep() && asleep());
    }

    /// The thread that gets each of `n` sequential connections while all wait.
    fn spread(&self, n: usize) -> Vec<usize> {
        let one = |_| {
            self.all_sleep();
            let _client = TcpStream::connect(address(&self.listener)).unwrap();
            self.accepted.recv_timeout(crate::harness::DEADLINE).unwrap()
        };
        (0..n).map(one).collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // Wakes every waiter of the socket, which then finds that it no longer listens.
        let _ = socket2::SockRef::from(&*self.listener).shutdown(std::net::Shutdown::Both);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

/// Whether a thread of this process sleeps in the kernel.
fn sleeps(tid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

fn blocking(_: &OwnedFd) -> io::Result<Wait1> {
    Ok(Box::new(|listener| net::accept(listener.as_fd()).map(drop)))
}

fn in_epoll(listener: &OwnedFd, flags: EpollFlags, rearm: bool) -> io::Result<Wait1> {
    net::set_nonblocking(listener.as_fd(), true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(listener, EpollEvent::new(flags, 0))?;
    Ok(Box::new(move |listener| {
        loop {
            epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE)?;
            match net::accept(listener.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => {
                    drop(other?);
                    break;
                }
            }
        }
        if rearm {
            epoll.delete(listener)?;
            epoll.add(listener, EpollEvent::new(flags, 0))?;
        }
        Ok(())
    }))
}

const EXCLUSIVE: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLEXCLUSIVE);

fn in_a_ring(listener: &OwnedFd, multishot: bool) -> io::Result<Wait1> {
    let mut ring = AcceptRing::new(listener.as_fd(), multishot)?;
    let own = ring.as_fd().try_clone_to_owned()?;
    Ok(Box::new(move |_| {
        loop {
            ring.wait(own.as_fd())?;
            if let Some(outcome) = ring.take() {
                return outcome.map(drop);
            }
        }
    }))
}

#[track_caller]
fn in_turn(spread: &[usize], why: &str) {
    assert_eq!(spread[..], [0, 1, 2, 0, 1, 2, 0, 1, 2], "{why}");
}

#[test]
fn blocking_accepts_are_served_in_order() {
    let crew = Crew::start(socket(), &[0, 1, 2], blocking);
    in_turn(&crew.spread(9), "`inherited` rests on it");
}

#[test]
fn the_first_exclusive_registration_gets_every_connection() {
    for order in [[0, 1, 2], [2, 1, 0]] {
        let crew = Crew::start(socket(), &order, |listener| in_epoll(listener, EXCLUSIVE, false));
        assert_eq!(crew.spread(9), [order[0]; 9], "`inherited-exclusive` is said to prefer the first");
    }
}

#[test]
fn re_adding_an_exclusive_registration_moves_it_to_the_end() {
    let crew = Crew::start(socket(), &[0, 1, 2], |listener| in_epoll(listener, EXCLUSIVE, true));
    in_turn(&crew.spread(9), "`inherited-rearm` rests on it");
}

#[test]
fn an_exclusive_registration_cannot_be_changed() {
    let (listener, epoll) = (socket(), Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap());
    epoll.add(&listener, EpollEvent::new(EXCLUSIVE, 0)).unwrap();
    let changed = epoll.modify(&listener, &mut EpollEvent::new(EXCLUSIVE, 1));
    assert_eq!(changed, Err(Errno::EINVAL), "else `inherited-rearm` could do with one call");
}

/// How many threads wake up for one connection that is never accepted.
fn woken_by_one(flags: EpollFlags) -> usize {
    let listener = Arc::new(socket());
    let (send, woken) = channel();
    let mut tids = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..CREW {
        let (tell, tid) = channel();
        let (listener, send) = (Arc::clone(&listener), send.clone());
        threads.push(std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
            epoll.add(&listener, EpollEvent::new(flags, 0)).unwrap();
            let mut event = [EpollEvent::empty()];
            epoll.wait(&mut event, EpollTimeout::NONE).unwrap();
            send.send(event[0].events().contains(EpollFlags::EPOLLHUP)).unwrap();
        }));
        let tid = tid.recv().unwrap();
        tids.push(tid);
        eventually("it waits", || sleeps(tid) && sleeps(tid));
    }
    let _client = TcpStream::connect(address(&listener)).unwrap();
    // Threads woken by the connection are awake before the shutdown wakes the rest.
    let patience = std::time::Duration::from_millis(100);
    let mut count = 0;
    while let Ok(false) = woken.recv_timeout(patience) {
        count += 1;
    }
    let _ = socket2::SockRef::from(&*listener).shutdown(std::net::Shutdown::Both);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    count
}

#[test]
fn a_plain_registration_wakes_all_an_exclusive_one_wakes_one() {
    assert_eq!(woken_by_one(EpollFlags::EPOLLIN), CREW, "`inherited-herd` shows what that costs");
    assert_eq!(woken_by_one(EXCLUSIVE), 1, "the strategies without a herd rest on it");
}

#[test]
fn one_epoll_waiter_among_blocking_accepts_gets_every_connection() {
    let mut crew = Crew::start(socket(), &[0], |listener| {
        let wait = in_epoll(listener, EXCLUSIVE, false)?;
        net::set_nonblocking(listener.as_fd(), false)?;
        Ok(wait)
    });
    let (send, others) = channel();
    crew.join_in(1, blocking, send.clone());
    crew.join_in(2, blocking, send);
    assert_eq!(crew.spread(9), [0; 9], "the reason why no strategy mixes the two");
    assert!(others.try_recv().is_err());
}

/// Skips with a notice where io_uring is not available.
fn uring(name: &str) -> bool {
    let choice: Choice = name.parse().unwrap();
    let available = choice.available();
    available.inspect_err(|reason| skipped(format!("{name}: {reason}"))).is_ok()
}

#[test]
fn single_shot_io_uring_accepts_are_served_in_turn() {
    if uring("uring") {
        let crew = Crew::start(socket(), &[0, 1, 2], |listener| in_a_ring(listener, false));
        in_turn(&crew.spread(9), "`uring` rests on it");
    }
}

#[test]
fn the_first_multishot_accept_gets_every_connection() {
    if uring("uring-multishot") {
        let crew = Crew::start(socket(), &[0, 1, 2], |listener| in_a_ring(listener, true));
        assert_eq!(crew.spread(9), [0; 9], "`uring-multishot` is said to do so");
    }
}

/// A reuseport group and the length of each queue after `n` connections from `n` ports.
fn group(size: usize) -> Vec<OwnedFd> {
    let one = socket();
    let address = address(&one);
    let more = (1..size).map(|_| sibling(address, TERMS).unwrap());
    let sockets: Vec<OwnedFd> = std::iter::once(one).chain(more).collect();
    sockets.iter().for_each(|socket| net::set_nonblocking(socket.as_fd(), true).unwrap());
    sockets
}

fn queued(sockets: &[OwnedFd], n: usize) -> Vec<usize> {
    let _clients: Vec<TcpStream> =
        (0..n).map(|_| TcpStream::connect(address(&sockets[0])).unwrap()).collect();
    let drain = |socket: &OwnedFd| std::iter::from_fn(|| net::accept(socket.as_fd()).ok()).count();
    sockets.iter().map(drain).collect()
}

#[test]
fn a_reuseport_group_hashes_fairly_and_ignores_queue_length() {
    let counts = queued(&group(2), 200);
    assert_eq!(counts.iter().sum::<usize>(), 200);
    // Within 5 standard deviations of a fair coin.
    assert!(counts.iter().all(|&count| count.abs_diff(100) <= 36), "`reuseport` rests on it: {counts:?}");
}

#[test]
fn a_bpf_program_indexes_sockets_in_the_order_they_began_to_listen() {
    let sockets = group(CREW);
    let constant = |k| libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k };
    for number in 0..CREW {
        net::choose_by_program(sockets[2].as_fd(), &mut [constant(number as u32)]).unwrap();
        let expected: Vec<usize> = (0..CREW).map(|other| if other == number { 12 } else { 0 }).collect();
        assert_eq!(queued(&sockets, 12), expected, "`reuseport-cbpf` rests on it");
    }
    net::choose_by_program(sockets[0].as_fd(), &mut [constant(99)]).unwrap();
    let counts = queued(&sockets, 60);
    assert!(
        counts.iter().all(|&count| count > 0),
        "an index beyond the last is left to the hash: {counts:?}"
    );
}

/// Closes the first of two sockets with connections in its queue; the number of resets.
fn reset_by_closing(copies_of_the_first: usize) -> (usize, usize) {
    let mut sockets = group(2);
    let mut clients: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(address(&sockets[0])).unwrap()).collect();
    let copies: Vec<OwnedFd> = (0..copies_of_the_first).map(|_| sockets[0].try_clone().unwrap()).collect();
    drop(sockets.remove(0));
    let mut served = 0;
    for listener in copies.iter().chain(&sockets) {
        while let Ok((stream, _)) = net::accept(listener.as_fd()) {
            net::send(&stream, b"x").unwrap();
            served += 1;
        }
    }
    let reset = clients.iter_mut().map(|client| client.read(&mut [0])).filter(Result::is_err).count();
    (served, reset)
}

fn migrates() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").is_ok_and(|value| value.trim() == "1")
}

#[test]
fn a_queue_lives_as_long_as_any_descriptor_of_its_socket() {
    assert_eq!(reset_by_closing(1), (40, 0), "all strategies but `reuseport:private` rest on it");
    if migrates() {
        return skipped("tcp_migrate_req is set, a closed socket hands its queue over");
    }
    let (served, reset) = reset_by_closing(0);
    assert!(reset > 0 && served + reset == 40, "`reuseport:private` is said to lose its queue: {reset}");
}

#[test]
fn with_tcp_migrate_req_a_closed_socket_passes_its_queue_to_the_group() {
    // A thread can have its own network namespace without affecting the process.
    let inside = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
        let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
        if !up.is_ok_and(|status| status.success()) {
            return Err("there is no `ip` to bring up a loopback device".to_owned());
        }
        std::fs::write("/proc/sys/net/ipv4/tcp_migrate_req", "1").map_err(|error| error.to_string())?;
        Ok(reset_by_closing(0))
    };
    match std::thread::spawn(inside).join().unwrap() {
        Ok(counts) => assert_eq!(counts, (40, 0), "the remedy that `reuseport:private` does without"),
        Err(reason) => skipped(format!("no network namespace with tcp_migrate_req: {reason}")),
    }
}

#[test]
fn o_nonblock_is_shared_by_all_descriptors_and_not_inherited_by_connections() {
    let listener = socket();
    let copy = listener.try_clone().unwrap();
    net::set_nonblocking(copy.as_fd(), true).unwrap();
    let nothing = net::accept(listener.as_fd()).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock, "the epoll strategies have to reckon with it");
    let _client = TcpStream::connect(address(&listener)).unwrap();
    let (stream, _) = net::accept(listener.as_fd()).unwrap();
    let accepted = socket2::SockRef::from(&stream);
    assert!(!accepted.nonblocking().unwrap(), "a handler's output is blocking");
    assert!(accepted.tcp_nodelay().unwrap(), "no call per connection for TCP_NODELAY");
}
