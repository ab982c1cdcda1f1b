//! Log lines about requests and handlers in both formats; a request cannot forge a line.

use std::io::{Read, Write};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Sandbox, Server, eventually, read_some, says};

/// The lines with this text, once there are this many.
fn lines(server: &Server, text: &str, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    eventually(&format!("{count} lines with {text}"), || {
        let log = server.log();
        found = log.lines().filter(|line| line.contains(text)).map(ToOwned::to_owned).collect();
        found.len() >= count && log.ends_with('\n')
    });
    found
}

fn with_handlers(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.handler("broken", "#!/no/such/interpreter\n");
    let complains = "printf 'one line\\nforged\\033[2J\\r \"quoted\" \\\\ \\303\\251\\n2030-01-01T00:00:00.000Z INFO  worker 0: peer=1.1.1.1:1\\n' >&2\n";
    sandbox.handler("complains", format!("{}{complains}", says("done")));
    sandbox.handler("mutters", format!("{}printf 'without an end' >&2\n", says("done")));
    let server = sandbox.start(arguments);
    (sandbox, server)
}

/// The value of `key=` in a line of text.
#[track_caller]
fn value<'l>(line: &'l str, key: &str) -> &'l str {
    let start = line.find(&format!(" {key}=")).unwrap_or_else(|| panic!("no {key} in {line}"));
    line[start + key.len() + 2..].split(' ').next().unwrap()
}

