//! `--bind unix:PATH`: what a handler learns, who may connect, what becomes of the file. `contract` has the strategies.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use nix::sys::signal::Signal;

use crate::harness::{DEADLINE, Response, Sandbox, Server, eventually, says};

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Server {
    let bind = format!("unix:{}", sandbox.path("socket").display());
    sandbox.start(&[&["--bind", &bind], arguments].concat())
}

fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Sends these bytes and reads until the end.
fn ask(path: &Path, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = connect(path)?;
    let mut answer = Vec::new();
    stream.write_all(request).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    Ok(answer)
}

fn get(path: &Path, target: &str) -> Response {
    let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    Response::parse(&ask(path, request.as_bytes()).unwrap())
}

#[test]
fn a_handler_learns_that_the_peer_has_no_address() {
    let sandbox = Sandbox::new();
    sandbox.handler(
        "env",
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n\
         echo \"<${REMOTE_ADDR-unset}|${REMOTE_PORT-unset}|$SERVER_NAME|$SERVER_PORT>\"; cat\n",
    );
    let server = start(&sandbox, &["-n", "lab"]);
    let path = sandbox.path("socket");
    for (head, names) in [
        (
            "POST /env HTTP/1.1\r\nHost: example.org:8443\r\nContent-Length: 4\r\n\r\nbody",
            "<|unset|example.org|8443>\nbody",
        ),
        ("GET /env HTTP/1.1\r\nHost: example.org\r\n\r\n", "<|unset|example.org|80>\n"),
        ("GET /env HTTP/1.1\r\nHost: [::1]:99\r\n\r\n", "<|unset|[::1]|99>\n"),
        ("GET /env HTTP/1.0\r\n\r\n", "<|unset|localhost|80>\n"),
    ] {
        assert_eq!(Response::parse(&ask(&path, head.as_bytes()).unwrap()).text(), names, "{head}");
    }
    assert_eq!(get(&path, "/missing").status, 404);
    eventually("the log tells", || server.log().contains("peer=unix method=GET target=/missing"));
    let address = format!("unix:{}", path.display());
    for action in ["-L", "--status"] {
        let shown = sandbox.caffeine(&["-n", "lab", action]).succeeds().stdout;
        assert!(shown.contains(&address), "{action}: {shown}");
    }
}

#[test]
fn the_file_has_the_mode_and_owner_that_are_asked_for() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("socket");
    let (user, group) = (nix::unistd::geteuid().to_string(), nix::unistd::getegid().to_string());
    for (arguments, mode) in [
        (vec![], 0o660),
        (vec!["--socket-mode", "0606"], 0o606),
        (vec!["--socket-owner", &user], 0o660),
        (vec!["--socket-mode", "0666", "--socket-owner", &format!(":{group}")], 0o666),
    ] {
        let server = start(&sandbox, &arguments);
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            (found.permissions().mode() & 0o777, found.uid().to_string()),
            (mode, user.clone()),
            "{arguments:?}"
        );
        let recorded = std::fs::read_to_string(server.folder().config()).unwrap();
        assert!(recorded.contains(&format!("socket-mode = \"{mode:04o}\"")), "{recorded}");
        server.stop();
        assert!(!path.exists(), "a stop removes it");
    }
}

#[test]
fn what_a_unix_socket_cannot_have_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.write("plain", "");
    std::fs::create_dir(sandbox.path("handlers")).unwrap();
    for (arguments, code, text) in [
        ("--bind unix:socket -p 80", 2, "has no port, but port is 80; omit one of them"),
        ("--bind unix:socket --listener reuseport", 2, "reuseport needs one socket per worker"),
        ("--bind unix:socket --listener reuseport-steal", 2, "reuseport-steal needs one socket per worker"),
        ("--bind unix:", 2, "the path of the unix socket is missing"),
        ("--bind unix:socket --socket-mode 660", 2, "it is not a mode, such as 0660"),
        ("--bind unix:socket --socket-mode 0680", 2, "it is not a mode, such as 0660"),
        ("--bind 127.0.0.1 --socket-mode 0660", 2, "socket-mode and socket-owner are for a unix socket"),
        ("--bind unix:socket --socket-owner no-such-user", 2, "unknown user \"no-such-user\""),
        ("--bind unix:socket --socket-owner :no-such-group", 2, "unknown group \"no-such-group\""),
        ("--bind unix:plain", 1, "plain exists and is not a socket; remove it"),
        ("--bind unix:nowhere/socket", 1, "the directory of unix:"),
        (&format!("--bind unix:{}", "x".repeat(200)), 1, "a path has at most 107 bytes"),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        sandbox.caffeine(&arguments).fails(code, text);
        assert!(!sandbox.path("socket").exists());
    }
}

