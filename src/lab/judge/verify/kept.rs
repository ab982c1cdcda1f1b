//! The conclusions of an analysis, and the place of each in another one.

use super::{Figure, Found, Outcome, Tested, claim, difference, equivalence, growth, none, not_judged};
use crate::lab::judge::claims::{Claim, ClaimVerdict};
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::losses::Losses;
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::struck::{names, struck};
use crate::lab::judge::{Analysis, CellResult, Comparison, Conclusion, ENOUGH_ROUNDS, Scene};
use crate::lab::spec::Fault;
use crate::measure::stats::Interval;

#[derive(Debug)]
pub struct Kept<'a> {
    pub about: String,
    pub says: String,
    pub figure: Figure,
    subject: Subject<'a>,
}

#[derive(Debug)]
enum Subject<'a> {
    Change { cell: &'a str, load: &'a str, kept: &'a Comparison },
    Losses { column: String, fault: Option<Fault>, kept: Losses },
    Claim(&'a Claim),
    Growth { cell: &'a str, load: &'a str, kept: &'a Trend },
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

fn of_claim(claim: &Claim) -> Option<Kept<'_>> {
    let concluded = !matches!(claim.verdict, ClaimVerdict::Undecided | ClaimVerdict::NotTestable);
    Some(Kept {
        about: format!("{}, {}", claim.expect.claim, claim.figure()),
        says: claim.verdict.name().into(),
        figure: of_value(claim)?,
        subject: Subject::Claim(claim),
    })
    .filter(|_| concluded)
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

fn change<'a>(scene: &'a Scene, c: &'a Comparison) -> Option<Kept<'a>> {
    let cell = &scene.results[c.cell].cell;
    matches!(c.conclusion, Conclusion::Differs | Conclusion::Equivalent).then(|| Kept {
        about: format!("{} under {}, {}", cell.id, scene.load.name, c.metric.title()),
        says: c.says(),
        figure: of_change(c),
        subject: Subject::Change { cell: &cell.id, load: &scene.load.name, kept: c },
    })
}

fn of_change(c: &Comparison) -> Figure {
    let (unit, digits) = (c.scale().unit().into(), c.scale().digits(c.metric));
    Figure { value: c.change, interval: c.interval, unit, digits, signed: true }
}

/// Columns without a loss in any of their faults.
fn losses(analysis: &Analysis) -> Vec<Kept<'_>> {
    let all = struck(analysis);
    let mut found = Vec::new();
    for (column, struck) in
        names(&all).iter().flat_map(|column| all.iter().map(move |struck| (column, struck)))
    {
        let whole = struck.losses(column).filter(|losses| losses.failed() == 0);
        let Some((losses, figure)) = whole.and_then(|losses| Some((losses.clone(), of_share(&losses)?)))
        else {
            continue;
        };
        let fault = struck.fault.map_or_else(|| "faults at random".into(), |fault| fault.to_string());
        found.push(Kept {
            about: format!("{column}, {fault}, connections reset or lost"),
            says: format!("none in {} faults", losses.faults),
            figure,
            subject: Subject::Losses { column: column.clone(), fault: struck.fault, kept: losses },
        });
    }
    found
}

fn of_share(losses: &Losses) -> Option<Figure> {
    let share = losses.share()?;
    let interval = Interval { low: share.low * 100.0, high: share.high * 100.0 };
    let value = losses.hit as f64 * 100.0 / losses.faults as f64;
    let unit = format!("% of {} faults", losses.faults);
    Some(Figure { value, interval, unit, digits: 1, signed: false })
}

fn of_trend<'a>(scene: &'a Scene, result: &'a CellResult, trend: &'a Trend) -> Kept<'a> {
    let (cell, load) = (result.cell.id.as_str(), scene.load.name.as_str());
    let limit = format!("{:.*} {}", trend.digits, trend.limit, trend.unit);
    Kept {
        about: format!("{cell} under {load}, growth of {} ({})", trend.name, trend.period),
        says: format!("at most {} per day", limit.trim_end()),
        figure: of_growth(trend),
        subject: Subject::Growth { cell, load, kept: trend },
    }
}

fn of_growth(trend: &Trend) -> Figure {
    let unit = format!("{} per day", trend.unit).trim_start().to_owned();
    Figure { value: trend.per_day, interval: trend.interval, unit, digits: trend.digits, signed: true }
}

impl Kept<'_> {
    /// Whether it holds in these results. `factor` is at least 1.
    pub fn against(&self, new: &Analysis, factor: f64) -> Tested {
        let (figure, outcome, why) = match &self.subject {
            Subject::Change { cell, load, kept } => {
                of_cell(new, cell, load, |scene, index| changed(new, scene, index, kept, factor))
            }
            Subject::Growth { cell, load, kept } => of_cell(new, cell, load, |scene, index| {
                let same = |trend: &&Trend| trend.name == kept.name && trend.period == kept.period;
                let found = scene.results[index].endurance.iter().find(same);
                found.map_or_else(
                    || not_judged("it was not watched"),
                    |trend| with(of_growth(trend), growth(kept, trend)),
                )
            }),
            Subject::Losses { column, fault, kept } => {
                let found = struck(new).into_iter().find(|struck| struck.fault == *fault);
                match found.and_then(|struck| struck.losses(column)) {
                    None => not_judged(missing(new, column, None)),
                    Some(losses) => {
                        let (outcome, why) = none(kept, &losses, factor);
                        (of_share(&losses), outcome, why)
                    }
                }
            }
            Subject::Claim(kept) => {
                match new.claims.iter().find(|claim| claim.expect.asks_as(&kept.expect)) {
                    None => not_judged("the new results do not test it"),
                    Some(found) => {
                        let (outcome, why) = claim(kept, found);
                        (of_value(found), outcome, why)
                    }
                }
            }
        };
        let (about, says, kept) = (self.about.clone(), self.says.clone(), self.figure.clone());
        Tested { about, says, kept, new: figure, outcome, why }
    }
}

fn with(figure: Figure, (outcome, why): (Outcome, String)) -> Found {
    (Some(figure), outcome, why)
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
    with(of_change(found), judged)
}

/// Why a column or a cell has no runs that count.
fn missing(new: &Analysis, name: &str, load: Option<&str>) -> String {
    let about = |row: &&Row| {
        let column = row.peer.as_deref().unwrap_or(&row.listener);
        (row.cell == name || column == name) && load.is_none_or(|load| row.load == load)
    };
    let reason = |verdict: Verdict| new.rows.iter().filter(about).find(|row| row.verdict == verdict);
    match (reason(Verdict::Skipped), reason(Verdict::Invalid)) {
        (Some(row), _) => row.why(),
        (None, Some(row)) => format!("no run counts; the first: {}", row.why()),
        (None, None) => "the new results do not have it".into(),
    }
}
