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

/// When a fault acts.
pub fn fault(fault: Fault) -> String {
    let lasts_s = fault.lasts_ms as f64 / 1e3;
    match fault.kind {
        FaultKind::Kill => "when a worker crashes".into(),
        FaultKind::Exit => "when a worker ends".into(),
        FaultKind::Reload => "at a reload".into(),
        FaultKind::Shrink => "at a reload to half the workers".into(),
        FaultKind::Grow => "at a reload to twice the workers".into(),
        FaultKind::End => "at a graceful stop".into(),
        FaultKind::Stop => format!("while a worker is stopped for {lasts_s} s"),
        FaultKind::Stall => format!("while a worker is busy for {lasts_s} s"),
    }
}

/// One fault as a noun: connections per `hang`.
pub fn event(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Kill => "crash",
        FaultKind::Exit => "end of a worker",
        FaultKind::Reload | FaultKind::Shrink | FaultKind::Grow => "reload",
        FaultKind::End => "graceful stop",
        FaultKind::Stop | FaultKind::Stall => "hang",
    }
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
        Some(one) => parts.push(fault(one)),
        None if factors.fault.len() > 1 => parts.push("without a fault".into()),
        None => {}
    }
    parts.join(" ")
}
