//! Whether what kept results conclude holds in other results of the same experiment. Pure.
//!
//! Every conclusion says where a value must be: a difference has its sign and, within a factor, its size; an equivalence is within
//! the least effect of interest; "none in n faults" has an upper limit; the verdict on a claim has the range of the claim; growth has
//! its limit. A conclusion is contradicted if the whole new interval is elsewhere. It holds if the new value is there, and the new
//! interval says enough. Otherwise it is not judged, with the reason.

mod kept;
#[cfg(test)]
mod tests;

pub use self::kept::{Kept, conclusions};
use super::claims::{Claim, ClaimVerdict};
use super::endurance::Trend;
use super::losses::Losses;
use super::{Comparison, ENOUGH_ROUNDS};
use crate::lab::spec::Band;
use crate::measure::stats::Interval;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Holds,
    Contradicted,
    NotJudged,
}

/// A value with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub interval: Interval,
    pub unit: String,
    pub digits: usize,
    /// Whether it is a change, which has a sign.
    pub signed: bool,
}

/// A conclusion of kept results beside new ones.
#[derive(Clone, Debug)]
pub struct Tested {
    /// `reuseport under full load, Rate`
    pub about: String,
    /// `differs`
    pub says: String,
    pub kept: Figure,
    pub new: Option<Figure>,
    pub outcome: Outcome,
    /// Why it does not hold; otherwise empty.
    pub why: String,
}

/// What new results say on a conclusion.
type Found = (Option<Figure>, Outcome, String);

fn not_judged(why: impl Into<String>) -> Found {
    (None, Outcome::NotJudged, why.into())
}

/// Where a value and its interval are, seen from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The whole interval is inside.
    Inside,
    /// The value is.
    Around,
    /// A part of the interval is.
    Beside,
    Outside,
}

fn place(range: Interval, value: f64, interval: Interval) -> Place {
    match () {
        () if interval.high < range.low || interval.low > range.high => Place::Outside,
        () if range.low <= interval.low && interval.high <= range.high => Place::Inside,
        () if range.contains(value) => Place::Around,
        () => Place::Beside,
    }
}

/// A difference holds with the same sign and a size within `factor` of the kept one.
fn difference(kept: &Comparison, new: &Comparison, factor: f64) -> (Outcome, String) {
    const WIDE: &str = "the new interval is too wide to say";
    let ends = [kept.change / factor, kept.change * factor];
    let range = Interval { low: ends[0].min(ends[1]), high: ends[0].max(ends[1]) };
    let Interval { low, high } = new.interval;
    let has_sign = low > 0.0 || high < 0.0;
    let times = format!("{:.2} times the kept change", new.change / kept.change);
    match place(range, new.change, new.interval) {
        Place::Inside | Place::Around if has_sign => (Outcome::Holds, String::new()),
        Place::Inside | Place::Around => (Outcome::NotJudged, "the new interval holds no change, too".into()),
        Place::Outside if has_sign && (low > 0.0) != (kept.change > 0.0) => {
            (Outcome::Contradicted, "the opposite sign".into())
        }
        Place::Outside => {
            (Outcome::Contradicted, format!("{times}, which is not within a factor of {factor}"))
        }
        Place::Beside => (Outcome::NotJudged, format!("{WIDE}: {times}")),
    }
}

/// An equivalence holds if the new interval is within its limit, or the new value is and the interval within `factor` times the
/// limit.
fn equivalence(limit: f64, new: &Comparison, factor: f64) -> (Outcome, String) {
    let within = |times: f64| Interval { low: -limit * times, high: limit * times };
    let wider = place(within(factor), new.change, new.interval) == Place::Inside;
    match place(within(1.0), new.change, new.interval) {
        Place::Inside => (Outcome::Holds, String::new()),
        Place::Around if wider => (Outcome::Holds, String::new()),
        Place::Outside => (Outcome::Contradicted, "the whole new interval is beyond the limit".into()),
        Place::Around | Place::Beside => (Outcome::NotJudged, "the new interval crosses the limit".into()),
    }
}

/// "None in n faults" holds if the new share of faults with a loss is at most the upper limit that n faults gave, with at least
/// n / `factor` faults.
fn none(kept: &Losses, new: &Losses, factor: f64) -> (Outcome, String) {
    let (Some(limit), Some(share)) = (kept.share(), new.share()) else {
        return (Outcome::NotJudged, "no fault happened".into());
    };
    let value = new.hit() as f64 / new.faults() as f64;
    let few = new.faults() as f64 * factor < kept.faults() as f64;
    match place(Interval { low: 0.0, high: limit.high }, value, share) {
        _ if new.superseded && new.failed() > 0 => {
            (Outcome::NotJudged, "the new record does not tell what failed by a fault".into())
        }
        Place::Outside => {
            (Outcome::Contradicted, format!("{} of {} faults took a connection", new.hit(), new.faults()))
        }
        Place::Beside => (Outcome::NotJudged, "the new interval crosses the limit".into()),
        _ if few => (Outcome::NotJudged, format!("{} faults are too few", new.faults())),
        _ if new.outside > 0 => (Outcome::NotJudged, format!("{} failed without a fault", new.outside)),
        Place::Inside | Place::Around => (Outcome::Holds, String::new()),
    }
}

/// The verdict on a claim holds if the new interval is where it was: in the range of the size or of the direction, or outside.
fn claim(kept: &Claim, new: &Claim) -> (Outcome, String) {
    let Some(ours) = new.ours.filter(|_| new.rounds >= ENOUGH_ROUNDS) else {
        return (Outcome::NotJudged, new.why.clone());
    };
    if new.verdict == ClaimVerdict::NotTestable {
        return (Outcome::NotJudged, new.why.clone());
    }
    let band = match kept.verdict {
        ClaimVerdict::SameSize => kept.expect.size(),
        _ => kept.expect.direction(),
    };
    let Some(Band { low, high }) = band else {
        return (Outcome::NotJudged, "the claim has no range".into());
    };
    let outside = matches!(kept.verdict, ClaimVerdict::Contradicted | ClaimVerdict::OwnFails);
    let says = || format!("now: {}", new.verdict.name());
    match place(Interval { low, high }, ours.median, ours.interval) {
        Place::Inside if !outside => (Outcome::Holds, String::new()),
        Place::Outside if outside => (Outcome::Holds, String::new()),
        Place::Inside | Place::Outside => (Outcome::Contradicted, says()),
        Place::Around | Place::Beside => {
            (Outcome::NotJudged, "the new interval crosses a limit of the claim".into())
        }
    }
}

/// Growth within its limit.
fn growth(kept: &Trend, new: &Trend) -> (Outcome, String) {
    let range = Interval { low: f64::NEG_INFINITY, high: kept.limit };
    match place(range, new.per_day, new.interval) {
        Place::Inside => (Outcome::Holds, String::new()),
        Place::Outside => (Outcome::Contradicted, "it grew by more than the limit".into()),
        Place::Around | Place::Beside => {
            (Outcome::NotJudged, "the run is too short or too noisy to say".into())
        }
    }
}
