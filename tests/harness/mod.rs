//! The test harness: a sandbox with its own home, and servers that end with it.
//!
//! A test never sleeps to wait for a condition: [`eventually`] polls it, with a deadline that only a failure
//! reaches.

pub mod browser;
mod gate;
mod http;
mod machine;
mod programs;
pub mod standstill;
pub mod sys;
pub mod syscalls;
pub mod traffic;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use caffeine::instance::{Folder, registry};
use caffeine::scoreboard::Scoreboard;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use standstill::Instance;

pub use gate::{Answer, intercept};
pub use http::{Response, connect, get, raw, read_some};
pub use machine::{
    Place, free_port, has_descriptors, is_alive, names_in, port_of, privileged_port, skipped,
    without_settings,
};
pub use programs::copy_program;

/// Longer than any step takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
///
/// # Panics
/// If it does not hold within [`DEADLINE`].
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A temporary home directory with state, handlers and configuration. Dropping it ends all its instances.
pub struct Sandbox {
    home: TempDir,
}

impl Sandbox {
    /// A home that is empty except for the default handlers' directory.
    pub fn new() -> Self {
        let sandbox = Self { home: tempfile::Builder::new().prefix("caffeine-test").tempdir().unwrap() };
        fs::create_dir_all(sandbox.handlers()).unwrap();
        sandbox
    }

    /// A path in the home.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.home.path().join(relative)
    }

    /// The default handlers' directory.
    pub fn handlers(&self) -> PathBuf {
        self.path(".config/caffeine")
    }

    /// The default state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.path(".local/state/caffeine")
    }

    /// The folder of an instance.
    pub fn folder(&self, name: &str) -> Folder {
        Folder::new(&self.state_dir(), &name.parse().unwrap())
    }

    /// Writes a file, and the directories above it.
    pub fn write(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// Writes an executable file.
    pub fn program(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(relative, contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Puts a handler into the default directory. Not for a handler that is being executed.
    pub fn handler(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        self.program(&format!(".config/caffeine/{name}"), contents)
    }

    /// The program in this home, without settings from the environment of the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caffeine"));
        without_settings(&mut command);
        command.args(arguments).env("HOME", self.home.path());
        if !nix::unistd::geteuid().is_root() {
            // Tests read /proc, and only root may always do so.
            command.env("CAFFEINE_DUMPABLE", "true");
        }
        command.current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program and waits for it.
    pub fn caffeine(&self, arguments: &[&str]) -> Outcome {
        self.run(self.command(arguments))
    }

    /// Runs a command made by [`Self::command`] and reads all its output.
    #[track_caller]
    pub fn run(&self, mut command: Command) -> Outcome {
        let what = format!("{command:?}");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let number = child.id();
        // No SIGCHLD handler, as in crates for this: every child that ends would interrupt another test's
        // read().
        let (send, ended) = mpsc::channel();
        std::thread::spawn(move || send.send(child.wait_with_output()));
        let output = ended.recv_timeout(DEADLINE).unwrap_or_else(|_| {
            let _ = kill(pid(number), Signal::SIGKILL);
            panic!("{what} did not end");
        });
        Outcome::of(&what, output.unwrap())
    }

    /// Starts a server in the foreground, by default on a free port of 127.0.0.1, and waits until it
    /// is ready.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Server {
        self.start_with(arguments, |_| {})
    }

    /// Like [`Self::start`], after `prepare` has changed the command.
    #[track_caller]
    pub fn start_with(&self, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Server {
        Server::spawn(self.start_command(arguments, prepare), self.state_dir())
    }

    fn start_command(&self, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Command {
        let mut command = self.command(arguments);
        prepare(&mut command);
        let has_port = |argument: &&str| ["-p", "--port"].contains(argument) || argument.starts_with("unix:");
        if !arguments.iter().any(has_port) {
            command.args(["--port", "0"]);
        }
        if !arguments.contains(&"--bind") {
            command.args(["--bind", "127.0.0.1"]);
        }
        command
    }

    /// Like [`Self::start`], with another state directory.
    #[track_caller]
    pub fn start_in(&self, state_dir: &Path, arguments: &[&str]) -> Server {
        let mut server = self.start_with(arguments, |_| {});
        server.state_dir = state_dir.to_owned();
        server
    }

    /// Starts a named daemon on a free port of 127.0.0.1; returns the port.
    #[track_caller]
    pub fn start_daemon(&self, name: &str, arguments: &[&str]) -> u16 {
        let mut command = self.command(arguments);
        command.args(["--daemon", "--name", name, "--bind", "127.0.0.1", "--port", "0"]);
        port_of(&self.run(command).succeeds().stdout)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for folder in registry::all(&self.state_dir()).unwrap_or_default() {
            let Ok(Some((pid, process))) = folder.process() else { continue };
            let _ = process.signal(Signal::SIGQUIT);
            let end = Instant::now() + Duration::from_secs(5);
            while Instant::now() < end
                && folder.process().is_ok_and(|now| now.is_some_and(|now| now.0 == pid))
            {
                let _ = process.wait(20);
            }
            let _ = process.signal(Signal::SIGKILL);
        }
    }
}

/// Runs the command through another program that gets it after `words`: a shell that sets limits, setpriv(1).
pub fn executed_by(command: &mut Command, words: &[&str]) {
    let mut other = Command::new(words[0]);
    other.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    *command = other;
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    what: String,
    /// Exit code; `None` after a fatal signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(what: &str, output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { what: what.to_owned(), code: output.status.code(), stdout, stderr }
    }

    /// Expects exit code 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}: {self:#?}", self.what);
        self
    }

    /// Expects this exit code and, besides lines of the log, a single line on standard error that contains this text.
    #[track_caller]
    pub fn fails(self, code: i32, text: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}: {self:#?}", self.what);
        let is_logged = |line: &&str| line.starts_with("20") && line.get(23..25) == Some("Z ");
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !is_logged(line)).collect();
        assert_eq!(lines.len(), 1, "more than one line: {self:#?}");
        assert!(lines[0].starts_with("caffeine: ") && lines[0].contains(text), "no {text:?} in {self:#?}");
        self
    }
}

