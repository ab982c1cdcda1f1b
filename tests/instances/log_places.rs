//! `--log-to`: lines in the file, on standard error or both; a standard error that is closed or not read harms nothing.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use caffeine::server::logging::NUMBERS;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::harness::{Sandbox, eventually, get, pid, port_of, read_some, says};

fn with_hello() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox
}

#[test]
fn in_the_foreground_the_log_is_on_standard_error_too() {
    let sandbox = with_hello();
    for arguments in [&["-n", "lab"][..], &["-n", "lab", "--log-to", "both"]] {
        let server = sandbox.start(&[arguments, &["--log-level", "DEBUG", "-w", "1"]].concat());
        assert_eq!(server.get("/hello?on-both").status, 200);
        eventually("the request is logged", || server.log().contains("/hello?on-both"));
        let (log, before) = (server.folder().log(), server.log().len());
        assert!(before > 0);
        let stderr = server.stop();
        assert_eq!(stderr, std::fs::read_to_string(&log).unwrap());
        std::fs::remove_file(log).unwrap();
    }
}

#[test]
fn with_log_to_stderr_there_is_no_file_and_the_log_command_says_why() {
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "--log-to", "stderr"]);
    assert_eq!(server.get("/hello?only-here").status, 200);
    assert!(!server.folder().log().exists());
    for action in ["--log", "--reset-logs"] {
        sandbox.caffeine(&["-n", "lab", action]).fails(1, "logs to standard error only (log-to)");
    }
    server.signal(Signal::SIGUSR1);
    let stderr = server.stop();
    assert!(stderr.contains("/hello?only-here") && stderr.ends_with("stopped\n"), "{stderr}");
    assert!(!stderr.contains("cannot reopen"), "{stderr}");
}

#[test]
fn with_log_to_file_standard_error_stays_empty() {
    let sandbox = with_hello();
    let server = sandbox.start(&["-n", "lab", "--log-to", "file"]);
    server.get("/hello");
    assert_eq!(server.stop(), "");
}

#[test]
fn a_daemon_logs_to_its_file_and_refuses_standard_error() {
    let sandbox = with_hello();
    for place in ["stderr", "both"] {
        sandbox.caffeine(&["-n", "lab", "-D", "--log-to", place]).fails(2, "a daemon has no standard error");
    }
    sandbox.start_daemon("lab", &[]);
    assert!(std::fs::read_to_string(sandbox.folder("lab").log()).unwrap().contains("ready on"));
    sandbox.caffeine(&["-n", "lab", "--reload", "--log-to", "file"]).succeeds();
}

#[test]
fn a_reload_cannot_move_the_log() {
    let sandbox = with_hello();
    sandbox.write("c.toml", "log-to = \"file\"\n");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    sandbox.write("c.toml", "log-to = \"both\"\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "log-to cannot change");
    assert_eq!(server.get("/hello").status, 200);
}

/// A server whose standard error is `stderr`, and its port.
fn writing_to(sandbox: &Sandbox, stderr: impl Into<Stdio>) -> (Child, u16) {
    let mut command = sandbox.command(&["-p", "0", "--bind", "127.0.0.1", "-n", "lab", "-w", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    (child, port_of(&ready))
}

const REQUESTS: usize = 120;

/// Makes more lines than a pipe holds; every request is answered and every line is in the file.
#[track_caller]
fn serves(sandbox: &Sandbox, port: u16) {
    let long = "x".repeat(1500);
    for number in 0..REQUESTS {
        assert_eq!(get(port, &format!("/hello?{number}-{long}")).status, 200);
    }
    let log = || std::fs::read_to_string(sandbox.folder("lab").log()).unwrap();
    eventually("each is in the file", || log().matches(&long).count() == REQUESTS);
}

#[track_caller]
fn stop(mut child: Child) {
    kill(pid(child.id()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_standard_error_that_is_not_read_blocks_nothing_and_says_what_is_missing() {
    let sandbox = with_hello();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (child, port) = writing_to(&sandbox, writer);
    serves(&sandbox, port);
    // Nothing has been read until now.
    let text = Arc::new(Mutex::new(Vec::new()));
    let reading = std::thread::spawn({
        let text = Arc::clone(&text);
        move || {
            let mut piece = [0; 4096];
            while let n @ 1.. = read_some(&mut reader, &mut piece) {
                text.lock().unwrap().extend_from_slice(&piece[..n]);
            }
        }
    });
    eventually("it says what is missing", || {
        get(port, "/hello?more");
        let text = String::from_utf8_lossy(&text.lock().unwrap()).into_owned();
        text.contains("lines are missing here; they could not be written")
    });
    stop(child);
    reading.join().unwrap();
    let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
    let is_whole = |line: &str| line.starts_with("20") && line.get(23..25) == Some("Z ");
    assert!(text.ends_with('\n') && text.lines().all(is_whole));
}

#[test]
fn a_standard_error_that_is_closed_or_full_loses_no_request() {
    let sandbox = with_hello();
    let (reader, writer) = std::io::pipe().unwrap();
    let (child, port) = writing_to(&sandbox, writer);
    drop(reader);
    serves(&sandbox, port);
    stop(child);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    std::fs::remove_file(sandbox.folder("lab").log()).unwrap();
    let (child, port) = writing_to(&sandbox, full);
    serves(&sandbox, port);
    stop(child);
}

/// The type of each key in the lines of a JSON log.
fn types(log: &str) -> BTreeMap<String, Vec<&'static str>> {
    let mut types: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in log.lines() {
        let Value::Object(object) = serde_json::from_str(line).expect(line) else { panic!("{line}") };
        for (key, value) in object {
            let name = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "true",
                _ => panic!("{line}"),
            };
            let known = types.entry(key).or_default();
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }
    types
}

#[test]
fn every_key_of_the_json_log_has_one_type() {
    let sandbox = with_hello();
    sandbox.handler("broken", "#!/no/such/interpreter\n");
    sandbox.handler("fails", format!("{}exit 3\n", says("")));
    sandbox.handler("dies", format!("{}kill -9 $$\n", says("")));
    sandbox.handler("hangs", format!("{}sleep 60\n", says("")));
    sandbox.handler("complains", format!("{}echo no >&2\n", says("")));
    let watched = ["--outcomes", "on", "--handler-timeout", "1s", "--header-timeout", "200ms"];
    let server = sandbox.start(
        &[&["-n", "lab", "-w", "2", "--log-format", "json", "--log-level", "DEBUG"], &watched[..]].concat(),
    );
    for target in ["/hello", "/missing", "/broken", "/fails", "/dies", "/complains", "/hangs"] {
        server.get(target);
    }
    for bytes in [&b"nonsense\r\n\r\n"[..], b"GET /ha", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"] {
        server.raw(bytes);
    }
    let is_logged = |text: &str| eventually(text, || server.log().contains(text));
    for text in ["\"timed out\"", "\"stream\"", "\"408\"", "\"400\"", "\"200\""] {
        is_logged(text);
    }
    kill(pid(server.worker_pids()[0]), Signal::SIGKILL).unwrap();
    is_logged("was killed by signal 9");
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    let log = server.folder().log();
    server.stop();
    for (key, types) in types(&std::fs::read_to_string(log).unwrap()) {
        let expected = match key.as_str() {
            "keeper" | "auxiliary" => "true",
            key if NUMBERS.contains(&key) => "number",
            _ => "string",
        };
        // A kernel before 6.15 does not tell how handlers end: then `code` and `signal` never come.
        assert_eq!(types, [expected], "{key}");
    }
}
