//! What the templates show: texts and tables, in order, formatted.

use serde::Serialize;

use super::figures::Drawn;
use super::words::{self, number, percent};
use crate::lab::curves::BEYOND;
use crate::lab::judge::{Analysis, Call, CellResult, Comparison, ENOUGH_ROUNDS, Estimate, Scene};
use crate::lab::metrics::{METRICS, Metric};
use crate::lab::rows::Row;
use crate::lab::store::Data;

/// The report.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Page {
    pub experiment: String,
    pub question: String,
    pub source: String,
    pub subtitle: String,
    pub debug: bool,
    pub answer: Vec<String>,
    pub scenes: Vec<SceneView>,
    pub method: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub ledger: Table,
}

/// One load.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct SceneView {
    pub title: String,
    pub describe: String,
    pub figures: Vec<Drawn>,
    pub costs: Table,
    pub balance: Table,
    pub differences: Table,
}

/// A table; the first column is text, the others are figures.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Puts the report together.
pub fn page(data: &Data, analysis: &Analysis, figures: Vec<Vec<Drawn>>) -> Page {
    let environment = &data.environment;
    Page {
        experiment: environment.experiment.clone(),
        question: data.spec.question.clone(),
        source: data.spec.source.clone(),
        subtitle: format!(
            "{}: {} rounds, {} runs of {} s on {}, {}",
            environment.experiment,
            analysis.rounds,
            analysis.rows.len(),
            data.spec.duration_s,
            environment.label,
            moment(&environment.started)
        ),
        debug: data.runs.iter().any(crate::lab::runner::debug_built)
            || environment.machine.profile == "debug",
        answer: words::answer(analysis),
        scenes: analysis.scenes.iter().zip(figures).map(|(s, figures)| scene(s, analysis, figures)).collect(),
        method: method(data, analysis),
        environment: facts(data),
        ledger: ledger(&analysis.rows),
    }
}

/// `20261123T013000Z` as `2026-11-23 01:30 UTC`.
fn moment(stamp: &str) -> String {
    match (stamp.get(..4), stamp.get(4..6), stamp.get(6..8), stamp.get(9..11), stamp.get(11..13)) {
        (Some(year), Some(month), Some(day), Some(hour), Some(minute)) => {
            format!("{year}-{month}-{day} {hour}:{minute} UTC")
        }
        _ => stamp.into(),
    }
}

fn scene(scene: &Scene, analysis: &Analysis, figures: Vec<Drawn>) -> SceneView {
    let group = &scene.group;
    SceneView {
        title: words::capital(&scene.load.name),
        describe: format!(
            "{}; {} workers, --respond {}",
            words::load_line(scene),
            group.workers,
            group.respond
        ),
        figures,
        costs: costs(scene),
        balance: balance(scene),
        differences: differences(scene, analysis),
    }
}

fn heading(metric: &Metric) -> String {
    format!("{}\n({})", metric.title, metric.unit)
}

fn estimate(metric: &Metric, estimate: Option<Estimate>, bound: bool) -> String {
    let Some(estimate) = estimate else { return "-".into() };
    let digits = metric.digits;
    let mark = if bound && metric.throughput { " client-bound" } else { "" };
    format!(
        "{}{mark}\n({} to {})",
        number(estimate.median, digits),
        number(estimate.interval.low, digits),
        number(estimate.interval.high, digits)
    )
}

fn costs(scene: &Scene) -> Table {
    let mut head = vec!["Strategy\n(runs that count)".to_owned()];
    head.extend(METRICS.iter().map(heading));
    let row = |result: &CellResult| {
        let mut row = vec![format!("{}\n({} of {})", result.cell.id, result.used, result.runs)];
        row.extend(METRICS.iter().zip(&result.estimates).map(|(m, e)| estimate(m, *e, result.client_bound)));
        row
    };
    Table { head, rows: scene.results.iter().map(row).collect() }
}

/// A probability to three digits, without a 0 or a 1 that it is not.
fn probability(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".into(),
        p if p > 0.999 => "> 0.999".into(),
        p => format!("{p:.3}"),
    }
}

fn balance(scene: &Scene) -> Table {
    let head = ["Strategy", "Busiest worker", "Max/mean", "Spread (CoV)", "Jain", "p, fair hash"];
    let row = |result: &CellResult| {
        let s = result.spread?;
        Some(vec![
            result.cell.id.clone(),
            percent(s.top1_share, 2),
            format!("{:.3}", s.top1_share * result.cell.workers as f64),
            percent(s.cov, 2),
            format!("{:.4}", s.jain),
            probability(s.p),
        ])
    };
    Table { head: head.map(String::from).to_vec(), rows: scene.results.iter().filter_map(row).collect() }
}

