//! The access log: who asked for what, with the status where the server knows it; its file, rotation and formats.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Sandbox, Server, eventually, get, says, skipped};

fn with_hello() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox
}

fn access_log(server: &Server) -> String {
    std::fs::read_to_string(server.folder().access_log()).unwrap_or_default()
}

/// The lines, once there are `count`.
fn lines(server: &Server, count: usize) -> Vec<String> {
    eventually("the lines of the access log", || access_log(server).lines().count() >= count);
    let lines: Vec<String> = access_log(server).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
}

const REQUESTS: [&[u8]; 5] = [
    b"GET /hello?a HTTP/1.1\r\nHost: h:1\r\nReferer: http://r/\r\nUser-Agent: curl/8 \"x\"\r\n\r\n",
    b"GET /missing HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD /missing HTTP/1.1\r\nHost: h\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
];

#[test]
fn the_combined_log_has_a_line_for_each_request() {
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--access-log", "combined"]);
    REQUESTS.iter().for_each(|request| drop(server.raw(request)));
    let lines = lines(&server, REQUESTS.len());
    let body = server.get("/missing").body.len();
    let ends = [
        r#"] "GET /hello?a HTTP/1.1" - - "http://r/" "curl/8 \"x\"""#.to_owned(),
        format!(r#"] "GET /missing HTTP/1.1" 404 {body} "-" "-""#),
        r#"] "HEAD /missing HTTP/1.1" 404 0 "-" "-""#.to_owned(),
        r#"] "nonsense" 400 "#.to_owned(),
        r#"] "OPTIONS * HTTP/1.1" 200 0 "-" "-""#.to_owned(),
    ];
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.starts_with("127.0.0.1 - - [") && line.contains(&end), "{line}, not {end}");
    }
}

#[test]
fn the_json_log_has_what_is_known_in_one_type_per_key() {
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--access-log", "json"]);
    REQUESTS.iter().for_each(|request| drop(server.raw(request)));
    let objects: Vec<Value> =
        lines(&server, REQUESTS.len()).iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    let text = |key: &str| objects[0][key].as_str().unwrap();
    assert_eq!((text("peer"), text("host"), text("request")), ("127.0.0.1", "h:1", "GET /hello?a HTTP/1.1"));
    assert_eq!((text("referer"), text("agent")), ("http://r/", "curl/8 \"x\""));
    assert!(objects[0].get("status").is_none(), "only the client has seen it");
    for (object, status) in objects[1..].iter().zip([404, 404, 400, 200]) {
        assert_eq!(object["status"], status);
        assert!(object["bytes"].is_u64() && object["duration_us"].is_u64(), "{object}");
    }
}

#[test]
fn document_responses_have_status_bytes_and_time() {
    let sandbox = with_hello();
    sandbox.handler("cgi", "#!/bin/sh\nprintf 'Status: 404\\nContent-Type: text/plain\\n\\ngone'\n");
    sandbox.handler("silent", "#!/bin/sh\n");
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--access-log", "json", "--response", "auto"]);
    for (target, status) in [("/cgi?a", 404), ("/hello", 200)] {
        assert_eq!(server.get(target).status, status);
    }
    let own = server.get("/silent");
    assert_eq!(own.status, 500);
    server.raw(b"HEAD /cgi HTTP/1.1\r\nHost: a\r\nReferer: r\r\n\r\n");
    let objects: Vec<Value> =
        lines(&server, 4).iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |request: &str| objects.iter().find(|object| object["request"] == request).expect(request);
    let known = |request: &str| (of(request)["status"].clone(), of(request)["bytes"].clone());
    assert_eq!(known("GET /cgi?a HTTP/1.1"), (404.into(), 4.into()));
    assert_eq!(known("HEAD /cgi HTTP/1.1"), (404.into(), 0.into()));
    assert_eq!(known("GET /silent HTTP/1.1"), (500.into(), own.body.len().into()));
    assert_eq!(known("GET /hello HTTP/1.1").0, 200, "it was passed on, so its status was seen");
    assert_eq!(of("HEAD /cgi HTTP/1.1")["referer"], "r");
    assert!(objects.iter().all(|object| object["duration_us"].is_u64()), "{objects:?}");
    let text = sandbox.caffeine(&["-n", "lab", "--metrics"]).succeeds().stdout;
    assert!(text.contains("caffeine_documents_total{name=\"lab\",class=\"4xx\"} 2\n"), "{text}");
}

