//! What faults did to connections. The unit is the fault. Pure.
//!
//! A request is a fault's own if it was under way between the fault and [`AFTERMATH_S`] after its end. Of those that failed or
//! were late, the connections that the struck worker held are told apart, by the port of the client and the time: what it was
//! answering, and what it had accepted and not read. All others are reset, lost or late, whatever their cause.

use crate::lab::results::data::{FaultRecord, RunData};
use crate::lab::spec::FaultKind;
use crate::measure::record::RunRecord;
use crate::measure::series::{Incident, StartSummary};
use crate::measure::stats::{self, Interval};

/// A fault may act so long after its end.
pub const AFTERMATH_S: f64 = 1.0;
/// How far the clocks of lab and load generator may differ.
const SLACK_S: f64 = 0.1;

/// What one fault did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effect {
    pub reset: u64,
    /// Failed in any other way: no response in time, an early end.
    pub lost: u64,
    /// Slower than the limit of the experiment, on any worker.
    pub delayed: u64,
    /// Reset, lost or late connections of the struck worker: those that it was answering ...
    pub answering: u64,
    /// ... and those that it had accepted and not read. Neither is counted in `reset` and `lost`.
    pub untouched: u64,
    /// Refused by a stopping server.
    pub refused: u64,
    /// More requests late than without the fault.
    pub delayed_more: Option<f64>,
    /// Seconds that requests waited longer than without the fault; per second of a fault that lasts.
    pub waited_more_s: Option<f64>,
}

/// The same load without a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calm {
    late_per_s: f64,
    /// How long a late request takes, on average.
    late_s: f64,
    mean_s: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    pub faults: Vec<Effect>,
    /// Failed requests that no fault explains.
    pub outside: u64,
    /// The record does not list requests one by one, so that nothing can be told apart: `outside` has all that failed.
    pub superseded: bool,
    /// Completed and failed requests, without refused ones.
    pub requests: u64,
}

impl Calm {
    /// `None` if the record does not say.
    pub fn of(run: &RunData) -> Option<Self> {
        let record = run.record.as_ref().filter(|record| record.plan.slow_s.is_some())?;
        let measured = record.by_start.iter().filter(|bin| !bin.warmup);
        let (waited_s, count) = measured.fold((0.0, 0), |(waited_s, count), bin| {
            (waited_s + bin.response.mean_us / 1e6 * bin.completed as f64, count + bin.completed)
        });
        let slow = |one: &&Incident| one.kind == Incident::SLOW && one.intended_s >= record.plan.warmup_s;
        let late: Vec<f64> =
            record.incidents.iter().filter(slow).map(|one| one.ended_s - one.intended_s).collect();
        (count > 0 && record.duration_s > 0.0).then(|| Self {
            late_per_s: late.len() as f64 / record.duration_s,
            late_s: late.iter().sum::<f64>() / late.len().max(1) as f64,
            mean_s: waited_s / count as f64,
        })
    }
}

/// A fault and the time in which it acts, in seconds since the measurement began.
struct Window<'a> {
    fault: &'a FaultRecord,
    lasts_s: f64,
    /// Until it no longer acts.
    over_s: f64,
    /// The same, or until the next fault.
    end_s: f64,
}

impl Window<'_> {
    fn acts_on(&self, begin_s: f64, end_s: f64, slack_s: f64) -> bool {
        begin_s <= self.over_s && end_s >= self.fault.at_s - slack_s
    }

    /// Late requests that would be its own if it had done nothing: those due in its time, and those on their way at its begin,
    /// without those on their way when the next fault takes over.
    fn expected(&self, calm: Calm) -> f64 {
        let on_their_way_s = if self.end_s < self.over_s { 0.0 } else { calm.late_s };
        calm.late_per_s * ((self.end_s - self.fault.at_s).max(0.0) + on_their_way_s)
    }
}

