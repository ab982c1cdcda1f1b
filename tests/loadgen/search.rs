//! Expectations, the search for a rate and the live view, against scripted servers.

use std::os::fd::AsFd as _;
use std::process::{Command as StdCommand, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use assert_cmd::Command;
use caffeine::measure::record::{RunRecord, Search};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::loadgen::scripted::{OK, Scripted, answer, answer_and_reset};

fn loadgen(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(args);
    command
}

/// Runs to the end; the record, the exit code, standard error.
fn run(url: &str, args: &[&str]) -> (RunRecord, i32, String) {
    let output = loadgen(args).args(["-q", "--json", "-", url]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let record = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (record, output.status.code().unwrap(), stderr)
}

/// A short search: every run measures for 200 ms after 20 ms.
fn search(url: &str, args: &[&str]) -> (Search, RunRecord, i32) {
    let (record, code, stderr) = run(url, &[args, &["-d", "200ms", "-w", "20ms"]].concat());
    (record.search.clone().unwrap_or_else(|| panic!("no search: {stderr}")), record, code)
}

#[test]
fn met_expectations_change_nothing() {
    let server = Scripted::answering(OK);
    let expected = ["--expect", "p80<9s, errors==0", "--expect", "completed >= 20"];
    let (record, code, _) = run(&server.url(), &[&expected[..], &["-n", "20", "-w", "0s"]].concat());
    assert_eq!(code, 0, "{record:#?}");
    let texts: Vec<_> = record.expectations.iter().map(|expected| expected.text.as_str()).collect();
    assert_eq!(texts, ["p80<9s", "errors==0", "completed>=20"]);
    assert!(record.expectations.iter().all(|expected| expected.holds));
    assert_eq!(record.expectations[2].value, Some(20.0));
}

#[test]
fn a_failed_expectation_is_named_and_exits_with_code_4() {
    let server = Scripted::answering(OK);
    let args = ["-n", "20", "-w", "0s", "--expect", "p50<9s", "--expect", "status.2xx<10%", "--no-live"];
    let output = loadgen(&args).arg(server.url()).assert().code(4);
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.contains("p50<9s: holds") && text.contains("status.2xx<10%: FAILED (100"), "{text}");
    loadgen(&args).args(["-q", &server.url()]).assert().code(4);
    let quiet =
        loadgen(&["-n", "5", "-w", "0s", "-q", "--expect", "rate<0.001"]).arg(server.url()).assert().code(4);
    assert!(String::from_utf8_lossy(&quiet.get_output().stderr).contains("rate<0.001"), "{quiet:?}");
}

#[test]
fn a_metric_without_data_fails_and_a_void_run_takes_precedence() {
    let server = Scripted::new(|stream, _| answer(stream, b""));
    let (record, code, _) = run(&server.url(), &["-n", "3", "-c", "1", "-w", "0s", "--expect", "max<9s"]);
    assert_eq!((record.expectations[0].value, record.expectations[0].holds, code), (None, false, 4));
    let stalling = Scripted::new(|stream, number| {
        if number == 5 {
            std::thread::sleep(Duration::from_millis(200));
        }
        answer(stream, OK);
    });
    let args = ["-c", "1", "-r", "200", "-n", "60", "-w", "0s", "--expect", "p90<1us"];
    let (record, code, _) = run(&stalling.url(), &args);
    assert_eq!((record.verdict.as_str(), record.expectations[0].holds, code), ("INVALID", false, 3));
}

#[test]
fn usage_errors_are_reported_before_anything_is_sent() {
    let server = Scripted::answering(OK);
    for (args, what) in [
        (&["--expect", "p98x<5ms"][..], "first_byte"),
        (&["--expect", "status.700<1"], "no metric"),
        (&["--find-rate", "p99<5ms", "--think", "1s"], "--think"),
        (&["--expect", "p99<5"], "unit"),
        (&["--expect", "p99"], "METRIC"),
        (&["--find-rate", "rate>5"], "upper bound"),
        (&["--find-rate", "p99<5parsecs"], "unit"),
        (&["--find-rate", "p99<5ms", "-n", "5"], "--requests"),
        (&["--find-rate", "p99<5ms", "-r", "1..5"], "first rate"),
        (&["--find-time", "5s"], "--find-rate"),
    ] {
        let output = loadgen(args).arg(server.url()).assert().code(2).stdout("");
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(what) && stderr.lines().count() == 1, "{args:?}: {stderr}");
    }
    assert_eq!(server.served.load(Relaxed), 0);
}

