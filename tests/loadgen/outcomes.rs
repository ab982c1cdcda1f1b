//! `loadgen` against scripted servers: responses, stalls, resets, short bodies, garbage.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command as StdCommand, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use assert_cmd::Command;
use caffeine::measure::histogram;
use caffeine::measure::record::RunRecord;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scripted::{OK, Scripted, answer, answer_and_hold, answer_and_reset, read_head};

pub fn loadgen(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(args);
    command
}

/// Runs to the end; returns the record and the exit code.
pub fn run(url: &str, args: &[&str]) -> (RunRecord, i32) {
    let output = loadgen(args).args(["-w", "0s", "--json", "-", url]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let record = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (record, output.status.code().unwrap())
}

/// Runs 4 requests against `behave`, which must all fail in this way.
fn expect_fault(kind: &str, behave: impl Fn(TcpStream, u64) + Send + 'static) -> RunRecord {
    let server = Scripted::new(behave);
    let (record, code) = run(&server.url(), &["-c", "1", "-n", "4", "--timeout", "300ms"]);
    assert_eq!(record.errors.get(kind), Some(&4), "{kind}: {record:#?}");
    assert_eq!((record.started, record.completed, code), (4, 0, 1), "{kind}");
    assert!(record.examples[kind].contains("bytes received"), "{kind}: {:?}", record.examples);
    assert!(record.latency.is_empty(), "{kind}: failures must not enter the latencies");
    record
}

#[test]
fn a_closed_loop_sends_exactly_the_requested_number() {
    let server = Scripted::answering(OK);
    for threads in ["1", "3"] {
        let (record, code) = run(&server.url(), &["-c", "8", "-n", "101", "-t", threads]);
        assert_eq!((record.started, record.completed, code), (101, 101, 0), "{record:#?}");
        assert_eq!(record.statuses["200"], 101);
        assert_eq!(record.workers["7"], 101);
        assert_eq!(record.bytes, 101 * OK.len() as u64);
        assert_eq!(
            (record.plan.model.as_str(), record.generator.threads.to_string().as_str()),
            ("closed", threads)
        );
        for phase in ["response", "service", "connect", "first_byte"] {
            assert_eq!(histogram::decode(&record.histograms[phase]).unwrap().len(), 101, "{phase}");
            assert_eq!(record.latency[phase].count, 101, "{phase}");
        }
        assert!(record.duration_s > 0.0 && record.rate > 0.0);
    }
}

#[test]
fn the_cpu_time_of_a_number_of_requests_ends_with_the_last_response() {
    let server = Scripted::new(|mut stream, _| {
        read_head(&mut stream);
        std::thread::sleep(Duration::from_millis(200));
        let _ = stream.write_all(OK);
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "1"]);
    assert!(record.generator.busiest_thread < 0.5 && record.generator.cpu_s > 0.0, "{record:#?}");
    assert_eq!(record.verdict, "OK");
}

#[test]
fn an_open_loop_sends_every_scheduled_arrival() {
    let server = Scripted::answering(OK);
    let (record, _) = run(&server.url(), &["-r", "200", "-d", "250ms", "-t", "2"]);
    assert_eq!(record.started + record.unsent, 50, "{record:#?}");
    assert_eq!(record.completed, record.started);
    assert_eq!(record.latency["send_lag"].count, record.started);
    assert_eq!(
        (record.plan.model.as_str(), record.plan.rate, record.duration_s),
        ("open", Some(200.0), 0.25)
    );
}

#[test]
fn warm_up_requests_are_sent_and_not_counted() {
    let server = Scripted::answering(OK);
    let output =
        loadgen(&["-r", "200", "-d", "100ms", "-w", "100ms", "--json", "-", &server.url()]).output().unwrap();
    let record: RunRecord = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record.started + record.unsent, 20);
    assert!(server.served.load(Relaxed) >= record.started + 19, "{} served", server.served.load(Relaxed));
}

