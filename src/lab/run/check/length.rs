//! Whether runs last long enough, and are enough, for what is said about them. Pure.
//!
//! An open loop is measured for at least 100 relaxation times of its queue: what a run shows should not depend on how it
//! began. A percentile rests on at least 100 requests beyond it, over all rounds of a cell. What a kind of work takes is
//! assumed here, since nothing has been measured yet; the report repeats the arithmetic with measured times.

use super::{Finding, Severity};
use crate::dist::Distribution;
use crate::lab::judge::ENOUGH_ROUNDS;
use crate::lab::judge::length::{EXCEEDANCES, RELAXATIONS};
use crate::lab::spec::{Cpus, Levels, Load, Metric, Spec, plan};
use crate::measure::queueing::relaxation_s;

/// Seconds of a processor that accepting, reading and answering take, and those that a handler takes.
const FIXED_S: f64 = 50e-6;
const HANDLER_S: f64 = 250e-6;
/// Seconds by which a sleeping worker is late.
const LATE_S: f64 = 150e-6;

/// How fast a server does the work of a group.
#[derive(Clone, Copy, Debug)]
struct Pace {
    service_s: f64,
    /// Workers, or processors where workers compute.
    servers: f64,
}

impl Pace {
    fn of(levels: &Levels, processors: usize) -> Self {
        let computing = levels.workers.min(processors.max(1)) as f64;
        let pace = |service_s, servers| Self { service_s, servers };
        let mean = |text: &str| text.parse::<Distribution>().map_or(0.0, |work| work.mean().as_secs_f64());
        let asked = levels.occupy.map(|jobs| jobs.mean().as_secs_f64());
        let mean = |own: &str| asked.unwrap_or_else(|| mean(own));
        match levels.respond.split_once(':') {
            Some(("sleep", work)) => pace(mean(work) + LATE_S, levels.workers as f64),
            Some(("spin", work)) => pace(mean(work) + FIXED_S, computing),
            _ if levels.respond == "cgi" => pace(asked.unwrap_or(0.0) + HANDLER_S, computing),
            _ => pace(FIXED_S, computing),
        }
    }

    fn capacity_per_s(self) -> f64 {
        self.servers / self.service_s
    }

    fn rate_per_s(self, load: &Load) -> f64 {
        let think_s = load.think.as_deref().and_then(|think| think.parse::<Distribution>().ok());
        let cycle_s = self.service_s + think_s.map_or(0.0, |think| think.mean().as_secs_f64());
        let closed = load.closed.map(|clients| (clients as f64 / cycle_s).min(self.capacity_per_s()));
        let share = load.open_of_capacity.map(|share| share * self.capacity_per_s());
        load.open.or(share).or(closed).unwrap_or(0.0)
    }
}

/// Shortcomings refuse the experiment unless `allowed`.
pub fn findings(spec: &Spec, processors: usize, allowed: bool) -> Vec<Finding> {
    let processors = processors - usize::from(spec.cpus == Cpus::Apart && processors > 1);
    let mut found: Vec<Finding> =
        rounds(spec, allowed).into_iter().chain(answered(spec, processors)).collect();
    for load in &spec.load {
        let groups = plan::groups(spec);
        let worst = |one: &dyn Fn(&plan::Group) -> Option<Need>| {
            groups.iter().filter_map(one).max_by(|a, b| a.lack().total_cmp(&b.lack()))
        };
        let relaxation = worst(&|group| relaxation(spec, load, &group.levels, processors));
        found.extend(relaxation.map(|need| need.finding(load, allowed)));
        let beyond = worst(&|group| exceedances(spec, load, &group.levels, processors));
        found.extend(beyond.map(|need| need.finding(load, allowed)));
    }
    found
}

fn verdict(fine: bool, allowed: bool) -> Severity {
    match (fine, allowed) {
        (true, _) => Severity::Fine,
        (false, true) => Severity::Note,
        (false, false) => Severity::Refused,
    }
}

