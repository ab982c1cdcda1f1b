//! Values that make an experiment invalid, and their position in the file.

use super::problem::{Checked, Problem, check, none, twice};
use super::{
    Cpus, Expect, Factors, Fault, FaultKind, Load, Metric, Pin, Soak, Spec, decision, handlers, judged, peers,
};

/// As on the command line: an experiment is planned in memory.
const MOST_ROUNDS: u32 = 10_000;
const MOST_WORKERS: usize = 10_000;
const MOST_SLOW_CLIENTS: u32 = 10_000;
/// A body is made in memory.
const MOST_BODY_BYTES: usize = 1 << 30;

pub fn find(spec: &Spec) -> Checked {
    none("decision", decision::problem(&spec.decision))?;
    times(spec)?;
    factors(spec)?;
    jobs(spec)?;
    peers(spec)?;
    faults(spec)?;
    sequence(spec)?;
    rules(spec)?;
    soak(spec)?;
    check(!spec.load.is_empty(), "load", "at least one [[load]] is needed")?;
    loads(&spec.load, "load")?;
    judged::problem(spec)?;
    loads(&spec.beside, "beside")?;
    let mut each = spec.expect.iter().enumerate();
    each.try_for_each(|(index, one)| expect(spec, one).map_err(|problem| problem.within("expect", index)))
}

fn times(spec: &Spec) -> Checked {
    check(spec.rounds > 0, "rounds", "at least 1 round is needed")?;
    check(spec.rounds <= MOST_ROUNDS, "rounds", format!("at most {MOST_ROUNDS} rounds are possible"))?;
    for (key, seconds, least) in [
        ("duration_s", Some(spec.duration_s), 0.1),
        ("warmup_s", Some(spec.warmup_s), 0.0),
        ("interval_s", Some(spec.interval_s), 0.01),
        ("after_fault_s", spec.after_fault_s, 0.1),
    ] {
        let odd = seconds.filter(|seconds| !(least..=3600.0).contains(seconds));
        none(key, odd.map(|seconds| format!("{seconds} is not within {least} to 3600 seconds")))?;
    }
    for (key, prefix) in [("server_prefix", &spec.server_prefix), ("client_prefix", &spec.client_prefix)] {
        check(prefix.as_ref().is_none_or(|words| !words.trim().is_empty()), key, "is empty")?;
    }
    Ok(())
}

fn factors(spec: &Spec) -> Checked {
    let factors = &spec.factors;
    for key in Factors::names() {
        let levels = factors.levels(key).unwrap_or_default();
        let optional = key == "peers" || key == "listener" && factors.peers.contains(&spec.baseline);
        check(optional || !levels.is_empty(), key, "at least one is needed")?;
        none(key, twice(&levels).map(|name| format!("`{name}` is named twice")))?;
    }
    check(!factors.workers.contains(&0), "workers", "at least 1 worker is needed")?;
    let many = factors.workers.iter().find(|workers| **workers > MOST_WORKERS);
    none("workers", many.map(|many| format!("{many} is more than {MOST_WORKERS} workers")))?;
    check(
        spec.cpus == Cpus::Shared || !factors.pin.contains(&Some(Pin::Split)),
        "pin",
        "`split` sets the processors of single runs, and `cpus` those of all; use one of them",
    )?;
    // A closed loop under SCHED_FIFO could take a whole processor from the server.
    let open = spec.load.iter().all(|load| load.closed.is_none());
    check(spec.cpus != Cpus::Preempt || open, "cpus", "`preempt` is for open loops; a load is closed")?;
    check(!factors.backlog.contains(&Some(0)), "backlog", "must be at least 1")?;
    let columns: Vec<&String> = factors.listener.iter().chain(&factors.peers).collect();
    let against = spec.against.iter().flat_map(|(column, other)| [("against", column), ("against", other)]);
    for (key, name) in [("baseline", &spec.baseline)].into_iter().chain(against) {
        let what = format!("`{name}` is not one of the listeners and peers ({})", names(&columns));
        check(columns.contains(&name), key, what)?;
    }
    let cgi = factors.respond.iter().any(|respond| respond == "cgi");
    check(spec.handler.is_some() || !cgi, "respond", "`cgi` needs `handler = \"NAME\"`, such as \"hello\"")
}

