//! Input and output of handlers, in four languages.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::harness::traffic::begin;
use crate::harness::{Response, Sandbox, eventually, is_alive, read_some, says};

const ECHO_SH: &str = r#"#!/bin/sh
printf 'HTTP/1.1 200 OK\r\n\r\n%s|%s|%s|%s|' "$REQUEST_METHOD" "$PATH_INFO" "$QUERY_STRING" "$CONTENT_LENGTH"
exec cat
"#;

const ECHO_PYTHON: &str = r"
import os, sys
e = os.environ.get
out = sys.stdout.buffer
names = ('REQUEST_METHOD', 'PATH_INFO', 'QUERY_STRING', 'CONTENT_LENGTH')
out.write(('HTTP/1.1 200 OK\r\n\r\n' + ''.join(e(name, '') + '|' for name in names)).encode())
out.write(sys.stdin.buffer.read())
";

const ECHO_C: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    const char *names[] = {"REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH"};
    fputs("HTTP/1.1 200 OK\r\n\r\n", stdout);
    for (int i = 0; i < 4; i++) printf("%s|", getenv(names[i]) ? getenv(names[i]) : "");
    for (int c; (c = getchar()) != EOF; ) putchar(c);
    return 0;
}
"#;

const ECHO_RUST: &str = r#"
fn main() {
    print!("HTTP/1.1 200 OK\r\n\r\n");
    for name in ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH"] {
        print!("{}|", std::env::var(name).unwrap_or_default());
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).unwrap();
}
"#;