/// Where strategies are compared or claims are judged.
fn rounds(spec: &Spec, allowed: bool) -> Option<Finding> {
    let judged = spec.twin || !spec.expect.is_empty();
    let (rounds, extra) = (spec.rounds, spec.extra_rounds());
    let text = format!("{rounds} rounds, and at most {extra} more for those in which a run is void");
    let text = match rounds as usize >= ENOUGH_ROUNDS {
        _ if spec.estimate => text + "; they give estimates, and nothing is judged",
        true => text,
        false => format!(
            "{text}; a judgement needs {ENOUGH_ROUNDS} complete ones: plan 12 (--rounds 12), or have estimates with --allow-short"
        ),
    };
    let fine = spec.estimate || rounds as usize >= ENOUGH_ROUNDS;
    judged.then(|| Finding::new("rounds", verdict(fine, allowed), text))
}

/// Work that takes longer than a run.
fn answered(spec: &Spec, processors: usize) -> Option<Finding> {
    let group = |group: &plan::Group| {
        let service_s = Pace::of(&group.levels, processors).service_s;
        let short = spec.load.iter().find(|load| service_s > spec.measured_s(load, group.levels.fault))?;
        let text = format!(
            "{}: a request takes {service_s:.1} s, and a run measures {} s: none would be answered in time",
            short.name,
            spec.measured_s(short, group.levels.fault)
        );
        Some(Finding::refused("length", text))
    };
    plan::groups(spec).iter().find_map(group)
}

struct Need {
    arithmetic: String,
    have: f64,
    need: f64,
    /// Seconds of a run that would do.
    duration_s: f64,
}

impl Need {
    fn lack(&self) -> f64 {
        self.need / self.have
    }

    fn finding(self, load: &Load, allowed: bool) -> Finding {
        let fine = self.lack() <= 1.0;
        let way_out = match load.requests {
            _ if fine => String::new(),
            Some(requests) => {
                format!(": too few; requests = {:.0} would do", (requests as f64 * self.lack()).ceil())
            }
            None => format!(
                ": too short; duration_s = {} would do (or estimates with --allow-short)",
                rounded_up(self.duration_s)
            ),
        };
        let text = format!("{}: {}{way_out}", load.name, self.arithmetic);
        Finding::new("length", verdict(fine, allowed), text)
    }
}

/// To a tenth of a second below 10 s, and to whole seconds above.
fn rounded_up(seconds: f64) -> f64 {
    if seconds < 10.0 { (seconds * 10.0).ceil() / 10.0 } else { seconds.ceil() }
}

/// Whether response times are judged that a queue of arrivals makes. With a fault, what it does is judged.
fn waits(spec: &Spec, load: &Load, levels: &Levels) -> bool {
    let judged = spec.twin || spec.expect.iter().any(|expect| expect.load == load.name);
    judged && load.closed.is_none() && levels.fault.is_none()
}

/// `None` for closed loops, which have no queue that could grow, and for overload.
fn relaxation(spec: &Spec, load: &Load, levels: &Levels, processors: usize) -> Option<Need> {
    let pace = Pace::of(levels, processors);
    let rate = (waits(spec, load, levels) && load.requests.is_none()).then(|| pace.rate_per_s(load))?;
    let used = rate / pace.capacity_per_s();
    let relaxation_s = relaxation_s(pace.service_s, used)?;
    let (need, have) = (RELAXATIONS * relaxation_s, spec.measured_s(load, levels.fault));
    let arithmetic = format!(
        "at {:.0} % use and an assumed {:.2} ms per request the queue forgets in {:.1} ms, x {RELAXATIONS} = {need:.2} s; a run measures {have} s",
        used * 100.0,
        pace.service_s * 1e3,
        relaxation_s * 1e3
    );
    Some(Need { arithmetic, have, need, duration_s: need })
}