fn differences(scene: &Scene, analysis: &Analysis) -> Table {
    let head =
        ["Strategy", "Metric", "Difference, %", "95 % interval", "Noise floor (A/A), %", "p (Holm)", "Says"];
    let row = |c: &Comparison| {
        let floor = if c.floor.is_finite() { format!("{:.1}", c.floor) } else { "-".into() };
        let says = match c.call {
            Call::Floor => "noise floor",
            Call::TooFewRounds => "too few rounds to judge",
            Call::ClientBound => "client-bound: not ranked",
            Call::Same => "no difference that counts",
            Call::Differs => "differs",
        };
        vec![
            scene.results[c.cell].cell.id.clone(),
            METRICS[c.metric].title.into(),
            format!("{:+.1}", c.median),
            format!("{:+.1} to {:+.1}", c.interval.low, c.interval.high),
            if c.call == Call::Floor { String::new() } else { floor },
            if c.call == Call::Floor || !analysis.enough { String::new() } else { format!("{:.3}", c.p) },
            says.into(),
        ]
    };
    Table { head: head.map(String::from).to_vec(), rows: scene.comparisons.iter().map(row).collect() }
}

fn method(data: &Data, analysis: &Analysis) -> Vec<String> {
    let spec = &data.spec;
    let range = if analysis.enough {
        "the 95 % bootstrap interval of the median"
    } else {
        "the lowest and the highest run"
    };
    vec![
        format!(
            "Every run has a fresh server and {} s of load before the {} s that are measured. Each of {} rounds has every cell once, in an order shuffled by seed {}.",
            spec.warmup_s, spec.duration_s, spec.rounds, spec.seed
        ),
        format!("The run is the unit, not the request: figures are medians over runs, in brackets {range}."),
        format!(
            "{} runs twice per round under two names (A/A); what it differs from itself is the noise floor. A difference counts when its paired bootstrap interval excludes 0, it exceeds that floor, and p of the randomisation test stays below 0.05 after Holm's correction for all comparisons. Below {ENOUGH_ROUNDS} rounds nothing is judged.",
            spec.baseline
        ),
        "Latency counts from the intended start of a request; in an open loop that includes the wait of requests that could not be sent in time.".into(),
        format!("Percentile curves end where fewer than {BEYOND} requests of a run lie beyond."),
        "Shares, CPU and context switches are counted over the whole run, warm-up included, per accepted connection. CPU and switches of the server are those of supervisor and workers; handlers and the load generator are in that of the whole system only.".into(),
        "p, fair hash: how often a fair random choice is at least this uneven, over all runs together. Above 0.999: turns are taken. Below 0.001: workers are preferred.".into(),
        format!(
            "Verdicts: INVALID when a program failed, nothing was answered or more than {} of the answers were not 2xx; CLIENT-BOUND when the load generator was the limit; NOISY when the hypervisor took more than {} of the processors.",
            percent(spec.rules.invalid_status, 0),
            percent(spec.rules.noisy_steal, 0)
        ),
    ]
}

fn facts(data: &Data) -> Vec<(String, String)> {
    let (environment, machine) = (&data.environment, &data.environment.machine);
    let virtualised = match machine.virtualised {
        Some(true) => ", virtual machine",
        Some(false) => ", no hypervisor",
        None => "",
    };
    let mut facts = vec![
        (
            "Machine".into(),
            format!(
                "{}, {} cores, {} MiB{virtualised}",
                machine.cpu,
                machine.cores,
                number(machine.memory_mib as f64, 0)
            ),
        ),
        ("Kernel".into(), format!("{} {}", machine.kernel, machine.architecture)),
        ("Programs".into(), format!("caffeine {}, {} build", machine.version, machine.profile)),
    ];
    if let Some(git) = &machine.git {
        let dirty = if git.dirty { ", with changes that are not committed" } else { "" };
        facts.push(("Commit".into(), format!("{}{dirty}", git.commit)));
    }
    facts.extend(environment.handler.as_ref().map(|handler| ("Handler".into(), handler.clone())));
    facts.extend(machine.governor.as_ref().map(|governor| ("Governor".into(), governor.clone())));
    facts.push(("Network".into(), "loopback, load generator on the same machine".into()));
    let trial = data.runs.iter().find(|run| run.round == 0).and_then(|run| run.record.as_ref());
    facts.extend(trial.map(|record| {
        ("Trial run".into(), format!("{} requests/s: 100 % of capacity", number(record.rate, 0)))
    }));
    facts.extend(machine.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())));
    facts
}

fn ledger(rows: &[Row]) -> Table {
    let head = [
        "Cell",
        "Load",
        "Round",
        "Verdict",
        "Requests/s",
        "p50 ms",
        "p99 ms",
        "Errors",
        "Overflows",
        "Remarks",
    ];
    let figure = |value: Option<f64>, digits| value.map_or_else(|| "-".into(), |value| number(value, digits));
    let row = |row: &Row| {
        let remarks: Vec<&str> = [&row.reasons, &row.error_kinds]
            .into_iter()
            .map(String::as_str)
            .filter(|t| !t.is_empty())
            .collect();
        vec![
            row.cell.clone(),
            row.load.clone(),
            row.round.to_string(),
            row.verdict.name().into(),
            figure(row.rate_per_s, 0),
            figure(row.response_p50_us.map(|us| us / 1e3), 2),
            figure(row.response_p99_us.map(|us| us / 1e3), 2),
            row.errors.to_string(),
            row.listen_overflows.to_string(),
            remarks.join("; "),
        ]
    };
    Table { head: head.map(String::from).to_vec(), rows: rows.iter().map(row).collect() }
}
