//! The sink, tried on sockets of this process: over IPv4 and IPv6, with and without TCP_DEFER_ACCEPT, in groups of any size.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::listener::socket::{accept, first, half_open, local_address, sibling};
use crate::sys::netns::OwnNetwork;

/// Sockets of a reuseport group on `bind`, and their sink.
fn group(bind: &str, sockets: usize, terms: Terms) -> Option<(Vec<OwnedFd>, SocketAddr, Sink)> {
    let first = first(bind.parse().unwrap(), terms).ok()?;
    let address = local_address(first.as_fd()).unwrap();
    let mut group = vec![first];
    group.extend((1..sockets).map(|_| sibling(address, terms).unwrap()));
    Some((group, address, Sink::bind(address).unwrap()))
}

fn terms(defer_accept_s: u32) -> Terms {
    Terms { defer_accept_s, ..Terms::default() }
}

/// Tries to connect, as a host does whose packets have this time to live.
fn late(address: SocketAddr, ttl: Option<u32>) -> ErrorKind {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    match (ttl, address.is_ipv4()) {
        (None, _) => {}
        (Some(ttl), true) => socket.set_ttl_v4(ttl).unwrap(),
        (Some(ttl), false) => socket.set_unicast_hops_v6(ttl).unwrap(),
    }
    socket.connect_timeout(&address.into(), Duration::from_millis(50)).unwrap_err().kind()
}

/// Takes one connection out of a non-blocking group.
fn take(group: &[OwnedFd]) -> TcpStream {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        for socket in group {
            if let Some(accepted) = socket::take(socket.as_fd()).unwrap() {
                return TcpStream::from(accepted.stream);
            }
        }
        assert!(std::time::Instant::now() < end, "no connection");
        std::thread::yield_now();
    }
}

#[test]
fn it_takes_every_new_connection_and_leaves_those_that_had_begun() {
    for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        for (sockets, defer) in [(1, 1), (1, 0), (5, 1), (150, 0)] {
            let Some((group, address, mut sink)) = group(bind, sockets, terms(defer)) else { continue };
            group.iter().for_each(|socket| net::set_nonblocking(socket.as_fd(), true).unwrap());
            let ways = ways_to(address);
            let mut begun: Vec<_> = ways.iter().map(|way| TcpStream::connect(way).unwrap()).collect();
            assert!(sink.divert(sockets).unwrap(), "{bind}, {sockets} sockets: no proof");
            assert!(!sink.is_alone().unwrap());
            for &way in &ways {
                assert_eq!(late(way, None), ErrorKind::TimedOut, "{way}, {sockets} sockets");
                assert_eq!(
                    late(way, Some(255)),
                    ErrorKind::TimedOut,
                    "{way}, {sockets} sockets, from a neighbour"
                );
            }
            begun.iter_mut().for_each(|client| client.write_all(b"x").unwrap());
            for _ in &begun {
                let mut byte = [0];
                take(&group).read_exact(&mut byte).unwrap();
            }
            drop(group);
            assert!(sink.is_alone().unwrap());
            drop((begun, sink));
            assert_eq!(late(ways[0], None), ErrorKind::ConnectionRefused);
            first(address, terms(1)).unwrap();
        }
    }
}

#[test]
fn a_bound_sink_changes_nothing_until_it_is_used() {
    let (group, address, sink) = group("127.0.0.1:0", 1, terms(0)).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    accept(group[0].as_fd()).unwrap();
    assert_eq!(first(address, terms(0)).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop((group, sink));
    assert_eq!(late(address, None), ErrorKind::ConnectionRefused);
}

#[test]
fn the_kernel_is_asked_how_many_sockets_there_are() {
    let (group, address, mut sink) = group("127.0.0.1:0", 3, terms(0)).unwrap();
    // As one that a worker has opened for itself, and one that was shut down.
    let _own = sibling(address, terms(0)).unwrap();
    SockRef::from(&group[1]).shutdown(std::net::Shutdown::Both).unwrap();
    let _other = sibling(address, terms(0)).unwrap();
    assert!(sink.divert(3).unwrap());
    assert_eq!(late(address, None), ErrorKind::TimedOut);
}

#[test]
fn it_stays_the_last_while_others_leave() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let Some((mut group, address, mut sink)) = group(bind, 5, terms(1)) else { continue };
        assert!(sink.divert(5).unwrap());
        while group.len() > 1 {
            drop(group.swap_remove(0));
            assert!(!sink.is_alone().unwrap());
            assert_eq!(late(address, None), ErrorKind::TimedOut);
            assert_eq!(late(address, Some(255)), ErrorKind::TimedOut);
        }
        drop(group);
        assert!(sink.is_alone().unwrap());
    }
}

#[test]
fn a_program_that_another_process_attaches_is_refused_once_the_group_is_locked() {
    let (group, address, mut sink) = group("127.0.0.1:0", 2, terms(0)).unwrap();
    net::choose_by_program(group[0].as_fd(), &mut program(1)).unwrap();
    group.iter().for_each(|socket| net::lock_program(socket.as_fd()).unwrap());
    assert!(sink.divert(2).unwrap());
    let refused = net::choose_by_program(group[0].as_fd(), &mut program(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(late(address, None), ErrorKind::TimedOut);
}

#[test]
fn without_a_way_to_its_address_there_is_no_proof_and_no_long_wait() {
    let Ok(_network) = OwnNetwork::enter_without_loopback() else { return };
    let (_group, _, mut sink) = group("0.0.0.0:0", 2, terms(1)).unwrap();
    assert!(!sink.divert(2).unwrap());
}

#[test]
fn a_least_time_to_live_drops_a_syn_and_nothing_of_a_handshake_that_had_begun() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let Some((group, address, _)) = group(bind, 1, terms(1)) else { continue };
        let mut client = TcpStream::connect(address).unwrap();
        assert_eq!(half_open(address.port()).unwrap(), 1);
        net::set_least_hops(group[0].as_fd(), MOST_HOPS).unwrap();
        assert_eq!(late(address, None), ErrorKind::TimedOut);
        client.write_all(b"x").unwrap();
        let accepted = accept(group[0].as_fd()).unwrap();
        net::set_least_hops(accepted.stream.as_fd(), 0).unwrap();
        client.write_all(b"y").unwrap();
        let mut bytes = [0; 2];
        TcpStream::from(accepted.stream).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"xy");
    }
}
