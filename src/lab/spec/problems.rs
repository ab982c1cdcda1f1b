//! Values that make an experiment invalid, and their position in the file.

use super::problem::Problem;
use super::{
    Cpus, Expect, Factors, Fault, FaultKind, Load, Metric, Pin, Soak, Spec, decision, handlers, judged, peers,
};

/// As on the command line: an experiment is planned in memory.
const MOST_ROUNDS: u32 = 10_000;
const MOST_WORKERS: usize = 10_000;
const MOST_SLOW_CLIENTS: u32 = 10_000;
/// A body is made in memory.
const MOST_BODY_BYTES: usize = 1 << 30;

pub fn first(spec: &Spec) -> Option<Problem> {
    decision::problem(&spec.decision)
        .map(|what| Problem::at("decision", what))
        .or_else(|| times(spec))
        .or_else(|| factors(spec))
        .or_else(|| jobs(spec))
        .or_else(|| peers(spec))
        .or_else(|| faults(spec))
        .or_else(|| sequence(spec))
        .or_else(|| rules(spec))
        .or_else(|| soak(spec))
        .or_else(|| loads(&spec.load, "load"))
        .or_else(|| judged::problem(spec))
        .or_else(|| if spec.beside.is_empty() { None } else { loads(&spec.beside, "beside") })
        .or_else(|| {
            spec.expect.iter().enumerate().find_map(|(i, e)| Some(expect(spec, e)?.within("expect", i)))
        })
}

fn times(spec: &Spec) -> Option<Problem> {
    let odd = |seconds: f64, least: f64| !(least..=3600.0).contains(&seconds);
    match spec.rounds {
        0 => return Some(Problem::at("rounds", "at least 1 round is needed")),
        1..=MOST_ROUNDS => {}
        _ => return Some(Problem::at("rounds", format!("at most {MOST_ROUNDS} rounds are possible"))),
    }
    for (key, seconds, least) in [
        ("duration_s", spec.duration_s, 0.1),
        ("warmup_s", spec.warmup_s, 0.0),
        ("interval_s", spec.interval_s, 0.01),
    ] {
        if odd(seconds, least) {
            return Some(Problem::at(key, format!("{seconds} is not within {least} to 3600 seconds")));
        }
    }
    if let Some(after_s) = spec.after_fault_s.filter(|after_s| odd(*after_s, 0.1)) {
        return Some(Problem::at("after_fault_s", format!("{after_s} is not within 0.1 to 3600 seconds")));
    }
    for (key, prefix) in [("server_prefix", &spec.server_prefix), ("client_prefix", &spec.client_prefix)] {
        if prefix.as_ref().is_some_and(|words| words.trim().is_empty()) {
            return Some(Problem::at(key, "is empty"));
        }
    }
    None
}

fn factors(spec: &Spec) -> Option<Problem> {
    let factors = &spec.factors;
    for key in Factors::names() {
        let levels = factors.levels(key).unwrap_or_default();
        let optional = key == "peers" || key == "listener" && factors.peers.contains(&spec.baseline);
        if levels.is_empty() && !optional {
            return Some(Problem::at(key, "at least one is needed"));
        }
        if let Some(name) = twice(&levels) {
            return Some(Problem::at(key, format!("`{name}` is named twice")));
        }
    }
    if factors.workers.contains(&0) {
        return Some(Problem::at("workers", "at least 1 worker is needed"));
    }
    if let Some(many) = factors.workers.iter().find(|workers| **workers > MOST_WORKERS) {
        return Some(Problem::at("workers", format!("{many} is more than {MOST_WORKERS} workers")));
    }
    if spec.cpus != Cpus::Shared && factors.pin.contains(&Some(Pin::Split)) {
        return Some(Problem::at(
            "pin",
            "`split` sets the processors of single runs, and `cpus` those of all; use one of them",
        ));
    }
    // A closed loop under SCHED_FIFO could take a whole processor from the server.
    if spec.cpus == Cpus::Preempt && spec.load.iter().any(|load| load.closed.is_some()) {
        return Some(Problem::at("cpus", "`preempt` is for open loops; a load is closed"));
    }
    if factors.backlog.contains(&Some(0)) {
        return Some(Problem::at("backlog", "must be at least 1"));
    }
    let columns: Vec<&String> = factors.listener.iter().chain(&factors.peers).collect();
    let named = [("baseline", &spec.baseline)].into_iter();
    let named = named
        .chain(spec.against.iter().flat_map(|(column, other)| [("against", column), ("against", other)]));
    if let Some((key, name)) = named.into_iter().find(|(_, name)| !columns.contains(name)) {
        let list: Vec<&str> = columns.iter().map(|column| column.as_str()).collect();
        let list = list.join(", ");
        return Some(Problem::at(key, format!("`{name}` is not one of the listeners and peers ({list})")));
    }
    if spec.handler.is_none() && factors.respond.iter().any(|r| r == "cgi") {
        return Some(Problem::at("respond", "`cgi` needs `handler = \"NAME\"`, such as \"hello\""));
    }
    None
}

