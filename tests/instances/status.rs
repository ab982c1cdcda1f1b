//! `--status`: its table in a pipe, and its screen on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::harness::{Sandbox, Server, eventually, executed_by, pid, says};

/// `--status` on a terminal of its own.
struct Terminal {
    child: Child,
    master: File,
    slave: File,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(sandbox: &Sandbox, columns: u16, lines: u16) -> Self {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        let mut command = sandbox.command(&["-n", "lab", "--status"]);
        command.env("TERM", "xterm");
        // The tests may run under nohup(1), which ignores SIGHUP.
        let as_usual = "--default-signal=HUP,QUIT,TERM";
        executed_by(&mut command, &["env", as_usual, "setsid", "--ctty"]);
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (text, mut from) = (shown.clone(), master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, master, slave, shown }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// The lines of the last complete screen.
    fn picture(&self) -> Vec<String> {
        let shown = self.shown();
        let whole = shown.rsplit_once("\u{1b}[J").map_or("", |(whole, _)| whole);
        let picture = whole.rsplit("\u{1b}[H").next().unwrap_or_default();
        picture.lines().map(|line| line.trim_end_matches('\r').replace("\u{1b}[K", "")).collect()
    }

    #[track_caller]
    fn shows(&self, what: &str) {
        eventually(what, || self.picture().iter().any(|line| line.contains(what)));
    }

    fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(self.slave.as_fd()).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Waits for the exit; the terminal settings must be restored.
    #[track_caller]
    fn ends(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        assert!(!self.is_raw(), "the terminal is as before");
        eventually("the screen is left", || self.shown().contains("\u{1b}[?25h\u{1b}[?1049l"));
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_workers(workers: &str) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab", "-w", workers]);
    (sandbox, server)
}

/// Whether setsid(1) is installed, which gives a program a terminal.
fn has_setsid() -> bool {
    let has = Command::new("setsid").arg("--version").output().is_ok();
    if !has {
        crate::harness::skipped("setsid is not installed");
    }
    has
}

#[test]
fn thirty_workers_on_twenty_four_lines_keep_the_header_and_scroll() {
    if !has_setsid() {
        return;
    }
    let (sandbox, server) = with_workers("30");
    (0..3).for_each(|_| assert_eq!(server.get("/hello").status, 200));
    assert_eq!(server.get("/missing").status, 404);
    let mut terminal = Terminal::open(&sandbox, 80, 24);
    terminal.shows("lab (pid ");
    terminal.shows("accepted 4");
    terminal.shows("own answers 1");
    terminal.shows("1 to ");
    terminal.shows(" of 30: arrows, PgUp, PgDn   q leaves");
    assert!(terminal.shown().starts_with("\u{1b}[?1049h") && terminal.is_raw());
    assert_eq!(terminal.picture().len(), 24);
    terminal.types("G");
    terminal.shows(" to 30 of 30: arrows");
    assert!(terminal.picture()[0].starts_with("lab (pid "), "{:#?}", terminal.picture());
    terminal.types("q");
    assert!(terminal.ends().success());
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    if !has_setsid() {
        return;
    }
    let (sandbox, _server) = with_workers("4");
    let mut terminal = Terminal::open(&sandbox, 80, 24);
    eventually("it is there", || terminal.picture().len() == 24);
    let mut stty = Command::new("stty");
    stty.args(["rows", "10", "cols", "40"]).stdin(terminal.slave.try_clone().unwrap());
    assert!(stty.status().unwrap().success());
    // stty sets rows and columns one after the other.
    eventually("it is smaller", || {
        let picture = terminal.picture();
        picture.len() == 10 && picture.iter().all(|line| line.chars().count() <= 40)
    });
    terminal.types("\u{3}");
    assert!(terminal.ends().success());
}

#[test]
fn a_fatal_signal_restores_the_terminal() {
    use std::os::unix::process::ExitStatusExt;
    if !has_setsid() {
        return;
    }
    let (sandbox, _server) = with_workers("1");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let terminal = Terminal::open(&sandbox, 80, 24);
        terminal.shows("q leaves");
        nix::sys::signal::kill(pid(terminal.child.id()), signal).unwrap();
        assert_eq!(terminal.ends().signal(), Some(signal as i32));
    }
}

#[test]
fn the_screen_ends_with_the_instance() {
    if !has_setsid() {
        return;
    }
    let (sandbox, server) = with_workers("1");
    let terminal = Terminal::open(&sandbox, 80, 24);
    terminal.shows("q leaves");
    server.stop();
    let shown = terminal.shown.clone();
    assert!(terminal.ends().success());
    eventually("it says so", || shown.lock().unwrap().contains("instance lab has ended"));
}

#[test]
fn status_in_a_pipe_prints_a_line_per_worker() {
    let (sandbox, server) = with_workers("2");
    for _ in 0..4 {
        assert_eq!(server.get("/hello").status, 200);
    }
    assert_eq!(server.post("/hello", b"ignored").header("content-type"), Some("text/plain"));
    assert_eq!(server.get("/missing").status, 404);
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    for text in ["accepted 6,", "launched 5,", "own answers 1,", "4xx 1,"] {
        assert!(status.contains(text), "no {text:?} in {status}");
    }
    assert!(status.lines().all(|line| line.len() <= 80), "{status}");
    // Scripts read the first two columns.
    for (number, pid) in server.worker_pids().iter().enumerate() {
        let is_its = |line: &str| line.split_whitespace().take(2).eq([number.to_string(), pid.to_string()]);
        assert!(status.lines().any(|line| is_its(line) && line.contains("running")), "{status}");
    }
}

#[test]
fn instance_counters_continue_across_reloads() {
    let (sandbox, server) = with_workers("2");
    let accepted = || server.scoreboard().totals().accepted;
    for round in 1..=4 {
        (0..5).for_each(|_| assert_eq!(server.get("/hello").status, 200));
        assert_eq!(accepted(), round * 5);
        sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        assert_eq!(accepted(), round * 5);
    }
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    assert!(status.contains("accepted 20,") && status.contains("generation 5"), "{status}");
}

#[test]
fn a_scoreboard_of_another_version_is_refused() {
    let (sandbox, server) = with_workers("1");
    let path = server.folder().scoreboard();
    let sound = std::fs::read(&path).unwrap();
    let replace = |bytes: &[u8]| {
        // Not in place: the server has the file mapped.
        let other = path.with_extension("other");
        std::fs::write(&other, bytes).unwrap();
        std::fs::rename(&other, &path).unwrap();
        sandbox.caffeine(&["-n", "lab", "--status"])
    };
    let version = if cfg!(target_endian = "little") { 0 } else { 7 };
    let mut older = sound.clone();
    older[version] = 1;
    replace(&older).fails(1, "it has version 1, but this program reads version");
    let mut foreign = sound.clone();
    foreign[7 - version] = 0;
    replace(&foreign).fails(1, "it is not a scoreboard");
    replace(&sound[..sound.len() - 256]).fails(1, "its length does not match its header");
    replace(b"").fails(1, "it is too short for a scoreboard");
    assert!(sandbox.caffeine(&["-L"]).succeeds().stdout.contains("lab "));
    replace(&sound).succeeds();
}
