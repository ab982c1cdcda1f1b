//! The needs of an experiment against the machine. Pure.

use std::path::Path;

use itertools::Itertools as _;

use super::Finding;
use crate::lab::spec::{Cpus, Pin, Spec, plan};
use crate::lab::terminal::minutes;

#[derive(Clone, Debug)]
pub struct Machine {
    pub ports: (u16, u16),
    pub descriptors: u64,
    pub somaxconn: u64,
    pub processors: usize,
    pub memory_bytes: Option<u64>,
}

/// Of a load generator, beside its connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// In the kernel, for both ends, and of a handler for the connection.
const CONNECTION_BYTES: u64 = 32 * 1024;
const HANDLER_BYTES: u64 = 1024 * 1024;
/// If unknown.
const WORKER_BYTES: u64 = 1024 * 1024;
/// Per run: the record with histograms; per interval: a histogram, and counters per worker.
const RUN_BYTES: u64 = 48 * 1024;
const INTERVAL_BYTES: u64 = 4 * 1024;
const WORKER_SAMPLE_BYTES: u64 = 48;
const REPORT_BYTES: u64 = 8 * 1024 * 1024;

pub fn time(spec: &Spec, max_minutes: Option<f64>) -> Finding {
    let seconds = plan::seconds(spec);
    let runs = plan::count(spec) as usize + plan::trials(spec).len() * plan::TRIALS;
    let text = format!("{runs} runs x {:.2} s = {}", seconds / runs as f64, minutes(seconds));
    let most = seconds * f64::from(spec.rounds + spec.extra_rounds()) / f64::from(spec.rounds);
    let text =
        if most > seconds { format!("{text}; up to {} if rounds are repeated", minutes(most)) } else { text };
    match max_minutes {
        Some(most) if seconds > most * 60.0 => {
            let way_out = match (f64::from(spec.rounds) * most * 60.0 / seconds).floor() {
                0.0 => "not even one round fits; select a part with --only".into(),
                rounds => format!("--rounds {rounds} would fit, or select a part with --only"),
            };
            let text = format!("{text}, and --max-time is {most} min; {way_out}");
            Finding::refused("time", text)
        }
        _ => Finding::fine("time", text),
    }
}

/// Without runs in which no fault comes, what a loaded server does anyway would count as the effect of a fault.
pub fn calm(spec: &Spec) -> Option<Finding> {
    let faults = &spec.factors.fault;
    let struck = faults.iter().any(Option::is_some);
    let missing = "the factor `fault` has no level `none`: without runs under the same load and no fault, nothing tells the effect of \
                   a fault; add \"none\" to its levels";
    struck.then(|| match faults.contains(&None) {
        true => Finding::fine("faults", "effects of faults are differences to the runs without one"),
        false => Finding::refused("faults", missing),
    })
}

/// The seeds of arrivals and jobs.
pub fn jobs(spec: &Spec) -> Finding {
    let (rounds, loads) = (spec.rounds as usize, spec.load.len());
    let levels = spec.factors.combinations();
    let times = levels.iter().filter_map(|levels| Some(levels.jobs()?.to_string())).unique().join(", ");
    let sent = if times.is_empty() { String::new() } else { format!("; requests ask for {times}") };
    let seeds = rounds * loads;
    let text =
        format!("{rounds} rounds x {loads} loads = {seeds} seeds, each the same for all strategies{sent}");
    Finding::fine("jobs", text)
}

/// Connections at once; `None` if the load generator chooses them to fit.
fn connections(spec: &Spec) -> Option<u64> {
    spec.load.iter().filter_map(|load| load.closed).max()
}

/// Local ports. A server that closes after each response keeps TIME_WAIT on its own side, and each run
/// connects to a port of its own, so only the connections at once matter.
pub fn ports(spec: &Spec, machine: &Machine) -> Vec<Finding> {
    let (low, high) = machine.ports;
    let each = (u64::from(high) + 1).saturating_sub(low.into());
    let mut sources: Vec<(String, u64)> =
        spec.factors.sources.iter().flatten().map(|sources| (sources.to_string(), sources.count())).collect();
    if sources.is_empty() {
        sources.push(("one address".into(), 1));
    }
    let Some(most) = connections(spec) else { return Vec::new() };
    let one = |(name, count): (String, u64)| {
        let have = each * count;
        let text =
            format!("{most} connections at once from {name}: {count} x {each} local ports ({low} to {high})");
        if most <= have {
            return Finding::fine(
                "ports",
                text + "; TIME_WAIT lies on the server's side, which closes first",
            );
        }
        let way_out = ": too few; use fewer connections, more sources, or widen net.ipv4.ip_local_port_range";
        Finding::refused("ports", text + way_out)
    };
    sources.into_iter().map(one).collect()
}

