//! Counters for programs: `--metrics` in the OpenMetrics format, `--status --json` and `--list-instances --json`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::harness::{Sandbox, Server, eventually, pid, says, skipped};

fn serving(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.handler("fails", format!("{}exit 3\n", says("")));
    let server = sandbox.start(&[&["-n", "lab", "-w", "2"], arguments].concat());
    (sandbox, server)
}

fn metrics(sandbox: &Sandbox) -> String {
    sandbox.caffeine(&["-n", "lab", "--metrics"]).succeeds().stdout
}

/// The samples of an exposition by name and labels. Panics unless it follows the part of the grammar that is used:
/// TYPE, UNIT and HELP before the samples of a metric, samples of one metric together, no series twice, `# EOF` last.
#[track_caller]
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect(text);
    let (mut samples, mut seen, mut metric, mut kind) = (BTreeMap::new(), Vec::new(), "", "");
    let is_name = |name: &str| {
        name.starts_with("caffeine_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            let [what, name, value] = words[..] else { panic!("{line}") };
            assert!(is_name(name), "{line}");
            match what {
                "TYPE" => {
                    assert!(["counter", "gauge", "info"].contains(&value), "{line}");
                    assert!(!seen.contains(&name), "a second {name}");
                    seen.push(name);
                    (metric, kind) = (name, value);
                }
                "UNIT" => assert!(name == metric && name.ends_with(&format!("_{value}")), "{line}"),
                "HELP" => assert!(name == metric && value.ends_with('.') && !value.contains('\\'), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = series.strip_suffix('}').and_then(|series| series.split_once('{')).expect(line);
        let end = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert_eq!(name, format!("{metric}{end}"), "{line}");
        for label in labels.split(',') {
            let (name, value) = label.split_once('=').expect(line);
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect(line);
            assert!(!inner.contains(['"', '\\']), "{line}");
        }
        let value: f64 = value.parse().expect(line);
        assert!(value >= 0.0 && samples.insert(series.to_owned(), value).is_none(), "{line}");
    }
    samples
}

#[test]
fn metrics_follow_the_format_and_count_what_happened() {
    let (sandbox, server) = serving(&["--outcomes", "on"]);
    (0..3).for_each(|_| assert_eq!(server.get("/hello").status, 200));
    assert_eq!(server.get("/missing").status, 404);
    server.raw(b"nonsense\r\n\r\n");
    eventually("the handlers have ended", || {
        samples(&metrics(&sandbox))["caffeine_handlers_running{name=\"lab\"}"] == 0.0
    });
    let text = metrics(&sandbox);
    let samples = samples(&text);
    for (series, value) in [
        ("connections_accepted_total{name=\"lab\"}", 5.0),
        ("handlers_launched_total{name=\"lab\"}", 3.0),
        ("responses_total{name=\"lab\",class=\"4xx\"}", 2.0),
        ("refusals_total{name=\"lab\",status=\"404\",reason=\"not_found\"}", 1.0),
        ("refusals_total{name=\"lab\",status=\"400\",reason=\"bad_request\"}", 1.0),
        ("refusals_total{name=\"lab\",status=\"503\",reason=\"max_handlers\"}", 0.0),
        ("restarts_total{name=\"lab\"}", 0.0),
        ("workers{name=\"lab\"}", 2.0),
    ] {
        assert_eq!(samples[&format!("caffeine_{series}")], value, "{series}: {text}");
    }
    let of_workers: f64 = (0..2)
        .map(|worker| {
            let labels = format!("{{name=\"lab\",worker=\"{worker}\",generation=\"1\"}}");
            samples[&format!("caffeine_worker_accepted_total{labels}")]
        })
        .sum();
    assert_eq!(of_workers, 5.0);
    assert!((0.5..=1.0).contains(&samples["caffeine_balance_jain{name=\"lab\"}"]), "{text}");
    let build = format!("caffeine_build_info{{name=\"lab\",version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples[&build], 1.0);
}

#[test]
fn a_parser_of_the_format_reads_the_metrics() {
    const READ: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        print(sum(len(family.samples) for family in read(sys.stdin.read())))";
    let has = |python: &&str| {
        let import =
            Command::new(python).args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    };
    // Debian's package is for its own Python.
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has) else {
        return skipped("python3-prometheus-client is not installed");
    };
    let (sandbox, server) = serving(&["--outcomes", "on"]);
    server.get("/hello");
    let text = metrics(&sandbox);
    let mut python = Command::new(python);
    let python =
        python.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(read, samples(&text).len());
}

#[test]
fn counters_never_decrease_over_deaths_of_workers_and_reloads() {
    let (sandbox, server) = serving(&["--outcomes", "on"]);
    let mut before: BTreeMap<String, f64> = BTreeMap::new();
    for turn in 0..4 {
        for target in ["/hello", "/missing", "/fails"] {
            server.get(target);
        }
        if turn % 2 == 0 {
            let worker = server.worker_pids()[0];
            kill(pid(worker), Signal::SIGKILL).unwrap();
            eventually("it is replaced", || {
                let pids = server.worker_pids();
                pids.len() == 2 && pids[0] != worker && pids[0] != 0
            });
        } else {
            sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        }
        let now = samples(&metrics(&sandbox));
        for (series, value) in before.iter().filter(|(series, _)| series.contains("_total{")) {
            // Series of an earlier generation's workers end.
            match now.get(series) {
                Some(later) => assert!(later >= value, "{series}: {value}, then {later}"),
                None => assert!(series.contains("generation=\""), "{series} is gone"),
            }
        }
        before = now;
    }
    assert!(before["caffeine_connections_accepted_total{name=\"lab\"}"] >= 10.0);
    assert_eq!(before["caffeine_refusals_total{name=\"lab\",status=\"404\",reason=\"not_found\"}"], 4.0);
    assert_eq!(before["caffeine_restarts_total{name=\"lab\"}"], 2.0);
}

#[test]
fn the_dashboard_shows_metrics_that_are_there() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../src/server/packaging/grafana.json")).unwrap();
    let (sandbox, server) = serving(&["--outcomes", "on", "--response", "auto"]);
    server.get("/hello");
    let there = metrics(&sandbox);
    let mut shown = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let words = target["expr"].as_str().unwrap().split(|c: char| !c.is_ascii_lowercase() && c != '_');
            shown.extend(words.filter(|word| word.starts_with("caffeine_")).map(str::to_owned));
        }
    }
    assert!(shown.len() > 10);
    for name in shown {
        assert!(there.contains(&format!("\n{name}{{")), "there is no {name}");
    }
}

