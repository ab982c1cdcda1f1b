//! How `loadgen` uses connections, against scripted servers: kept alive, closed by either side, lost between
//! and during requests, from many addresses, without free ports, without free descriptors.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use caffeine::measure::record::{Connections, RunRecord};
use socket2::{Domain, SockRef, Socket, Type};

use crate::harness::{Sandbox, eventually, read_some, skipped, without_settings};
use crate::loadgen::outcomes::run;
use crate::loadgen::scripted::{KEEP, OK, Scripted, answer, answer_and_hold, answer_and_reset, read_head};

/// Answers the requests on a connection with these in turn.
fn converse(mut stream: TcpStream, responses: &[&[u8]]) {
    for response in responses.iter().cycle() {
        if read_head(&mut stream).is_empty() || stream.write_all(response).is_err() {
            return;
        }
    }
}

fn opened(record: &RunRecord) -> (u64, u64, u64) {
    let Connections { opened, reused, reconnects, .. } = record.connections;
    (opened, reused, reconnects)
}

#[test]
fn a_kept_connection_carries_responses_of_every_framing() {
    let responses: [&[u8]; 5] = [
        KEEP,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    ];
    let server = Scripted::new(move |stream, _| converse(stream, &responses));
    let (record, code) = run(&server.url(), &["-c", "1", "-n", "50", "-k"]);
    assert_eq!((record.completed, code), (50, 0), "{record:#?}");
    assert_eq!(record.statuses, [("200", 30), ("204", 10), ("304", 10)].map(|(k, v)| (k.into(), v)).into());
    assert_eq!(opened(&record), (1, 49, 0));
    assert_eq!((record.latency["connect"].count, record.latency["first_byte"].count), (1, 50));
    assert_eq!((server.accepted.load(Relaxed), record.plan.keep_alive), (1, true));
}

#[test]
fn responses_arriving_byte_by_byte_end_with_the_last_byte() {
    let server = Scripted::new(|mut stream, _| {
        stream.set_nodelay(true).unwrap();
        while !read_head(&mut stream).is_empty() && KEEP.iter().all(|byte| stream.write_all(&[*byte]).is_ok())
        {
        }
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "20", "-k"]);
    assert_eq!((record.completed, opened(&record)), (20, (1, 19, 0)), "{record:#?}");
}

#[test]
fn head_responses_have_no_body_on_a_kept_connection() {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let server = Scripted::new(move |stream, _| converse(stream, &[head]));
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "9", "-k", "-m", "HEAD"]);
    assert_eq!((record.completed, opened(&record)), (9, (1, 8, 0)), "{record:#?}");
}

#[test]
fn every_nth_request_asks_the_server_to_close() {
    let closing = Arc::new(AtomicU64::new(0));
    let counter = closing.clone();
    let server = Scripted::new(move |mut stream, _| {
        for _ in 0..2 {
            assert!(read_head(&mut stream).contains("\r\nConnection: keep-alive\r\n"));
            stream.write_all(KEEP).unwrap();
        }
        counter.fetch_add(u64::from(read_head(&mut stream).contains("\r\nConnection: close\r\n")), Relaxed);
        stream.write_all(OK).unwrap();
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "9", "--requests-per-connection", "3"]);
    assert_eq!((record.completed, opened(&record)), (9, (3, 6, 0)), "{record:#?}");
    assert_eq!((closing.load(Relaxed), record.plan.requests_per_connection), (3, Some(3)));
}

#[test]
fn connection_close_is_followed_by_a_new_connection() {
    let farewells: [&[u8]; 3] =
        [OK, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\n\r\nall"];
    let server = Scripted::new(move |stream, number| answer(stream, farewells[number as usize % 3]));
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "9", "-k"]);
    assert_eq!((record.completed, record.errors.len(), opened(&record)), (9, 0, (9, 0, 0)), "{record:#?}");
}

#[test]
fn a_kept_connection_closed_between_requests_is_reopened() {
    // The FIN arrives in one segment with the response.
    let server = Scripted::new(|stream, _| {
        SockRef::from(&stream).set_tcp_cork(true).unwrap();
        answer(stream, KEEP);
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "9", "-k"]);
    assert_eq!((record.completed, record.errors.len(), opened(&record)), (9, 0, (9, 0, 8)), "{record:#?}");
    // It arrives during the client's think time.
    let server = Scripted::answering(KEEP);
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "3", "-k", "--think", "300ms"]);
    assert_eq!((record.completed, record.errors.len(), opened(&record)), (3, 0, (3, 0, 2)), "{record:#?}");
}

