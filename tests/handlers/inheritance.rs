//! What a handler inherits: descriptors, signals, limits, environment; and nothing of the server.

use std::io::{Read, Write};

use crate::handlers::execution::compile;
use crate::harness::traffic::counters;
use crate::harness::{Response, Sandbox, Server, eventually, executed_by};

/// Prints everything about the process that runs it.
const PROBE_C: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
extern char **environ;
int main(void) {
    char text[4096];
    struct rlimit limit;
    struct stat status;
    mode_t mask = umask(0);
    printf("HTTP/1.1 200 OK\r\n\r\nfds");
    for (int fd = 0; fd < 70000; fd++) if (fcntl(fd, F_GETFD) >= 0) printf(" %d", fd);
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("\nnofile %lu %lu\numask %o\n", limit.rlim_cur, limit.rlim_max, mask);
    printf("cwd %s\n", getcwd(text, sizeof text));
    ssize_t n = readlink("/proc/self/fd/0", text, sizeof text);
    printf("stdin %.*s, written %d, seals %d\n", (int)n, text, (int)write(0, "x", 1), fcntl(0, F_GET_SEALS));
    fstat(1, &status);
    printf("stdout socket %d, nonblocking %d\n", S_ISSOCK(status.st_mode), !!(fcntl(1, F_GETFL) & O_NONBLOCK));
    FILE *own = fopen("/proc/self/status", "r");
    while (fgets(text, sizeof text, own)) if (strncmp(text, "Sig", 3) == 0) fputs(text, stdout);
    for (char **e = environ; *e; e++) printf("env %s\n", *e);
    return 0;
}
"#;

/// The probe's value for `key`.
#[track_caller]
fn said<'t>(text: &'t str, key: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key:?} in {text}")).trim()
}

#[track_caller]
fn assert_clean(text: &str) {
    assert_eq!(said(text, "fds "), "0 1 2");
    for set in ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:"] {
        assert_eq!(u64::from_str_radix(said(text, set), 16).unwrap(), 0, "{set} {text}");
    }
    assert_eq!(said(text, "stdout "), "socket 1, nonblocking 0");
}

/// A server whose environment is full of things a handler must not inherit.
fn with_probe(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    compile(&sandbox, "cc", PROBE_C, "c", "probe");
    let server = sandbox.start_with(arguments, |command| {
        for name in ["SECRET", "RUST_LOG", "RUST_BACKTRACE", "XDG_RUNTIME_DIR", "HTTP_PROXY", "LD_BIND_NOW"] {
            command.env(name, "/no/business/of/a/handler");
        }
        command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1").env("PATH", "/bin:/secret");
        // Ignored signals, a signal mask, limits and open files are inherited: the shell sets some.
        let script = "ulimit -S -n 300; umask 027; trap '' HUP PIPE USR2 INT; exec 7</dev/null 9>&7; exec \"$0\" \"$@\"";
        executed_by(command, &["sh", "-c", script]);
    });
    (sandbox, server)
}

#[test]
fn a_handler_starts_as_a_clean_process() {
    let (sandbox, server) = with_probe(&["-w", "1"]);
    let get = server.get("/probe").text();
    assert_clean(&get);
    assert!(said(&get, "stdin ").starts_with("/dev/null, "), "{get}");
    assert!(said(&get, "nofile ").starts_with("300 "), "{get}");
    assert_eq!(said(&get, "umask "), "27");
    assert_eq!(said(&get, "cwd "), sandbox.handlers().to_str().unwrap());

    let post = Response::parse(&server.raw(
        b"POST /probe?q HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Type: t/t\r\nProxy: evil\r\nX-Mine: 1\r\nX_Mine: 2\r\n\r\nbody",
    ))
    .text();
    assert_clean(&post);
    let sealed = 0b1111; // F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
    assert!(said(&post, "stdin ").ends_with(&format!("written -1, seals {sealed}")), "{post}");
    let large = server.post("/probe", &vec![b'x'; 2 << 20]).text();
    assert_clean(&large);
    assert!(said(&large, "stdin ").contains("(deleted), written -1, "), "{large}");
}