impl Effects {
    /// `calm`: the same load without a fault, in the same round. `None` without a record.
    pub fn of(run: &RunData, calm: Option<Calm>) -> Option<Self> {
        let record = run.record.as_ref()?;
        let windows = windows(run, record);
        let mut all = Self { faults: vec![Effect::default(); windows.len()], ..Self::default() };
        let ends = run.faults().any(|fault| fault.kind == FaultKind::End.name());
        for record in run.records() {
            let failed = record.errors.iter().filter(|(kind, _)| !(ends && *kind == REFUSED));
            let failed: u64 = failed.map(|(_, count)| count).sum();
            all.requests += record.completed + failed;
            all.outside += failed;
            all.superseded |= record.plan.slow_s.is_none() || record.incidents_left_out > 0;
        }
        if all.superseded {
            return Some(all);
        }
        all.outside = 0;
        let begin_s = record.plan.warmup_s;
        for other in run.records() {
            let shift_s = other.clock.start_unix_s - record.clock.start_unix_s - begin_s;
            other.incidents.iter().for_each(|one| all.count(one, shift_s, &windows, ends));
        }
        for (effect, window) in all.faults.iter_mut().zip(&windows) {
            compare(effect, window, record, calm);
        }
        Some(all)
    }

    /// Connections that were late, more than without a fault; per fault. `None` without a fault, or if it is not known.
    pub fn delayed_per_fault(&self) -> Option<f64> {
        let more: Option<Vec<f64>> = self.faults.iter().map(|effect| effect.delayed_more).collect();
        more.filter(|more| !more.is_empty()).map(|more| more.iter().sum::<f64>() / more.len() as f64)
    }

    /// Connections that were reset or lost, without those that a struck worker held; per fault. `None` as above.
    pub fn failed_per_fault(&self) -> Option<f64> {
        let failed: u64 = self.faults.iter().map(|effect| effect.reset + effect.lost).sum();
        let known = !self.superseded && !self.faults.is_empty();
        known.then(|| failed as f64 / self.faults.len() as f64)
    }

    fn count(&mut self, one: &Incident, shift_s: f64, windows: &[Window], ends: bool) {
        let (begin_s, end_s) = (one.intended_s + shift_s, one.ended_s + shift_s);
        let slow = one.kind == Incident::SLOW;
        let struck = |window: &Window| {
            begin_s <= window.fault.at_s + SLACK_S && end_s >= window.fault.at_s - SLACK_S && one.port != 0
        };
        let mut held = windows.iter().enumerate().rev().filter(|(_, window)| struck(window));
        let held = held.find_map(|(index, window)| match window.fault {
            fault if fault.answering.contains(&one.port) => Some((index, true)),
            fault if fault.untouched.contains(&one.port) => Some((index, false)),
            _ => None,
        });
        if let Some((index, answering)) = held {
            let effect = &mut self.faults[index];
            effect.delayed += u64::from(slow);
            *(if answering { &mut effect.answering } else { &mut effect.untouched }) += 1;
            return;
        }
        // What ran into a timeout began with a fault; anything else ended with one.
        let slack_s = if slow { 0.0 } else { SLACK_S };
        let acts = |window: &Window| window.acts_on(begin_s, end_s, slack_s);
        let owner = if one.kind.starts_with("timeout") {
            let begun = windows.iter().rposition(|window| window.fault.at_s <= begin_s && acts(window));
            begun.or_else(|| windows.iter().position(acts))
        } else {
            windows.iter().rposition(acts)
        };
        let Some(effect) = owner.and_then(|owner| self.faults.get_mut(owner)) else {
            let refused = ends && one.kind == REFUSED;
            self.outside += u64::from(!slow && begin_s >= 0.0 && !refused);
            return;
        };
        let count = match one.kind.as_str() {
            Incident::SLOW => &mut effect.delayed,
            REFUSED if ends => &mut effect.refused,
            kind if kind.starts_with("reset-") => &mut effect.reset,
            _ => &mut effect.lost,
        };
        *count += 1;
    }
}

const REFUSED: &str = "connect-refused";

/// The faults that happened while the load ran.
fn windows<'a>(run: &'a RunData, record: &RunRecord) -> Vec<Window<'a>> {
    let happened = |fault: &&FaultRecord| fault.pid != 0 && fault.at_s < record.duration_s;
    let faults: Vec<&FaultRecord> = run.faults().filter(happened).collect();
    let window = |(index, fault): (usize, &&'a FaultRecord)| {
        let until_s = fault.until_s.unwrap_or(fault.at_s);
        let over_s = until_s + AFTERMATH_S;
        let next_s = faults.get(index + 1).map_or(f64::INFINITY, |next| next.at_s);
        let end_s = over_s.min(next_s).min(record.duration_s);
        Window { fault, lasts_s: until_s - fault.at_s, over_s, end_s }
    };
    faults.iter().enumerate().map(window).collect()
}