#[test]
fn a_request_on_a_kept_connection_closed_meanwhile_is_a_fault_and_not_retried() {
    for reset in [false, true] {
        let requests = Arc::new(AtomicU64::new(0));
        let counter = requests.clone();
        let server = Scripted::new(move |mut stream, _| {
            counter.fetch_add(u64::from(!read_head(&mut stream).is_empty()), Relaxed);
            stream.write_all(KEEP).unwrap();
            counter.fetch_add(u64::from(!read_head(&mut stream).is_empty()), Relaxed);
            if reset {
                SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            }
        });
        let (record, _) = run(&server.url(), &["-c", "1", "-n", "8", "-k"]);
        assert_eq!(record.errors, [("closed-before-response".into(), 4)].into(), "{record:#?}");
        assert_eq!((record.completed, opened(&record)), (4, (4, 4, 0)), "{record:#?}");
        assert_eq!(requests.load(Relaxed), 8);
    }
}

#[test]
fn kept_and_new_connections_report_truncated_responses_alike() {
    type Cut = fn(TcpStream);
    let cuts: [(&str, Cut); 4] = [
        ("short-body", |stream| answer(stream, &KEEP[..KEEP.len() - 1])),
        ("early-end", |stream| answer(stream, b"HTTP/1.1 200")),
        ("reset-in-response", |stream| answer_and_reset(stream, &KEEP[..KEEP.len() - 1])),
        ("bad-response", |stream| answer_and_hold(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok")),
    ];
    for (kind, cut) in cuts {
        let server = Scripted::new(move |mut stream, _| {
            read_head(&mut stream);
            stream.write_all(KEEP).unwrap();
            cut(stream);
        });
        let (record, _) = run(&server.url(), &["-c", "1", "-n", "4", "-k"]);
        assert_eq!(record.errors, [(kind.into(), 2)].into(), "{record:#?}");
        assert_eq!((record.completed, opened(&record)), (2, (2, 2, 0)), "{record:#?}");
    }
}

#[test]
fn the_client_closes_first_when_told_to() {
    let left = Arc::new(AtomicU64::new(0));
    let counter = left.clone();
    let server = Scripted::new(move |mut stream, _| {
        assert!(read_head(&mut stream).contains("\r\nConnection: keep-alive\r\n"));
        stream.write_all(KEEP).unwrap();
        counter.fetch_add(u64::from(read_some(&mut stream, &mut [0]) == 0), Relaxed);
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "4", "--client-closes"]);
    assert_eq!((record.completed, opened(&record)), (4, (4, 0, 0)), "{record:#?}");
    server.wait_for(4);
    assert_eq!((left.load(Relaxed), record.plan.client_closes), (4, true));
}

#[test]
fn the_text_output_reports_how_connections_were_used() {
    let server = Scripted::new(|stream, _| converse(stream, &[KEEP]));
    let text = |options: &[&str]| {
        let url = server.url();
        let args = [&["-c", "1", "-n", "9", "-w", "0s", &url], options].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let kept = text(&["-k", "--think", "exp(1us)", "--sources", "127.0.0.2,127.0.0.3"]);
    assert!(kept.contains("connections kept, think time exp(1us), from 2 addresses;"), "{kept}");
    assert!(kept.contains("1 connection opened, 0 reconnects; 8 requests on open connections"), "{kept}");
    let some = text(&["--requests-per-connection", "3", "--client-closes"]);
    assert!(some.contains("3 requests per connection, closed by the client;"), "{some}");
    assert!(some.lines().chain(kept.lines()).all(|line| line.len() <= 80), "{some}{kept}");
}

#[test]
fn an_open_loop_uses_as_few_connections_as_possible() {
    let server = Scripted::new(|stream, _| converse(stream, &[KEEP]));
    let (record, _) = run(&server.url(), &["-r", "100", "-n", "20", "-k", "-c", "1"]);
    assert_eq!((record.completed, opened(&record)), (20, (1, 19, 0)), "{record:#?}");
}

#[test]
fn think_time_runs_between_response_and_request() {
    let server = Scripted::answering(OK);
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "5", "--think", "30ms"]);
    assert!(record.completed == 5 && record.duration_s >= 0.12, "{record:#?}");
    assert_eq!(record.plan.think.as_deref(), Some("const(30ms)"));
    // All are in think time when the duration ends: the run does not wait for them.
    let (record, _) = run(&server.url(), &["-c", "3", "-d", "100ms", "--think", "const(1h)"]);
    assert_eq!((record.completed, record.unfinished), (3, 0), "{record:#?}");
}

#[test]
fn source_addresses_are_used_in_turn() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let peers = seen.clone();
    let server = Scripted::new(move |stream, _| {
        peers.lock().unwrap().push(stream.peer_addr().unwrap().ip());
        answer(stream, OK);
    });
    let (record, _) =
        run(&server.url(), &["-c", "1", "-n", "6", "--sources", "127.0.0.2-127.0.0.3,127.9.9.9"]);
    let turn = ["127.0.0.2", "127.0.0.3", "127.9.9.9"].map(|address| address.parse::<IpAddr>().unwrap());
    assert_eq!(*seen.lock().unwrap(), [turn, turn].concat());
    assert_eq!((record.completed, record.plan.sources), (6, 3));
}