pub fn descriptors(spec: &Spec, machine: &Machine) -> Option<Finding> {
    let most = connections(spec)?;
    let need = most + OTHER_DESCRIPTORS;
    let text = format!("{most} connections + {OTHER_DESCRIPTORS} = {need} of {}", machine.descriptors);
    let way_out = ": raise the hard limit (ulimit -Hn)";
    Some(Finding::demand("descriptors", need <= machine.descriptors, text, way_out))
}

/// The kernel would silently shorten longer accept queues.
pub fn backlog(spec: &Spec, machine: &Machine) -> Option<Finding> {
    let most = u64::from(*spec.factors.backlog.iter().flatten().max()?);
    let text = format!("a backlog of {most}, net.core.somaxconn is {}", machine.somaxconn);
    let way_out = ": the kernel would cut it to that; raise it with sysctl -w";
    Some(Finding::demand("backlog", most <= machine.somaxconn, text, way_out))
}

/// Whether the load generator may preempt the server, where the experiment wants it to.
pub fn preemption(spec: &Spec, permitted: bool) -> Option<Finding> {
    let text = "the load generator may not preempt the server (SCHED_FIFO): requests will be sent late, and runs be void, where all \
                processors compute; give it CAP_SYS_NICE or a limit RLIMIT_RTPRIO of 1 (ulimit -r 1)";
    (spec.cpus == Cpus::Preempt && !permitted).then(|| Finding::note("processors", text))
}

pub fn processors(spec: &Spec, machine: &Machine) -> Option<Finding> {
    let split = spec.cpus == Cpus::Apart || spec.factors.pin.contains(&Some(Pin::Split));
    let text =
        format!("server and load generator apart need two processors, and there are {}", machine.processors);
    split.then(|| Finding::demand("processors", machine.processors >= 2, text, ""))
}

pub fn memory(spec: &Spec, machine: &Machine, worker_bytes: Option<u64>) -> Finding {
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let workers = spec.factors.workers.iter().max().copied().unwrap_or(0) as u64;
    let each = worker_bytes.unwrap_or(WORKER_BYTES);
    let connections = connections(spec).unwrap_or(0);
    let handles = spec.factors.respond.iter().any(|respond| respond == "cgi");
    let per_connection = CONNECTION_BYTES + if handles { HANDLER_BYTES } else { 0 };
    let need = workers * each + connections * per_connection;
    let text = format!(
        "{workers} workers x {} KiB + {connections} connections x {} KiB = {} MiB",
        each / 1024,
        per_connection / 1024,
        mib(need)
    );
    match machine.memory_bytes {
        None => Finding::fine("memory", text),
        Some(have) => {
            let text = format!("{text} of {} MiB", mib(have));
            Finding::demand("memory", need <= have, text, ": use fewer workers or connections")
        }
    }
}