#[test]
fn a_line_has_peer_method_target_handler_outcome_pid_and_launch_time() {
    let (_sandbox, server) = with_handlers(&["-w", "1"]);
    let mut stream = server.connect();
    let peer = stream.local_addr().unwrap().to_string();
    stream.write_all(b"BREW /hello/info?a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let line = lines(&server, "/hello/info", 1).remove(0);
    assert!(line.contains(" INFO  worker 0:"), "{line}");
    assert_eq!(value(&line, "peer"), peer);
    assert_eq!(value(&line, "method"), "BREW");
    assert_eq!(value(&line, "target"), "/hello/info?a");
    assert_eq!(value(&line, "handler"), "/hello");
    assert_eq!(value(&line, "outcome"), "launched");
    assert!(value(&line, "pid").parse::<u32>().unwrap() > 1);
    assert!(value(&line, "launch_us").parse::<u64>().unwrap() > 0);

    server.get("/missing");
    let line = lines(&server, "/missing", 1).remove(0);
    assert_eq!((value(&line, "outcome"), value(&line, "method")), ("404", "GET"));
    server.get("/broken");
    let line = lines(&server, "/broken", 1).remove(0);
    assert!(line.contains(" ERROR ") && line.contains("/no/such/interpreter"), "{line}");
    assert_eq!(value(&line, "outcome"), "500");
    server.raw(b"nonsense\r\n\r\n");
    assert!(lines(&server, "outcome=400", 1)[0].contains(" peer=127.0.0.1:"));
}

#[test]
fn a_malformed_request_is_logged_truncated_and_escaped() {
    let (_sandbox, server) = with_handlers(&["-w", "1", "--header-timeout", "200ms"]);
    server.raw(b"GET /hello HTP/1.1\r\nHost: a\r\n\r\n");
    let line = lines(&server, "outcome=400", 1).remove(0);
    assert!(line.contains(r#" received="GET /hello HTP/1.1" "#), "{line}");
    server.raw(b"\x16\x03\x01\x02\x00\x01\xfc\xff speaks TLS\r\n\r\n");
    let line = lines(&server, "outcome=400", 2).remove(1);
    assert!(line.contains(r"\\x16\\x03\\x01") && line.contains("speaks TLS"), "{line}");
    server.raw(&[b"GET /".as_slice(), &[b'\\'; 9000], b" HTTP/1.1\r\n\r\n"].concat());
    let line = lines(&server, "outcome=414", 1).remove(0);
    assert!(line.contains(r"GET /\\\\") && line.contains("...") && line.len() < 1000, "{line}");
    server.raw(b"GET /half");
    let line = lines(&server, "outcome=408", 1).remove(0);
    assert!(line.contains(r#" received="GET /half" "#), "{line}");
    // A complete head has a method and a target even if it is refused.
    server.raw(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n");
    let line = lines(&server, "outcome=413", 1).remove(0);
    assert_eq!((value(&line, "method"), value(&line, "target")), ("POST", "/hello"));
}

#[test]
fn with_json_every_line_is_an_object_with_the_same_fields() {
    let (_sandbox, server) = with_handlers(&["-w", "1", "--log-format", "json", "--log-level", "DEBUG"]);
    server.get("/hello/info?a=\"b\"");
    server.get("/missing/\\x");
    server.get("/broken");
    server.get("/complains");
    server.raw(b"GET /\xc3\xa9\x1b HTTP/1.1\r\nHost: a\r\n\r\n");
    lines(&server, "\"stream\":\"stderr\"", 3);
    lines(&server, "\"outcome\":\"400\"", 1);
    let log = server.log();
    let objects: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for object in &objects {
        assert!(object["time"].as_str().unwrap().ends_with('Z') && object["level"].is_string(), "{object}");
    }
    let hello = objects.iter().find(|line| line["handler"] == "/hello").unwrap();
    assert_eq!(hello["target"], "/hello/info?a=\"b\"");
    assert_eq!(
        (&hello["worker"], &hello["method"], &hello["outcome"]),
        (&0.into(), &"GET".into(), &"launched".into())
    );
    assert!(hello["pid"].as_u64().unwrap() > 1 && hello["launch_us"].as_u64().unwrap() > 0);
    assert!(hello["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let messages: Vec<&Value> =
        objects.iter().filter(|line| line["stream"] == "stderr").map(|line| &line["message"]).collect();
    assert_eq!(messages[..2], ["one line", "forged\x1b[2J\r \"quoted\" \\ \u{e9}"]);
}

#[test]
fn the_log_level_filters_lines() {
    for (level, least, present, absent) in [
        ("DEBUG", "/hello", vec!["DEBUG", "INFO", "WARN", "ERROR"], vec![]),
        ("INFO", "/hello", vec!["INFO", "WARN", "ERROR"], vec!["DEBUG"]),
        ("WARN", "one line", vec!["WARN", "ERROR"], vec!["DEBUG", "INFO"]),
        ("ERROR", "/broken", vec!["ERROR"], vec!["DEBUG", "INFO", "WARN"]),
    ] {
        let (_sandbox, server) = with_handlers(&["--log-level", level]);
        for target in ["/hello", "/complains", "/broken"] {
            server.get(target);
        }
        lines(&server, least, 1);
        lines(&server, "/broken", 1);
        let name = server.folder().log();
        server.stop();
        let log = std::fs::read_to_string(name).unwrap();
        // The level is the second word.
        let has = |level: &str| log.lines().any(|line| line.split_whitespace().nth(1) == Some(level));
        assert!(present.iter().all(|level| has(level)), "{level}: {log}");
        assert!(!absent.iter().any(|level| has(level)), "{level}: {log}");
    }
}

#[test]
fn handler_stderr_is_marked_and_escaped() {
    let (_sandbox, server) = with_handlers(&[]);
    assert_eq!(server.get("/complains").text(), "done");
    let complaints = lines(&server, "stream=stderr", 3);
    assert!(complaints[0].contains("one line"), "{complaints:?}");
    assert!(complaints[1].contains(r#"forged\x1B[2J\x0D \"quoted\" \\ \xC3\xA9"#), "{complaints:?}");
    for line in &complaints {
        let mark = line.find(" WARN  worker ");
        assert!(mark.is_some_and(|at| at < 30), "the mark comes first: {line}");
        assert_eq!((value(line, "stream"), value(line, "handler")), ("stderr", "/complains"));
        assert!(value(line, "pid").parse::<u32>().unwrap() > 1);
    }
    assert!(!server.log().lines().any(|line| line.starts_with("2030")), "{}", server.log());
}

#[test]
fn an_unterminated_last_line_is_not_lost() {
    let (_sandbox, server) = with_handlers(&[]);
    server.get("/mutters");
    lines(&server, "without an end", 1);
}

#[test]
fn no_request_can_forge_a_line_or_reach_the_terminal() {
    let (sandbox, server) = with_handlers(&[]);
    // A handler's name is logged decoded: the only way for a client's control byte into a line.
    sandbox.handler("two\n2030-01-01 lines \x1b[2J\u{e9}", says("odd"));
    let odd = b"GET /two%0a2030-01-01%20lines%20%1b[2J%c3%a9 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(server.raw(odd).ends_with(b"odd"));
    let line = lines(&server, "/two%0a", 1).remove(0);
    assert!(line.contains(r#" handler="/two\x0A2030-01-01 lines \x1B[2J\xC3\xA9" "#), "{line}");
    let forgeries: [&[u8]; 7] = [
        b"GET /%0a2030-01-01T00:00:00.000Z%20forged HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hello?\"%20outcome=forged HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hello/a\"=forged\\ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hello\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nX: \x1b]0;forged\x07\n2030 forged\r\n\r\n",
        b"GE\x1bT /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\n2030-01-01 forged\r\n\r\n",
    ];
    for forgery in forgeries {
        server.raw(forgery);
    }
    lines(&server, "peer=", forgeries.len() + 1);
    let line = lines(&server, "outcome=forged", 1).remove(0);
    assert!(line.contains(r#" target="/hello?\"%20outcome=forged" "#), "{line}");
    let log = std::fs::read(server.folder().log()).unwrap();
    assert!(log.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{}", String::from_utf8_lossy(&log));
    for line in String::from_utf8(log).unwrap().lines() {
        assert!(line.starts_with("20") && !line.starts_with("2030"), "{line}");
        assert!(!line.contains(" outcome=forged"), "{line}");
    }
}

#[test]
fn a_foreground_server_copies_the_log_to_its_terminal() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let mut command = sandbox.command(&["-p", "0", "--bind", "127.0.0.1", "-n", "lab"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(pty.slave).spawn().unwrap();
    drop(command);
    let mut terminal = std::fs::File::from(pty.master);
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&text).contains(" ready on ") {
        let n = read_some(&mut terminal, &mut piece);
        assert_ne!(n, 0);
        text.extend_from_slice(&piece[..n]);
    }
    nix::sys::signal::kill(crate::harness::pid(child.id()), Signal::SIGTERM).unwrap();
    while let Ok(n @ 1..) = terminal.read(&mut piece) {
        text.extend_from_slice(&piece[..n]);
    }
    assert!(child.wait().unwrap().success());
    let text = String::from_utf8(text).unwrap().replace("\r\n", "\n");
    let log = std::fs::read_to_string(sandbox.folder("lab").log()).unwrap();
    assert_eq!(text, log, "the same lines");
}

#[test]
fn a_reload_changes_the_log_format() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.write("c.toml", "log-format = \"text\"\n");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    sandbox.write("c.toml", "log-format = \"json\"\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    // A worker of the old generation may still accept one.
    eventually("a new worker has answered", || {
        server.get("/hello?after");
        server.log().lines().any(|line| line.starts_with('{') && line.contains("/hello?after"))
    });
    let of_a_worker = lines(&server, "\"/hello?after", 1).remove(0);
    let of_the_supervisor = lines(&server, "ready on", 2).remove(1);
    for line in [of_a_worker, of_the_supervisor] {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
}
