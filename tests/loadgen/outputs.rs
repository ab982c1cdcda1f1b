//! The outputs and schedules of `loadgen`, against scripted servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use caffeine::measure::histogram;
use caffeine::measure::record::RunRecord;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::loadgen::scripted::{OK, Scripted, answer};

fn loadgen(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(args);
    command
}

/// A temporary folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn record(&self, name: &str) -> RunRecord {
        serde_json::from_str(&self.read(name)).unwrap()
    }
}

/// Runs without a warm-up and returns the record.
fn run(server: &Scripted, args: &[&str]) -> RunRecord {
    let output = loadgen(args).args(["-w", "0s", "--json", "-", &server.url()]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

/// The rows of a CSV text by column.
fn rows(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|cells| header.iter().copied().zip(cells).collect()).collect()
}

#[test]
fn steps_ramps_and_bursts_send_the_arrivals_of_their_rates() {
    let server = Scripted::answering(OK);
    for (args, arrivals, rate) in [
        (&["-r", "100@200ms,0@50ms,300@100ms"][..], 50, 50.0 / 0.35),
        (&["-r", "0..400", "-d", "400ms"], 80, 200.0),
        (&["-r", "100,300", "-d", "200ms", "-t", "2"], 40, 200.0),
        (&["-r", "200", "-d", "200ms", "--arrivals", "burst:8"], 40, 200.0),
    ] {
        let record = run(&server, args);
        assert_eq!(record.started + record.unsent, arrivals, "{args:?}: {record:#?}");
        assert!((record.plan.rate.unwrap() - rate).abs() < 1e-6, "{args:?}: {:?}", record.plan.rate);
        assert_eq!(record.plan.profile.as_deref(), Some(args[1]));
    }
}

#[test]
fn a_replay_sends_exactly_the_arrivals_of_its_file() {
    let (server, folder) = (Scripted::answering(OK), Folder::new());
    let times: String =
        (0..20).map(|number| format!("{}.5 # request {number}\n", 1_700_000_000 + number)).collect();
    fs::write(folder.path("times"), times).unwrap();
    let record = run(&server, &["--replay", &folder.path("times"), "--stretch", "0.01", "-t", "2"]);
    assert_eq!(record.started + record.unsent, 20, "{record:#?}");
    assert_eq!((record.plan.arrivals.as_deref(), record.duration_s), (Some("replay"), 0.2));
    fs::write(folder.path("times"), "1\nnonsense\n").unwrap();
    let failed = loadgen(&["--replay", &folder.path("times"), &server.url()]).assert().code(2);
    assert!(String::from_utf8_lossy(&failed.get_output().stderr).contains("line 2: \"nonsense\""));
    fs::write(folder.path("times"), b"1\n2\n\xff\n").unwrap();
    let failed = loadgen(&["--replay", &folder.path("times"), &server.url()]).assert().code(2);
    assert!(String::from_utf8_lossy(&failed.get_output().stderr).contains("line 3: "));
}

#[test]
fn poisson_arrivals_are_tested_against_their_plan() {
    let record = run(&Scripted::answering(OK), &["-r", "200", "--arrivals", "poisson", "-n", "60"]);
    let test = record.arrivals_test.expect("60 arrivals are enough");
    assert_eq!((test.arrivals_per_span, test.limit), (1, 4.984));
    assert!((50..60).contains(&test.sample) && test.statistic > 0.0, "{test:?}");
    let refused = record.reasons.iter().any(|reason| reason.contains("arrivals do not fit the plan"));
    assert_eq!(refused, test.statistic > test.limit, "{:?}", record.reasons);
    assert_eq!(run(&Scripted::answering(OK), &["-r", "200", "-n", "30"]).arrivals_test, None);
}

#[test]
fn rows_and_interval_histograms_add_up_to_the_record() {
    let (server, folder) = (Scripted::answering(OK), Folder::new());
    let (json, csv, log, hgrm) =
        (folder.path("a.json"), folder.path("a.csv"), folder.path("a.hlog"), folder.path("a.hgrm"));
    fs::write(&csv, "old text that is longer than any header ".repeat(100)).unwrap();
    let files = ["--json", &json, "--csv", &csv, "--hlog", &log, "--hgrm", &hgrm, "-q", &server.url()];
    loadgen(&["-r", "200", "-d", "450ms", "-w", "150ms", "--interval", "100ms"])
        .args(files)
        .output()
        .unwrap();
    let record = folder.record("a.json");
    let text = folder.read("a.csv");
    let rows = rows(&text);
    let sum = |column: &str, warmup: &str| -> u64 {
        let rows = rows.iter().filter(|row| row["warmup"] == warmup);
        rows.map(|row| row[column].parse::<u64>().unwrap()).sum()
    };
    assert_eq!((sum("offered", "true"), sum("offered", "false")), (30, 90), "{text}");
    assert_eq!((sum("started", "false"), sum("completed", "false")), (record.started, record.completed));
    assert_eq!(sum("short-body", "false"), 0);
    assert!(sum("completed", "true") > 0, "the warm-up has rows too");
    assert_eq!((rows[0]["begin_s"], rows[1]["end_s"]), ("0.000000", "0.150000"), "the warm-up ends at a cut");
    assert_eq!(record.intervals.len(), rows.len());

    let log = folder.read("a.hlog");
    let (mut lines, mut start_s) = (Vec::new(), 0.0);
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        match entry.unwrap() {
            LogEntry::StartTime(start) => start_s = start.as_secs_f64(),
            LogEntry::BaseTime(_) => {}
            LogEntry::Interval(line) => lines.push((
                line.tag().map(|tag| tag.as_str().to_owned()),
                histogram::decode(line.encoded_histogram()).unwrap(),
            )),
        }
    }
    let merged = |tag: Option<&str>| {
        let tagged = lines.iter().filter(|(of, _)| of.as_deref() == tag);
        histogram::merge(tagged.map(|(_, counts)| counts))
    };
    assert_eq!(histogram::encode(&merged(None)), record.histograms["response"]);
    for phase in ["service", "connect", "first_byte", "send_lag"] {
        assert_eq!(histogram::encode(&merged(Some(phase))), record.histograms[phase], "{phase}");
    }
    assert_eq!(merged(Some("warmup")).len(), sum("completed", "true"));
    assert!((start_s - record.clock.start_unix_s).abs() < 0.01);
    assert!(log.contains("#[Verdict: "), "{log}");
    assert!(folder.read("a.hgrm").contains("#[Verdict: "));
}

