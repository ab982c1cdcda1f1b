//! Objectives of a search, and how one run compares with them. Pure.

use std::fmt;
use std::str::FromStr;

use super::rate_search::Outcome;
use crate::loadgen::count::{BUSY_SHARE, Failure};
use crate::loadgen::expect::{Expectation, Metric};
use crate::loadgen::figures::short;
use crate::measure::record::{self, RunRecord};

/// Bound on failures unless the objectives have one: only completed requests have latencies, and a server that refuses
/// most requests may be quick with the rest.
const ERRORS: &str = "errors<1%";
/// The same for responses: an overloaded server may be quick to say 503.
const STATUSES: &str = "status.5xx<1%";
/// One arrival in this many may remain unsent.
const UNSENT: u64 = 50;

/// Upper bounds that have to hold together.
#[derive(Clone, Debug, PartialEq)]
pub struct Objectives(Vec<Expectation>);

impl FromStr for Objectives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bounds = text.split(',').map(str::parse).collect::<Result<Vec<Expectation>, String>>()?;
        if let Some(wrong) = bounds.iter().find(|bound| !bound.is_upper_bound()) {
            return Err(format!(
                "{} is not an objective: it needs an upper bound on something that grows with the rate, such as p99<5ms",
                wrong.text
            ));
        }
        if !bounds.iter().any(|bound| bound.metric == Metric::Failed) {
            bounds.extend(ERRORS.parse());
        }
        if !bounds.iter().any(|bound| matches!(bound.metric, Metric::Status(_))) {
            bounds.extend(STATUSES.parse());
        }
        Ok(Self(bounds))
    }
}

impl fmt::Display for Objectives {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.texts().join(", "))
    }
}

impl Objectives {
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(|bound| bound.text.clone()).collect()
    }

    pub fn sample(&self) -> u64 {
        self.0.iter().map(Expectation::sample).max().unwrap_or(1)
    }

    /// Judges a run, with the reasons if it does not hold.
    pub fn judge(&self, record: &RunRecord) -> (Outcome, Vec<String>) {
        let busy = record.generator.busiest_thread;
        let own_failures =
            record.errors.keys().any(|kind| Failure::named(kind).is_some_and(Failure::is_ours));
        let all_sent = record.started > 0 && record.unsent * UNSENT <= record.started;
        let void = record.verdict == "INVALID";
        let judged = self.0.iter().map(|bound| bound.judge(record)).filter(|judged| !judged.holds);
        let why = |judged: record::Expectation| {
            let shown = judged.reason.unwrap_or_else(|| short(judged.value.unwrap_or_default()));
            format!("{}: {shown}", judged.text)
        };
        let mut broken: Vec<String> = judged.map(why).collect();
        // Late sends only lengthen the times: an objective that holds in spite of them holds.
        if broken.is_empty() && (!void || (all_sent && !own_failures)) {
            return (Outcome::Holds, broken);
        }
        if busy > BUSY_SHARE {
            broken.push(format!("a thread of the generator used {:.0} % of a core", busy * 100.0));
            return (Outcome::Limited, broken);
        }
        // Late sends excuse times but not failures. Arrivals that waited for a free connection while the generator was
        // not busy waited for the server.
        let is_time = |bound: &Expectation| matches!(bound.metric, Metric::Time(..));
        let has_failed = self.0.iter().any(|bound| !is_time(bound) && !bound.judge(record).holds);
        let is_excused = record.held == 0 && (!has_failed || record.started == 0);
        if void && (is_excused || own_failures) {
            return (Outcome::Limited, record.reasons.clone());
        }
        if void && record.held > 0 {
            broken.push(format!("all {} connections were in use", record.plan.connections));
        }
        (Outcome::Broken, broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::record::Summary;

    fn record(p99_us: f64, verdict: &str) -> RunRecord {
        let response = Summary { count: 1000, p99_us, ..Summary::default() };
        RunRecord {
            started: 1000,
            completed: 1000,
            verdict: verdict.into(),
            latency: [("response".into(), response)].into(),
            ..RunRecord::default()
        }
    }

    fn outcome(record: &RunRecord) -> Outcome {
        "p99<5ms".parse::<Objectives>().unwrap().judge(record).0
    }

    #[test]
    fn failures_are_bounded_unless_the_objectives_do_it() {
        let texts = |text: &str| text.parse::<Objectives>().unwrap().texts();
        assert_eq!(texts("p99<5ms, p50<1ms"), ["p99<5ms", "p50<1ms", "errors<1%", "status.5xx<1%"]);
        assert_eq!(texts("p99<5ms,failed==0"), ["p99<5ms", "failed==0", "status.5xx<1%"]);
        assert_eq!(texts("p99<5ms,status.503<5%"), ["p99<5ms", "status.503<5%", "errors<1%"]);
        let mut record = record(1000.0, "OK");
        assert_eq!(outcome(&record), Outcome::Holds);
        record.errors.insert("reset-before-response".into(), 10);
        assert_eq!(outcome(&record), Outcome::Broken);
    }

    #[test]
    fn quick_refusals_of_the_server_do_not_hold() {
        let mut refusing = record(1000.0, "ERRORS");
        refusing.statuses.insert("503".into(), 940);
        assert_eq!(outcome(&refusing), Outcome::Broken);
        let named = "p99<5ms,status.503<95%".parse::<Objectives>().unwrap();
        assert_eq!(named.judge(&refusing).0, Outcome::Holds, "the objective says what is allowed");
    }

    #[test]
    fn a_run_with_too_few_requests_does_not_hold() {
        let mut few = record(1000.0, "OK");
        few.latency.get_mut("response").unwrap().count = 10;
        let (outcome, reasons) = "p99<5ms".parse::<Objectives>().unwrap().judge(&few);
        assert_eq!(
            (outcome, reasons),
            (Outcome::Broken, vec!["p99<5ms: 10 requests are too few: at least 300".into()])
        );
    }

    #[test]
    fn only_upper_bounds_are_objectives() {
        for text in ["p99>5ms", "rate<100", "p99<5ms,completed>1", "", "p99<5ms,"] {
            assert!(text.parse::<Objectives>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_broken_objective_differs_from_a_generator_at_its_limit() {
        assert_eq!(outcome(&record(6000.0, "OK")), Outcome::Broken);
        assert_eq!(outcome(&record(6000.0, "INVALID")), Outcome::Limited);
        assert_eq!(outcome(&record(1000.0, "INVALID")), Outcome::Holds, "late sends only add to the times");
        let unsent = RunRecord { unsent: 30, ..record(1000.0, "INVALID") };
        assert_eq!(outcome(&unsent), Outcome::Limited);
        let mut busy = record(6000.0, "OK");
        busy.generator.busiest_thread = 0.95;
        assert_eq!(outcome(&busy), Outcome::Limited);
        let mut full = record(6000.0, "INVALID");
        full.held = 100;
        assert_eq!(outcome(&full), Outcome::Broken, "the connections were taken because the server was slow");
        let failing = RunRecord { errors: [("early-end".into(), 500)].into(), ..record(6000.0, "INVALID") };
        assert_eq!(outcome(&failing), Outcome::Broken, "no generator makes a server fail");
        full.errors.insert("no-ports".into(), 1);
        assert_eq!(outcome(&full), Outcome::Limited);
    }
}