#[test]
fn a_search_finds_a_rate_between_passing_and_failing() {
    // One at a time for 5 ms each: at 200 per second the queue grows without bound.
    let server = Scripted::new(|stream, _| {
        std::thread::sleep(Duration::from_millis(5));
        answer(stream, OK);
    });
    let (search, record, code) =
        search(&server.url(), &["--find-rate", "p50<40ms", "--find-time", "3s", "-r", "40"]);
    // On a busy machine the generator may reach its own limit first.
    assert!([("found", 0), ("generator", 3)].contains(&(search.outcome.as_str(), code)), "{search:#?}");
    assert_eq!(search.objectives, ["p50<40ms", "errors<1%", "status.5xx<1%"]);
    let rate = search.rate.unwrap();
    assert!((20.0..400.0).contains(&rate), "{search:#?}");
    assert!(search.lower.unwrap() <= rate && rate < search.upper.unwrap(), "{search:#?}");
    assert_eq!(search.probes[0].offered, 40.0);
    assert!(
        search.probes.iter().any(|probe| probe.verdict == "broken" && probe.reasons[0].contains("p50<40ms"))
    );
    let planned = record.plan.rate.unwrap();
    assert!((planned - rate).abs() < 0.01, "{planned}: the record is of the run that stands for the answer");
    assert!(search.probes.len() >= 4 && search.probes.len() <= 20, "{search:#?}");
}

#[test]
fn a_search_without_a_passing_rate_fails_and_shows_its_attempts() {
    let server = Scripted::new(|stream, _| answer_and_reset(stream, b""));
    let (search, _, code) =
        search(&server.url(), &["--find-rate", "p99<1s", "-r", "1000", "--find-time", "4s"]);
    assert_eq!((search.outcome.as_str(), search.rate, code), ("none", None, 1), "{search:#?}");
    assert!(search.probes.iter().all(|probe| probe.verdict != "holds"));
    assert_eq!(search.probes.last().unwrap().offered, 330.0, "300 requests and a tenth more in a second");
}

#[test]
fn a_search_that_runs_out_of_time_reports_it() {
    let server = Scripted::answering(OK);
    let args = ["--find-rate", "max<9s", "--find-time", "500ms", "-d", "200ms", "-w", "0s", "-r", "100"];
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("runs.csv");
    let output = loadgen(&args).arg("--csv").arg(&csv).arg(server.url()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("answer") && text.contains("--find-time"), "{text}");
    let lines = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(lines.contains("verdict") && lines.contains("holds"), "a line per run: {lines}");
    let rows = std::fs::read_to_string(csv).unwrap();
    assert!(
        rows.starts_with("offered,") && rows.lines().nth(1).unwrap().ends_with(",holds"),
        "a row per run: {rows}"
    );
}

#[test]
fn a_server_that_is_quick_to_refuse_holds_no_rate() {
    let server = Scripted::answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let args = ["--find-rate", "p50<1s", "-r", "100", "--find-time", "2s"];
    let (search, _, code) = search(&server.url(), &args);
    assert_eq!((search.outcome.as_str(), code), ("none", 1), "{search:#?}");
    assert!(search.probes[0].reasons.iter().any(|why| why.starts_with("status.5xx<1%: 100")), "{search:#?}");
}

