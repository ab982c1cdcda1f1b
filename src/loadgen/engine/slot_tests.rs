//! The slot against events in any order: nothing is counted twice, and nothing is lost.

use super::*;
use proptest::prelude::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const ENDLESS: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nok";
const KEEP: Persistence = Persistence { requests: u64::MAX, client_closes: false };
const ONCE: Persistence = Persistence { requests: 1, client_closes: false };
const TIMEOUTS: Timeouts = Timeouts { total_ns: 100, connect_ns: 10, first_byte_ns: 20 };

/// With a request sent on a new connection.
fn sent(persistence: Persistence) -> Slot {
    let mut slot = Slot::new(false, persistence);
    assert_eq!(slot.begin(0, 1, true), Begin::Open { again: false });
    slot.unsent = 5;
    slot.connect(2);
    assert_eq!(slot.sent(5, 2), Step::Wait);
    slot
}

#[test]
fn a_new_connection_per_request_is_over_when_the_server_closes_it() {
    let mut slot = sent(ONCE);
    assert_eq!(slot.receive(OK, 3), Step::Wait);
    assert_eq!(slot.end(false), Step::Complete { keep: false });
    assert_eq!(slot.begin(5, 5, true), Begin::Open { again: false });
}

#[test]
fn a_kept_connection_is_over_with_its_response_and_used_again() {
    let mut slot = sent(KEEP);
    assert_eq!(slot.receive(&OK[..10], 3), Step::Wait);
    assert_eq!(slot.receive(&OK[10..], 4), Step::Complete { keep: true });
    assert_eq!((slot.timestamps.connected, slot.timestamps.first_byte, slot.idle_since()), (2, 3, Some(4)));
    assert_eq!(slot.begin(5, 5, true), Begin::Reuse);
    slot.unsent = 5;
    assert_eq!(slot.sent(5, 6), Step::Wait);
    assert_eq!(slot.receive(OK, 7), Step::Complete { keep: true });
    assert_eq!(slot.timestamps.connected, 0, "a kept connection has no connect to time");
}

#[test]
fn the_server_has_the_last_word_on_keeping() {
    for response in [CLOSE, ENDLESS] {
        let mut slot = sent(KEEP);
        assert_eq!(slot.receive(response, 3), Step::Wait);
        assert_eq!(slot.end(false), Step::Complete { keep: false });
        assert_eq!(slot.begin(5, 5, true), Begin::Open { again: false }, "it had said so");
    }
}

#[test]
fn the_nth_request_is_the_last_one() {
    let mut slot = sent(Persistence { requests: 2, client_closes: false });
    assert!(!slot.is_last());
    assert_eq!(slot.receive(OK, 3), Step::Complete { keep: true });
    assert_eq!(slot.begin(5, 5, true), Begin::Reuse);
    assert!(slot.is_last());
    assert_eq!(slot.receive(OK, 6), Step::Wait, "the server closes");
    assert_eq!(slot.end(true), Step::Complete { keep: false }, "by a reset: all had arrived");
    assert_eq!(slot.begin(7, 7, true), Begin::Open { again: false });
    assert!(!slot.is_last());
}

#[test]
fn where_we_close_the_response_is_enough() {
    for response in [OK, CLOSE] {
        let mut slot = sent(Persistence { requests: 1, client_closes: true });
        assert_eq!(slot.receive(response, 3), Step::Complete { keep: false });
    }
    let mut slot = sent(Persistence { requests: 1, client_closes: true });
    assert_eq!(slot.receive(ENDLESS, 3), Step::Wait, "only its end tells that it is whole");
}

#[test]
fn a_kept_connection_that_ends_between_requests_is_no_failure() {
    for says_something in [false, true] {
        let mut slot = sent(KEEP);
        slot.receive(OK, 3);
        let step =
            if says_something { slot.receive(b"HTTP/1.1 408 Slow\r\n\r\n", 4) } else { slot.end(true) };
        assert_eq!(step, Step::Lost);
        assert_eq!(slot.end(false), Step::Wait, "only once");
        assert_eq!(slot.begin(5, 5, true), Begin::Open { again: true });
    }
}

#[test]
fn a_kept_connection_that_ends_under_a_request_is_a_failure_of_its_own_kind() {
    for reset in [false, true] {
        let mut slot = sent(KEEP);
        slot.receive(OK, 3);
        assert_eq!(slot.begin(5, 5, true), Begin::Reuse);
        slot.unsent = 5;
        if reset {
            slot.cut()
        } else {
            assert_eq!(slot.sent(5, 6), Step::Wait);
        }
        assert_eq!(slot.end(reset), Step::Fail(Failure::ClosedBeforeResponse, ""));
        assert_eq!(slot.begin(7, 7, true), Begin::Open { again: false });
    }
    let mut slot = sent(KEEP);
    assert_eq!(slot.end(false), Step::Fail(Failure::EarlyEnd, ""), "on a new connection");
    let mut slot = sent(KEEP);
    assert_eq!(slot.end(true), Step::Fail(Failure::ResetBeforeResponse, ""));
    let mut slot = sent(KEEP);
    slot.receive(OK, 3);
    slot.begin(5, 5, true);
    slot.receive(&OK[..9], 6);
    assert_eq!(slot.end(true), Step::Fail(Failure::ResetInResponse, ""), "it had begun");
}

#[test]
fn more_than_the_response_is_a_bad_one_and_ends_the_connection() {
    let mut slot = sent(KEEP);
    assert!(matches!(slot.receive(&[OK, b"x"].concat(), 3), Step::Fail(Failure::BadResponse, _)));
    assert_eq!(slot.begin(5, 5, true), Begin::Open { again: false });
}

