//! Formatting of values, lists and names.

use crate::lab::judge::{Analysis, Scene};
use crate::lab::spec::Metric;

/// The metric for the tail of the response times.
pub const TAIL: Metric = Metric::ResponseP99Ms;

/// `0.251` as `25.1 %`.
pub fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

/// Three digits, but never rounded to 0 or 1.
pub fn probability(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".into(),
        p if p > 0.999 => "> 0.999".into(),
        p => format!("{p:.3}"),
    }
}

/// With thousands separators: `12,345.6`.
pub fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let negative = value < 0.0 && text.chars().any(|c| ('1'..='9').contains(&c));
    format!("{}{grouped}{rest}", if negative { "-" } else { "" })
}

/// `a, b and c`
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The load of a scene, with its rate.
pub fn load_line(scene: &Scene) -> String {
    match scene.offered_per_s {
        Some(rate) if scene.load.open.is_none() => {
            format!("{} requests/s, {}", number(rate, 0), scene.load.describe())
        }
        _ => scene.load.describe(),
    }
}

/// The name of a scene, with its group.
pub fn place(scene: &Scene) -> String {
    let group = &scene.group.title;
    if group.is_empty() { scene.load.name.clone() } else { format!("{}, {group}", scene.load.name) }
}

/// The meaning of the brackets after a value.
pub fn brackets(analysis: &Analysis) -> &'static str {
    if analysis.enough { "the 95 % interval of the median" } else { "from the lowest run to the highest" }
}