#[test]
fn rows_cover_the_measured_time_and_a_partial_one_has_no_rate() {
    let (server, folder) = (Scripted::answering(OK), Folder::new());
    let csv = folder.path("a.csv");
    let args = ["-q", "-w", "0s", "--interval", "100ms", "--csv", &csv];
    // The only request is over at once.
    loadgen(&args).args(["-r", "1", "-d", "300ms", &server.url()]).output().unwrap();
    let text = folder.read("a.csv");
    let rates: Vec<_> = rows(&text).iter().map(|row| row["rate"].to_owned()).collect();
    assert_eq!(rates, ["10.000", "0.000", "0.000"], "{text}");
    loadgen(&args).args(["-n", "3", &server.url()]).assert().success();
    assert_eq!(rows(&folder.read("a.csv"))[0]["rate"], "");
}

#[test]
fn the_csv_columns_are_stable() {
    let (server, folder) = (Scripted::answering(OK), Folder::new());
    loadgen(&["-n", "3", "-w", "0s", "-q", "--csv", &folder.path("a.csv"), &server.url()]).assert().success();
    insta::assert_snapshot!(folder.read("a.csv").lines().next().unwrap().replace(',', "\n"));
}

/// The shape of a value: numbers become 0, long texts and machine-specific ones a placeholder.
fn normalised(value: Value, key: &str) -> Value {
    match value {
        _ if key == "clock" || key == "version" || key == "profile" && value != "200" => {
            Value::from(format!("<{key}>"))
        }
        Value::Number(_) => Value::from(0),
        Value::Bool(_) => Value::from(false),
        Value::String(text) if text.starts_with("HISTFA") => Value::from("<histogram>"),
        Value::String(text) if text.starts_with("http://") => Value::from("<url>"),
        Value::Array(_) if key == "reasons" => Value::from("<reasons>"),
        Value::String(_) if key == "verdict" => Value::from("<verdict>"),
        Value::Array(items) => items.into_iter().take(1).map(|item| normalised(item, key)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name.clone(), normalised(value, &name))).collect()
        }
        other => other,
    }
}