#[test]
fn static_files_have_status_bytes_and_time_and_count() {
    const LARGE: usize = 8 << 20;
    let sandbox = Sandbox::new();
    sandbox.write("root/a.txt", "0123456789");
    sandbox.write("root/large", "x".repeat(LARGE));
    sandbox
        .write("c.toml", format!("[[static]]\nat = \"/s\"\nroot = \"{}\"\n", sandbox.path("root").display()));
    let arguments =
        ["-n", "lab", "-w", "1", "--access-log", "json", "--outcomes", "on", "--log-level", "DEBUG"];
    let server = sandbox.start(&[&arguments[..], &["-c", "c.toml"]].concat());
    let asked =
        [("GET", "/s/a.txt?v", ""), ("HEAD", "/s/a.txt", ""), ("GET", "/s/a.txt", "Range: bytes=2-4\r\n")];
    let more =
        [("GET", "/s/missing", ""), ("GET", "/s/a.txt", "If-None-Match: *\r\n"), ("POST", "/s/a.txt", "")];
    for (method, target, fields) in asked.into_iter().chain(more) {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: h\r\nReferer: r\r\n{fields}\r\n");
        server.raw(head.as_bytes());
    }
    let objects = || -> Vec<Value> {
        access_log(&server).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    eventually("all are recorded", || objects().len() == 6);
    let known: std::collections::BTreeSet<(u64, bool)> = objects()
        .iter()
        .map(|one| (one["status"].as_u64().unwrap(), one["bytes"].as_u64().unwrap() > 0))
        .collect();
    assert_eq!(
        known,
        [(200, false), (200, true), (206, true), (304, false), (404, true), (405, true)].into()
    );
    let of = |status: u64| objects().into_iter().find(|one| one["status"] == status).unwrap();
    assert_eq!((&of(206)["bytes"], &of(206)["request"]), (&3.into(), &"GET /s/a.txt HTTP/1.1".into()));
    assert!(
        objects().iter().all(|one| one["duration_us"].is_u64() && one["referer"] == "r"),
        "{:?}",
        objects()
    );
    let json = || -> Value {
        let text = sandbox.caffeine(&["-n", "lab", "--status", "--json"]).succeeds().stdout;
        serde_json::from_str(&text).unwrap()
    };
    let counted = || json()["totals"]["answered"].clone();
    assert_eq!(counted(), serde_json::json!([0, 3, 1, 2, 0]));
    // A client that goes away.
    let mut stream = server.connect();
    std::io::Write::write_all(&mut stream, b"GET /s/large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::io::Read::read_exact(&mut stream, &mut [0; 100]).unwrap();
    drop(stream);
    eventually("it is recorded", || objects().len() == 7);
    let cut = objects().into_iter().find(|one| one["cut"] == true).unwrap();
    assert!(cut["bytes"].as_u64().unwrap() < LARGE as u64 && cut["status"] == 200, "{cut}");
    eventually("and counted", || json()["handlers"]["client_gone"] == 1);
    assert_eq!((&json()["handlers"]["killed"], &json()["handlers"]["failed"]), (&0.into(), &0.into()));
}

#[test]
fn lines_of_many_workers_are_whole_and_complete() {
    const CLIENTS: usize = 8;
    const EACH: usize = 40;
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "-w", "4", "--access-log", "combined"]);
    let port = server.port();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in 0..EACH {
                    let target = ["hello", "missing"][number % 2];
                    get(port, &format!("/{target}?{client}-{number}-{}", "x".repeat(number * 20)));
                }
            });
        }
    });
    let lines = lines(&server, CLIENTS * EACH);
    for client in 0..CLIENTS {
        for number in 0..EACH {
            let request = format!("?{client}-{number}-{} HTTP/1.1\" ", "x".repeat(number * 20));
            let own = lines.iter().filter(|line| line.contains(&request));
            assert_eq!(own.count(), 1, "{request}");
        }
    }
    assert!(lines.iter().all(|line| line.starts_with("127.0.0.1 - - [") && line.ends_with(" \"-\" \"-\"")));
}

#[test]
fn rotation_by_signal_continues_in_a_new_file() {
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "-w", "2", "--access-log", "combined"]);
    server.get("/hello?before");
    lines(&server, 1);
    let (log, old) = (server.folder().access_log(), server.folder().access_log().with_extension("1"));
    std::fs::rename(&log, &old).unwrap();
    server.signal(Signal::SIGUSR1);
    eventually("each worker has the new file", || {
        server.get("/hello?after");
        access_log(&server).contains("/hello?after")
    });
    assert!(std::fs::read_to_string(old).unwrap().contains("/hello?before"));
    assert!(!access_log(&server).contains("/hello?before"));
}

