//! What happened to connections in a run: reset, lost, late, refused, or held by a killed worker. Pure.

use crate::lab::results::data::RunData;
use crate::lab::spec::FaultKind;
use crate::measure::histogram;
use crate::measure::record::RunRecord;

/// Slower responses are late.
pub const LATE_MS: u64 = 200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Completed and failed requests, without refused ones.
    pub requests: u64,
    pub reset: u64,
    /// Failed in any other way: no response in time, an early end.
    pub lost: u64,
    /// Answered after more than [`LATE_MS`].
    pub late: u64,
    /// Refused by a stopping server.
    pub refused: u64,
    /// Connections that workers held when they were killed or stopped, among those reset, lost or late; not
    /// counted there.
    pub held: u64,
}

impl Losses {
    /// `None` without a record.
    pub fn of(run: &RunData) -> Option<Self> {
        let mut all = Self::default();
        let ends = run.faults().any(|fault| fault.kind == FaultKind::End.name());
        for record in run.records() {
            all.count(record, ends);
        }
        let held = |kind: FaultKind| -> u64 {
            run.faults().filter(|fault| fault.kind == kind.name()).filter_map(|fault| fault.held).sum()
        };
        let killed = held(FaultKind::Kill);
        let reset = killed.min(all.reset);
        let lost = (killed - reset).min(all.lost);
        let late = held(FaultKind::Stop).min(all.late);
        all.held = reset + lost + late;
        (all.reset, all.lost, all.late) = (all.reset - reset, all.lost - lost, all.late - late);
        run.record.as_ref().map(|_| all)
    }

    fn count(&mut self, record: &RunRecord, ends: bool) {
        self.requests += record.completed;
        for (kind, &count) in &record.errors {
            if kind == "connect-refused" && ends {
                self.refused += count;
                continue;
            }
            self.requests += count;
            *(if kind.starts_with("reset-") { &mut self.reset } else { &mut self.lost }) += count;
        }
        let responses = record.histograms.get("response").and_then(|text| histogram::decode(text).ok());
        let count = |responses: &histogram::Histogram| -> u64 {
            let late =
                responses.iter_recorded().filter(|step| step.value_iterated_to() > LATE_MS * 1_000_000);
            late.map(|step| step.count_at_value()).sum()
        };
        self.late += responses.as_ref().map_or(0, count);
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            reset: self.reset + other.reset,
            lost: self.lost + other.lost,
            late: self.late + other.late,
            refused: self.refused + other.refused,
            held: self.held + other.held,
        }
    }

    /// `none`, or the counts, formatted by `figure`.
    pub fn words(&self, figure: impl Fn(u64) -> String) -> String {
        let parts = [(self.reset, "reset"), (self.lost, "lost"), (self.late, "late")];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", figure(*n))).collect();
        if parts.is_empty() { "none".into() } else { parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::results::data::FaultRecord;

    fn plain(figure: u64) -> String {
        figure.to_string()
    }

    fn run(kind: &str, held: Option<u64>, errors: &[(&str, u64)], responses_ms: &[u64]) -> Losses {
        let mut histogram = histogram::new();
        responses_ms.iter().for_each(|ms| histogram::record(&mut histogram, ms * 1_000_000));
        let record = RunRecord {
            completed: responses_ms.len() as u64,
            errors: errors.iter().map(|(kind, count)| ((*kind).into(), *count)).collect(),
            histograms: [("response".into(), histogram::encode(&histogram))].into(),
            ..RunRecord::default()
        };
        let fault = Some(FaultRecord { kind: kind.into(), held, ..FaultRecord::default() });
        Losses::of(&RunData { record: Some(record), fault, ..RunData::default() }).unwrap()
    }

    #[test]
    fn failures_are_told_apart_and_late_ones_counted() {
        let errors = [("reset-in-response", 2), ("timeout-before-response", 1), ("connect-refused", 3)];
        let losses = run("reload", None, &errors, &[1, 150, 250, 3000]);
        assert_eq!(losses.words(plain), "2 reset, 4 lost, 2 late");
        assert_eq!(losses.requests, 10);
        let losses = run("end", None, &errors, &[1]);
        assert_eq!(
            (losses.words(plain).as_str(), losses.refused, losses.requests),
            ("2 reset, 1 lost", 3, 4)
        );
    }

    #[test]
    fn what_a_killed_or_stopped_worker_had_is_its_own() {
        let errors = [("reset-before-response", 2), ("early-end", 1)];
        let losses = run("kill", Some(2), &errors, &[1]);
        assert_eq!((losses.words(plain).as_str(), losses.held), ("1 lost", 2));
        assert_eq!(run("kill", Some(9), &errors, &[1]), Losses { requests: 4, held: 3, ..Losses::default() });
        assert_eq!(run("kill", None, &[], &[1]).words(plain), "none");
        assert_eq!(run("stop", Some(1), &[], &[300, 400]).words(plain), "1 late");
        assert_eq!(run("stop", Some(1), &errors, &[300]).words(plain), "2 reset, 1 lost");
    }

    #[test]
    fn without_a_record_nothing_is_known() {
        assert_eq!(Losses::of(&RunData::default()), None);
    }
}
