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

/// A mean over faults, with its interval if there are several.
pub type Mean = (f64, Option<Interval>);

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

impl Effect {
    fn failed(&self) -> u64 {
        self.reset + self.lost
    }
}

/// The same load without a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calm {
    late_per_s: f64,
    /// How long a late request takes, on average.
    late_s: f64,
    mean_s: f64,
}

/// What the faults of a run, or of several runs, did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    /// One per fault.
    pub effects: Vec<Effect>,
    /// Failed requests that no fault explains.
    pub outside: u64,
    /// A record does not list requests one by one, so that nothing can be told apart: `outside` has all that failed.
    pub superseded: bool,
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

impl Losses {
    /// Of a run. `calm`: the same load without a fault, in the same round. `None` without a record.
    pub fn of(run: &RunData, calm: Option<Calm>) -> Option<Self> {
        let record = run.record.as_ref()?;
        let windows = windows(run, record);
        let mut all = Self { effects: vec![Effect::default(); windows.len()], ..Self::default() };
        let ends = run.faults().any(|fault| fault.kind == FaultKind::End.name());
        let untold = |record: &RunRecord| record.plan.slow_s.is_none() || record.incidents_left_out > 0;
        if run.records().any(untold) {
            let errors = run.records().flat_map(|record| &record.errors);
            let failed = errors.filter(|(kind, _)| !(ends && *kind == REFUSED));
            return Some(Self { outside: failed.map(|(_, count)| count).sum(), superseded: true, ..all });
        }
        let begin_s = record.plan.warmup_s;
        for other in run.records() {
            let shift_s = other.clock.start_unix_s - record.clock.start_unix_s - begin_s;
            other.incidents.iter().for_each(|one| all.count(one, shift_s, &windows, ends));
        }
        for (effect, window) in all.effects.iter_mut().zip(&windows) {
            compare(effect, window, record, calm);
        }
        Some(all)
    }

    /// With those of others.
    pub fn plus(mut self, other: &Self) -> Self {
        self.effects.extend(&other.effects);
        self.outside += other.outside;
        self.superseded |= other.superseded;
        self
    }

    pub fn faults(&self) -> u64 {
        self.effects.len() as u64
    }

    pub fn total(&self, of: fn(&Effect) -> u64) -> u64 {
        self.effects.iter().map(of).sum()
    }

    /// Faults with a reset or lost connection.
    pub fn hit(&self) -> u64 {
        self.total(|effect| u64::from(effect.failed() > 0))
    }

    /// Connections that the fault or anything else took, except those that the struck worker held.
    pub fn failed(&self) -> u64 {
        self.total(Effect::failed) + self.outside
    }

    /// The share of faults with a reset or lost connection.
    pub fn share(&self) -> Option<Interval> {
        stats::proportion(self.hit(), self.faults())
    }

    /// Connections late per fault, as a difference to runs without one.
    pub fn delayed(&self) -> Option<Mean> {
        stats::mean_with_interval(&self.known(|effect| effect.delayed_more))
    }

    /// Seconds waited per fault, or per second of a fault that lasts, as a difference to runs without one.
    pub fn waited_s(&self) -> Option<Mean> {
        stats::mean_with_interval(&self.known(|effect| effect.waited_more_s))
    }

    /// Of the faults of which it is known.
    pub fn known(&self, of: fn(&Effect) -> Option<f64>) -> Vec<f64> {
        self.effects.iter().filter_map(of).collect()
    }

    /// Connections that were late, more than without a fault; per fault. `None` without a fault, or if it is not known.
    pub fn delayed_per_fault(&self) -> Option<f64> {
        let more: Option<Vec<f64>> = self.effects.iter().map(|effect| effect.delayed_more).collect();
        more.filter(|more| !more.is_empty()).map(|more| more.iter().sum::<f64>() / more.len() as f64)
    }

    /// Connections that were reset or lost, without those that a struck worker held; per fault. `None` as above.
    pub fn failed_per_fault(&self) -> Option<f64> {
        let known = !self.superseded && !self.effects.is_empty();
        known.then(|| self.total(Effect::failed) as f64 / self.effects.len() as f64)
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
            let effect = &mut self.effects[index];
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
        let Some(effect) = owner.and_then(|owner| self.effects.get_mut(owner)) else {
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
    let lasting = FaultKind::named(&window.fault.kind).is_some_and(FaultKind::lasts);
    let per_s = if lasting && window.lasts_s > 0.0 { window.lasts_s } else { 1.0 };
    effect.waited_more_s = Some(waited_s / per_s);
    effect.delayed_more = Some(effect.delayed as f64 - window.expected(calm));
}

impl<'a> std::iter::Sum<&'a Self> for Losses {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::plus)
    }
}

#[cfg(test)]
#[path = "losses_tests.rs"]
mod tests;
