//! The table of clients: random sequences against a plain count, threads, full sets, deaths.

use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;

const ROWS: usize = 3;
const MOST: u64 = 3;
/// Enough for all clients of a sequence.
const ROOMY: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Handler,
    Connection(usize),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(u8, What),
    /// Gives back one of what is held.
    Give(usize),
    /// The worker in this row dies.
    Die(usize),
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![Just(What::Handler), (0..ROWS).prop_map(What::Connection)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..40u8, what()).prop_map(|(client, what)| Step::Take(client, what)),
        4 => (0..100usize).prop_map(Step::Give),
        1 => (0..ROWS).prop_map(Step::Die),
    ];
    proptest::collection::vec(step, 0..300)
}

fn take(clients: &Clients, client: Client, what: What) -> Taken {
    match what {
        What::Handler => clients.take_handler(client, MOST),
        What::Connection(row) => clients.take_connection(client, row, ROWS, MOST),
    }
}

fn give(clients: &Clients, client: Client, what: What) {
    match what {
        What::Handler => clients.end_handler(client),
        What::Connection(row) => clients.end_connection(client, row),
    }
}

fn is_empty(clients: &Clients) -> bool {
    clients.cells().all(|(_, cell)| cell.load(SeqCst) == 0)
}

/// Takes the steps. With as many cells as are needed, no client is left uncounted.
fn run(sets: usize, steps: &[Step]) {
    let clients = Clients::with_sets(sets, None).unwrap();
    let mut held: Vec<(Client, What)> = Vec::new();
    for &step in steps {
        match step {
            Step::Take(number, what) => {
                let client = clients.of([192, 0, 2, number].into());
                let is_handler = |what: What| what == What::Handler;
                let count = held
                    .iter()
                    .filter(|one| one.0 == client && is_handler(one.1) == is_handler(what))
                    .count();
                match take(&clients, client, what) {
                    Taken::Counted => {
                        assert!((count as u64) < MOST);
                        held.push((client, what));
                    }
                    Taken::Refused => assert_eq!(count as u64, MOST),
                    Taken::Uncounted => assert_eq!(sets, 1),
                }
            }
            Step::Give(index) if !held.is_empty() => {
                let (client, what) = held.swap_remove(index % held.len());
                give(&clients, client, what);
            }
            Step::Give(_) => {}
            Step::Die(row) => {
                clients.clear(row);
                held.retain(|(_, what)| *what != What::Connection(row));
            }
        }
    }
    held.into_iter().for_each(|(client, what)| give(&clients, client, what));
    assert!(is_empty(&clients), "something has leaked");
}

proptest! {
    #[test]
    fn no_sequence_exceeds_the_limit_or_leaks(steps in steps()) {
        run(ROOMY, &steps);
        run(1, &steps);
    }
}

#[test]
fn processes_that_take_at_the_same_time_do_not_exceed_the_limit_together() {
    let clients = Clients::with_sets(1, None).unwrap();
    let client = clients.of([192, 0, 2, 1].into());
    let held = AtomicUsize::new(0);
    let rounds = |what: What| {
        for _ in 0..2000 {
            if take(&clients, client, what) == Taken::Counted {
                assert!(held.fetch_add(1, SeqCst) < MOST as usize);
                held.fetch_sub(1, SeqCst);
                give(&clients, client, what);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..ROWS).for_each(|row| drop(scope.spawn(move || rounds(What::Connection(row)))));
    });
    assert!(is_empty(&clients));
    std::thread::scope(|scope| {
        (0..ROWS).for_each(|_| drop(scope.spawn(|| rounds(What::Handler))));
    });
    assert!(is_empty(&clients));
}

#[test]
fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
    let clients = Clients::with_sets(1, None).unwrap();
    let of = |address: &str| clients.of(address.parse().unwrap());
    assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
    assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_ne!(
        of("192.0.2.1"),
        Clients::with_sets(1, None).unwrap().of([192, 0, 2, 1].into()),
        "keys are random"
    );
    assert_eq!(Client::numbered(of("::1").number()), Some(of("::1")));
}

#[test]
fn without_a_free_cell_a_client_is_not_limited_and_takes_from_no_other() {
    let clients = Clients::with_sets(1, None).unwrap();
    let all: Vec<Client> = (0..WAYS as u8 + 1).map(|number| clients.of([192, 0, 2, number].into())).collect();
    let (last, counted) = all.split_last().unwrap();
    counted.iter().for_each(|client| assert_eq!(clients.take_handler(*client, 1), Taken::Counted));
    assert_eq!(clients.take_handler(*last, 1), Taken::Uncounted);
    counted.iter().for_each(|client| assert_eq!(clients.take_handler(*client, 1), Taken::Refused));
    clients.end_handler(counted[0]);
    assert_eq!(clients.take_handler(*last, 1), Taken::Counted);
}

#[test]
fn handlers_are_counted_anew_only_while_no_launch_is_under_way() {
    let clients = Clients::new(None).unwrap();
    let [one, other] = [1, 2].map(|number| clients.of([192, 0, 2, number].into()));
    for _ in 0..3 {
        assert_eq!(clients.take_handler(one, MOST), Taken::Counted);
    }
    assert_eq!(clients.take_handler(other, MOST), Taken::Counted);
    assert_eq!(clients.take_connection(one, 0, ROWS, MOST), Taken::Counted);
    let running = [one, one];
    assert!(!clients.recount(running.into_iter(), || false));
    assert_eq!((clients.handlers(one), clients.handlers(other)), (3, 1));
    assert!(clients.recount(running.into_iter(), || true));
    assert_eq!((clients.handlers(one), clients.handlers(other)), (2, 0));
    assert_eq!(clients.connections(one, ROWS), 1, "connections are the workers' own");
}
