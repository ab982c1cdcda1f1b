//! Loads, work and faults in words. The form of the experiment file stands in small print where it matters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use itertools::Itertools;
use serde::Deserialize;

use super::text::holding;
use crate::lab::judge::Scene;
use crate::lab::spec::{Factors, Fault, Level};

/// What words.toml has.
#[derive(Deserialize)]
struct Words {
    work: BTreeMap<String, [String; 3]>,
    fault: BTreeMap<String, [String; 4]>,
}

static WORDS: LazyLock<Words> =
    LazyLock::new(|| toml::from_str(include_str!("words.toml")).expect("words.toml is well-formed"));

/// What a worker does with a request: of a place, of a set-up, and of the source of a figure.
pub fn work(respond: &str) -> Option<&'static [String; 3]> {
    WORDS.work.get(respond.split(':').next().unwrap_or_default())
}

/// A load as a place: `under full load`, `at 800/s`, `with 8 clients`.
pub fn under(load: &str) -> String {
    let ends = |all: &[&str]| all.iter().any(|end| load.ends_with(end));
    let preposition = match load {
        "idle" => "when",
        _ if ends(&["/s"]) || load.starts_with("load ") || load.contains("% load") => "at",
        _ if ends(&["saturated"]) => "when",
        _ if ends(&["client", "clients", "connection", "connections"]) => "with",
        _ if ends(&["requests"]) => "over",
        _ => "under",
    };
    format!("{preposition} {load}")
}

/// A fault in the words of each place.
pub struct FaultWords {
    /// A noun: connections per `hang`.
    pub event: &'static str,
    /// `while a worker is stopped for 2 s`
    pub when: String,
    /// `one worker is stopped for 2 s`
    pub says: String,
    /// Of a column; a line feed begins small print.
    pub title: String,
}

pub fn fault(fault: Fault) -> FaultWords {
    let [event, when, says, title] = &WORDS.fault[fault.kind.name()];
    let lasts = format!("{} s", fault.lasts_ms as f64 / 1e3);
    let [when, says, title] = [when, says, title].map(|text| text.replace("{}", &lasts));
    FaultWords { event, when, says, title }
}

/// What distinguishes a scene from the others of its experiment; empty if it is the only one.
pub fn place(scene: &Scene, factors: &Factors, loads: usize) -> String {
    let levels = &scene.group.levels;
    let does = |respond: &str| work(respond).map_or_else(|| respond.to_owned(), |[place, ..]| place.clone());
    let words = does(&levels.respond);
    let alike = factors.respond.iter().filter(|other| does(other) == words).count() > 1;
    let fault = levels.fault.map_or_else(|| "without a fault".into(), |one| fault(one).when);
    let varied = [
        (loads > 1, under(&scene.load.name)),
        (factors.workers.len() > 1, format!("with {} workers", levels.workers)),
        (factors.respond.len() > 1, if alike { format!("with {}", levels.respond) } else { words }),
        (factors.occupy.len() > 1, format!("with jobs {}", levels.occupy.text())),
        (factors.backlog.len() > 1, format!("with a backlog of {}", levels.backlog.text())),
        (factors.sources.len() > 1, format!("from {}", levels.sources.text())),
        (factors.pin.len() > 1, format!("with processors {}", levels.pin.text())),
        (factors.sysctl.len() > 1, format!("with {}", levels.sysctl.text())),
        (factors.fault.len() > 1 || levels.fault.is_some(), fault),
    ];
    holding(varied).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::spec::FaultKind;

    #[test]
    fn faults_are_told_in_words() {
        let name = |text: &str| fault(text.parse().unwrap()).says;
        assert_eq!(name("stop@1s+2s"), "one worker is stopped for 2 s");
        assert_eq!(name("kill@100ms*5/320ms"), "one worker crashes");
        assert!(FaultKind::ALL.iter().all(|kind| WORDS.fault.contains_key(kind.name())));
    }
}