#[test]
fn the_environment_of_a_handler_is_the_documented_one() {
    let (sandbox, server) = with_probe(&["-w", "1", "-n", "lab"]);
    let text = Response::parse(&server.raw(
        b"POST /probe/info?q HTTP/1.1\r\nHost: here:80\r\nContent-Length: 4\r\nContent-Type: t/t\r\nProxy: evil\r\nX-Mine: 1\r\nX_Mine: 2\r\nX-Mine: 3\r\n\r\nbody",
    ))
    .text();
    let mut environment: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("env ")).collect();
    environment.retain(|variable| !variable.starts_with("REMOTE_PORT="));
    environment.sort_unstable();
    let base = sandbox.handlers();
    let base = base.to_str().unwrap();
    let mut expected = vec![
        "CAFFEINE_INSTANCE=lab".to_owned(),
        "CAFFEINE_WORKER=0".into(),
        "CONTENT_LENGTH=4".into(),
        "CONTENT_TYPE=t/t".into(),
        "GATEWAY_INTERFACE=CGI/1.1".into(),
        "HTTP_HOST=here:80".into(),
        "HTTP_X_MINE=1, 3".into(),
        "PATH=/usr/local/bin:/usr/bin:/bin".into(),
        "PATH_INFO=/info".into(),
        format!("PATH_TRANSLATED={base}/info"),
        "QUERY_STRING=q".into(),
        "REMOTE_ADDR=127.0.0.1".into(),
        "REQUEST_METHOD=POST".into(),
        "REQUEST_URI=/probe/info?q".into(),
        format!("SCRIPT_FILENAME={base}/probe"),
        "SCRIPT_NAME=/probe".into(),
        "SERVER_NAME=here".into(),
        format!("SERVER_PORT={}", server.port()),
        "SERVER_PROTOCOL=HTTP/1.1".into(),
        format!("SERVER_SOFTWARE=caffeine/{}", env!("CARGO_PKG_VERSION")),
    ];
    expected.sort();
    assert_eq!(environment, expected);
}

#[test]
fn a_handler_for_a_slow_client_starts_as_a_clean_process_too() {
    let (_sandbox, server) = with_probe(&["-w", "1"]);
    for request in [
        "GET /probe HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /probe HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let (begin, rest) = request.split_at(request.len() - 2);
        let mut stream = server.connect();
        stream.write_all(begin.as_bytes()).unwrap();
        eventually("the worker holds it", || counters(&server)[0].open == 1);
        stream.write_all(rest.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_clean(&Response::parse(&bytes).text());
        eventually("the worker has let it go", || counters(&server)[0].open == 0);
    }
}

#[test]
fn changes_to_stderr_end_with_the_handler() {
    let sandbox = Sandbox::new();
    let script = "#!/usr/bin/env python3\nimport fcntl, os\nflags = fcntl.fcntl(2, fcntl.F_GETFL)\n\
                  print('HTTP/1.1 200 OK\\r\\n\\r\\n%d' % (flags & os.O_NONBLOCK), end='')\n\
                  fcntl.fcntl(2, fcntl.F_SETFL, flags | os.O_NONBLOCK)\n";
    sandbox.handler("changes", script);
    let server = sandbox.start(&["-w", "1"]);
    for _ in 0..2 {
        assert_eq!(server.get("/changes").text(), "0");
    }
}

#[test]
fn a_handler_has_no_capabilities_of_the_server() {
    if !crate::platform::privileges::is_root("a_handler_has_no_capabilities_of_the_server") {
        return;
    }
    let sandbox = crate::platform::privileges::open_home();
    sandbox.handler(
        "caps",
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec grep ^CapEff /proc/self/status\n",
    );
    // Started as by a service manager that grants a privileged port.
    let state = sandbox.path("state");
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).unwrap();
    let server = sandbox.start_with(&["-w", "1", "--state-dir", state.to_str().unwrap()], |command| {
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let capabilities = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"];
        executed_by(command, &[&user[..], &capabilities].concat());
    });
    let own = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    assert!(own.contains("CapAmb:\t0000000000000400"), "{own}");
    assert_eq!(server.get("/caps").text(), "CapEff:\t0000000000000000\n");
}