#[test]
fn a_whole_answer_ends_a_request_that_is_not_sent_yet_and_its_connection() {
    let mut slot = Slot::new(false, KEEP);
    slot.begin(0, 1, true);
    slot.unsent = 100;
    slot.connect(2);
    slot.sent(50, 2);
    assert_eq!(slot.receive(&OK[..20], 3), Step::Wait);
    assert_eq!(slot.receive(&OK[20..], 3), Step::Complete { keep: false });
    assert_eq!(slot.begin(5, 5, true), Begin::Open { again: false });
    slot.unsent = 100;
    slot.connect(5);
    slot.sent(50, 5);
    assert_eq!(slot.receive(&OK[..20], 6), Step::Wait);
    slot.cut();
    assert_eq!(slot.receive(&OK[20..], 6), Step::Wait, "a reset connection is read to its end");
    assert_eq!(slot.end(true), Step::Complete { keep: false }, "the whole answer had arrived");
}

#[test]
fn every_phase_has_its_time() {
    let mut slot = Slot::new(false, KEEP);
    assert_eq!(slot.overdue(u64::MAX, &TIMEOUTS), None, "nothing is under way");
    slot.begin(0, 1000, true);
    assert_eq!(slot.overdue(1009, &TIMEOUTS), None);
    assert_eq!(slot.overdue(1010, &TIMEOUTS), Some(Failure::ConnectTimeout));
    slot.connect(1005);
    assert_eq!(slot.overdue(1024, &TIMEOUTS), None);
    assert_eq!(slot.overdue(1025, &TIMEOUTS), Some(Failure::TimeoutBeforeResponse));
    slot.receive(&OK[..9], 1010);
    assert_eq!(slot.overdue(1099, &TIMEOUTS), None);
    assert_eq!(slot.overdue(1100, &TIMEOUTS), Some(Failure::TimeoutInResponse));
    assert_eq!(slot.receive(&OK[9..], 1020), Step::Complete { keep: true });
    slot.begin(0, 2000, true);
    assert_eq!(
        slot.overdue(2020, &TIMEOUTS),
        Some(Failure::TimeoutBeforeResponse),
        "from the start: no connect"
    );
    let mut slot = sent(ONCE);
    slot.receive(OK, 5);
    assert_eq!(slot.overdue(101, &TIMEOUTS), Some(Failure::TimeoutBeforeClose));
}

/// What can happen to a slot.
#[derive(Clone, Debug)]
enum Event {
    Begin,
    Connect,
    Sent(usize),
    Cut,
    Receive(usize, usize),
    End(bool),
    Fail,
    Expire,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Begin),
        3 => Just(Event::Connect),
        3 => (1usize..8).prop_map(Event::Sent),
        1 => Just(Event::Cut),
        5 => (0usize..4, 1usize..60).prop_map(|(response, cut)| Event::Receive(response, cut)),
        2 => any::<bool>().prop_map(Event::End),
        1 => Just(Event::Fail),
        1 => Just(Event::Expire),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_every_request_ends_once_or_not_yet(
        events in prop::collection::vec(event(), 0..300),
        requests in prop_oneof![Just(1), Just(3), Just(u64::MAX)],
        client_closes: bool,
    ) {
        let persistence = Persistence { requests, client_closes };
        let mut slot = Slot::new(false, persistence);
        let responses: [&[u8]; 4] = [OK, CLOSE, ENDLESS, b"nonsense\r\n\r\n"];
        let (mut started, mut completed, mut failed, mut lost) = (0, 0, 0, 0);
        let mut on_connection = 0;
        for (now, event) in (1u64..).zip(events) {
            let was_busy = slot.is_busy();
            let step = match event {
                Event::Begin if was_busy => continue,
                Event::Begin => {
                    let had = slot.idle_since().is_some();
                    let begin = slot.begin(now, now, true);
                    prop_assert_eq!(begin == Begin::Reuse, had);
                    on_connection = if had { on_connection + 1 } else { 1 };
                    prop_assert!(on_connection <= requests, "more requests on a connection than allowed");
                    slot.unsent = 10;
                    started += 1;
                    Step::Wait
                }
                Event::Connect => { slot.connect(now); Step::Wait }
                Event::Sent(bytes) if slot.is_connected() => slot.sent(bytes, now),
                Event::Cut if slot.is_connected() => { slot.cut(); Step::Wait }
                Event::Receive(response, cut) => {
                    let bytes = responses[response];
                    slot.receive(&bytes[..cut.min(bytes.len())], now)
                }
                Event::End(reset) => slot.end(reset),
                Event::Fail => slot.fail(Failure::NoSocket, ""),
                Event::Expire => match slot.overdue(now, &TIMEOUTS) {
                    Some(failure) => slot.fail(failure, ""),
                    None => Step::Wait,
                },
                Event::Sent(_) | Event::Cut => continue,
            };
            match step {
                Step::Wait => prop_assert!(slot.is_busy() == was_busy || !was_busy),
                Step::Complete { keep } => {
                    completed += 1;
                    prop_assert!(was_busy && !slot.is_busy());
                    prop_assert_eq!(slot.idle_since().is_some(), keep);
                    prop_assert!(slot.exchange.answer().status >= 200);
                }
                Step::Fail(..) => {
                    failed += 1;
                    prop_assert!(was_busy && !slot.is_busy() && slot.idle_since().is_none());
                }
                Step::Lost => {
                    lost += 1;
                    prop_assert!(!was_busy && slot.idle_since().is_none());
                }
            }
            prop_assert_eq!(started, completed + failed + u64::from(slot.is_busy()));
        }
        prop_assert!(lost <= completed, "only a connection that has served a request can be lost");
    }
}