/// Work that ignores the times that requests ask for.
fn jobs(spec: &Spec) -> Checked {
    let Some(times) = spec.factors.occupy.iter().flatten().next() else { return Ok(()) };
    let mut paths =
        spec.load.iter().map(|load| load.path.as_deref().or(spec.handler.as_deref()).unwrap_or_default());
    let work = spec.factors.respond.iter().find(|work| ["fixed", "cgi"].contains(&work.as_str()));
    let needs = match work.map(String::as_str) {
        Some("fixed") => Some("work that takes time, not `respond` fixed".to_owned()),
        Some(_) if !paths.all(|path| handlers::named(path) == handlers::BURN) => {
            Some(format!("`handler = \"{}\"` where `respond` is cgi", handlers::BURN))
        }
        _ => None,
    };
    none("occupy", needs.map(|needs| format!("`{times}` needs {needs}")))
}

fn names(list: &[&String]) -> String {
    list.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

fn peers(spec: &Spec) -> Checked {
    for peer in &spec.factors.peers {
        let why = match peer.strip_prefix("command:") {
            Some(name) => (!spec.peer.contains_key(name))
                .then(|| format!("`{peer}` needs a table [peer.{name}] with its command")),
            None => peers::check(peer).err(),
        };
        none("peers", why)?;
    }
    for (name, peer) in &spec.peer {
        let say = |what: &str| format!("[peer.{name}] {what}");
        let used = spec.factors.peers.iter().any(|known| known.strip_prefix("command:") == Some(name));
        let unused = format!("is not used by the factor peers (`command:{name}`)");
        check(used, &format!("peer.{name}"), say(&unused))?;
        let lacks = "lacks `{port}`, so the server cannot be told where to listen";
        check(peer.command.contains("{port}"), "command", say(lacks))?;
    }
    Ok(())
}

fn faults(spec: &Spec) -> Checked {
    let faults = || spec.factors.fault.iter().flatten();
    let last = |fault: &Fault| (fault.over_ms() - fault.lasts_ms) as f64 / 1e3;
    for load in &spec.load {
        let measured_s = |fault: &Fault| spec.measured_s(load, Some(*fault));
        let late = faults().find(|fault| last(fault) >= measured_s(fault));
        let what =
            late.map(|late| format!("`{late}` is after the end of the measured {} s", measured_s(late)));
        none("fault", what)?;
    }
    let workers = spec.factors.workers.iter().copied().min().unwrap_or(1);
    let often = faults().find_map(|fault| Some(format!("`{fault}`: {}", fault.too_often(workers)?)));
    none("fault", often)?;
    let busy = |respond: &String| respond.starts_with("sleep:") || respond.starts_with("spin:");
    let stall = faults().find(|fault| fault.kind == FaultKind::Stall);
    let idle = stall.zip(spec.factors.respond.iter().find(|respond| !busy(respond)));
    let what = idle.map(|(stall, idle)| {
        format!(
            "`{stall}` needs workers that a request can occupy: `respond` sleep:DIST or spin:DIST, not `{idle}`"
        )
    });
    none("fault", what)
}

fn sequence(spec: &Spec) -> Checked {
    let Some(sequence) = spec.sequence else { return Ok(()) };
    check((1..=10_000).contains(&sequence.connections), "connections", "not within 1 to 10000")
        .map_err(|problem| problem.within("sequence", 0))?;
    let cgi = spec.factors.respond.iter().any(|respond| respond == "cgi");
    check(!cgi, "sequence", "needs responses that name their worker, so not `respond` cgi")
}

fn rules(spec: &Spec) -> Checked {
    for (key, value, share) in spec.rules.each() {
        let (most, range) = if share { (1.0, "a share from 0 to 1") } else { (f64::MAX, "a time from 0") };
        check((0.0..=most).contains(&value), key, format!("{value} is not {range}"))
            .map_err(|problem| problem.within("rules", 0))?;
    }
    Ok(())
}

fn soak(spec: &Spec) -> Checked {
    let Some(soak) = &spec.soak else { return Ok(()) };
    let kinds = Soak::KINDS.map(FaultKind::name).join(", ");
    let odd = soak.faults.iter().find(|kind| !Soak::KINDS.contains(kind));
    let odd = odd.map(|kind| format!("`{}` cannot come at random; use {kinds}", kind.name()));
    let many = format!("at most {MOST_SLOW_CLIENTS} are possible");
    let every = format!("{} is not within 0.5 to 3600 seconds", soak.every_s);
    none("faults", odd)
        .and_then(|()| check(soak.slow_clients <= MOST_SLOW_CLIENTS, "slow_clients", many))
        .and_then(|()| check((0.5..=3600.0).contains(&soak.every_s), "every_s", every))
        .map_err(|problem| problem.within("soak", 0))?;
    let calm = spec.factors.fault.iter().all(Option::is_none);
    check(calm, "fault", "cannot be combined with [soak], which has its own faults")
}

fn loads(loads: &[Load], table: &'static str) -> Checked {
    for (index, load) in loads.iter().enumerate() {
        let first = loads[..index].iter().all(|other| other.name != load.name);
        check(first, "name", format!("two loads are named `{}`", load.name))
            .and_then(|()| self::load(load, table == "beside"))
            .map_err(|problem| problem.within(table, index))?;
    }
    Ok(())
}

fn load(load: &Load, beside: bool) -> Checked {
    let given = [load.closed.is_some(), load.open.is_some(), load.open_of_capacity.is_some()];
    let one = given.iter().filter(|given| **given).count() == 1;
    check(one, "load", format!("`{}` needs exactly one of closed, open, open_of_capacity", load.name))?;
    if beside {
        let why = "not available beside a load; use `closed` or `open`";
        check(load.open_of_capacity.is_none(), "open_of_capacity", why)?;
        let why = "not available beside a load: it runs as long as that load";
        check(load.requests.is_none(), "requests", why)?;
        check(load.duration_s.is_none(), "duration_s", why)?;
    }
    let within = |value: Option<f64>, low: f64, high: f64| value.is_none_or(|v| (low..=high).contains(&v));
    let above = |value: Option<f64>, high: f64| value.is_none_or(|value| value > 0.0 && value <= high);
    let ascii = |path: &String| path.chars().all(|c| c.is_ascii_graphic());
    check(within(load.duration_s, 0.1, 3600.0), "duration_s", "not within 0.1 to 3600 seconds")?;
    check(load.body_bytes.is_none_or(|bytes| bytes <= MOST_BODY_BYTES), "body_bytes", "at most 1 GiB")?;
    check(load.closed != Some(0), "closed", "must be at least 1")?;
    check(above(load.open, 1e6), "open", "the rate must be above 0, and at most 1000000")?;
    let share = "the share must be within 0.01 and 2";
    check(within(load.open_of_capacity, 0.01, 2.0), "open_of_capacity", share)?;
    check(load.requests != Some(0), "requests", "must be at least 1")?;
    check(above(load.timeout_s, 3600.0), "timeout_s", "not within 0 to 3600 seconds")?;
    let closed = load.closed.is_some();
    check(!closed || load.arrivals.is_none(), "arrivals", "a closed loop has no arrivals")?;
    check(closed || load.think.is_none(), "think", "only available in a closed loop")?;
    let path = "must not contain spaces, control or non-ASCII characters; percent-encode them, as in %20";
    check(load.path.as_ref().is_none_or(ascii), "path", path)
}

pub fn expect(spec: &Spec, expect: &Expect) -> Checked {
    let columns: Vec<&String> = spec.factors.listener.iter().chain(&spec.factors.peers).collect();
    for (key, column) in [("of", Some(&expect.of)), ("over", expect.over.as_ref())] {
        let odd = column.filter(|column| !columns.contains(column));
        let what =
            |column: &String| format!("`{column}` is not a listener or peer here ({})", names(&columns));
        none(key, odd.map(what))?;
    }
    let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let what = format!("no metric `{}`; there are: {}", expect.metric, known.join(", "));
    check(Metric::named(&expect.metric).is_some(), "metric", what)?;
    let loads: Vec<&String> = spec.load.iter().map(|load| &load.name).collect();
    let what = format!("no load `{}`; there are: {}", expect.load, names(&loads));
    check(loads.contains(&&expect.load), "load", what)?;
    let range = "needs a range: `same_direction`, `same_size` or both";
    check(expect.direction().is_some(), "claim", range)?;
    check(expect.over.is_some() || expect.over_where.is_empty(), "over_where", "needs `over`")?;
    for (key, pick) in [("where", &expect.pick), ("over_where", &expect.over_where)] {
        for (factor, level) in pick {
            let levels = spec.factors.levels(factor).filter(|_| Factors::GROUPING.contains(&factor.as_str()));
            let known = Factors::GROUPING.join(", ");
            let odd = || Problem::at(key, format!("`{factor}` does not make groups; use {known}"));
            let levels = levels.ok_or_else(odd)?;
            let what = format!("`{factor}` has no level `{level}`; it has: {}", levels.join(", "));
            check(levels.contains(level), key, what)?;
        }
    }
    Ok(())
}