/// Work that ignores the times that requests ask for.
fn jobs(spec: &Spec) -> Option<Problem> {
    let times = spec.factors.occupy.iter().flatten().next()?;
    let problem = |why: String| Some(Problem::at("occupy", format!("`{times}` needs {why}")));
    let paths =
        spec.load.iter().map(|load| load.path.as_deref().or(spec.handler.as_deref()).unwrap_or_default());
    let names = |path: &str| handlers::named(path) == handlers::BURN;
    match spec.factors.respond.iter().find(|work| ["fixed", "cgi"].contains(&work.as_str())) {
        Some(work) if work == "fixed" => problem("work that takes time, not `respond` fixed".into()),
        Some(_) if !paths.clone().all(names) => {
            problem(format!("`handler = \"{}\"` where `respond` is cgi", handlers::BURN))
        }
        _ => None,
    }
}

fn twice(list: &[String]) -> Option<&String> {
    list.iter().enumerate().find(|(i, v)| list[..*i].contains(v)).map(|(_, v)| v)
}

fn peers(spec: &Spec) -> Option<Problem> {
    for peer in &spec.factors.peers {
        let why = match peer.strip_prefix("command:") {
            Some(name) if spec.peer.contains_key(name) => continue,
            Some(name) => format!("`{peer}` needs a table [peer.{name}] with its command"),
            None => match peers::check(peer) {
                Ok(()) => continue,
                Err(why) => why,
            },
        };
        return Some(Problem::at("peers", why));
    }
    for (name, peer) in &spec.peer {
        let problem = |key: &str, what: String| Problem::at(key, format!("[peer.{name}] {what}"));
        if !spec.factors.peers.iter().any(|known| known.strip_prefix("command:") == Some(name)) {
            return Some(problem(
                &format!("peer.{name}"),
                format!("is not used by the factor peers (`command:{name}`)"),
            ));
        }
        if !peer.command.contains("{port}") {
            return Some(problem(
                "command",
                "lacks `{port}`, so the server cannot be told where to listen".into(),
            ));
        }
        if peer.ready != "tcp" {
            return Some(problem("ready", format!("`{}` is unknown; use `tcp`", peer.ready)));
        }
    }
    None
}

fn faults(spec: &Spec) -> Option<Problem> {
    let faults = || spec.factors.fault.iter().flatten();
    let last = |fault: &Fault| (fault.over_ms() - fault.lasts_ms) as f64 / 1e3;
    for load in &spec.load {
        let measured_s = |fault: &Fault| spec.measured_s(load, Some(*fault));
        if let Some(late) = faults().find(|fault| last(fault) >= measured_s(fault)) {
            let why = format!("`{late}` is after the end of the measured {} s", measured_s(late));
            return Some(Problem::at("fault", why));
        }
    }
    let workers = spec.factors.workers.iter().copied().min().unwrap_or(1);
    if let Some((fault, why)) = faults().find_map(|fault| Some((fault, fault.too_often(workers)?))) {
        return Some(Problem::at("fault", format!("`{fault}`: {why}")));
    }
    let busy = |respond: &String| respond.starts_with("sleep:") || respond.starts_with("spin:");
    let stall = faults().find(|fault| fault.kind == FaultKind::Stall)?;
    let idle = spec.factors.respond.iter().find(|respond| !busy(respond))?;
    Some(Problem::at(
        "fault",
        format!(
            "`{stall}` needs workers that a request can occupy: `respond` sleep:DIST or spin:DIST, not `{idle}`"
        ),
    ))
}

fn sequence(spec: &Spec) -> Option<Problem> {
    let within = |what: &str| Some(Problem::at("connections", what).within("sequence", 0));
    match spec.sequence?.connections {
        1..=10_000 if spec.factors.respond.iter().any(|respond| respond == "cgi") => {
            Some(Problem::at("sequence", "needs responses that name their worker, so not `respond` cgi"))
        }
        1..=10_000 => None,
        _ => within("not within 1 to 10000"),
    }
}

fn rules(spec: &Spec) -> Option<Problem> {
    let odd = spec.rules.each().into_iter().find(|(_, value, share)| {
        let most = if *share { 1.0 } else { f64::MAX };
        !(0.0..=most).contains(value)
    });
    odd.map(|(key, value, share)| {
        let range = if share { "a share from 0 to 1" } else { "a time from 0" };
        Problem::at(key, format!("{value} is not {range}")).within("rules", 0)
    })
}

fn soak(spec: &Spec) -> Option<Problem> {
    let soak = spec.soak.as_ref()?;
    let kinds = Soak::KINDS.map(FaultKind::name).join(", ");
    let problem = if let Some(kind) = soak.faults.iter().find(|kind| !Soak::KINDS.contains(kind)) {
        Problem::at("faults", format!("`{}` cannot come at random; use {kinds}", kind.name()))
    } else if soak.slow_clients > MOST_SLOW_CLIENTS {
        Problem::at("slow_clients", format!("at most {MOST_SLOW_CLIENTS} are possible"))
    } else if !(0.5..=3600.0).contains(&soak.every_s) {
        Problem::at("every_s", format!("{} is not within 0.5 to 3600 seconds", soak.every_s))
    } else if spec.factors.fault.iter().any(Option::is_some) {
        return Some(Problem::at("fault", "cannot be combined with [soak], which has its own faults"));
    } else {
        return None;
    };
    Some(problem.within("soak", 0))
}

