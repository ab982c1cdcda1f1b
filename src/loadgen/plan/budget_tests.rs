//! The budget against plans whose arithmetic is done by hand, and against this machine.

use super::*;
use proptest::prelude::*;

/// 1000 ports, with the defaults of Linux.
fn facts() -> Facts {
    Facts {
        descriptors: 1_000_000,
        range: (40_000, 40_999),
        reserved: 0,
        reuse: 2,
        reuse_delay_ms: 1000,
        timestamps: 1,
        time_wait_most: 131_072,
    }
}

/// An open loop that opens 100 connections/s for a minute and closes them.
fn need() -> Need {
    Need {
        connections: None,
        default_connections: 4096,
        threads: 1,
        sources: 1,
        loopback: false,
        portless: false,
        client_closes: true,
        opened_per_s: Some(100.0),
        opened: None,
        seconds: Some(600.0),
    }
}

fn refusal(need: &Need, facts: &Facts) -> String {
    check(need, facts).unwrap_err()
}

#[test]
fn a_rate_that_uses_up_the_ports_is_refused_with_the_arithmetic_and_remedies() {
    let text = refusal(&need(), &facts());
    assert_eq!(
        text,
        "100 new connections/s closed by the client x 60 s in TIME_WAIT hold 6000 local ports, but \
         net.ipv4.ip_local_port_range (40000 40999) has 1000. Ways out: more --sources, a wider range, \
         --requests-per-connection, or letting the server close (without --client-closes)"
    );
    let text = refusal(&Need { sources: 5, ..need() }, &facts());
    assert!(text.contains("5 source addresses x ") && text.contains("has 1000, together 5000."), "{text}");
    assert!(check(&Need { sources: 7, ..need() }, &facts()).unwrap().warnings.is_empty());
}

#[test]
fn a_plan_that_the_kernel_permits_is_accepted() {
    let fits = |need: Need, facts: Facts| check(&need, &facts).is_ok();
    assert!(fits(Need { client_closes: false, ..need() }, facts()), "TIME_WAIT lies on the server's side");
    assert!(fits(Need { loopback: true, ..need() }, facts()), "1 s on loopback");
    assert!(!fits(Need { loopback: true, ..need() }, Facts { reuse: 0, ..facts() }));
    assert!(!fits(Need { loopback: true, ..need() }, Facts { timestamps: 0, ..facts() }));
    assert!(fits(need(), Facts { reuse: 1, ..facts() }), "reuse for all");
    assert!(fits(need(), Facts { time_wait_most: 900, ..facts() }), "the kernel holds no more than that");
    assert!(fits(Need { opened: Some(1000.0), ..need() }, facts()), "that number is never opened");
    assert!(fits(Need { seconds: Some(9.0), ..need() }, facts()), "over before the ports are used up");
    assert!(!fits(Need { loopback: true, opened_per_s: Some(1001.0), ..need() }, facts()));
}

#[test]
fn more_connections_than_ports_or_descriptors_are_refused() {
    let asked =
        |connections| Need { connections: Some(connections), client_closes: false, loopback: true, ..need() };
    let text = refusal(&asked(1001), &facts());
    assert!(text.contains("1001 connections") && text.contains("(40000 40999) has 1000"), "{text}");
    assert!(check(&Need { sources: 2, ..asked(1001) }, &facts()).unwrap().warnings.is_empty());
    let few = Facts { descriptors: 100, ..facts() };
    let text = refusal(&asked(37), &few);
    assert!(text.contains("need 101 file descriptors, but the limit is 100"), "{text}");
    assert_eq!(check(&Need { client_closes: false, ..need() }, &few).unwrap().connections, 36);
    assert_eq!(check(&Need { client_closes: false, ..need() }, &facts()).unwrap().connections, 1000);
    let warnings = check(&asked(950), &facts()).unwrap().warnings;
    assert!(warnings[0].contains("leave few"), "{warnings:?}");
}

#[test]
fn resources_that_could_run_short_are_a_warning() {
    let only = |need: Need| {
        let warnings = check(&need, &facts()).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        warnings[0].clone()
    };
    let closed = Need { opened_per_s: None, loopback: true, ..need() };
    assert!(only(closed.clone()).contains("more than 1000 new connections/s"));
    assert!(check(&Need { opened: Some(500.0), ..closed }, &facts()).unwrap().warnings.is_empty());
    assert!(only(Need { client_closes: false, ..need() }).contains("on the server's side = 6000"));
    assert!(only(Need { opened: Some(950.0), ..need() }).contains("slow responses"));
    let local = Need { client_closes: false, loopback: true, ..need() };
    assert!(check(&local, &facts()).unwrap().warnings.is_empty());
}

#[test]
fn reserved_ports_are_not_available() {
    assert_eq!(reserved("", (10, 20)), 0);
    assert_eq!(reserved("\n", (10, 20)), 0);
    assert_eq!(reserved("10,12-14,18-99,1-3,30\n", (10, 20)), 1 + 3 + 3);
    let facts = Facts { reserved: 7, ..facts() };
    assert_eq!(facts.ports(), 993);
    assert!(supply(&need(), &facts, 993).contains("(40000 40999, less 7 reserved) has 993"));
}

#[test]
fn this_machine_has_ports_and_descriptors() {
    let facts = Facts::read();
    assert!(facts.ports() > 0 && facts.descriptors > OTHER_DESCRIPTORS, "{facts:?}");
}

proptest! {
    #[test]
    fn more_addresses_never_make_a_possible_plan_impossible(
        rate in 1f64..1e6, sources in 1u64..200, more in 0u64..100, client_closes: bool, loopback: bool,
        connections in prop::option::of(1u64..5000),
    ) {
        let need = Need { opened_per_s: Some(rate), sources, client_closes, loopback, connections, ..need() };
        if check(&need, &facts()).is_ok() {
            let richer = check(&Need { sources: sources + more, ..need }, &facts());
            prop_assert!(richer.is_ok());
        }
    }

    #[test]
    fn a_possible_plan_stays_within_what_there_is(
        descriptors in 0u64..5000, sources in 1u64..5, default_connections in 1u64..10_000, threads in 1u64..4,
    ) {
        let facts = Facts { descriptors, ..facts() };
        let need = Need { sources, default_connections, threads, client_closes: false, ..need() };
        if let Ok(budget) = check(&need, &facts) {
            prop_assert!(budget.connections >= 1 && budget.connections <= facts.ports() * sources);
            prop_assert!(budget.connections + OTHER_DESCRIPTORS <= descriptors);
        }
    }
}