#[test]
fn every_phase_has_its_own_timeout() {
    let server = Scripted::new(|stream, _| answer_and_hold(stream, b""));
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "2", "--first-byte-timeout", "100ms"]);
    assert_eq!(record.errors, [("timeout-before-response".into(), 2)].into(), "{record:#?}");
    let (address, _socket, _queued) = full_queue();
    let (record, _) =
        run(&format!("http://{address}/"), &["-c", "2", "-n", "2", "--connect-timeout", "100ms"]);
    assert_eq!(record.errors, [("connect-timeout".into(), 2)].into(), "{record:#?}");
}

/// A listening socket with a full queue: it drops SYNs.
fn full_queue() -> (SocketAddr, Socket, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (address, socket, TcpStream::connect(address).unwrap())
}

/// Whether a connection to this port is in SYN_SENT.
fn has_sent_a_syn(port: u16) -> bool {
    const SYN_SENT: &str = "02";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        let remote = fields.next().unwrap_or_default();
        remote.ends_with(&format!(":{port:04X}")) && fields.next() == Some(SYN_SENT)
    })
}

#[test]
fn a_retransmitted_syn_is_distinguished_from_a_slow_server() {
    let (address, socket, queued) = full_queue();
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["-c", "1", "-n", "1", "-w", "0s", "--json", "-", &format!("http://{address}/")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the SYN is out", || has_sent_a_syn(address.port()) || child.try_wait().unwrap().is_some());
    // Makes room for the second SYN, which follows after a second.
    drop((socket.accept().unwrap(), queued));
    answer(socket.accept().unwrap().0.into(), OK);
    let output = child.wait_with_output().unwrap();
    let record: RunRecord = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record.completed, 1, "{record:#?}");
    let [none, lost @ ..] = record.connections.syn_retransmits;
    assert_eq!((none, lost.iter().sum::<u64>()), (0, 1), "{:?}", record.connections);
    assert!(record.latency["connect"].max_us > 900_000.0);
}

#[test]
fn losing_descriptors_during_a_run_voids_it() {
    let limited = Arc::new(AtomicBool::new(false));
    let go = limited.clone();
    let server = Scripted::new(move |stream, number| {
        while number == 5 && !go.load(Relaxed) {
            std::thread::yield_now();
        }
        answer(stream, OK);
    });
    let child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["-c", "1", "-n", "20", "-w", "0s", "--json", "-", &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.wait_for(5);
    let prlimit = Command::new("prlimit").args(["--nofile=1:1", "--pid", &child.id().to_string()]).status();
    limited.store(true, Relaxed);
    let output = child.wait_with_output().unwrap();
    if !prlimit.is_ok_and(|status| status.success()) {
        skipped("prlimit(1) is not installed");
        return;
    }
    let record: RunRecord = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record.errors, [("no-descriptors".into(), 14)].into(), "{record:#?}");
    assert_eq!((record.completed, record.verdict.as_str(), output.status.code()), (6, "INVALID", Some(3)));
}