/// A server in the foreground. Dropping it kills it.
pub struct Server {
    child: Child,
    name: String,
    place: Place,
    state_dir: PathBuf,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    #[track_caller]
    fn spawn(mut command: Command, state_dir: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = err.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (send, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out).lines().map_while(Result::ok);
            let _ = send.send(lines.next());
            lines.for_each(drop);
        });
        let ready = line.recv_timeout(DEADLINE).ok().flatten();
        let Some(ready) = ready else {
            let _ = child.kill();
            panic!("{command:?} did not get ready: {:?}, {}", child.wait(), stderr.join().unwrap());
        };
        let name = ready.split(' ').nth(1).unwrap_or_default().to_owned();
        Self { child, name, place: Place::of(&ready), state_dir, stderr: Some(stderr) }
    }

    /// 0 for a unix socket.
    pub fn port(&self) -> u16 {
        self.place.port()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The supervisor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn folder(&self) -> Folder {
        Folder::new(&self.state_dir, &self.name.parse().unwrap())
    }

    pub fn scoreboard(&self) -> Scoreboard {
        Scoreboard::open(&self.folder().scoreboard()).unwrap()
    }

    /// The pids of the current generation's workers by number.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.scoreboard().snapshot().iter().map(|row| u32::try_from(row.pid).unwrap()).collect()
    }

    /// The log, with the lines that are buffered now.
    pub fn log(&self) -> String {
        if let Ok(board) = Scoreboard::open(&self.folder().scoreboard()) {
            board.await_lines();
        }
        fs::read_to_string(self.folder().log()).unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) {
        kill(pid(self.pid()), signal).unwrap();
    }

    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        self.place.connect().unwrap()
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        Response::parse(&self.raw(http::get_request(target).as_bytes()))
    }

    #[track_caller]
    pub fn post(&self, target: &str, body: &[u8]) -> Response {
        let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
        Response::parse(&self.raw(&[head.as_bytes(), body].concat()))
    }

    /// Sends these bytes and reads until EOF.
    #[track_caller]
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Instance::of(self).read_to_end(&mut stream).unwrap()
    }

    /// Waits for the process; returns its exit code and standard error.
    #[track_caller]
    pub fn wait(&mut self) -> (Option<i32>, String) {
        let mut status = None;
        eventually("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let stderr = self.stderr.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
        (status.and_then(|status| status.code()), stderr)
    }

    /// Stops it gracefully, expects exit code 0 and returns standard error.
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let (code, stderr) = self.wait();
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(pid(self.child.id()), Signal::SIGQUIT);
            let end = Instant::now() + Duration::from_secs(5);
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap())
}

/// A shell handler that answers 200 with this text.
pub fn says(text: &str) -> String {
    format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n%s' '{text}'\n")
}