pub fn compile(sandbox: &Sandbox, compiler: &str, source: &str, extension: &str, name: &str) {
    let source = sandbox.write(&format!("source/{name}.{extension}"), source);
    let program = sandbox.handlers().join(name);
    let status = Command::new(compiler).arg("-o").arg(&program).arg(&source).status();
    assert!(status.is_ok_and(|status| status.success()), "{compiler} does not work");
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// A shell command that waits until the file exists.
fn until(file: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.01; done", file.display())
}

fn shell(sandbox: &Sandbox, name: &str, script: &str) {
    sandbox.handler(name, format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n{script}\n"));
}

/// Reads from a response until this text has arrived.
#[track_caller]
fn read_until(stream: &mut impl Read, text: &str) {
    let (mut all, mut piece) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&all).contains(text) {
        let n = read_some(stream, &mut piece);
        assert_ne!(n, 0, "no {text:?} in {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..n]);
    }
}

#[test]
fn handlers_in_four_languages_get_and_post() {
    let sandbox = Sandbox::new();
    let mut names = vec!["sh", "c"];
    sandbox.handler("sh", ECHO_SH);
    compile(&sandbox, "cc", ECHO_C, "c", "c");
    if is_there("rustc") {
        compile(&sandbox, "rustc", ECHO_RUST, "rs", "rust");
        names.push("rust");
    }
    if let Ok(found) = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output() {
        let python = String::from_utf8(found.stdout).unwrap();
        sandbox.handler("python", format!("#!{}\n{ECHO_PYTHON}", python.trim()));
        names.push("python");
    }
    let server = sandbox.start(&[]);
    for name in names {
        assert_eq!(server.get(&format!("/{name}")).text(), "GET||||", "{name}");
        let get = server.get(&format!("/{name}/more/of%20it?a=1&b=%20"));
        assert_eq!(get.text(), "GET|/more/of it|a=1&b=%20||", "{name}");
        let post = server.post(&format!("/{name}?q"), b"a body\0\xff");
        assert_eq!(post.body, b"POST||q|8|a body\0\xff", "{name}");
    }
}

#[test]
fn directories_have_handlers_and_an_index() {
    let sandbox = Sandbox::new();
    for name in ["index", "deep/er/echo", "deep/index", "deep/er/file.with.dots"] {
        shell(&sandbox, name, "printf '%s|%s|%s' \"$SCRIPT_NAME\" \"$PATH_INFO\" \"${PWD##*/}\"");
    }
    let server = sandbox.start(&[]);
    for (target, text) in [
        ("/", "/index||caffeine"),
        ("/?q", "/index||caffeine"),
        ("/deep/", "/deep/index||deep"),
        ("/deep/er/echo/a%2Fb/", "/deep/er/echo|/a/b/|er"),
        ("/deep/er/file.with.dots", "/deep/er/file.with.dots||er"),
    ] {
        assert_eq!(server.get(target).text(), text, "{target}");
    }
    assert_eq!(server.get("/deep/missing").status, 404);
}

#[test]
fn a_directory_is_served_with_and_without_a_slash() {
    let sandbox = Sandbox::new();
    shell(&sandbox, "shop/index", "printf '%s %s' \"$REQUEST_METHOD\" \"$SCRIPT_NAME\"");
    let server = sandbox.start(&[]);
    for target in ["/shop", "/shop/", "/shop?a=1"] {
        assert_eq!(server.get(target).text(), "GET /shop/index", "{target}");
        assert_eq!(server.post(target, b"a body").text(), "POST /shop/index", "{target}");
    }
}

#[test]
fn without_a_host_the_server_name_is_the_local_address() {
    let sandbox = Sandbox::new();
    shell(&sandbox, "name", "printf '%s' \"$SERVER_NAME\"");
    let request = |host: &str| format!("GET /name HTTP/1.0\r\n{host}\r\n");
    let server = sandbox.start(&["--bind", "0.0.0.0"]);
    for host in ["", "Host:\r\n", "Host: \r\n"] {
        assert_eq!(Response::parse(&server.raw(request(host).as_bytes())).text(), "127.0.0.1", "{host:?}");
    }
    assert_eq!(Response::parse(&server.raw(request("Host: a\r\n").as_bytes())).text(), "a");
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let server = sandbox.start(&["--bind", "::"]);
    let mut stream = std::net::TcpStream::connect(("::1", server.port())).unwrap();
    stream.write_all(request("").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(Response::parse(&answer).text(), "[::1]");
}

#[test]
fn bodies_of_every_size_arrive_complete() {
    let sandbox = Sandbox::new();
    sandbox.handler("echo", ECHO_SH);
    let server = sandbox.start(&["-w", "2"]);
    let body: Vec<u8> = (0..40_u32 << 20).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect();
    for size in [0, 1, 16_300, 16_384, 65_536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 40 << 20] {
        let expected = [format!("POST|||{size}|").as_bytes(), &body[..size]].concat();
        assert!(server.post("/echo", &body[..size]).body == expected, "{size} bytes by length");
        let mut request = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body[..size].chunks(50_021) {
            request.extend(format!("{:x};extension=\"of it\"\r\n", chunk.len()).bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\nTrailer: dropped\r\n\r\n");
        assert!(Response::parse(&server.raw(&request)).body == expected, "{size} bytes in chunks");
    }
    let folder = server.folder();
    let names = crate::harness::names_in(folder.log().parent().unwrap());
    assert_eq!(names, ["config.toml", "log", "pid", "process", "scoreboard"], "no body is left behind");
}

#[test]
fn output_reaches_the_client_while_the_handler_runs() {
    let sandbox = Sandbox::new();
    let go = sandbox.path("go");
    shell(&sandbox, "stream", &format!("printf first\n{}\nprintf second", until(&go)));
    let server = sandbox.start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "first");
    std::fs::write(&go, "").unwrap();
    read_until(&mut stream, "second");
    assert_eq!(read_some(&mut stream, &mut [0; 1]), 0);
}

fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_response_does_not_pass_through_the_worker() {
    let sandbox = Sandbox::new();
    const BYTES: u64 = 256 << 20;
    shell(&sandbox, "large", &format!("exec head -c {BYTES} /dev/zero"));
    let server = sandbox.start(&["-w", "1"]);
    server.get("/missing");
    let worker = server.worker_pids()[0];
    let before = peak_kib(worker);
    let mut stream = server.connect();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let bytes = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert_eq!(bytes, BYTES + "HTTP/1.1 200 OK\r\n\r\n".len() as u64);
    // The kernel sums per-processor counters, so the value may be slightly lower.
    let grown = peak_kib(worker).saturating_sub(before);
    assert!(grown < 2048, "the worker grew by {grown} KiB");
}

#[test]
fn workers_do_not_wait_for_their_handlers() {
    let sandbox = Sandbox::new();
    let go = sandbox.path("go");
    shell(&sandbox, "wait", &format!("{}\nprintf waited", until(&go)));
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "2"]);
    let pending: Vec<_> = (0..10).map(|_| begin(&server, "/wait")).collect();
    for _ in 0..10 {
        assert_eq!(server.get("/hello").text(), "hello");
    }
    std::fs::write(&go, "").unwrap();
    for request in pending {
        assert_eq!(request.finish().text(), "waited");
    }
}

#[test]
fn a_background_child_that_closes_its_output_does_not_hold_the_client() {
    let sandbox = Sandbox::new();
    let (go, done) = (sandbox.path("go"), sandbox.path("done"));
    let child = format!("{}; : >'{}'", until(&go), done.display());
    shell(&sandbox, "leaves", &format!("({child}) >/dev/null 2>&1 </dev/null &\nprintf left"));
    let server = sandbox.start(&[]);
    assert_eq!(server.get("/leaves").text(), "left");
    assert!(!done.exists());
    std::fs::write(&go, "").unwrap();
    eventually("the child goes on", || done.exists());
}

#[test]
fn a_background_child_that_keeps_the_output_holds_the_client() {
    let sandbox = Sandbox::new();
    let (go, parent) = (sandbox.path("go"), sandbox.path("parent"));
    let script = format!("echo $$ >'{}'\n({}; printf late) &\nprintf early", parent.display(), until(&go));
    shell(&sandbox, "keeps", &script);
    let server = sandbox.start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"GET /keeps HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "early");
    let parent: u32 = std::fs::read_to_string(&parent).unwrap().trim().parse().unwrap();
    eventually("the handler itself has ended", || !is_alive(parent));
    std::fs::write(&go, "").unwrap();
    read_until(&mut stream, "late");
    assert_eq!(read_some(&mut stream, &mut [0; 1]), 0);
}

#[test]
fn the_env_table_of_the_configuration_reaches_handlers() {
    let sandbox = Sandbox::new();
    shell(&sandbox, "env", "printf '%s|%s' \"$GREETING\" \"$PATH\"");
    let config =
        sandbox.write("c.toml", "[env]\nGREETING = \"good day\"\nPATH = \"/opt/own:/usr/bin:/bin\"\n");
    let server = sandbox.start(&["-c", config.to_str().unwrap()]);
    assert_eq!(server.get("/env").text(), "good day|/opt/own:/usr/bin:/bin");
}

#[test]
fn a_handler_that_runs_too_long_gets_sigterm_then_sigkill() {
    let sandbox = Sandbox::new();
    shell(&sandbox, "told", "trap 'printf told; exit' TERM\nwhile :; do sleep 0.02; done");
    shell(&sandbox, "ended", "printf begun\nexec sleep 600");
    let server = sandbox.start(&["--handler-timeout", "1s"]);
    assert_eq!(server.get("/told").text(), "told");
    assert_eq!(server.get("/ended").text(), "begun");
}

#[test]
fn a_handler_may_be_a_symbolic_link() {
    let sandbox = Sandbox::new();
    sandbox.program("elsewhere/hello", says("linked"));
    std::os::unix::fs::symlink(sandbox.path("elsewhere/hello"), sandbox.handlers().join("link")).unwrap();
    let server = sandbox.start(&[]);
    assert_eq!(server.get("/link").text(), "linked");
    assert!(sandbox.handlers().join("link").symlink_metadata().unwrap().mode() & 0o170000 == 0o120000);
}
