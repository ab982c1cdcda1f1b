//! Published ratios against ours, on one axis of ratios.

use itertools::Itertools;

use super::Told;
use crate::lab::judge::Analysis;
use crate::lab::judge::claims::Claim;
use crate::lab::plot::{Caption, Dot, Dots, Key, Quantity, Sample, Scale, Style};
use crate::lab::report::text::{load_name, number};

pub fn claims(analysis: &Analysis) -> Told<Dots> {
    let drawn: Vec<(&Claim, Dot)> =
        analysis.claims.iter().filter_map(|claim| Some((claim, dot(claim)?))).collect();
    if drawn.is_empty() {
        return Told::default();
    }
    let rows = drawn.iter().map(|(claim, _)| (name(claim), Style::BASELINE)).collect();
    let said = |(claim, dot): &(&Claim, Dot)| {
        let theirs = dot.theirs.map(|theirs| format!("theirs {}", ratio(theirs)));
        let theirs = theirs.unwrap_or_else(|| "no size published".into());
        format!("{}: ours {}, {theirs}, {}.", name(claim), dot.text, claim.verdict.name())
    };
    let says = drawn.iter().map(said).join(" ");
    let quantity = Quantity {
        name: "Ratio".into(),
        unit: "times".into(),
        scale: Scale::Ratio,
        ends: ["\u{2190} smaller", "larger \u{2192}"],
        values: drawn.into_iter().map(|(_, dot)| Some(dot)).collect(),
        ..Quantity::default()
    };
    let note = "Ours: filled, the median over rounds with its 95 % interval. Theirs: hollow, where a size was published.";
    let figure = Dots {
        caption: Caption::new("Theirs against ours", note).saying(says),
        rows,
        quantities: vec![quantity],
        keys: vec![Key::new("solid line: no difference", Sample::Nothing)],
        one_scale: false,
    };
    Told { figures: vec![figure], says: Vec::new() }
}

/// `None` unless it is a ratio that was measured.
fn dot(claim: &Claim) -> Option<Dot> {
    claim.expect.over.as_ref()?;
    let ours = claim.ours.filter(|ours| ours.median > 0.0)?;
    // The range of the published size is as far below the figure as above it. Some figures are given as `11493 / 11 ms = 1045`.
    let size = claim.expect.size().filter(|band| band.low > 0.0 && band.high.is_finite());
    let quotient = || claim.expect.published.rsplit_once("= ")?.1.trim().parse().ok();
    let theirs: Option<f64> = size.map(|band| (band.low * band.high).sqrt()).or_else(quotient);
    Some(Dot {
        text: ratio(ours.median),
        theirs: theirs.filter(|theirs| *theirs > 0.0),
        ..Dot::value(ours.median, ours.interval, 2)
    })
}

fn name(claim: &Claim) -> String {
    let expect = &claim.expect;
    let over = expect.over.as_deref().unwrap_or_default();
    format!("{} {}, {} / {over}, {}", expect.claim, claim.metric.title(), expect.of, load_name(&expect.load))
}

fn ratio(value: f64) -> String {
    let digits = match value {
        small if small < 0.1 => 3,
        middle if middle < 100.0 => 2,
        _ => 0,
    };
    number(value, digits)
}