#[test]
fn a_reload_turns_it_on_and_off_and_changes_its_format() {
    let sandbox = with_hello();
    sandbox.write("c.toml", "");
    let server = sandbox.start(&["-n", "lab", "-w", "1", "-c", "c.toml"]);
    server.get("/hello?before");
    sandbox.caffeine(&["-n", "lab", "--log", "--access"]).fails(1, "has no access log");
    sandbox.caffeine(&["-n", "nosuch", "--log", "--access"]).fails(1, "instance nosuch does not exist");
    for (format, start) in [("combined", "127.0.0.1 - "), ("json", "{\"time\":\""), ("off", "")] {
        sandbox.write("c.toml", format!("access-log = \"{format}\"\n"));
        sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        eventually("the old worker has ended", || server.scoreboard().snapshot().len() == 1);
        let before = access_log(&server).lines().count();
        let wanted = |line: &str| line.contains(&format!("/hello?{format}")) && line.starts_with(start);
        if format == "off" {
            // An old worker may still take one; a new one writes none.
            eventually("no more lines", || {
                let before = access_log(&server).len();
                let asked = format!("/hello?{format}");
                server.get(&asked);
                let log = sandbox.caffeine(&["-n", "lab", "--log"]).succeeds().stdout;
                log.contains(&asked) && access_log(&server).len() == before
            });
        } else {
            eventually(format, || {
                server.get(&format!("/hello?{format}"));
                access_log(&server).lines().skip(before).any(wanted)
            });
        }
    }
    assert!(!access_log(&server).contains("?before"));
}

#[test]
fn the_log_command_prints_and_empties_it_wherever_it_is() {
    let sandbox = with_hello();
    std::fs::create_dir(sandbox.path("logs")).unwrap();
    sandbox.write("conf/c.toml", "access-log = \"combined\"\naccess-log-file = \"../logs/access\"\n");
    let server = sandbox.start(&["-n", "lab", "-c", "conf/c.toml"]);
    assert_eq!(server.get("/hello?here").status, 200);
    let printed = sandbox.caffeine(&["-n", "lab", "-l", "--access"]).succeeds().stdout;
    assert!(printed.contains("/hello?here"), "{printed}");
    assert_eq!(printed, std::fs::read_to_string(sandbox.path("logs/access")).unwrap());
    assert!(!server.folder().access_log().exists());
    sandbox.caffeine(&["-n", "lab", "--reset-logs"]).succeeds();
    assert_eq!(sandbox.caffeine(&["-n", "lab", "-l", "--access"]).succeeds().stdout, "");
    sandbox.write("conf/c.toml", "access-log = \"combined\"\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "access-log-file cannot change");
}

#[test]
fn a_file_that_cannot_be_written_fails_the_start_and_refuses_a_reload() {
    let sandbox = with_hello();
    let on = ["--access-log", "combined", "--access-log-file", "missing/access"];
    let start = [&["-n", "lab", "-p", "0", "--bind", "127.0.0.1"], &on[..]].concat();
    sandbox.caffeine(&start).fails(1, "missing/access: No such file");
    sandbox.write("c.toml", "access-log-file = \"missing/access\"\n");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    sandbox.write("c.toml", "access-log-file = \"missing/access\"\naccess-log = \"json\"\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "cannot open the access log: No such file");
    assert_eq!(server.get("/hello").status, 200);
}

#[test]
fn on_a_full_disk_requests_are_served_and_the_log_says_what_is_missing() {
    let sandbox = with_hello();
    // Like a full disk, but only for this file: it may not grow beyond the limit, as the log stays below it.
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--access-log", "combined"]);
    let worker = server.worker_pids()[0].to_string();
    let limit = |bytes: &str| {
        let limit = ["--pid", &worker, &format!("--fsize={bytes}")].map(str::to_owned);
        Command::new("prlimit")
            .args(limit)
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    std::fs::write(server.folder().access_log(), "x\n".repeat(50_000)).unwrap();
    if !limit("90000:unlimited") {
        return skipped("prlimit is not installed, or refused");
    }
    (0..5).for_each(|_| assert_eq!(server.get("/hello").status, 200));
    eventually("they are logged", || server.log().matches("target=/hello").count() == 5);
    assert!(limit("unlimited:unlimited"));
    eventually("the log tells", || {
        assert_eq!(server.get("/hello").status, 200);
        server.log().contains("lines of the access log are missing; they could not be written")
    });
    let log = access_log(&server);
    assert!(log.lines().all(|line| line == "x" || line.ends_with(" \"-\" \"-\"")), "whole lines only");
}

#[test]
fn goaccess_reads_it() {
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--access-log", "combined"]);
    REQUESTS[..3].iter().for_each(|request| drop(server.raw(request)));
    lines(&server, 3);
    // The format of the manual page: the status of a native response is not known.
    let format = r#"%h %^ %e [%d:%t %^] "%r" %^ %^ "%R" "%u""#;
    for (format, valid) in [(format, 3), ("COMBINED", 2)] {
        let report = sandbox.path("report.json");
        let mut goaccess = Command::new("goaccess");
        goaccess.arg(server.folder().access_log()).arg("-o").arg(&report);
        goaccess.args(["--no-global-config", "--no-progress", "--date-format=%d/%b/%Y", "--time-format=%T"]);
        goaccess.args([&format!("--log-format={format}"), "--ignore-panel=GEO_LOCATION"]);
        let Ok(output) = goaccess.stdin(Stdio::null()).output() else {
            return skipped("goaccess is not installed");
        };
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
        assert_eq!(report["general"]["valid_requests"], valid, "{format}: {}", report["general"]);
    }
}
