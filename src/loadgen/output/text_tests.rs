//! Snapshots of the text of all kinds of records.

use super::*;
use crate::measure::record::{ArrivalsTest, Plan, Source};

fn summary(p50_us: f64) -> Summary {
    Summary {
        count: 9990,
        min_us: p50_us / 2.0,
        mean_us: p50_us * 1.1,
        stdev_us: p50_us / 3.0,
        p50_us,
        p75_us: p50_us * 1.5,
        p90_us: p50_us * 2.0,
        p99_us: p50_us * 10.0,
        p999_us: p50_us * 100.0,
        p9999_us: p50_us * 900.0,
        max_us: p50_us * 1000.0,
    }
}

fn open_loop() -> RunRecord {
    let named = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).into(), *count)).collect();
    RunRecord {
        version: "1.2.3".into(),
        plan: Plan {
            url: "http://127.0.0.1:8080/hello".into(),
            model: "open".into(),
            connections: 4096,
            rate: Some(1000.0),
            profile: Some("500..1500".into()),
            arrivals: Some("poisson".into()),
            spin: true,
            shard: "2/4".into(),
            seed: 7,
            duration_s: 10.0,
            warmup_s: 1.0,
            ..Plan::default()
        },
        duration_s: 10.0,
        started: 9998,
        completed: 9990,
        rate: 999.0,
        offered_rate: Some(1000.0),
        sent_rate: 999.8,
        held: 3,
        unsent: 2,
        bytes: 12_345_678,
        errors: named(&[("connect-refused", 5), ("no-ports", 1), ("short-body", 2)]),
        examples: [
            ("connect-refused".to_owned(), "Connection refused (os error 111); after 0.1 ms, 0 bytes received".to_owned()),
            ("short-body".to_owned(), "after 1.5 ms, 40 bytes received".to_owned()),
        ]
        .into(),
        statuses: named(&[("200", 9900), ("503", 90)]),
        workers: (0..9).map(|worker| (worker.to_string(), 1110)).collect(),
        latency: PHASES.map(|phase| (phase.name().into(), summary(123.4))).into(),
        arrivals_test: Some(ArrivalsTest { statistic: 1.234, limit: 4.984, sample: 1024, arrivals_per_span: 1 }),
        generator: Generator { threads: 2, cpu_s: 1.5, busiest_thread: 0.123 },
        verdict: "INVALID".into(),
        reasons: vec!["1 requests could not start because no local port was left (widen net.ipv4.ip_local_port_range, or lower the rate)".into()],
        ..RunRecord::default()
    }
}

fn closed_loop() -> RunRecord {
    let open = open_loop();
    RunRecord {
        plan: Plan { model: "closed".into(), rate: None, arrivals: None, profile: None, shard: "1/1".into(), ..open.plan },
        offered_rate: None,
        arrivals_test: None,
        held: 0,
        unsent: 0,
        unfinished: 4,
        interrupted: true,
        errors: [].into(),
        generator: Generator { threads: 1, cpu_s: 9.7, busiest_thread: 0.97 },
        verdict: "CLIENT-BOUND".into(),
        reasons: vec!["a generator thread used 97 % of a core (limit 90 %): the throughput may be the generator's, not the server's".into()],
        ..open
    }
}

#[test]
fn an_open_loop_reads_well() {
    insta::assert_snapshot!(text(&open_loop(), WIDTH));
}

#[test]
fn a_closed_loop_that_was_interrupted_reads_well() {
    insta::assert_snapshot!(text(&closed_loop(), WIDTH));
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    let mut merged = open_loop();
    merged.sources =
        vec![
            Source { file: "a.json".into(), shard: "1/2".into(), verdict: "OK".into(), ..Source::default() };
            2
        ];
    for record in [open_loop(), closed_loop(), merged, RunRecord::default()] {
        let narrow = text(&record, WIDTH);
        assert!(narrow.lines().all(|line| line.len() <= WIDTH), "{narrow}");
        let wide = text(&record, 200);
        assert!(wide.lines().all(|line| line.len() <= 200), "{wide}");
        let longest = |text: &str| text.lines().map(str::len).max();
        assert!(record.workers.is_empty() || longest(&wide) > longest(&narrow), "{wide}");
    }
}
