//! The conclusions of an analysis, and the place of each in another one.

use super::{Figure, Found, Outcome, Tested, claim, difference, equivalence, growth, none, not_judged};
use crate::lab::judge::claims::{Claim, ClaimVerdict};
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::losses::Losses;
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::struck::{Struck, names, struck};
use crate::lab::judge::{Analysis, CellResult, Comparison, Conclusion, ENOUGH_ROUNDS, Scene};
use crate::lab::spec::Fault;
use crate::measure::stats::Interval;

/// What other results say on a conclusion. The factor is at least 1.
type Test<'a> = Box<dyn Fn(&Analysis, f64) -> Found + 'a>;

/// A conclusion that can be tested.
pub struct Kept<'a> {
    pub about: String,
    pub says: String,
    pub figure: Figure,
    test: Test<'a>,
}

impl Kept<'_> {
    /// Whether it holds in these results. `factor` is at least 1.
    pub fn against(&self, new: &Analysis, factor: f64) -> Tested {
        let (figure, outcome, why) = (self.test)(new, factor);
        let (about, says, kept) = (self.about.clone(), self.says.clone(), self.figure.clone());
        Tested { about, says, kept, new: figure, outcome, why }
    }
}

/// All that can be tested, in the order of a report.
pub fn conclusions(analysis: &Analysis) -> Vec<Kept<'_>> {
    let cells =
        || analysis.scenes.iter().flat_map(|scene| scene.results.iter().map(move |result| (scene, result)));
    let claims = analysis.claims.iter().filter_map(of_claim);
    let changes =
        analysis.scenes.iter().flat_map(|scene| scene.comparisons.iter().filter_map(|c| change(scene, c)));
    let growth = cells().flat_map(|(scene, result)| {
        result
            .endurance
            .iter()
            .filter(|trend| trend.is_flat())
            .map(move |trend| of_trend(scene, result, trend))
    });
    claims.chain(changes).chain(losses(analysis)).chain(growth).collect()
}

fn of_claim(kept: &Claim) -> Option<Kept<'_>> {
    let test = move |new: &Analysis, _: f64| {
        let Some(found) = new.claims.iter().find(|claim| claim.expect.asks_as(&kept.expect)) else {
            return not_judged("the new results do not test it");
        };
        with(of_value(found), claim(kept, found))
    };
    let concluded = !matches!(kept.verdict, ClaimVerdict::Undecided | ClaimVerdict::NotTestable);
    let figure = of_value(kept).filter(|_| concluded)?;
    let about = format!("{}, {}", kept.expect.claim, kept.figure());
    Some(Kept { about, says: kept.verdict.name().into(), figure, test: Box::new(test) })
}

fn of_value(claim: &Claim) -> Option<Figure> {
    let ours = claim.ours?;
    let digits = if claim.expect.over.is_some() { 2 } else { claim.metric.digits() };
    Some(Figure {
        value: ours.median,
        interval: ours.interval,
        unit: claim.unit().into(),
        digits,
        signed: false,
    })
}

fn change<'a>(scene: &'a Scene, kept: &'a Comparison) -> Option<Kept<'a>> {
    let (cell, load) = (scene.results[kept.cell].cell.id.as_str(), scene.load.name.as_str());
    let test = move |new: &Analysis, factor: f64| {
        of_cell(new, cell, load, |scene, index| changed(new, scene, index, kept, factor))
    };
    matches!(kept.conclusion, Conclusion::Differs | Conclusion::Equivalent).then(|| Kept {
        about: format!("{cell} under {load}, {}", kept.metric.title()),
        says: kept.says(),
        figure: of_change(kept),
        test: Box::new(test),
    })
}

fn of_change(c: &Comparison) -> Figure {
    let (unit, digits) = (c.scale().unit().into(), c.scale().digits(c.metric));
    Figure { value: c.change, interval: c.interval, unit, digits, signed: true }
}

/// Columns without a loss in any of their faults.
fn losses(analysis: &Analysis) -> Vec<Kept<'_>> {
    let all = struck(analysis);
    let names = names(&all);
    let pairs = names.iter().flat_map(|column| all.iter().map(move |of_fault| (column, of_fault)));
    let one = |(column, of_fault): (&String, &Struck)| {
        whole(column.clone(), of_fault.fault, of_fault.losses(column).filter(|losses| losses.failed() == 0)?)
    };
    pairs.filter_map(one).collect()
}

