//! Method and environment, for the end of a report.

use itertools::Itertools;

use crate::lab::judge::capacity::Capacity;
use crate::lab::judge::curves::BEYOND;
use crate::lab::judge::{ALPHA, Analysis, ENOUGH_ROUNDS, Scale, jobs};
use crate::lab::report::text::{list, number, percent};
use crate::lab::results::store::Data;
use crate::lab::spec::Metric;
use crate::lab::spec::plan::{self, Cell};
use crate::measure::stats;

pub fn method(data: &Data, analysis: &Analysis) -> Vec<String> {
    let spec = &data.spec;
    let range = if analysis.enough {
        "the 95 % interval of the median, from order statistics (Hettmansperger and Sheather 1986; in simulations it holds the median in 94 to 97 % of cases, if rounds do not depend on each other)"
    } else {
        "the lowest and the highest run"
    };
    let sentences = vec![
        format!(
            "Every run has a fresh server and {} s of warm-up before {} of measured load. Each of {} rounds has every cell once, in an order shuffled by seed {}. A round counts whole: if a run is void, all runs of that round and load are left out and repeated, at most {} times; a strategy with more void runs is not judged.",
            spec.warmup_s,
            super::measured(spec),
            spec.rounds,
            spec.seed,
            spec.extra_rounds()
        ),
        format!("The unit is the run, not the request: values are medians over runs, percentiles those of all runs together (merged histograms), in brackets {range}."),
        jobs::source(data),
        compared(data),
        judged(data, analysis),
        options(data),
        "Values over time are medians over runs, per interval; the warm-up is drawn but not counted. Lengths of accept queues are samples.".into(),
        "Response time counts from the intended start of a request; in an open loop it includes the wait of requests that could not be sent in time.".into(),
        format!("Percentile curves end where fewer than {BEYOND} requests of a run are beyond."),
        "Shares, CPU and context switches are counted over the whole run, including the warm-up, per accepted connection. CPU and switches of the server are those of supervisor and workers; those of the system also include handlers and the load generator.".into(),
        "Connections are spread evenly if the busiest worker has at most 1.05 times the mean, roughly evenly up to 1.25 times, unevenly beyond; they go to one worker if it has at least 90 %. p, fair hash: the probability that a fair random choice is at least as uneven, over all runs together; with enough connections any preference makes it small.".into(),
        rules(data),
    ];
    sentences.into_iter().filter(|sentence| !sentence.is_empty()).collect()
}

fn compared(data: &Data) -> String {
    if !data.spec.twin {
        return "Strategies are not compared: nothing runs twice (A/A), and no difference is judged.".into();
    }
    let twice = if data.spec.one_twin { &data.spec.baseline } else { "What others are compared with" };
    format!(
        "{twice} runs twice per round (A/A). A difference is the change by which the values of a strategy stand apart from both runs of the same rounds (Hodges-Lehmann estimate); its 95 % interval holds the changes that the exact test in blocks of one round does not refuse (aligned ranks; in simulations with normal, heavy-tailed, bursty and drifting noise it holds the true change in 94 to 97 % of cases)."
    )
}

/// What is judged, and how.
fn judged(data: &Data, analysis: &Analysis) -> String {
    if !data.spec.twin {
        return String::new();
    }
    let metric = |metric: &Metric| {
        let least = data.spec.least_effect(*metric);
        let limit = match Scale::of(*metric) {
            Scale::Ratio => percent(least, 0),
            Scale::Difference => format!("{least} per fault"),
        };
        format!("{} (least effect of interest {limit})", metric.title())
    };
    let metrics = analysis.scenes.iter().flat_map(|scene| &scene.judged).map(metric).unique();
    let faults = analysis.scenes.iter().any(|scene| scene.judged.iter().any(|metric| metric.is_per_fault()));
    let faults = if faults {
        " With a fault that is what it does: connections late, more than in the run without it of the same round, and connections lost. They may be 0, so that strategies are compared by their difference and not by a ratio."
    } else {
        ""
    };
    format!(
        "One metric of each load is judged: {}; the others are described.{faults} A strategy differs if p of the exact test is below {ALPHA} after Holm's correction for all judged comparisons; it is equivalent if the whole interval is within the least effect of interest; otherwise it is not told apart. Least visible: the change that four of five such experiments would find. In a closed loop that the load generator limits, neither rate nor response times are judged. Below {ENOUGH_ROUNDS} rounds nothing is judged.",
        list(metrics)
    )
}

