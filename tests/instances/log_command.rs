//! `--log`: printing, following across rotation and clearing, clearing while the instance runs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{Sandbox, eventually, says};

/// A stopped instance that left a log.
fn with_log(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".local/state/caffeine/lab/pid", "");
    sandbox.write(".local/state/caffeine/lab/log", text);
    sandbox
}

fn append(sandbox: &Sandbox, text: &str) {
    let log = sandbox.folder("lab").log();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// `caffeine --log --follow`, ended on drop.
struct Follower {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn new(sandbox: &Sandbox) -> Self {
        let mut child = sandbox.command(&["-n", "lab", "-l", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_whole_log_is_printed_even_after_the_instance_stopped() {
    let text = "a line\n".repeat(100_000);
    let sandbox = with_log(&text);
    assert_eq!(sandbox.caffeine(&["-n", "lab", "--log"]).succeeds().stdout, text);
}

#[test]
fn the_log_of_an_unknown_instance_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.caffeine(&["-n", "lab", "--log"]).fails(1, "instance lab has no log");
    sandbox.caffeine(&["-n", "lab", "--reset-logs"]).fails(1, "none is running");
}

#[test]
fn following_continues_across_rotation_and_clearing() {
    let sandbox = with_log("one\n");
    let mut follower = Follower::new(&sandbox);
    assert_eq!(follower.next(), "one");
    append(&sandbox, "two\n");
    assert_eq!(follower.next(), "two");

    let log = sandbox.folder("lab").log();
    append(&sandbox, "last of the old\n");
    std::fs::rename(&log, log.with_extension("1")).unwrap();
    append(&sandbox, "first of the new\n");
    assert_eq!(follower.next(), "last of the old");
    assert_eq!(follower.next(), "first of the new");

    sandbox.caffeine(&["-n", "lab", "--reset-logs"]).succeeds();
    append(&sandbox, "after\n");
    assert_eq!(follower.next(), "after");
}

#[test]
fn following_restarts_when_a_cleared_log_has_outgrown_the_old_offset() {
    let sandbox = with_log("one\n");
    let mut follower = Follower::new(&sandbox);
    assert_eq!(follower.next(), "one");
    let path = sandbox.folder("lab").log();
    for turn in 0..20 {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(0).unwrap();
        append(&sandbox, &format!("turn {turn}\n{}", "and more\n".repeat(turn + 1)));
        assert_eq!(follower.next(), format!("turn {turn}"));
        (0..=turn).for_each(|_| assert_eq!(follower.next(), "and more"));
    }
}

#[test]
fn following_misses_nothing_when_the_log_is_cleared() {
    let sandbox = with_log("");
    let mut follower = Follower::new(&sandbox);
    for turn in 0..10 {
        append(&sandbox, &format!("before {turn}\n"));
        sandbox.caffeine(&["-n", "lab", "--reset-logs"]).succeeds();
        append(&sandbox, &format!("after {turn}\n"));
        assert_eq!(follower.next(), format!("before {turn}"));
        assert_eq!(follower.next(), format!("after {turn}"));
    }
}

#[test]
fn late_lines_in_a_rotated_log_are_followed() {
    let sandbox = with_log("one\n");
    let mut follower = Follower::new(&sandbox);
    assert_eq!(follower.next(), "one");
    let log = sandbox.folder("lab").log();
    let mut old = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::fs::rename(&log, log.with_extension("1")).unwrap();
    append(&sandbox, "new\n");
    assert_eq!(follower.next(), "new");
    old.write_all(b"late\n").unwrap();
    assert_eq!(follower.next(), "late");
}

#[test]
fn a_request_is_in_the_log_printed_right_after_it() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab"]);
    for turn in 0..20 {
        assert_eq!(server.get(&format!("/hello?{turn}")).status, 200);
        let log = sandbox.caffeine(&["-n", "lab", "-l"]).succeeds().stdout;
        assert!(log.contains(&format!("target=/hello?{turn} ")), "{log}");
    }
}

#[test]
fn following_ends_quietly_when_the_reader_exits() {
    let sandbox = with_log("one\n");
    let mut child = sandbox
        .command(&["-n", "lab", "-l", "-f"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut status = None;
    eventually("the follower ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert!(status.unwrap().success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn clearing_the_log_of_a_running_instance_keeps_later_lines() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab"]);
    server.get("/hello?before");
    eventually("the request is in the log", || server.log().contains("/hello?before"));
    sandbox.caffeine(&["-n", "lab", "--reset-logs"]).succeeds();
    server.get("/hello?after");
    eventually("the next one too", || server.log().contains("/hello?after"));
    let log = server.log();
    assert!(!log.contains("/hello?before") && !log.contains('\0'), "{log:?}");
}

/// A FIFO without a reader: opening it for writing would block.
fn fifo(path: &std::path::Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[test]
fn a_fifo_in_place_of_the_log_is_refused_and_never_blocks() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab", "-w", "2"]);
    let log = sandbox.folder("lab").log();
    let old = log.with_extension("old");
    std::fs::rename(&log, &old).unwrap();
    fifo(&log);
    server.signal(Signal::SIGUSR1);
    let old_log = || std::fs::read_to_string(&old).unwrap();
    eventually("the supervisor says so in the old log", || old_log().contains("it is not a regular file"));
    (0..4).for_each(|_| assert_eq!(server.get("/hello").status, 200));
    eventually("workers go on with the old log", || old_log().matches("target=/hello").count() == 4);
    server.stop();
    for arguments in [&["-D"][..], &[]] {
        let command = [&["-n", "lab", "-p", "0", "--bind", "127.0.0.1"], arguments].concat();
        sandbox.caffeine(&command).fails(1, "log: it is not a regular file");
    }
}

#[test]
fn a_fifo_in_place_of_another_instance_file_is_refused() {
    for file in ["config.new", "scoreboard.new"] {
        let sandbox = Sandbox::new();
        std::fs::create_dir_all(sandbox.state_dir().join("lab")).unwrap();
        fifo(&sandbox.state_dir().join("lab").join(file));
        let start = sandbox.caffeine(&["-n", "lab", "-p", "0", "--bind", "127.0.0.1"]);
        start.fails(1, "it is not a regular file");
    }
}