#[test]
fn a_plan_beyond_the_descriptor_limit_is_refused_before_it_starts() {
    let command =
        format!("ulimit -n 100 && exec {} -c 50 http://127.0.0.1:9/", env!("CARGO_BIN_EXE_loadgen"));
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("50 connections need 114 file descriptors, but the limit is 100"), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}

/// In a network namespace with ten local ports that stay in TIME_WAIT for 60 s, where namespaces are
/// permitted: the output of `loadgen` with these options (one run after the other, separated by lines of
/// dashes) and its exit codes.
fn with_ten_ports(runs: &[&str]) -> Option<(String, Vec<String>)> {
    let sandbox = Sandbox::new();
    let url = "http://127.0.0.1:8080/";
    let (caffeine, loadgen) = (env!("CARGO_BIN_EXE_caffeine"), env!("CARGO_BIN_EXE_loadgen"));
    let state = sandbox.path("state");
    let runs: String = runs
        .iter()
        .map(|options| format!("{loadgen} -q -w 0s -c 1 {options} {url} 2>&1; echo \"exit $?\"\n"))
        .collect();
    let script = format!(
        "cd /proc/sys/net/ipv4 && ip link set lo up && echo 40000 40009 > ip_local_port_range && echo 0 > tcp_tw_reuse || exit 77
         {caffeine} --respond fixed -w 1 --bind 127.0.0.1 -p 8080 --state-dir {} 2>/dev/null & server=$!
         until {loadgen} -q -w 0s -n 1 -c 1 {url} 2>/dev/null; do kill -0 $server || exit 1; done
         {runs}kill $server; wait",
        state.display()
    );
    let mut unshare = Command::new("unshare");
    without_settings(&mut unshare);
    let output = unshare.args(["-rn", "sh", "-c", &script]).env("HOME", sandbox.path("")).output();
    let Some(output) = output.ok().filter(|output| !matches!(output.status.code(), Some(77))) else {
        skipped("no network namespace can be made here");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    if stderr.contains("unshare") {
        skipped(format!("no network namespace can be made here: {stderr}"));
        return None;
    }
    let codes = text.lines().filter_map(|line| line.strip_prefix("exit ").map(str::to_owned)).collect();
    Some((text, codes))
}

#[test]
fn exhausted_ports_are_predicted_when_the_client_closes() {
    let runs = [
        "-n 50",                                                 // the server closes: ports come round at once
        "-r 100 -d 1s --client-closes",                          // cannot work: refused
        "-n 250 --client-closes --sources 127.0.0.2-127.0.0.31", // 300 ports
        "-n 9 --client-closes --sources 127.0.0.40",             // fits
        "-n 50 --client-closes",                                 // the rate is not known beforehand
    ];
    let Some((text, codes)) = with_ten_ports(&runs) else { return };
    assert_eq!(codes, ["0", "1", "0", "0", "3"], "{text}");
    assert!(text.contains("x 1 s in TIME_WAIT hold 100 local ports"), "{text}");
    assert!(text.contains("(40000 40009) has 10. Ways out: more --sources"), "{text}");
    assert!(text.contains("no local port was left"), "{text}");
}

#[test]
fn usage_errors_of_connection_options_name_the_option() {
    let cases: [(&[&str], &str, i32); 8] = [
        (&["--sources", "127.0.0.x"], "127.0.0.2-127.0.0.33", 2),
        (&["--sources", "192.0.2.1"], "--sources: 192.0.2.1 is not an address of this machine", 1),
        (&["--sources", "::1"], "one is IPv4, the other IPv6", 1),
        (&["--think", "5x"], "not a time", 2),
        (&["--think", "1s", "-r", "5"], "--think", 2),
        (&["-k", "--requests-per-connection", "3"], "--requests-per-connection", 2),
        (&["--requests-per-connection", "0"], "--requests-per-connection <N>", 2),
        (&["--connect-timeout", "11s"], "--connect-timeout must not be longer", 2),
    ];
    for (args, why, code) in cases {
        let output =
            Command::new(env!("CARGO_BIN_EXE_loadgen")).args(args).arg("127.0.0.1:9").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(why), "{args:?}: {stderr}");
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{args:?}: {stderr}");
    }
}