#[test]
fn the_replacement_of_a_worker_that_has_served_nothing_is_counted() {
    let (sandbox, server) = serving(&[]);
    // Beyond what counts as dying at the start.
    std::thread::sleep(Duration::from_millis(1100));
    let worker = server.worker_pids()[1];
    kill(pid(worker), Signal::SIGKILL).unwrap();
    eventually("it is replaced", || ![0, worker].contains(&server.worker_pids()[1]));
    assert_eq!(samples(&metrics(&sandbox))["caffeine_restarts_total{name=\"lab\"}"], 1.0);
}

/// The keys of an object and of the objects in it.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            found.push(key.clone());
            keys(value, found);
        }),
        Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn json_has_the_keys_of_the_manual_page() {
    let (sandbox, server) = serving(&["--outcomes", "on"]);
    assert_eq!(sandbox.caffeine(&["-L", "--json", "--state-dir", "empty"]).succeeds().stdout, "[]\n");
    server.get("/hello");
    server.get("/missing");
    let list: Value = serde_json::from_str(&sandbox.caffeine(&["-L", "--json"]).succeeds().stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let one = &list[0];
    assert_eq!(
        (&one["name"], &one["pid"], &one["workers"]),
        (&"lab".into(), &server.pid().into(), &2.into())
    );
    assert_eq!(one["address"], format!("127.0.0.1:{}", server.port()));
    assert!(one["uptime_s"].is_f64() && one["listener"] == "inherited");

    let text = sandbox.caffeine(&["-n", "lab", "--status", "--json"]).succeeds().stdout;
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["totals"]["accepted"], 2);
    assert_eq!(status["totals"]["answered"][3], 1);
    assert_eq!(status["refusals"]["not_found"], 1);
    assert_eq!(status["workers"].as_array().unwrap().len(), 2);
    assert!(status["workers"][0]["busy_s"].is_f64() && status["workers"][1]["state"] == "running");
    assert!(status["handlers"]["ok"].is_u64() && status["balance"]["jain"].is_f64(), "{text}");
    let page = include_str!("../../src/manual/caffeine.1");
    let page = page.split("\n.SH COUNTERS\n").nth(1).unwrap().split("\n.SH ").next().unwrap();
    let mut found = Vec::new();
    keys(&list, &mut found);
    let reasons = status["refusals"].as_object().unwrap();
    keys(&status, &mut found);
    for key in found.iter().filter(|key| !reasons.contains_key(*key)) {
        let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        assert!(words.into_iter().any(|word| word == key), "caffeine(1), COUNTERS, lacks {key}");
    }
}