fn options(data: &Data) -> String {
    if !data.spec.against.is_empty() {
        let pairs = data.spec.against.iter().map(|(column, other)| format!("{column} with {other}"));
        format!("Compared with another column than the baseline: {}.", pairs.format(", "))
    } else if plan::cells(&data.spec).iter().any(Cell::has_options) {
        "A strategy with options is compared with the same strategy without them, all others with the baseline.".into()
    } else {
        String::new()
    }
}

fn rules(data: &Data) -> String {
    let rules = &data.spec.rules;
    let mut noisy =
        vec![format!("the hypervisor took more than {} of the processors", percent(rules.noisy_steal, 0))];
    noisy.push(format!(
        "a sleeping thread woke up later (p99) than {} of the p99 of the response times of an open loop, or than {} ms",
        percent(rules.noisy_hiccup_share, 0),
        number(rules.noisy_hiccup_p99_us / 1e3, 1)
    ));
    if rules.noisy_pressure < 1.0 {
        noisy.push(format!(
            "work waited for a processor for more than {} of the time",
            percent(rules.noisy_pressure, 0)
        ));
    }
    format!(
        "Verdicts, by rules fixed beforehand: INVALID if a program failed, no request was answered, more than {} of the requests failed or more than {} of the responses were not 2xx; CLIENT-BOUND if the load generator was the limit; NOISY if {}. INVALID runs are left out; NOISY runs count and are marked.",
        percent(rules.invalid_errors, 0),
        percent(rules.invalid_status, 0),
        noisy.join(", or ")
    )
}

pub fn facts(data: &Data) -> Vec<(String, String)> {
    let (environment, machine) = (&data.environment, &data.environment.machine);
    let virtualised = match machine.virtualised {
        Some(true) => ", virtual machine",
        Some(false) => ", no hypervisor",
        None => "",
    };
    let memory = number(machine.memory_mib as f64, 0);
    let commit = machine.git.as_ref().map(|git| {
        let dirty = if git.dirty { ", with uncommitted changes" } else { "" };
        format!("{}{dirty}", git.commit)
    });
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let known = [
        ("Machine", Some(format!("{}, {} cores, {memory} MiB{virtualised}", machine.cpu, machine.cores))),
        ("Kernel", Some(format!("{} {}", machine.kernel, machine.architecture))),
        ("Programs", Some(format!("caffeine {}, {} build", machine.version, machine.profile))),
        ("Commit", commit),
        ("Handler", environment.handler.clone()),
        ("Governor", machine.governor.clone()),
        ("Network", Some("loopback, load generator on the same machine".into())),
        ("Processors", some(&environment.cpus)),
    ];
    let last =
        [("Resumed", some(&environment.resumed.join(", "))), ("Fingerprint", some(&environment.fingerprint))];
    let fact = |(name, text): (&str, Option<String>)| Some((name.to_owned(), text?));
    let capacities = Capacity::all(&data.runs);
    let capacities = capacities.iter().map(|capacity| ("Capacity".into(), capacity.to_string()));
    let seeds = environment.seeds.iter().map(|(name, seed)| (format!("Seed, {name}"), seed.to_string()));
    let mut facts: Vec<(String, String)> = known.into_iter().filter_map(fact).chain(capacities).collect();
    facts.extend(environment.programs.clone());
    facts.extend(environment.peers.clone());
    facts.extend(noise(data));
    facts.extend(machine.sysctls.clone());
    facts.extend(seeds.chain(last.into_iter().filter_map(fact)));
    facts
}

/// How noisy the machine was, over all runs with a probe.
fn noise(data: &Data) -> Option<(String, String)> {
    let heard = data.runs.iter().map(|run| run.noise).filter(|noise| noise.hiccup_max_us > 0.0);
    let late: Vec<f64> = heard.clone().map(|noise| noise.hiccup_p99_us / 1e3).collect();
    let most = heard.map(|noise| noise.hiccup_max_us / 1e3).fold(0.0, f64::max);
    let p99 = stats::median(&late)?;
    Some((
        "Noise".into(),
        format!(
            "a sleeping thread woke up {} ms late (median of the runs' p99), {} ms at most",
            number(p99, 2),
            number(most, 1)
        ),
    ))
}
