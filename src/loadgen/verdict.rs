//! Whether a run's figures can be used, by the fixed rules that `--help` lists. Pure.

use crate::loadgen::count::{BUSY_SHARE, Failure, Phase, Tally};
use crate::loadgen::figures::plural;
use crate::measure::histogram::summary;
use crate::measure::record::ArrivalsTest;

/// Permitted send lag at p99, in us.
const LAG_US: f64 = 1000.0;
/// Permitted send lag at p99 as a share of the response time at p99, which includes it.
const LAG_SHARE: f64 = 0.1;
/// Permitted share of unsent arrivals.
const UNSENT_SHARE: f64 = 0.02;

/// `OK`, `CLIENT-BOUND`, `ERRORS`, `FAILED` or `INVALID`, with the reasons.
type Verdict = (&'static str, Vec<String>);

/// `busiest`: the largest share of a core that one thread used.
pub fn judge(open_loop: bool, tally: &Tally, busiest: f64, arrivals: Option<&ArrivalsTest>) -> Verdict {
    let mut reasons = own_failures(tally);
    if tally.started == 0 {
        reasons.push("no request started in the measured time".into());
    }
    if open_loop {
        reasons.extend(off_plan(tally, arrivals));
    }
    if !reasons.is_empty() {
        return ("INVALID", reasons);
    }
    if tally.completed == 0 {
        return ("FAILED", vec![all_failed(tally)]);
    }
    if let Some(reason) = mostly_errors(tally) {
        return ("ERRORS", vec![reason]);
    }
    if !open_loop && busiest > BUSY_SHARE {
        let reason = format!(
            "a generator thread used {:.0} % of a core (limit {:.0} %): the throughput may be the generator's, not \
             the server's",
            busiest * 100.0,
            BUSY_SHARE * 100.0
        );
        return ("CLIENT-BOUND", vec![reason]);
    }
    ("OK", reasons)
}

fn all_failed(tally: &Tally) -> String {
    let kinds: Vec<_> = tally.failures().map(|(kind, count)| format!("{}: {count}", kind.name())).collect();
    let kinds = if kinds.is_empty() { "unfinished".into() } else { kinds.join(", ") };
    format!("none of {} completed ({kinds})", plural(tally.started, "request"))
}

fn mostly_errors(tally: &Tally) -> Option<String> {
    let mut errors = tally.statuses();
    errors.retain(|status, _| status.as_str() >= "400");
    let count: u64 = errors.values().sum();
    (count * 2 > tally.completed).then(|| {
        let kinds: Vec<_> = errors.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        format!("{count} of {} are errors ({})", plural(tally.completed, "response"), kinds.join(", "))
    })
}

fn own_failures(tally: &Tally) -> Vec<String> {
    let ours = tally.failures().filter(|(failure, _)| failure.is_ours());
    ours.map(|(failure, count)| {
        let what = match failure {
            Failure::NoDescriptors => {
                "no file descriptor was left (raise the limit with ulimit -n, or lower -c)"
            }
            Failure::NoPorts => {
                "no local port was left (widen net.ipv4.ip_local_port_range, or lower the rate)"
            }
            _ => "no socket could be created",
        };
        format!("{count} requests could not start because {what}")
    })
    .collect()
}

fn off_plan(tally: &Tally, arrivals: Option<&ArrivalsTest>) -> Vec<String> {
    let mut reasons = Vec::new();
    let planned = tally.started + tally.unsent;
    let held = match tally.held {
        0 => String::new(),
        held => format!("; {held} arrivals waited for a free connection (-c)"),
    };
    if tally.unsent as f64 > planned as f64 * UNSENT_SHARE {
        reasons
            .push(format!("{} of {planned} arrivals were not sent in time (limit 2 %){held}", tally.unsent));
    }
    let p99_us = |phase| summary(tally.histogram(phase)).p99_us;
    let (lag_us, response_us) = (p99_us(Phase::SendLag), p99_us(Phase::Response));
    let is_late = lag_us > LAG_US && lag_us > response_us * LAG_SHARE;
    if is_late {
        reasons.push(format!(
            "requests were sent late: p99 of the send lag is {:.1} ms (limit 1 ms, or a tenth of the response \
             time's p99, which is {:.1} ms){held}",
            lag_us / 1000.0,
            response_us / 1000.0
        ));
    }
    // A send lag that is small against the response time also distorts the arrivals little.
    if is_late || lag_us <= LAG_US {
        reasons.extend(arrivals.and_then(misfit));
    }
    reasons
}

fn misfit(test: &ArrivalsTest) -> Option<String> {
    let ArrivalsTest { statistic, limit, sample, .. } = test;
    (statistic > limit).then(|| {
        format!(
            "arrivals do not fit the plan: the Anderson-Darling statistic of {sample} spans between sends is \
             {statistic:.1} (limit {limit:.1}); use more threads (-t) or a lower rate"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::count::{Answer, Timestamps};

    fn tally(requests: u64, lag_ns: u64, response_ns: u64) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..requests {
            tally.start(Some(lag_ns));
            tally.complete(
                Answer { status: 200, bytes: 1, worker: None },
                Timestamps::default(),
                response_ns,
            );
        }
        tally
    }

    fn name(open_loop: bool, tally: &Tally, busiest: f64) -> &'static str {
        judge(open_loop, tally, busiest, None).0
    }

    #[test]
    fn a_busy_generator_binds_a_closed_loop_only() {
        let tally = tally(10, 0, 1000);
        assert_eq!(name(false, &tally, 0.89), "OK");
        assert_eq!(name(false, &tally, 0.91), "CLIENT-BOUND");
        assert_eq!(name(true, &tally, 0.91), "OK");
    }

    #[test]
    fn a_large_send_lag_invalidates_an_open_loop_unless_the_response_is_ten_times_as_long() {
        assert_eq!(name(true, &tally(10, 900_000, 1_000_000), 0.0), "OK");
        assert_eq!(name(true, &tally(10, 2_000_000, 3_000_000), 0.0), "INVALID");
        assert_eq!(name(true, &tally(10, 2_000_000, 30_000_000), 0.0), "OK");
        assert_eq!(name(false, &tally(10, 2_000_000, 3_000_000), 0.0), "OK");
    }

    #[test]
    fn more_than_two_percent_unsent_arrivals_invalidate_an_open_loop() {
        let mut tally = tally(98, 0, 1000);
        tally.unsent = 2;
        assert_eq!(name(true, &tally, 0.0), "OK");
        tally.unsent = 3;
        assert_eq!(name(true, &tally, 0.0), "INVALID");
    }

    #[test]
    fn arrivals_that_do_not_fit_invalidate_an_open_loop() {
        let test = |statistic| ArrivalsTest { statistic, limit: 4.984, sample: 1000, arrivals_per_span: 1 };
        let judged = |statistic| judge(true, &tally(10, 0, 1000), 0.0, Some(&test(statistic)));
        assert_eq!(judged(4.9).0, "OK");
        assert!(judged(5.0).1[0].starts_with("arrivals do not fit the plan"), "{:?}", judged(5.0));
        let dwarfed = tally(10, 2_000_000, 30_000_000);
        assert_eq!(judge(true, &dwarfed, 0.0, Some(&test(9.0))).0, "OK");
    }

    #[test]
    fn a_run_of_failures_or_of_error_responses_is_not_ok() {
        let mut refused = Tally::default();
        (0..5).for_each(|_| refused.start(None));
        (0..5).for_each(|_| refused.fail(Failure::ConnectRefused, String::new));
        let verdict = judge(false, &refused, 0.99, None);
        assert_eq!(verdict.0, "FAILED");
        assert_eq!(verdict.1, ["none of 5 requests completed (connect-refused: 5)"]);
        let mut errors = tally(10, 0, 1000);
        let respond = |tally: &mut Tally, status| {
            tally.start(None);
            tally.complete(Answer { status, bytes: 1, worker: None }, Timestamps::default(), 1000);
        };
        (0..10).for_each(|_| respond(&mut errors, 404));
        assert_eq!(name(false, &errors, 0.0), "OK", "half of them");
        respond(&mut errors, 503);
        let verdict = judge(false, &errors, 0.99, None);
        assert_eq!(verdict.0, "ERRORS");
        assert_eq!(verdict.1, ["11 of 21 responses are errors (404: 10, 503: 1)"]);
    }

    #[test]
    fn failures_of_the_generator_and_empty_runs_are_invalid() {
        let mut ported = tally(1000, 0, 1000);
        ported.fail(Failure::NoPorts, String::new);
        assert!(judge(false, &ported, 0.0, None).1[0].contains("no local port"));
        assert_eq!(name(false, &Tally::default(), 0.0), "INVALID");
        let mut refused = tally(1000, 0, 1000);
        refused.fail(Failure::ConnectRefused, String::new);
        assert_eq!(name(false, &refused, 0.0), "OK");
    }
}
