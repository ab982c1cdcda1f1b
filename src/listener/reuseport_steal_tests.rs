//! Two workers of `reuseport-steal` in one process: who takes what, in which order, and what is found when a wake-up was lost.

use super::*;
use crate::listener::Siblings;
use crate::listener::socket::{self, Terms};
use crate::scoreboard::Scoreboard;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

#[test]
fn all_steal_from_all_up_to_a_number_and_then_from_the_next_few() {
    assert_eq!(victims(2, 4).collect::<Vec<_>>(), [3, 0, 1]);
    assert_eq!(victims(0, 1).count(), 0);
    assert_eq!(victims(10, ALL).count(), ALL - 1);
    let many = ALL + 1;
    assert_eq!(victims(many - 1, many).collect::<Vec<_>>(), (0..SOME).collect::<Vec<_>>());
    for workers in [1, 2, 5, ALL, many] {
        for me in 0..workers {
            let mine: BTreeSet<_> = victims(me, workers).collect();
            assert!(!mine.contains(&me));
            let from_me = (0..workers).filter(|&other| victims(other, workers).any(|victim| victim == me));
            assert_eq!(from_me.collect::<BTreeSet<_>>(), thieves(me, workers).collect());
        }
    }
}

/// Two workers in one process. Their sockets have different ports, so that a client can say whose it wants.
struct Pair {
    board: &'static Scoreboard,
    strategy: Stealing,
    sockets: Vec<OwnedFd>,
}

impl Pair {
    fn new() -> Self {
        let any = || socket::first((Ipv4Addr::LOCALHOST, 0).into(), Terms::default()).unwrap();
        Self {
            board: Box::leak(Box::new(Scoreboard::anonymous(2).unwrap())),
            strategy: Stealing { shared: Arc::new(Shared::new(2).unwrap()) },
            sockets: vec![any(), any()],
        }
    }

    fn worker(&self, worker: usize) -> Thief {
        let siblings = Siblings::new(self.board, 0, vec![0, 1]);
        let seat = Seat { worker, workers: 2, sockets: &self.sockets, terms: Terms::default(), siblings };
        Thief::new(Arc::clone(&self.strategy.shared), &seat).unwrap()
    }

    /// Connects to a worker's socket and sends something.
    fn client(&self, worker: usize) -> TcpStream {
        let address = socket::local_address(self.sockets[worker].as_fd()).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"x").unwrap();
        client
    }

    /// Worker 0 is woken for a connection and never comes for it: the one case in which no other worker is woken.
    fn strand(&self, owner: &Thief) -> TcpStream {
        // It has been told of its thief, and has nothing else to see.
        while watch::wait(&owner.alias, 0).unwrap().is_some() {}
        let waits = self.strategy.shared.marks.waits(0);
        std::thread::scope(|scope| {
            let woken = scope.spawn(|| owner.wait().unwrap());
            // Should it not be asleep yet, everybody is told; then the test shows less, and does not fail.
            while waits.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(20));
            let client = self.client(0);
            assert_eq!(woken.join().unwrap(), Some(0));
            client
        })
    }
}

#[test]
fn what_waits_for_an_owner_that_does_not_come_is_stolen_also_when_it_waited_before() {
    let pair = Pair::new();
    let row = pair.board.row(1);
    let _owner = pair.worker(0);
    // Before and after the thief has registered.
    let early = pair.client(0);
    let mut thief = pair.worker(1);
    assert_eq!(thief.accept(row).unwrap().peer, early.local_addr().unwrap());
    let late = pair.client(0);
    assert_eq!(thief.accept(row).unwrap().peer, late.local_addr().unwrap());
    let own = pair.client(1);
    assert_eq!(thief.accept(row).unwrap().peer, own.local_addr().unwrap());
    assert_eq!(row.stolen.load(SeqCst), 2);
}

#[test]
fn its_own_come_first_but_not_for_ever() {
    let pair = Pair::new();
    let row = pair.board.row(1);
    let _owner = pair.worker(0);
    let mut thief = pair.worker(1);
    let _other = pair.client(0);
    let own: Vec<_> = (0..3 * LOOK_AROUND).map(|_| pair.client(1)).collect();
    let until_stolen =
        own.iter().take_while(|_| thief.accept(row).is_ok() && row.stolen.load(SeqCst) == 0).count();
    assert!((1..=2 * LOOK_AROUND as usize).contains(&until_stolen), "{until_stolen}");
}

#[test]
fn a_connection_whose_wake_up_was_lost_is_found_when_its_worker_is_gone() {
    let pair = Pair::new();
    let owner = pair.worker(0);
    let mut thief = pair.worker(1);
    // It has been told of the owner, and has nothing else to see.
    let own = pair.client(1);
    thief.accept(pair.board.row(1)).unwrap();
    drop(own);
    let stranded = pair.strand(&owner);
    let (found, finding) = std::sync::mpsc::channel();
    let row = pair.board.row(1);
    let finder = std::thread::spawn(move || found.send(thief.accept(row).unwrap().peer));
    pair.strategy.gone(0);
    let peer = finding.recv_timeout(Duration::from_secs(20)).expect("no worker looked for it");
    assert_eq!(peer, stranded.local_addr().unwrap());
    finder.join().unwrap().unwrap();
}

#[test]
fn a_connection_whose_wake_up_was_lost_is_found_by_one_who_looks_around() {
    let pair = Pair::new();
    let owner = pair.worker(0);
    let mut thief = pair.worker(1);
    let row = pair.board.row(1);
    let _stranded = pair.strand(&owner);
    for _ in 0..=LOOK_AROUND {
        let _own = pair.client(1);
        thief.accept(row).unwrap();
    }
    assert_eq!(row.stolen.load(SeqCst), 1);
}

#[test]
fn a_thief_goes_behind_a_successor() {
    let pair = Pair::new();
    let owner = pair.worker(0);
    let mut thief = pair.worker(1);
    assert_eq!(thief.places[1].behind, 1);
    drop(owner);
    let _successor = pair.worker(0);
    thief.keep_order().unwrap();
    assert_eq!(thief.places[1].behind, 2);
}

#[test]
fn a_socket_that_was_shut_down_does_not_disturb_its_owner_or_thieves() {
    let pair = Pair::new();
    let (mut first, mut second) = (pair.worker(0), pair.worker(1));
    socket2::SockRef::from(&pair.sockets[0]).shutdown(std::net::Shutdown::Both).unwrap();
    for worker in [&mut first, &mut second] {
        for _ in 0..3 {
            let client = pair.client(1);
            let accepted = worker.accept(pair.board.row(0)).unwrap();
            assert_eq!(accepted.peer, client.local_addr().unwrap());
        }
        assert!(worker.look_around(pair.board.row(0)).unwrap().is_none());
        assert!(worker.places.iter().any(|place| place.is_shut));
        while let Some(event) = watch::wait(&worker.alias, 0).unwrap() {
            assert_eq!(event, BELL, "the socket wakes it again and again");
        }
    }
}