#[test]
fn an_interrupted_search_says_so() {
    let server = Scripted::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("a.json");
    let child = StdCommand::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--find-rate", "p50<9s", "-r", "50", "-d", "200ms", "-w", "0s", "--no-live", "--json"])
        .args([json.to_str().unwrap(), &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The second run has begun.
    server.wait_for(30);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(text.contains("interrupted") && !text.contains("the time ended"), "{text}");
    let record: RunRecord = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(record.interrupted && !record.search.unwrap().confirmed);
}

#[test]
fn a_search_without_a_server_fails_with_one_clear_line() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output =
        loadgen(&["--find-rate", "p99<5ms"]).arg(format!("127.0.0.1:{port}")).assert().code(1).stdout("");
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("is the server running?") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn without_a_terminal_each_interval_prints_a_line() {
    let server = Scripted::answering(OK);
    let args = ["-r", "100", "-d", "400ms", "-w", "100ms", "--interval", "100ms"];
    let output = loadgen(&args).arg(server.url()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = stderr.lines().collect();
    assert!(lines[0].contains("offered/s") && lines[0].contains("p99"), "{stderr}");
    assert!(lines[1].ends_with("warm-up"), "{stderr}");
    assert_eq!(lines.len(), 6, "{stderr}");
    assert!(!stderr.contains('\x1b'), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("verdict"));
}

#[test]
fn a_closed_stderr_does_not_stop_the_run() {
    let server = Scripted::answering(OK);
    let (gone, end) = nix::unistd::pipe().unwrap();
    drop(gone);
    let output = StdCommand::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["-r", "100", "-n", "10", "-w", "0s", "--interval", "20ms", &server.url()])
        .stderr(Stdio::from(end))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("verdict"), "{output:?}");
}

/// Runs loadgen on a pseudo-terminal, types `keys` once something is drawn and `server` has served, and
/// returns everything written to it and the exit code.
/// `Err` with a signal to send instead.
fn on_a_terminal(args: &[&str], server: &Scripted, keys: Result<&str, Signal>) -> (String, i32) {
    use std::io::{Read as _, Write as _};
    let pair =
        nix::pty::openpty(&nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }, None)
            .unwrap();
    let stdio = || Stdio::from(pair.slave.as_fd().try_clone_to_owned().unwrap());
    // setsid -c makes it the controlling terminal, with the program in the foreground.
    // Under nohup(1) the tests inherit that SIGHUP is ignored, and loadgen would respect it.
    let mut child = StdCommand::new("env")
        .args(["--default-signal=HUP", "setsid", "-c", "-w", env!("CARGO_BIN_EXE_loadgen")])
        .args(args)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .unwrap();
    drop(pair.slave);
    let mut master = std::fs::File::from(pair.master);
    let (mut seen, mut typed) = (Vec::new(), false);
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = master.read(&mut bytes) {
        seen.extend_from_slice(&bytes[..count]);
        if !typed && String::from_utf8_lossy(&seen).contains("response time") {
            server.wait_for(server.served.load(Relaxed) + 20);
            match keys {
                Ok(keys) => master.write_all(keys.as_bytes()).unwrap(),
                Err(signal) => kill(Pid::from_raw(child.id() as i32), signal).unwrap(),
            }
            typed = true;
        }
    }
    (String::from_utf8_lossy(&seen).into_owned(), child.wait().unwrap().code().unwrap())
}

#[test]
fn on_a_terminal_the_live_view_appears_and_q_ends_the_run() {
    let server = Scripted::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    for (number, keys) in [Ok("q"), Ok("\x03"), Err(Signal::SIGHUP)].into_iter().enumerate() {
        let json = folder.path().join(number.to_string());
        let args = ["-c", "1", "-d", "1h", "-w", "0s", "--json", json.to_str().unwrap(), &server.url()];
        let (seen, code) = on_a_terminal(&args, &server, keys);
        let record: RunRecord = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert!(record.interrupted, "{record:#?}");
        assert_eq!(code, 0, "{seen}");
        let (before, after) = seen.split_once("\x1b[?1049l").expect("the screen is given back");
        assert!(before.contains("\x1b[?1049h") && before.contains("q ends it"), "{seen}");
        assert!(after.contains("\x1b[?25h"), "the cursor is back: {after}");
        assert!(after.contains("interrupted") && after.contains("verdict"), "the text stays: {after}");
    }
}
