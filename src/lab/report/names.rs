//! Loads, work and faults in words. The form of the experiment file stands in small print where it matters.

use crate::lab::judge::Scene;
use crate::lab::spec::{Factors, Fault, FaultKind, Level};

/// What a worker does with a request.
pub fn work(respond: &str) -> &str {
    match respond.split(':').next().unwrap_or_default() {
        "cgi" => "with handlers",
        "fixed" => "with fixed answers",
        "sleep" => "with work that waits",
        "spin" => "with work that computes",
        _ => respond,
    }
}

/// A load as a place: `under full load`, `at 800/s`, `with 8 clients`.
pub fn under(load: &str) -> String {
    let preposition = match load {
        "idle" => "when",
        _ if load.ends_with("/s") || load.starts_with("load ") || load.contains("% load") => "at",
        _ if load.ends_with("saturated") => "when",
        _ if ["client", "clients", "connection", "connections"].iter().any(|end| load.ends_with(end)) => {
            "with"
        }
        _ if load.ends_with("requests") => "over",
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
    let [event, when, says, title] = match fault.kind {
        FaultKind::Kill => {
            ["crash", "when a worker crashes", "one worker crashes", "A worker crashes\n(SIGKILL)"]
        }
        FaultKind::Exit => {
            ["end of a worker", "when a worker ends", "one worker is told to end", "A worker ends\n(SIGTERM)"]
        }
        FaultKind::Reload => ["reload", "at a reload", "a reload replaces all workers", "Reload\n(SIGHUP)"],
        FaultKind::Shrink => {
            let half = "a reload to half the workers";
            ["reload", "at a reload to half the workers", half, "Half the workers\n(reload)"]
        }
        FaultKind::Grow => {
            let twice = "a reload to twice the workers";
            ["reload", "at a reload to twice the workers", twice, "Twice the workers\n(reload)"]
        }
        FaultKind::End => {
            ["graceful stop", "at a graceful stop", "the server is told to end", "Graceful stop\n(SIGTERM)"]
        }
        FaultKind::Stop => [
            "hang",
            "while a worker is stopped for {}",
            "one worker is stopped for {}",
            "A worker stuck {}\n(SIGSTOP)",
        ],
        FaultKind::Stall => [
            "hang",
            "while a worker is busy for {}",
            "one worker hangs for {}",
            "A worker busy {}\n(one request)",
        ],
    };
    let lasts = format!("{} s", fault.lasts_ms as f64 / 1e3);
    let [when, says, title] = [when, says, title].map(|text| text.replace("{}", &lasts));
    FaultWords { event, when, says, title }
}

/// What distinguishes a scene from the others of its experiment; empty if it is the only one.
pub fn place(scene: &Scene, factors: &Factors, loads: usize) -> String {
    let levels = &scene.group.levels;
    let mut parts = Vec::new();
    if loads > 1 {
        parts.push(under(&scene.load.name));
    }
    if factors.workers.len() > 1 {
        parts.push(format!("with {} workers", levels.workers));
    }
    if factors.respond.len() > 1 {
        let words = work(&levels.respond);
        let several = factors.respond.iter().filter(|other| work(other) == words).count() > 1;
        parts.push(if several { format!("with {}", levels.respond) } else { words.to_owned() });
    }
    let others = [
        ("with jobs", factors.occupy.len(), levels.occupy.text()),
        ("with a backlog of", factors.backlog.len(), levels.backlog.text()),
        ("from", factors.sources.len(), levels.sources.text()),
        ("with processors", factors.pin.len(), levels.pin.text()),
        ("with", factors.sysctl.len(), levels.sysctl.text()),
    ];
    parts.extend(
        others
            .into_iter()
            .filter(|(_, several, _)| *several > 1)
            .map(|(what, _, text)| format!("{what} {text}")),
    );
    match levels.fault {
        Some(one) => parts.push(fault(one).when),
        None if factors.fault.len() > 1 => parts.push("without a fault".into()),
        None => {}
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_words() {
        let name = |text: &str| fault(text.parse().unwrap()).says;
        assert_eq!(name("stop@1s+2s"), "one worker is stopped for 2 s");
        assert_eq!(name("kill@100ms*5/320ms"), "one worker crashes");
    }
}