fn loads(loads: &[Load], table: &'static str) -> Option<Problem> {
    if loads.is_empty() {
        return Some(Problem::at("load", "at least one [[load]] is needed"));
    }
    let one = |(index, load): (usize, &Load)| {
        let twin = loads[..index].iter().any(|other| other.name == load.name);
        let twin = twin.then(|| Problem::at("name", format!("two loads are named `{}`", load.name)));
        Some(twin.or_else(|| self::load(load, table))?.within(table, index))
    };
    loads.iter().enumerate().find_map(one)
}

fn load(load: &Load, table: &str) -> Option<Problem> {
    let name = &load.name;
    let given = [load.closed.is_some(), load.open.is_some(), load.open_of_capacity.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        return Some(Problem::at(
            "load",
            format!("`{name}` needs exactly one of closed, open, open_of_capacity"),
        ));
    }
    let beside = table == "beside";
    let checks = [
        (
            "open_of_capacity",
            beside && load.open_of_capacity.is_some(),
            "not available beside a load; use `closed` or `open`",
        ),
        (
            "requests",
            beside && load.requests.is_some(),
            "not available beside a load: it runs as long as that load",
        ),
        (
            "duration_s",
            beside && load.duration_s.is_some(),
            "not available beside a load: it runs as long as that load",
        ),
        (
            "duration_s",
            load.duration_s.is_some_and(|s| !(0.1..=3600.0).contains(&s)),
            "not within 0.1 to 3600 seconds",
        ),
        ("body_bytes", load.body_bytes.is_some_and(|bytes| bytes > MOST_BODY_BYTES), "at most 1 GiB"),
        ("closed", load.closed == Some(0), "must be at least 1"),
        (
            "open",
            load.open.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)),
            "the rate must be above 0, and at most 1000000",
        ),
        (
            "open_of_capacity",
            load.open_of_capacity.is_some_and(|share| !(0.01..=2.0).contains(&share)),
            "the share must be within 0.01 and 2",
        ),
        ("requests", load.requests == Some(0), "must be at least 1"),
        (
            "timeout_s",
            load.timeout_s.is_some_and(|s| !(s > 0.0 && s <= 3600.0)),
            "not within 0 to 3600 seconds",
        ),
        ("arrivals", load.arrivals.is_some() && load.closed.is_some(), "a closed loop has no arrivals"),
        ("think", load.think.is_some() && load.closed.is_none(), "only available in a closed loop"),
        (
            "path",
            load.path.as_ref().is_some_and(|path| !path.chars().all(|c| c.is_ascii_graphic())),
            "must not contain spaces, control or non-ASCII characters; percent-encode them, as in %20",
        ),
    ];
    checks.into_iter().find(|(_, wrong, _)| *wrong).map(|(key, _, why)| Problem::at(key, why))
}

pub fn expect(spec: &Spec, expect: &Expect) -> Option<Problem> {
    let columns: Vec<&String> = spec.factors.listener.iter().chain(&spec.factors.peers).collect();
    let names = |list: &[&String]| list.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    for (key, column) in [("of", Some(&expect.of)), ("over", expect.over.as_ref())] {
        if let Some(column) = column.filter(|column| !columns.contains(column)) {
            return Some(Problem::at(
                key,
                format!("`{column}` is not a listener or peer here ({})", names(&columns)),
            ));
        }
    }
    if Metric::named(&expect.metric).is_none() {
        let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        return Some(Problem::at(
            "metric",
            format!("no metric `{}`; there are: {}", expect.metric, known.join(", ")),
        ));
    }
    if !spec.load.iter().any(|load| load.name == expect.load) {
        let loads: Vec<&String> = spec.load.iter().map(|load| &load.name).collect();
        return Some(Problem::at("load", format!("no load `{}`; there are: {}", expect.load, names(&loads))));
    }
    if expect.direction().is_none() {
        return Some(Problem::at("claim", "needs a range: `same_direction`, `same_size` or both"));
    }
    if expect.over.is_none() && !expect.over_where.is_empty() {
        return Some(Problem::at("over_where", "needs `over`"));
    }
    for (key, pick) in [("where", &expect.pick), ("over_where", &expect.over_where)] {
        for (factor, level) in pick {
            let levels = spec.factors.levels(factor).filter(|_| Factors::GROUPING.contains(&factor.as_str()));
            let Some(levels) = levels else {
                let known = Factors::GROUPING.join(", ");
                return Some(Problem::at(key, format!("`{factor}` does not make groups; use {known}")));
            };
            if !levels.contains(level) {
                let list = levels.join(", ");
                return Some(Problem::at(key, format!("`{factor}` has no level `{level}`; it has: {list}")));
            }
        }
    }
    None
}