/// `None` if no fault happened.
fn whole(column: String, fault: Option<Fault>, kept: Losses) -> Option<Kept<'static>> {
    let figure = of_share(&kept)?;
    let title = fault.map_or_else(|| "faults at random".into(), |fault| fault.to_string());
    let about = format!("{column}, {title}, connections reset or lost");
    let says = format!("none in {} faults", kept.faults());
    let test = move |new: &Analysis, factor: f64| {
        let found = struck(new).into_iter().find(|struck| struck.fault == fault);
        match found.and_then(|struck| struck.losses(&column)) {
            None => not_judged(missing(new, &column, None)),
            Some(losses) => with(of_share(&losses), none(&kept, &losses, factor)),
        }
    };
    Some(Kept { about, says, figure, test: Box::new(test) })
}

fn of_share(losses: &Losses) -> Option<Figure> {
    let share = losses.share()?;
    let interval = Interval { low: share.low * 100.0, high: share.high * 100.0 };
    let value = losses.hit() as f64 * 100.0 / losses.faults() as f64;
    let unit = format!("% of {} faults", losses.faults());
    Some(Figure { value, interval, unit, digits: 1, signed: false })
}

fn of_trend<'a>(scene: &'a Scene, result: &'a CellResult, kept: &'a Trend) -> Kept<'a> {
    let (cell, load) = (result.cell.id.as_str(), scene.load.name.as_str());
    let test = move |new: &Analysis, _: f64| {
        of_cell(new, cell, load, |scene, index| {
            let same = |trend: &&Trend| trend.name == kept.name && trend.period == kept.period;
            match scene.results[index].endurance.iter().find(same) {
                None => not_judged("it was not watched"),
                Some(trend) => with(Some(of_growth(trend)), growth(kept, trend)),
            }
        })
    };
    let limit = format!("{:.*} {}", kept.digits, kept.limit, kept.unit);
    Kept {
        about: format!("{cell} under {load}, growth of {} ({})", kept.name, kept.period),
        says: format!("at most {} per day", limit.trim_end()),
        figure: of_growth(kept),
        test: Box::new(test),
    }
}

fn of_growth(trend: &Trend) -> Figure {
    let unit = format!("{} per day", trend.unit).trim_start().to_owned();
    Figure { value: trend.per_day, interval: trend.interval, unit, digits: trend.digits, signed: true }
}

fn with(figure: Option<Figure>, (outcome, why): (Outcome, String)) -> Found {
    (figure, outcome, why)
}

/// What is found in a cell that has runs that count.
fn of_cell(new: &Analysis, cell: &str, load: &str, found: impl Fn(&Scene, usize) -> Found) -> Found {
    let place = new.scenes.iter().filter(|scene| scene.load.name == load).find_map(|scene| {
        let index = scene.results.iter().position(|result| result.cell.id == cell)?;
        Some((scene, index))
    });
    match place {
        None => not_judged("the new results do not have it"),
        Some((scene, index)) => match &scene.results[index] {
            result if result.not_judged.is_some() => {
                not_judged(result.not_judged.clone().unwrap_or_default())
            }
            result if result.used == 0 => not_judged(missing(new, cell, Some(load))),
            _ => found(scene, index),
        },
    }
}

fn changed(new: &Analysis, scene: &Scene, cell: usize, kept: &Comparison, factor: f64) -> Found {
    let Some(found) = scene.comparison(cell, kept.metric) else {
        return not_judged(format!("no {} to compare", kept.metric.title()));
    };
    let judged = match (found.conclusion, kept.conclusion) {
        (Conclusion::ClientBound, _) => (Outcome::NotJudged, "the load generator was the limit".into()),
        (Conclusion::TooFew, _) => {
            let rounds = found.pairs.min(new.rounds);
            (Outcome::NotJudged, format!("too few rounds ({rounds} of {ENOUGH_ROUNDS})"))
        }
        (Conclusion::Twin | Conclusion::Described, _) => {
            (Outcome::NotJudged, "the new results judge another metric".into())
        }
        (_, Conclusion::Equivalent) => equivalence(kept.least_effect, found, factor),
        _ => difference(kept, found, factor),
    };
    with(Some(of_change(found)), judged)
}

/// Why a column or a cell has no runs that count.
fn missing(new: &Analysis, name: &str, load: Option<&str>) -> String {
    let about =
        |row: &&Row| (row.cell == name || row.column() == name) && load.is_none_or(|load| row.load == load);
    let reason = |verdict: Verdict| new.rows.iter().filter(about).find(|row| row.verdict == verdict);
    match (reason(Verdict::Skipped), reason(Verdict::Invalid)) {
        (Some(row), _) => row.why(),
        (None, Some(row)) => format!("no run counts; the first: {}", row.why()),
        (None, None) => "the new results do not have it".into(),
    }
}