#[test]
fn a_stall_counts_for_every_arrival_delayed_by_it() {
    const STALLED: u64 = 20;
    let server = Scripted::new(|stream, number| {
        if number == STALLED {
            std::thread::sleep(Duration::from_millis(500));
        }
        answer(stream, OK);
    });
    // One connection: the requests behind the stall cannot even be sent. A generator that times only sent
    // requests would see a single slow request.
    let (record, code) = run(&server.url(), &["-c", "1", "-r", "200", "-n", "150"]);
    assert_eq!(record.completed, 150, "{record:#?}");
    // By the schedule, request STALLED + k was due 5 k ms after the stalled one, and none of them ended
    // earlier than 500 ms after it was due. So k = 0..=60 took at least 200 ms.
    let slow = |phase: &str| {
        let histogram = histogram::decode(&record.histograms[phase]).unwrap();
        histogram.count_between(199_000_000, histogram.high())
    };
    assert!(slow("response") >= 61, "{} slow responses", slow("response"));
    assert!(slow("send_lag") >= 59, "{} sent late", slow("send_lag"));
    assert!(record.held >= 59, "{} held", record.held);
    assert_eq!((record.verdict.as_str(), code), ("INVALID", 3));
    assert!(
        record.reasons[0].contains("sent late") && record.reasons[0].contains("-c"),
        "{:?}",
        record.reasons
    );
}

#[test]
fn an_overloaded_server_is_reported_at_its_own_rate() {
    // One at a time for at least 5 ms: never above 200 per second, whatever the requested rate. All of the
    // 300 are answered in the end, most of them after the 500 ms that are measured.
    let server = Scripted::new(|stream, _| {
        std::thread::sleep(Duration::from_millis(5));
        answer(stream, OK);
    });
    for limit in [["-d", "500ms"], ["-n", "300"]] {
        let (record, _) = run(&server.url(), &["-r", "600", limit[0], limit[1]]);
        assert_eq!((record.completed, record.duration_s), (record.started, 0.5), "{record:#?}");
        assert!(record.completed >= 200, "{record:#?}");
        assert!(record.rate <= 200.0 && record.rate > 0.0, "{limit:?}: {}", record.rate);
    }
}

#[test]
fn an_endless_response_times_out() {
    let server = Scripted::new(|mut stream, number| {
        if number > 0 {
            return answer(stream, OK);
        }
        read_head(&mut stream);
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(4096);
        while stream.write_all(&interim).is_ok() {}
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "2", "--timeout", "300ms"]);
    assert_eq!(record.errors, [("timeout-in-response".into(), 1)].into(), "{record:#?}");
    assert_eq!(record.completed, 1);
}

#[test]
fn complete_responses_of_every_framing_are_recognised() {
    let bodies: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ];
    let server = Scripted::new(move |stream, number| answer(stream, bodies[number as usize % 4]));
    let (record, code) = run(&server.url(), &["-c", "1", "-n", "8"]);
    assert_eq!((record.completed, code), (8, 0), "{record:#?}");
    assert_eq!(record.statuses, [("200", 4), ("204", 2), ("404", 2)].map(|(k, v)| (k.into(), v)).into());
}

#[test]
fn a_reset_after_a_complete_response_is_not_a_fault() {
    let server = Scripted::new(|stream, _| answer_and_reset(stream, OK));
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "4"]);
    assert_eq!(record.completed, 4, "{record:#?}");
}

#[test]
fn a_truncated_body_is_reported_as_short() {
    expect_fault("short-body", |stream, _| answer(stream, &OK[..OK.len() - 1]));
}

#[test]
fn a_close_before_the_response_is_an_early_end() {
    expect_fault("early-end", |stream, number| {
        answer(stream, if number % 2 == 0 { b"" } else { b"HTTP/1.1 200" })
    });
}

#[test]
fn resets_before_and_within_a_response_are_distinguished() {
    expect_fault("reset-before-response", |stream, _| answer_and_reset(stream, b""));
    expect_fault("reset-in-response", |stream, _| answer_and_reset(stream, &OK[..OK.len() - 1]));
}

