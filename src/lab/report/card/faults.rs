//! Faults without a comparison: which columns reset or lost connections, and how many waited.

use std::cmp::Reverse;

use itertools::Itertools;

use super::amounts::{count, either, names, range};
use super::findings::{Findings, Lost};
use super::words::scoped;
use super::{Card, Standing};
use crate::lab::judge::losses::{Losses, Mean};
use crate::lab::report::grouped;
use crate::lab::report::text::{list, number, percent};

/// With fewer faults of a column, losses in more than a fifth of them remain possible.
const FEW: u64 = 17;

/// What a column lost under all faults together.
fn totals(all: &[Lost]) -> Vec<(&str, Losses)> {
    let each = grouped(all.iter().map(|lost| (lost.column.as_str(), &lost.losses)));
    each.into_iter().map(|(column, losses)| (column, losses.into_iter().sum())).collect()
}

/// `reuseport:private lost 4 connections in 12 faults (9.9 % to 65.1 % of faults)`
fn loss((column, losses): &(&str, Losses)) -> String {
    let failed = losses.failed();
    let plural = if failed == 1 { "" } else { "s" };
    let [count, faults] = [failed, losses.faults()].map(|n| number(n as f64, 0));
    match losses.share().filter(|_| !losses.superseded) {
        Some(share) => {
            let range = format!("{} to {}", percent(share.low, 1), percent(share.high, 1));
            format!("{column} lost {count} connection{plural} in {faults} faults ({range} of faults)")
        }
        None => format!("{column} had {count} failed connection{plural} in {faults} faults"),
    }
}

/// Columns that lost connections, the one with most first; `None` if there are none.
pub fn failures(all: &[Lost]) -> Option<String> {
    let lossy = list(lossy(all).iter().map(loss));
    (!lossy.is_empty()).then_some(lossy)
}

fn lossy(all: &[Lost]) -> Vec<(&str, Losses)> {
    let lossy = totals(all).into_iter().filter(|(_, losses)| losses.failed() > 0);
    lossy.sorted_by_key(|(_, losses)| Reverse(losses.failed())).collect()
}

/// Columns that lost none, with what their faults cannot exclude.
pub fn whole(all: &[Lost]) -> Option<String> {
    let whole: Vec<(&str, Losses)> =
        totals(all).into_iter().filter(|(_, losses)| losses.failed() == 0 && losses.faults() > 0).collect();
    let least = whole.iter().map(|(_, losses)| losses).min_by_key(|losses| losses.faults())?;
    let names = names(&whole.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "listeners");
    let held = if least.superseded { "" } else { ", beside what a struck worker held" };
    Some(format!(
        "No connection was reset or lost with {names} in {} faults each ({}{held}).",
        number(least.faults() as f64, 0),
        bound(least)
    ))
}

/// `less than 23 % of faults`
fn bound(losses: &Losses) -> String {
    let high = losses.share().map_or(1.0, |share| share.high);
    let digits = usize::from(high < 0.1);
    format!("less than {} of faults", percent((high * 1e3).ceil() / 1e3, digits))
}

/// Connections delayed per fault, for each kind of fault that delays any: the column with most, and the most of the others.
pub fn delays(all: &[Lost]) -> Vec<String> {
    let places = all.iter().map(|lost| &lost.place).unique();
    places.filter_map(|place| delay(all.iter().filter(|lost| lost.place == *place))).collect()
}

fn delay<'a>(of_place: impl Iterator<Item = &'a Lost>) -> Option<String> {
    let mut known: Vec<_> = of_place.filter_map(|lost| Some((lost, lost.losses.delayed()?))).collect();
    known.sort_by(|(_, a), (_, b)| b.0.total_cmp(&a.0));
    // What the interval does not tell from none is not said.
    let told =
        |(_, (mean, interval)): &(&Lost, Mean)| *mean >= 1.0 && interval.is_none_or(|all| all.low > 0.0);
    let (worst, most) = known.remove(known.iter().position(told)?);
    let others = match known.as_slice() {
        [] => String::new(),
        [(next, mean)] => format!(", with {} {}", next.column, count(mean.0)),
        [(_, mean), rest @ ..] => format!(", with the other {} at most {}", rest.len() + 1, count(mean.0)),
    };
    let when = if worst.place.is_empty() { String::new() } else { format!(" ({})", worst.place) };
    Some(format!(
        "With {} one {}{when} delays {} connections{}{others}.",
        worst.column,
        worst.event,
        count(most.0),
        range(&most)
    ))
}

pub fn say(findings: &Findings) -> Card {
    let (all, totals) = (&findings.losses, totals(&findings.losses));
    let lossy = lossy(all);
    let least = totals.iter().map(|(_, losses)| losses.faults()).min().unwrap_or(0);
    let superseded = totals.iter().any(|(_, losses)| losses.superseded);
    let others = list(lossy.iter().skip(1).map(loss));
    let whole = whole(all);
    let mut effects: Vec<String> = (!others.is_empty()).then(|| format!("{others}.")).into_iter().collect();
    let none = whole.as_deref().unwrap_or_default().trim_start_matches('N');
    let (standing, stands, advice) = match lossy.first() {
        _ if least == 0 => {
            let advice = "Run it again: no fault happened.".to_owned();
            (Standing::NotJudged, "not judged, without a fault".to_owned(), advice)
        }
        Some(worst) if superseded => {
            let why = "Not judged, because the records do not tell what a struck worker held";
            let stands = "not judged: the method is superseded".into();
            (Standing::NotJudged, stands, format!("{why}: {}.", loss(worst)))
        }
        Some(worst) => {
            let names: Vec<&str> = lossy.iter().map(|(name, _)| *name).collect();
            let which = either(&names, totals.len(), "listeners");
            let stands = "supported: the losses were counted, one fault at a time".into();
            (Standing::Supported, stands, format!("Do not take {which}: {}.", loss(worst)))
        }
        None if least < FEW => {
            let rest = rest(&totals);
            let stands = format!("a first look: after {least} faults, losses in {rest} are possible");
            (Standing::FirstLook, stands, format!("Not settled: n{none}"))
        }
        None => {
            let which = if totals.len() == 1 { "it".into() } else { format!("any of the {}", totals.len()) };
            let stands = format!("supported by at least {least} faults of each listener");
            (Standing::Supported, stands, format!("Take {which}: n{none}"))
        }
    };
    effects.extend(whole.filter(|_| !lossy.is_empty()));
    effects.extend(delays(all));
    Card { advice: scoped(findings, &advice), standing, stands, effects, ..Card::default() }
}

/// The share of faults that could still cost a connection, where none did.
fn rest(totals: &[(&str, Losses)]) -> String {
    let highest = totals.iter().filter_map(|(_, losses)| Some(losses.share()?.high)).fold(0.0, f64::max);
    format!("up to {} of faults", percent(highest, 0))
}