#[test]
fn the_json_fields_are_stable() {
    let server = Scripted::answering(OK);
    let args = ["-r", "200", "--arrivals", "poisson", "-n", "40", "-w", "0s", "--json", "-"];
    let output = loadgen(&args).arg(server.url()).output().unwrap();
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["schema"], 3);
    insta::assert_snapshot!(serde_json::to_string_pretty(&normalised(value, "")).unwrap());
}

#[test]
fn an_unwritable_output_path_fails_before_the_first_request() {
    let server = Scripted::answering(OK);
    for option in ["--json", "--hgrm", "--csv", "--hlog"] {
        let failed =
            loadgen(&[option, "/nonexistent/folder/file", "-n", "1", &server.url()]).assert().code(1);
        let stderr = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(stderr.starts_with("loadgen: cannot write /nonexistent/folder/file: "), "{stderr}");
    }
    assert_eq!(server.served.load(Relaxed), 0);
}

#[test]
fn a_run_that_fails_to_start_keeps_an_old_result() {
    let folder = Folder::new();
    fs::write(folder.path("a.json"), "old").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    loadgen(&["--json", &folder.path("a.json"), &format!("127.0.0.1:{port}")]).assert().code(1);
    assert_eq!(folder.read("a.json"), "old");
}

#[test]
fn an_interrupted_run_is_marked_in_every_output() {
    let (server, folder) = (Scripted::answering(OK), Folder::new());
    let child = StdCommand::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["-c", "2", "-d", "1h", "-w", "0s", "--interval", "100ms", "--json", &folder.path("a.json")])
        .args([
            "--csv",
            &folder.path("a.csv"),
            "--hlog",
            &folder.path("a.hlog"),
            "--hgrm",
            &folder.path("a.hgrm"),
        ])
        .arg(server.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let rows_of = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().lines().count();
    while rows_of(Path::new(&folder.path("a.csv")).into()) < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("of warm-up, interrupted"));
    let record = folder.record("a.json");
    assert!(record.interrupted && record.intervals.last().unwrap().interrupted, "{record:#?}");
    let measured = record.intervals.iter().map(|interval| interval.completed);
    assert_eq!(measured.sum::<u64>(), record.completed);
    let text = folder.read("a.csv");
    assert_eq!(rows(&text).last().unwrap()["interrupted"], "true", "{text}");
    assert!(
        folder.read("a.hlog").contains("#[Interrupted]\n")
            && folder.read("a.hgrm").contains("#[Interrupted]\n")
    );
}