#[test]
fn failed_and_slow_requests_are_listed_with_their_times_and_ports() {
    let (tell, ports) = std::sync::mpsc::channel();
    let server = Scripted::new(move |stream, number| {
        tell.send(stream.peer_addr().unwrap().port()).unwrap();
        match number {
            0 => answer_and_reset(stream, b""),
            1 => {
                std::thread::sleep(Duration::from_millis(150));
                answer(stream, OK);
            }
            _ => answer(stream, OK),
        }
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "4", "--slow", "100ms"]);
    let ports: Vec<u16> = ports.try_iter().collect();
    let listed: Vec<_> = record.incidents.iter().map(|one| (one.kind.as_str(), one.port)).collect();
    assert_eq!(listed, [("reset-before-response", ports[0]), ("slow", ports[1])]);
    let slow = &record.incidents[1];
    assert!(slow.ended_s - slow.intended_s >= 0.15 && slow.worker.as_deref() == Some("7"), "{slow:?}");
    assert_eq!(record.by_start.iter().map(|bin| (bin.completed, bin.failed)).collect::<Vec<_>>(), [(3, 1)]);
    assert!(run(&server.url(), &["-c", "1", "-n", "1"]).0.incidents.is_empty(), "only where it is asked for");
}

#[test]
fn garbage_is_a_bad_response_with_the_reason() {
    let record = expect_fault("bad-response", |stream, _| answer(stream, b"SSH-2.0-OpenSSH\r\n\r\n"));
    assert!(record.examples["bad-response"].contains("status line"), "{:?}", record.examples);
    expect_fault("bad-response", |stream, _| {
        answer(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok")
    });
}

#[test]
fn a_timeout_names_its_phase() {
    expect_fault("timeout-before-response", |stream, _| answer_and_hold(stream, b""));
    expect_fault("timeout-in-response", |stream, _| answer_and_hold(stream, &OK[..OK.len() - 1]));
    expect_fault("timeout-before-close", |stream, _| answer_and_hold(stream, OK));
}

#[test]
fn a_server_that_stops_listening_refuses_connections() {
    let server = Scripted::until(3, |stream, _| answer(stream, OK));
    let (record, code) = run(&server.url(), &["-c", "1", "-n", "10"]);
    assert_eq!((record.completed, code), (3, 0), "{record:#?}");
    // The connection in the queue when the server closed it was reset.
    let refused = record.errors["connect-refused"];
    assert_eq!(refused + record.errors.get("reset-before-response").copied().unwrap_or(0), 7);
    assert!(record.examples["connect-refused"].contains("refused"), "{:?}", record.examples);
}

#[test]
fn connections_that_are_never_accepted_time_out_while_connecting() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let (record, code) = run(&format!("http://{address}/"), &["-c", "8", "-n", "8", "--timeout", "300ms"]);
    assert!(record.errors["connect-timeout"] >= 1, "{record:#?}");
    assert_eq!((record.errors.values().sum::<u64>(), code), (8, 1));
}