pub fn disk(spec: &Spec, free: Option<u64>, folder: &Path) -> Finding {
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let intervals = ((spec.warmup_s + spec.duration_s) / spec.interval_s).ceil() as u64;
    let workers = spec.factors.workers.iter().max().copied().unwrap_or(0) as u64;
    let run = RUN_BYTES + intervals * (INTERVAL_BYTES + workers * WORKER_SAMPLE_BYTES);
    let runs = u64::from(plan::count(spec) + plan::count(spec) / 2);
    let need = runs * run + REPORT_BYTES;
    let text = format!("{runs} runs x {} KiB + reports = {} MiB", run / 1024, mib(need));
    match free {
        None => Finding::fine("disk", text),
        Some(have) => {
            let text = format!("{text} of {} MiB free in {}", mib(have), folder.display());
            let way_out = ": make room, or use --results DIR on another disk";
            Finding::demand("disk", need <= have, text, way_out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::run::check::Severity;

    const MACHINE: Machine = Machine {
        ports: (32768, 60999),
        descriptors: 1024,
        somaxconn: 4096,
        processors: 2,
        memory_bytes: Some(1 << 30),
    };

    fn spec(change: impl FnOnce(&mut Spec)) -> Spec {
        let mut spec = Spec::parse(include_str!("../../../../experiments/quick.toml"), "quick.toml").unwrap();
        change(&mut spec);
        spec
    }

    #[test]
    fn the_jobs_that_requests_ask_for_are_named() {
        let tail = Spec::parse(include_str!("../../../../experiments/tail.toml"), "tail.toml").unwrap();
        let found = jobs(&tail);
        assert!(found.text.ends_with("requests ask for bimodal(0.9,500us,5ms)"), "{found}");
    }

    #[test]
    fn an_ordinary_experiment_fits() {
        let spec = spec(|_| ());
        let mut all = vec![
            time(&spec, Some(2.0)),
            memory(&spec, &MACHINE, None),
            disk(&spec, Some(1 << 30), Path::new(".")),
        ];
        all.extend(ports(&spec, &MACHINE));
        all.extend(descriptors(&spec, &MACHINE));
        assert!(all.len() == 5 && all.iter().all(|finding| finding.severity == Severity::Fine), "{all:?}");
    }

    #[test]
    fn what_is_too_much_is_refused_with_the_arithmetic() {
        let many = spec(|spec| spec.load[0].closed = Some(30_000));
        assert_eq!(
            ports(&many, &MACHINE)[0].text,
            "30000 connections at once from one address: 1 x 28232 local ports (32768 to 60999): too few; use fewer \
             connections, more sources, or widen net.ipv4.ip_local_port_range"
        );
        let sources = spec(|spec| {
            spec.load[0].closed = Some(30_000);
            spec.factors.sources = vec![Some("127.0.0.2-127.0.0.3".parse().unwrap())];
        });
        assert!(
            ports(&sources, &MACHINE)[0].text.contains("2 x 28232")
                && !ports(&sources, &MACHINE)[0].refuses()
        );
        let found = descriptors(&many, &MACHINE).unwrap();
        assert!(
            found.refuses() && found.text.starts_with("30000 connections + 64 = 30064 of 1024"),
            "{found}"
        );
        assert!(memory(&many, &MACHINE, Some(1 << 20)).refuses());
        let crowd = spec(|spec| spec.factors.workers = vec![4, 2000]);
        let found = memory(&crowd, &MACHINE, Some(1 << 20));
        assert!(found.refuses() && found.text.starts_with("2000 workers x 1024 KiB"), "{found}");
    }

    #[test]
    fn time_disk_queues_and_processors_are_counted() {
        let found = time(&spec(|_| ()), Some(0.5));
        assert!(
            found.refuses()
                && found.text.starts_with(
                    "37 runs x 1.66 s = 61 s; up to 92 s if rounds are repeated, and --max-time is 0.5 min"
                ),
            "{found}"
        );
        let found = disk(&spec(|_| ()), Some(1 << 20), Path::new("/mnt"));
        assert!(found.refuses() && found.text.contains("of 1 MiB free in /mnt: make room"), "{found}");
        let found =
            backlog(&spec(|spec| spec.factors.backlog = vec![Some(128), Some(8192)]), &MACHINE).unwrap();
        assert!(found.refuses() && found.text.contains("8192, net.core.somaxconn is 4096"), "{found}");
        assert_eq!(backlog(&spec(|_| ()), &MACHINE), None);
        let ahead = spec(|spec| spec.cpus = Cpus::Preempt);
        let found = preemption(&ahead, false).unwrap();
        assert!(found.severity == Severity::Note && found.text.contains("RLIMIT_RTPRIO"), "{found}");
        assert_eq!([preemption(&ahead, true), preemption(&spec(|_| ()), false)], [None, None]);
        let one = Machine { processors: 1, ..MACHINE };
        assert!(processors(&spec(|spec| spec.factors.pin = vec![Some(Pin::Split)]), &one).unwrap().refuses());
    }
}
