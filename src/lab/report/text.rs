//! Formatting of values, lists and names.

use std::fmt::Display;

use itertools::Itertools;

use super::names;
use crate::lab::judge::{Analysis, Scene};
use crate::lab::spec::plan::Group;
use crate::measure::machine::Facts;
use crate::measure::stats::Interval;

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
    let grouped = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).join(",");
    let negative = value < 0.0 && text.chars().any(|c| ('1'..='9').contains(&c));
    format!("{}{grouped}{rest}", if negative { "-" } else { "" })
}

/// One digit after the point below 10, none above.
pub fn brief(value: f64) -> String {
    number(value, usize::from(value < 10.0))
}

/// `12.5 to 1,300.0`
pub fn range(Interval { low, high }: Interval, digits: usize) -> String {
    format!("{} to {}", number(low, digits), number(high, digits))
}

/// The upper end of an interval of a share in percent, rounded up.
pub fn at_most(share: f64) -> String {
    let (digits, step) = if share < 0.1 { (1, 1000.0) } else { (0, 100.0) };
    percent((share * step - 1e-9).ceil() / step, digits)
}

/// `1 round`, `2 rounds`
pub fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The commit that the programs were built from, with `dirty` if files differed from it; `None` if it is not known.
pub fn commit(machine: &Facts, dirty: &str) -> Option<String> {
    machine.git.as_ref().map(|git| format!("{}{}", git.commit, if git.dirty { dirty } else { "" }))
}

/// The texts whose condition holds.
pub fn holding<T>(all: impl IntoIterator<Item = (bool, T)>) -> impl Iterator<Item = T> {
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text)
}

/// `a, b and c`
pub fn list(items: impl IntoIterator<Item: Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The same, or `7 what` of more than `most`.
pub fn few(all: &[impl Display], most: usize, what: &str) -> String {
    if all.len() > most { format!("{} {what}", all.len()) } else { list(all) }
}

pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

pub fn uncapital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
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

/// The name of a scene, with its group, in words: `80 % load, one worker hangs for 0.5 s`.
pub fn place(scene: &Scene) -> String {
    place_of(&scene.load.name, &scene.group)
}

/// The same of a load and a group.
pub fn place_of(load: &str, group: &Group) -> String {
    let (load, group) = (load_name(load), group_name(group));
    if group.is_empty() { load } else { format!("{load}, {group}") }
}

/// `800/s` as `800 requests/s`; other names stay as they are.
pub fn load_name(name: &str) -> String {
    match name.strip_suffix("/s").map(|rate| rate.parse::<f64>()) {
        Some(Ok(rate)) => format!("{} requests/s", number(rate, 0)),
        _ => name.into(),
    }
}

/// What distinguishes a group from the others, in words: `8 workers that sleep, one worker hangs for 0.5 s`. Levels without
/// words of their own stay as experiments write them.
pub fn group_name(group: &Group) -> String {
    group_parts(group).join(", ")
}

/// The same, part by part; the fault is the last one.
pub fn group_parts(group: &Group) -> Vec<String> {
    let levels = &group.levels;
    let fault = levels.fault.map(|fault| (fault.to_string(), names::fault(fault).says));
    let backlog = levels.backlog.map(|n| (format!("backlog={n}"), format!("a backlog of {n}")));
    let known = [
        (format!("w={}", levels.workers), counted(levels.workers, "worker")),
        (levels.respond.clone(), work(&levels.respond)),
        backlog.unwrap_or_default(),
        fault.unwrap_or_else(|| ("no fault".into(), "no fault".into())),
    ];
    let mut rest = format!(" {} ", group.title);
    let mut parts = Vec::new();
    for (written, words) in known {
        let written = format!(" {written} ");
        if !words.is_empty() && rest.contains(&written) {
            rest = rest.replacen(&written, " ", 1);
            parts.push(words);
        }
    }
    if !rest.trim().is_empty() {
        parts.insert(0, rest.trim().to_owned());
    }
    parts
}

/// What a worker does with a request; empty if there are no words for it.
fn work(respond: &str) -> String {
    let (_, times) = respond.split_once(':').unwrap_or_default();
    names::work(respond).map_or_else(String::new, |[_, set_up, _]| set_up.replace("{}", duration(times)))
}

/// `const(2ms)` as `2ms`.
fn duration(times: &str) -> &str {
    times.strip_prefix("const(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(times)
}

/// The meaning of the brackets after a value.
pub fn brackets(analysis: &Analysis) -> &'static str {
    if analysis.enough { "the 95 % interval of the median" } else { "from the lowest run to the highest" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::spec::{Levels, plan};

    fn named(title: &str, levels: Levels) -> String {
        group_name(&plan::Group { title: title.into(), levels, cells: Vec::new() })
    }

    #[test]
    fn loads_and_groups_have_names_in_words() {
        let levels = || Levels {
            workers: 8,
            respond: "cgi".into(),
            fault: Some("stall@200ms+500ms".parse().unwrap()),
            backlog: Some(128),
            ..Levels::default()
        };
        assert_eq!(named("", levels()), "");
        assert_eq!(
            named("w=8 cgi backlog=128 stall@200ms+500ms", levels()),
            "8 workers, a handler per request, a backlog of 128, one worker hangs for 0.5 s"
        );
        assert_eq!(named("no fault", Levels::default()), "no fault");
        assert_eq!(named("cgi pin=one:each", levels()), "pin=one:each, a handler per request");
        assert_eq!([load_name("800/s"), load_name("load 85 %")], ["800 requests/s", "load 85 %"]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(number(999.0, 0), "999");
        assert_eq!(number(-1500.0, 0), "-1,500");
        assert_eq!(number(-0.001, 1), "0.0");
    }
}