#[test]
fn the_text_output_names_target_model_and_verdict() {
    let server = Scripted::answering(OK);
    let output = loadgen(&["-c", "2", "-n", "20", "-w", "0s", &server.url()]).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    for part in [
        server.url().as_str(),
        "closed loop, 2 connections",
        "20 completed, 0 failed",
        "200: 20",
        "7: 20 (100.0 %)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.contains("p99.9") && text.contains("verdict"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

#[test]
fn results_are_written_to_the_named_files() {
    let server = Scripted::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, hgrm) = (path("run.json"), path("run.hgrm"));
    loadgen(&["-n", "5", "-w", "0s", "-q", "--json", &json, "--hgrm", &hgrm, &server.url()])
        .assert()
        .success()
        .stdout("");
    let record: RunRecord = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!((record.schema, record.completed), (3, 5));
    assert!(std::fs::read_to_string(hgrm).unwrap().contains("1.000000000000          5"));
}

#[test]
fn the_first_interrupt_reports_partial_results() {
    let server = Scripted::answering(OK);
    let child = StdCommand::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["-c", "2", "-d", "1h", "-w", "0s", "--json", "-", &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.wait_for(20);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let record: RunRecord = serde_json::from_slice(&output.stdout).unwrap();
    assert!(record.interrupted && record.completed >= 18, "{record:#?}");
    assert!(record.started <= record.completed + record.unfinished);
    assert!(record.duration_s < 3600.0 && record.duration_s > 0.0);
}

#[test]
fn a_refused_connection_is_one_clear_line() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for model in [&["-c", "3"][..], &["-r", "100"]] {
        let output = loadgen(model).arg(format!("127.0.0.1:{port}")).assert().code(1).stdout("");
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(stderr.starts_with(&format!("loadgen: cannot connect to 127.0.0.1:{port}:")), "{stderr}");
        assert!(stderr.contains("is the server running?") && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn more_connections_than_descriptors_are_refused_with_the_numbers() {
    let script = format!("ulimit -n 100; exec {} -c 100 127.0.0.1:9", env!("CARGO_BIN_EXE_loadgen"));
    let output = Command::new("sh").args(["-c", &script]).assert().code(1);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("100 connections need 164 file descriptors, but the limit is 100"), "{stderr}");
}

#[test]
fn usage_errors_name_the_option() {
    // Two outputs to one file are found when they are opened.
    let folder = tempfile::tempdir().unwrap();
    for (args, what) in [
        (&["https://localhost/"][..], "https://"),
        (&["http://localhost:0/"], "port"),
        (&["http://[::1"], "brackets"),
        (&["http://localhost/\u{e4}"], "non-ASCII"),
        (&["--json", "same", "--csv", "same"], "--json and --csv both name same"),
        (&["-c", "0"], "--connections"),
        (&["-t", "0"], "--threads"),
        (&["-n", "0"], "--requests"),
        (&["-r", "0"], "--rate"),
        (&["-r", "nan"], "--rate"),
        (&["-d", "10x"], "--duration"),
        (&["-r", "-5"], "a rate is from 0 to 1000000 per second"),
        (&["--resolve", "x:80:127.0.0.1"], "--resolve is about x:80"),
        (&["--unix-socket", "s", "--sources", "127.0.0.2"], "--sources"),
        (&["--expect", "p99<5ms", "-n", "20"], "at least 300 requests"),
        (&["--find-rate", "p99.9<5ms", "-r", "1"], "3300 requests"),
        (&["-d", "0s"], "--duration"),
        (&["--timeout", "0s"], "--timeout"),
        (&["-H", "nonsense"], "-H"),
        (&["-m", "GE T"], "method"),
        (&["--arrivals", "poisson"], "--rate"),
        (&["--body", "x", "--body-file", "y"], "--body-file"),
        (&["--nonsense"], "--nonsense"),
    ] {
        let output = loadgen(args).current_dir(&folder).assert().code(2).stdout("");
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(what), "{args:?}: {stderr}");
        assert!(stderr.starts_with("loadgen: ") && stderr.lines().count() == 1, "{args:?}: {stderr}");
    }
    let output = loadgen(&["--body-file", "/nonexistent/body"]).assert().code(1);
    assert!(String::from_utf8_lossy(&output.get_output().stderr).contains("/nonexistent/body"));
}

#[test]
fn the_manual_page_and_completions_can_be_generated() {
    let man = loadgen(&["--man"]).assert().success();
    assert!(String::from_utf8_lossy(&man.get_output().stdout).contains(".TH LOADGEN 1"));
    let completions = loadgen(&["--completions", "bash"]).assert().success();
    assert!(String::from_utf8_lossy(&completions.get_output().stdout).contains("--warmup"));
}