/// For p99 of an open loop without a fault, and for every percentile that a claim is about.
fn exceedances(spec: &Spec, load: &Load, levels: &Levels, processors: usize) -> Option<Need> {
    let own = (spec.twin && waits(spec, load, levels)).then_some(0.99);
    let about = spec.expect.iter().filter(|expect| expect.load == load.name && levels.has(&expect.pick));
    let claimed = about.filter_map(|expect| Metric::named(&expect.metric)?.quantile());
    let quantile = claimed.chain(own).max_by(f64::total_cmp)?;
    let measured_s = spec.measured_s(load, levels.fault);
    let rate = Pace::of(levels, processors).rate_per_s(load);
    let each = load.requests.map_or(rate * measured_s, |requests| requests as f64);
    let have = each * f64::from(spec.rounds) * (1.0 - quantile);
    let percent = (quantile * 1000.0).round() / 10.0;
    let known = load.open.is_some() || load.requests.is_some();
    let assumed = if known { "" } else { ", by assumed service times," };
    let arithmetic = format!(
        "about {each:.0} requests{assumed} x {} rounds x {:.1} % = {have:.0} beyond p{percent}, of {EXCEEDANCES}",
        spec.rounds,
        100.0 - percent
    );
    Some(Need { arithmetic, have, need: EXCEEDANCES, duration_s: measured_s * EXCEEDANCES / have })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::spec::catalogue;

    fn tail(change: impl FnOnce(&mut Spec)) -> Vec<String> {
        let text = include_str!("../../../../experiments/tail.toml");
        let mut spec = Spec::parse(text, "tail.toml").unwrap();
        change(&mut spec);
        findings(&spec, 2, false).iter().map(ToString::to_string).collect()
    }

    fn refused(found: &[String]) -> Vec<&String> {
        found.iter().filter(|text| text.starts_with("refused")).collect()
    }

    #[test]
    fn runs_shorter_than_a_hundred_relaxation_times_are_refused_with_the_arithmetic() {
        assert_eq!(refused(&tail(|_| ())), Vec::<&String>::new());
        // As long as they once were.
        let found = tail(|spec| spec.load.iter_mut().for_each(|load| load.duration_s = Some(0.8)));
        let at_80: Vec<&String> = refused(&found).into_iter().filter(|text| text.contains("80 %:")).collect();
        let expected = "at 80 % use and an assumed 1.10 ms per request the queue forgets in 98.7 ms, x 100 = 9.87 s; a run measures \
                        0.8 s: too short; duration_s = 9.9 would do";
        assert!(at_80.len() == 1 && at_80[0].contains(expected), "{found:#?}");
    }

    #[test]
    fn percentiles_with_few_requests_beyond_are_refused() {
        let found = tail(|spec| {
            spec.load.truncate(1);
            spec.load[0] = Load { open_of_capacity: None, open: Some(10.0), ..spec.load[0].clone() };
            spec.duration_s = 1.0;
            spec.load[0].duration_s = None;
        });
        let expected = "about 10 requests x 12 rounds x 1.0 % = 1 beyond p99, of 100: too short; duration_s = 84 would do";
        assert!(refused(&found).iter().any(|text| text.contains(expected)), "{found:#?}");
    }

    #[test]
    fn few_rounds_are_refused_unless_estimates_are_wanted() {
        let few = |estimate| tail(|spec| (spec.rounds, spec.estimate) = (4, estimate));
        let found = few(false);
        assert!(
            found[0].starts_with("refused") && found[0].contains("4 rounds, and at most 2 more"),
            "{found:#?}"
        );
        assert!(few(true)[0].starts_with("fine"));
        let text = include_str!("../../../../experiments/tail.toml");
        let spec = Spec { rounds: 4, ..Spec::parse(text, "tail.toml").unwrap() };
        assert!(findings(&spec, 2, true).iter().all(|finding| !finding.refuses()));
    }

    #[test]
    fn the_experiments_of_the_project_are_long_enough() {
        for found in catalogue::all() {
            let catalogue::Experiment::One(spec) = found.experiment().unwrap() else { continue };
            let short: Vec<String> = findings(&spec, 2, false)
                .iter()
                .filter(|finding| finding.refuses())
                .map(|finding| format!("{}: {finding}", found.name))
                .collect();
            assert!(short.is_empty(), "{short:#?}");
        }
    }
}
