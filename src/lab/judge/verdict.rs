//! The verdict on a run, by rules fixed beforehand. Pure; it knows a single run.

use serde::Serialize;

use crate::lab::results::data::RunData;
use crate::lab::spec::Rules;
use crate::measure::record::RunRecord;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Verdict {
    Ok,
    /// Rate and response times do not count: the load generator was the limit.
    ClientBound,
    /// It counts and is marked: the machine was disturbed.
    Noisy,
    /// Not made: a program that is not installed, a strategy that this kernel lacks.
    Skipped,
    #[default]
    Invalid,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::ClientBound => "CLIENT-BOUND",
            Self::Noisy => "NOISY",
            Self::Skipped => "SKIPPED",
            Self::Invalid => "INVALID",
        }
    }

    pub fn counts(self) -> bool {
        matches!(self, Self::Ok | Self::ClientBound | Self::Noisy)
    }
}

/// Share of the processors taken by the hypervisor, by the probe or by the counters around the run.
pub fn steal(run: &RunData) -> f64 {
    run.kernel.steal_share().max(run.noise.steal)
}

pub fn judge(run: &RunData, rules: &Rules) -> (Verdict, Vec<String>) {
    if let Some(skipped) = &run.skipped {
        return (Verdict::Skipped, vec![skipped.clone()]);
    }
    if let Some(void) = &run.void {
        return (Verdict::Invalid, vec![void.reason.clone()]);
    }
    let Some(record) = &run.record else { return (Verdict::Invalid, vec!["no record".into()]) };
    let mut reasons = record.reasons.clone();
    if let Some(useless) = useless(record, rules) {
        reasons.push(useless);
        return (Verdict::Invalid, reasons);
    }
    let noise = noise(run, rules);
    let verdict = match record.verdict.as_str() {
        "OK" if !noise.is_empty() => Verdict::Noisy,
        "OK" => Verdict::Ok,
        "CLIENT-BOUND" => Verdict::ClientBound,
        _ => Verdict::Invalid,
    };
    reasons.extend(noise);
    (verdict, reasons)
}

/// Why a record does not measure what was asked.
pub fn useless(record: &RunRecord, rules: &Rules) -> Option<String> {
    let is_good = |status: &str| status.starts_with('2');
    let (mut good, mut odd) = (0, 0);
    for (status, n) in &record.statuses {
        *(if is_good(status) { &mut good } else { &mut odd }) += n;
    }
    if odd as f64 > rules.invalid_status * (odd + good) as f64 {
        let list: Vec<_> = record.statuses.iter().map(|(status, n)| format!("{n} of {status}")).collect();
        return Some(format!("unexpected responses: {}", list.join(", ")));
    }
    if record.completed == 0 {
        return Some("no request was answered".into());
    }
    let errors: u64 = record.errors.values().sum();
    let share = errors as f64 / (errors + record.completed) as f64;
    (share > rules.invalid_errors).then(|| {
        let kinds: Vec<_> = record.errors.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        format!("{:.1} % of the requests failed: {}", share * 100.0, kinds.join(", "))
    })
}

fn noise(run: &RunData, rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    let steal = steal(run);
    if steal > rules.noisy_steal {
        found.push(format!("the hypervisor took {:.1} % of the processors", steal * 100.0));
    }
    let limit_us = hiccup_limit_us(run, rules);
    if run.noise.hiccup_p99_us > limit_us {
        let late_ms = run.noise.hiccup_p99_us / 1e3;
        found.push(format!(
            "a sleeping thread woke up {late_ms:.1} ms late (p99; limit {:.1} ms)",
            limit_us / 1e3
        ));
    }
    if let Some(pressure) = run.noise.pressure_some.filter(|share| *share > rules.noisy_pressure) {
        found.push(format!("work waited for a processor for {:.0} % of the time", pressure * 100.0));
    }
    found
}

/// The delay of a sleeping thread beyond which a run is noisy.
fn hiccup_limit_us(run: &RunData, rules: &Rules) -> f64 {
    let open = run.record.as_ref().filter(|record| record.plan.rate.is_some());
    let response = open.and_then(|record| record.latency.get("response"));
    let of_response = response.map_or(f64::INFINITY, |response| response.p99_us * rules.noisy_hiccup_share);
    rules.noisy_hiccup_p99_us.min(of_response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;
    use crate::measure::record::Summary;

    #[test]
    fn a_delay_is_noise_where_it_is_large_beside_the_response_times() {
        let mut run = fixture::quick(1).runs.into_iter().find(|run| run.load == "half load").unwrap();
        let mut found = |late_ms: f64, p99_ms: f64| {
            run.noise.hiccup_p99_us = late_ms * 1e3;
            let latency = &mut run.record.as_mut().unwrap().latency;
            latency.insert("response".into(), Summary { p99_us: p99_ms * 1e3, ..Summary::default() });
            judge(&run, &Rules::default())
        };
        for (late_ms, p99_ms, verdict) in [
            (0.4, 1.0, Verdict::Ok),
            (0.6, 1.0, Verdict::Noisy),
            (3.0, 5.0, Verdict::Noisy),
            (3.0, 50.0, Verdict::Ok),
            (60.0, 500.0, Verdict::Noisy),
        ] {
            let (got, reasons) = found(late_ms, p99_ms);
            assert_eq!(got, verdict, "{late_ms} ms late, p99 {p99_ms} ms: {reasons:?}");
        }
        assert_eq!(found(3.0, 5.0).1, ["a sleeping thread woke up 3.0 ms late (p99; limit 2.5 ms)"]);
        run.record.as_mut().unwrap().plan.rate = None;
        assert_eq!(judge(&run, &Rules::default()).0, Verdict::Ok, "a closed loop delays the thread itself");
    }
}