/// The effect as a difference to the same load without a fault.
fn compare(effect: &mut Effect, window: &Window, record: &RunRecord, calm: Option<Calm>) {
    let Some(calm) = calm else { return };
    let begin_s = record.plan.warmup_s;
    let within = record
        .by_start
        .iter()
        .filter(|bin| bin.end_s - begin_s > window.fault.at_s && bin.begin_s - begin_s < window.end_s);
    let waited = |bin: &StartSummary| (bin.response.mean_us / 1e6 - calm.mean_s) * bin.completed as f64;
    let waited_s: f64 = within.filter(|bin| bin.completed > 0).map(waited).sum();
    let lasting = FaultKind::ALL.into_iter().any(|kind| kind.lasts() && kind.name() == window.fault.kind);
    let per_s = if lasting && window.lasts_s > 0.0 { window.lasts_s } else { 1.0 };
    effect.waited_more_s = Some(waited_s / per_s);
    effect.delayed_more = Some(effect.delayed as f64 - window.expected(calm));
}

/// A mean over faults, with its interval if there are several.
pub type Mean = (f64, Option<Interval>);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    pub faults: u64,
    /// Faults with a reset or lost connection.
    pub hit: u64,
    pub reset: u64,
    pub lost: u64,
    pub answering: u64,
    pub untouched: u64,
    pub refused: u64,
    pub outside: u64,
    pub superseded: bool,
    pub requests: u64,
    pub delayed_more: Vec<f64>,
    pub waited_more_s: Vec<f64>,
}

impl Losses {
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a Effects>) -> Self {
        runs.into_iter().fold(Self::default(), |all, run| all.plus(&Self::of_run(run)))
    }

    fn of_run(run: &Effects) -> Self {
        let sum = |of: fn(&Effect) -> u64| run.faults.iter().map(of).sum();
        Self {
            faults: run.faults.len() as u64,
            hit: sum(|effect| u64::from(effect.reset + effect.lost > 0)),
            reset: sum(|effect| effect.reset),
            lost: sum(|effect| effect.lost),
            answering: sum(|effect| effect.answering),
            untouched: sum(|effect| effect.untouched),
            refused: sum(|effect| effect.refused),
            outside: run.outside,
            superseded: run.superseded,
            requests: run.requests,
            delayed_more: run.faults.iter().filter_map(|effect| effect.delayed_more).collect(),
            waited_more_s: run.faults.iter().filter_map(|effect| effect.waited_more_s).collect(),
        }
    }

    /// With those of other cells.
    pub fn plus(mut self, other: &Self) -> Self {
        self.faults += other.faults;
        self.hit += other.hit;
        self.reset += other.reset;
        self.lost += other.lost;
        self.answering += other.answering;
        self.untouched += other.untouched;
        self.refused += other.refused;
        self.outside += other.outside;
        self.superseded |= other.superseded;
        self.requests += other.requests;
        self.delayed_more.extend(&other.delayed_more);
        self.waited_more_s.extend(&other.waited_more_s);
        self
    }

    /// Connections that the fault or anything else took, except those that the struck worker held.
    pub fn failed(&self) -> u64 {
        self.reset + self.lost + self.outside
    }

    /// The share of faults with a reset or lost connection.
    pub fn share(&self) -> Option<Interval> {
        stats::proportion(self.hit, self.faults)
    }

    /// Connections late per fault, as a difference to runs without one.
    pub fn delayed(&self) -> Option<Mean> {
        stats::mean_with_interval(&self.delayed_more)
    }

    /// Seconds waited per fault, or per second of a fault that lasts, as a difference to runs without one.
    pub fn waited_s(&self) -> Option<Mean> {
        stats::mean_with_interval(&self.waited_more_s)
    }
}

impl<'a> std::iter::Sum<&'a Self> for Losses {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| sum.plus(one))
    }
}

#[cfg(test)]
#[path = "losses_tests.rs"]
mod tests;