#[test]
fn an_interrupt_during_the_final_wait_keeps_the_full_duration() {
    let server = Scripted::new(|stream, _| crate::loadgen::scripted::answer_and_hold(stream, b""));
    let folder = Folder::new();
    let child = StdCommand::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["-r", "10", "-d", "300ms", "-w", "0s", "--interval", "50ms", "--json", "-"])
        .args(["--csv", &folder.path("a.csv"), &server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Six rows of the measured time and the header.
    while fs::read_to_string(folder.path("a.csv")).unwrap_or_default().lines().count() < 7 {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let record: RunRecord = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((record.duration_s, record.unfinished, record.interrupted), (0.3, 3, true), "{record:#?}");
    assert_eq!(record.rate, 0.0);
}

#[test]
fn shards_that_start_together_merge_into_one_record() {
    let (server, folder) = (Scripted::answering(OK), Folder::new());
    let start =
        (SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(600)).as_secs_f64();
    let start = format!("{start:.3}");
    let parts = ["1/2", "2/2"].map(|shard| {
        let json = folder.path(&format!("{}.json", &shard[..1]));
        StdCommand::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(["-r", "100", "-d", "300ms", "-w", "0s", "-q", "--start-at", &start, "--shard", shard])
            .args(["--json", &json, &server.url()])
            .spawn()
            .unwrap()
    });
    for mut part in parts {
        part.wait().unwrap();
    }
    let (first, second) = (folder.record("1.json"), folder.record("2.json"));
    for record in [&first, &second] {
        assert_eq!((record.started + record.unsent, record.plan.rate), (15, Some(50.0)), "{record:#?}");
        assert!(
            (record.clock.start_unix_s - start.parse::<f64>().unwrap()).abs() < 0.1,
            "{:?}",
            record.clock
        );
    }
    let (one, two) = (folder.path("1.json"), folder.path("2.json"));
    let told =
        loadgen(&["merge", &one, &two, "--json", &folder.path("m.json"), "--hgrm", &folder.path("m.hgrm")])
            .output()
            .unwrap();
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(text.contains("merged from 2 records") && text.contains("100 requests/s (const)"), "{text}");
    let merged = folder.record("m.json");
    assert_eq!(merged.completed, first.completed + second.completed);
    assert_eq!((merged.plan.rate, merged.sources.len()), (Some(100.0), 2));
    assert_eq!(merged.latency["response"].count, merged.completed);
    assert!(folder.read("m.hgrm").contains("#[Max "));

    let refused = loadgen(&["merge", &one, &one]).assert().code(1);
    let stderr = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("are both shard 1/2") && stderr.contains("--force"), "{stderr}");
    loadgen(&["merge", "--force", "-q", &one, &one]).assert().code(3);
}

#[test]
fn records_that_cannot_be_merged_are_named() {
    let folder = Folder::new();
    fs::write(folder.path("a.json"), "{}").unwrap();
    for (name, why) in [("a.json", "missing field"), ("none.json", "No such file")] {
        let failed = loadgen(&["merge", &folder.path(name)]).assert().code(1);
        let stderr = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(name) && stderr.contains(why) && stderr.lines().count() == 1, "{stderr}");
    }
    loadgen(&["merge"]).assert().code(2);
}

#[test]
fn a_stall_delays_every_arrival_during_it_on_any_number_of_connections() {
    const STALLED: u64 = 20;
    let server = Scripted::new(|stream, number| {
        if number == STALLED {
            std::thread::sleep(Duration::from_millis(500));
        }
        answer(stream, OK);
    });
    let record = run(&server, &["-r", "200", "-n", "150"]);
    assert_eq!(record.completed, 150, "{record:#?}");
    // By the schedule, k = 0..=60 were due at least 200 ms before the stall ended. All could connect, so
    // their service times show it too.
    for phase in ["response", "service"] {
        let times = histogram::decode(&record.histograms[phase]).unwrap();
        let slow = times.count_between(199_000_000, times.high());
        assert!(slow >= 55, "{phase}: {slow} slow");
    }
}

#[test]
fn usage_errors_of_schedules_name_the_option() {
    for (args, what) in [
        (&["-r", "1..x"][..], "--rate"),
        (&["-r", "1@1s,2"], "--rate"),
        (&["-r", "1@1s", "-d", "1s"], "--duration"),
        (&["-r", "1", "--arrivals", "burst"], "--arrivals"),
        (&["-r", "1", "--replay", "x"], "--replay"),
        (&["--stretch", "2"], "--replay"),
        (&["--spin"], "--rate"),
        (&["--spin", "--find-rate", "p99<5ms"], "--find-rate"),
        (&["--replay", "/dev/null", "--stretch", "0"], "--stretch"),
        (&["--shard", "3/2"], "--shard"),
        (&["-n", "1", "--shard", "2/2"], "--shard"),
        (&["--start-at", "1000"], "--start-at"),
        (&["--interval", "1ms"], "--interval"),
        (&["-c", "1", "merge", "x"], "subcommand"),
        (&["--csv", "-"], "--csv"),
    ] {
        let failed = loadgen(args).assert().code(2).stdout("");
        let stderr = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(what) && stderr.lines().count() == 1, "{args:?}: {stderr}");
    }
}