#[test]
fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let path = sandbox.path("socket");
    let mut server = start(&sandbox, &["-n", "one"]);
    let bind = format!("unix:{}", path.display());
    sandbox.caffeine(&["-n", "two", "--bind", &bind]).fails(1, "something listens on unix:");
    assert_eq!(get(&path, "/hello").text(), "hello");
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("its workers have ended too", || connect(&path).is_err());
    assert!(path.exists());
    let server = start(&sandbox, &["-n", "two"]);
    assert_eq!(get(&path, "/hello").text(), "hello");
    // Another's file in its place is left alone.
    std::fs::remove_file(&path).unwrap();
    sandbox.write("socket", "text");
    server.stop();
    assert!(path.exists());
}

#[test]
fn a_stop_at_once_removes_the_file_and_a_failed_start_too() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("socket");
    let mut server = start(&sandbox, &[]);
    server.signal(Signal::SIGQUIT);
    server.wait();
    assert!(!path.exists());
    let bind = format!("unix:{}", path.display());
    sandbox.caffeine(&["--bind", &bind, "--handler-limit", "memory=1M,cpu=1s"]).fails(1, "handler-limit");
    assert!(!path.exists());
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_its_handler_forever() {
    let sandbox = Sandbox::new();
    let endless = |head: &str| format!("#!/bin/sh\nprintf '{head}\\r\\n\\r\\n'\nexec cat /dev/zero\n");
    sandbox.handler("nph-endless", endless("HTTP/1.1 200 OK"));
    sandbox.handler("endless", endless("Status: 200"));
    sandbox.handler("length", endless("Content-Length: 1000000000"));
    std::fs::File::create(sandbox.path("file")).unwrap().set_len(50_000_000).unwrap();
    let file = sandbox.path("file").display().to_string();
    sandbox.write("c.toml", format!("[[static]]\nat = \"/file\"\nroot = {file:?}\n"));
    let limits = ["--send-timeout", "1s", "--max-handlers", "9"];
    let server = start(&sandbox, &[&["-c", "c.toml", "--response", "document"], &limits[..]].concat());
    let relaying = || server.scoreboard().header().relaying.load(SeqCst);
    for name in ["nph-endless", "endless", "length", "file"] {
        let mut stream = connect(&sandbox.path("socket")).unwrap();
        stream.write_all(format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        eventually("it runs", || server.scoreboard().handlers() == 1);
        eventually("it gives up", || server.scoreboard().handlers() == 0 && relaying() == 0);
    }
    eventually("the log says so of what is relayed", || {
        server.log().matches("outcome=\"client gone\"").count() == 2
    });
}

#[test]
fn a_client_that_reads_slowly_over_a_unix_socket_gets_all() {
    let sandbox = Sandbox::new();
    sandbox.handler("page", "#!/bin/sh\nprintf 'A: b\\n\\n'\nexec head -c 3000000 /dev/zero\n");
    let server = start(&sandbox, &["--send-timeout", "1s", "--response", "document"]);
    let mut stream = connect(&sandbox.path("socket")).unwrap();
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n").unwrap();
    let (mut all, mut piece) = (0, vec![0; 500_000]);
    loop {
        // In all longer than the time in which a client must take something.
        std::thread::sleep(std::time::Duration::from_millis(400));
        match crate::harness::read_some(&mut stream, &mut piece) {
            0 => break,
            n => all += n,
        }
    }
    assert!(all > 3_000_000, "{all}: {}", server.log());
}

#[test]
fn a_reload_keeps_the_socket() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["-w", "2", "--respond", "fixed"]);
    let path = sandbox.path("socket");
    let identity = || std::fs::symlink_metadata(&path).unwrap().ino();
    let before = identity();
    crate::handlers::orphans::reload(&server);
    assert_eq!((identity(), server.get("/").status), (before, 200));
}
