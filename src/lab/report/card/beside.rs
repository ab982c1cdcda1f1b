//! What is said beside a comparison: another metric that speaks for another choice, and the spread of connections.

use super::amounts::names;
use super::findings::{Column, Effect, Spread};
use crate::lab::judge::Comparison;
use crate::lab::report::text::{list, number};
use crate::lab::spec::Metric;

/// A metric in which a column is better (or worse) everywhere, by more than the least effect; the one with most.
pub fn described(column: &Column, better: bool) -> Option<Metric> {
    let clear = |effect: &Effect| {
        let Comparison { interval, least_effect, .. } = effect.found;
        let beyond = interval.low > least_effect || interval.high < -least_effect;
        beyond && effect.is_better() == better
    };
    let of = |metric: Metric| column.described.iter().filter(move |effect| effect.found.metric == metric);
    let matters = Metric::ALL.iter().copied().filter(|metric| *metric != Metric::ServerSwitches);
    let all = matters.filter(|metric| of(*metric).next().is_some() && of(*metric).all(clear));
    let least = |metric: &Metric| of(*metric).map(Effect::size).fold(f64::INFINITY, f64::min);
    all.max_by(|a, b| least(a).total_cmp(&least(b)))
}

/// Columns whose busiest worker gets much more than its share; `None` where all are about even.
pub fn spread(all: &[Spread]) -> Option<String> {
    const UNEVEN: f64 = 1.25;
    let of = |one: bool| {
        let some = all.iter().filter(move |spread| spread.most > UNEVEN && spread.concentrated == one);
        some.map(|spread| spread.column.as_str()).collect::<Vec<_>>()
    };
    let (one, several) = (of(true), of(false));
    let most = all.iter().filter(|spread| !spread.concentrated).map(|spread| spread.most).fold(0.0, f64::max);
    let parts = [
        (!one.is_empty()).then(|| format!("to one worker with {}", names(&one, "strategies"))),
        (!several.is_empty()).then(|| {
            format!(
                "unevenly with {} (the busiest worker up to {} times its share)",
                names(&several, "strategies"),
                number(most, 1)
            )
        }),
    ];
    let parts = list(parts.into_iter().flatten());
    (!parts.is_empty()).then(|| format!("Connections go {parts}."))
}
