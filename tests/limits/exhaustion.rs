//! Resources that really run out: descriptors, processes, memory, disk space; and removed files.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use crate::harness::sys::seccomp::Call;
use nix::sys::signal::Signal;

use crate::harness::traffic::{begin, counters};
use crate::harness::{Answer, Response, Sandbox, Server, eventually, executed_by, is_alive, says, skipped};
use crate::platform::privileges::{is_root, open_home, start_as};

/// Sets a soft limit of a running process with prlimit(1), such as `--nofile=9:`.
fn limit(process: u32, limit: &str) {
    let status = Command::new("prlimit").args(["--pid", &process.to_string(), limit]).status();
    assert!(status.unwrap().success(), "prlimit {limit}");
}

/// The next descriptor number of the process.
fn next_descriptor(pid: u32) -> usize {
    let open: Vec<usize> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    (0..).find(|number| !open.contains(number)).unwrap()
}

/// A server with this descriptor limit per process.
pub fn start_within(sandbox: &Sandbox, descriptors: u32, arguments: &[&str]) -> Server {
    sandbox.start_with(arguments, |command| {
        executed_by(command, &["sh", "-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
    })
}

fn with_hello(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(arguments);
    (sandbox, server)
}

#[test]
fn without_descriptors_a_worker_pauses_logs_once_and_recovers() {
    let (_sandbox, server) = with_hello(&["-w", "1", "--respond", "fixed"]);
    assert_eq!(server.get("/").status, 200);
    let worker = server.worker_pids()[0];
    eventually("it holds no client", || counters(&server)[0].open == 0);
    limit(worker, &format!("--nofile={}:", next_descriptor(worker)));
    let clients: Vec<_> = (0..3).map(|_| begin(&server, "/")).collect();
    eventually("the log says so", || server.log().contains("cannot accept for now: Too many open files"));
    let before = counters(&server)[0].wakeups;
    std::thread::sleep(std::time::Duration::from_millis(500));
    let tries = counters(&server)[0].wakeups - before;
    assert!(tries < 50, "{tries} tries in half a second: a busy loop");
    assert_eq!(server.log().matches("cannot accept").count(), 1, "{}", server.log());
    limit(worker, "--nofile=100:");
    for client in clients {
        assert_eq!(client.finish().status, 200);
    }
    eventually("the log says that it is over", || server.log().contains("accepting again"));
    assert_eq!(server.worker_pids(), [worker]);
}

#[test]
fn without_descriptors_in_the_whole_system_a_worker_pauses_logs_once_and_recovers() {
    let sandbox = Sandbox::new();
    let lacks = Arc::new(AtomicBool::new(false));
    let tries = Arc::new(AtomicUsize::new(0));
    let (lack, asked) = (Arc::clone(&lacks), Arc::clone(&tries));
    let answer = move |_: &Call| {
        let lack = lack.load(SeqCst);
        asked.fetch_add(usize::from(lack), SeqCst);
        if lack { Answer::Fail(libc::ENFILE) } else { Answer::Allow }
    };
    let arguments = ["-w", "1", "--respond", "fixed"];
    let Some(server) = sandbox.start_behind(&[libc::SYS_accept4], answer, &arguments) else { return };
    assert_eq!(server.get("/").status, 200);
    let worker = server.worker_pids();
    lacks.store(true, SeqCst);
    // The first connection may be taken by an accept4() that had begun before.
    let clients: Vec<_> = (0..3).map(|_| begin(&server, "/")).collect();
    eventually("the log says so", || {
        server.log().contains("cannot accept for now: Too many open files in system")
    });
    let before = tries.load(SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let more = tries.load(SeqCst) - before;
    assert!((1..50).contains(&more), "{more} tries in half a second");
    assert_eq!(server.log().matches("cannot accept").count(), 1, "{}", server.log());
    lacks.store(false, SeqCst);
    for client in clients {
        assert_eq!(client.finish().status, 200);
    }
    eventually("the log says that it is over", || server.log().contains("accepting again"));
    assert_eq!(server.worker_pids(), worker);
}

#[test]
fn slow_clients_leave_descriptors_for_others() {
    let (_sandbox, server) = with_hello(&["-w", "1", "--header-timeout", "1h"]);
    let worker = server.worker_pids()[0];
    limit(worker, "--nofile=64:");
    // A worker reads its limit at its start, so a replacement is needed to apply it.
    let crowd: Vec<TcpStream> = (0..100).map(|_| crate::harness::traffic::half_a_request(&server)).collect();
    eventually("it has run out", || server.log().contains("Too many open files"));
    drop(crowd);
    assert_eq!(server.get("/hello").text(), "hello");

    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = start_within(&sandbox, 100, &["-w", "1", "--header-timeout", "1h"]);
    let mut crowd: Vec<TcpStream> =
        (0..150).map(|_| crate::harness::traffic::half_a_request(&server)).collect();
    let last = crowd.last_mut().unwrap();
    let mut bytes = Vec::new();
    last.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).status, 503);
    for _ in 0..20 {
        assert_eq!(server.get("/hello").text(), "hello", "quick ones are served all the same");
    }
    assert!(!server.log().contains("cannot accept"), "{}", server.log());
    drop((crowd, server, sandbox));
}

#[test]
fn with_too_few_descriptors_it_starts_or_says_why_not() {
    let sandbox = Sandbox::new();
    let mut refused = 0;
    for limit in 6..=30 {
        let mut command = sandbox.command(&["-D", "-n", "lab", "-p", "0", "--bind", "127.0.0.1", "-w", "2"]);
        // Descriptors inherited from whatever started the tests would count too.
        let closed: String = (3..10).map(|fd| format!("{fd}>&- ")).collect();
        let script = format!("ulimit -n {limit}; exec {closed}\"$0\" \"$@\"");
        executed_by(&mut command, &["sh", "-c", &script]);
        let outcome = sandbox.run(command);
        if outcome.code == Some(0) {
            sandbox.caffeine(&["-n", "lab", "--stop"]).succeeds();
        } else {
            outcome.fails(1, "Too many open files");
            refused += 1;
        }
    }
    assert!(refused > 0 && refused < 25, "{refused} of 25 were refused");
}

#[test]
fn without_processes_a_request_gets_500_and_the_next_is_served() {
    if !is_root("without_processes_a_request_gets_500_and_the_next_is_served") {
        return; // root is exempt from this limit, and only root can switch to another user
    }
    let sandbox = open_home();
    let server = start_as(&sandbox, "54322", &["-w", "1"]);
    assert_eq!(server.get("/hello").text(), "hello");
    let worker = server.worker_pids()[0];
    let limit = |limit: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &worker.to_string(), limit]).uid(54_322).gid(54_322);
        assert!(prlimit.status().unwrap().success(), "prlimit {limit}");
    };
    limit("--nproc=1:");
    for _ in 0..3 {
        assert_eq!(server.get("/hello").status, 500);
        assert_eq!(server.post("/hello", b"body").status, 500);
    }
    eventually("the log says why", || {
        server.log().contains("cannot make a process: Resource temporarily unavailable")
    });
    assert_eq!(counters(&server)[0].launch_failures, 6);
    limit("--nproc=1000:");
    assert_eq!(server.get("/hello").text(), "hello");
    assert_eq!(server.worker_pids(), [worker]);
}

#[test]
fn without_memory_at_most_a_worker_dies_and_service_continues() {
    let (_sandbox, server) = with_hello(&["-w", "1", "--header-timeout", "1h"]);
    let worker = server.worker_pids()[0];
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let bytes = (size.trim().trim_end_matches(" kB").parse::<u64>().unwrap() + 2048) * 1024;
    limit(worker, &format!("--as={bytes}:{bytes}"));
    assert_eq!(server.get("/hello").text(), "hello");
    // Half-read heads are kept in memory: 64 of these exceed the limit.
    let head = format!("GET /hello HTTP/1.1\r\nHost: a\r\nLarge: {}", "x".repeat(60_000));
    let mut crowd = Vec::new();
    for _ in 0..64 {
        let mut client = server.connect();
        let _ = client.write_all(head.as_bytes());
        crowd.push(client);
    }
    eventually("it could bear no more", || server.log().contains("was killed by signal 6"));
    assert_eq!(server.get("/hello").text(), "hello");
    assert!(is_alive(server.pid()) && server.worker_pids() != [worker]);
}

/// A small file system, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where mounting is not permitted.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &options, "caffeine-test"]).arg(at).output();
        status.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    /// Fills all remaining space until the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_requests_are_served_bodies_get_507_and_logging_resumes() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.handler("length", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec wc -c\n");
    let Some(disk) = Disk::mount(&sandbox.path("small"), "8m") else {
        return skipped("nothing can be mounted here");
    };
    let server = sandbox.start_in(
        &disk.0,
        &["--state-dir", disk.0.to_str().unwrap(), "-n", "lab", "-w", "2", "--log-format", "json"],
    );
    let large = vec![b'x'; 3 << 20];
    assert_eq!(server.post("/length", &large).text().trim(), large.len().to_string());
    let filler = disk.fill();
    for turn in 0..60 {
        assert_eq!(server.get(&format!("/hello?full-{turn}-{}", "x".repeat(200))).text(), "hello");
    }
    for _ in 0..3 {
        assert_eq!(server.post("/length", b"small").text().trim(), "5", "what fits into memory");
        assert_eq!(server.post("/length", &large).status, 507);
    }
    sandbox_reload(&server);
    assert_eq!(server.get("/hello").text(), "hello");
    fs::remove_file(filler).unwrap();
    assert_eq!(server.post("/length", &large).text().trim(), large.len().to_string());
    for _ in 0..8 {
        server.get("/hello?after");
    }
    eventually("the log goes on", || server.log().contains("/hello?after"));
    eventually("it says that lines are missing", || server.log().contains("could not be written"));
    let log = server.log();
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "a line is whole, or not there: {line}"
        );
    }
    eventually("nothing of a body is left", || crate::harness::names_in(server.folder().dir()).len() <= 6);
    server.stop();
}

/// Reloads, even when the settings cannot be recorded.
fn sandbox_reload(server: &Server) {
    let before = server.worker_pids();
    server.signal(Signal::SIGHUP);
    eventually("there are new workers", || {
        let now = server.worker_pids();
        now.iter().all(|pid| *pid != 0 && !before.contains(pid))
    });
}

#[test]
fn a_removed_log_does_not_stop_the_server_and_is_reopened() {
    let (_sandbox, server) = with_hello(&["-w", "2"]);
    let log = server.folder().log();
    fs::remove_file(&log).unwrap();
    (0..4).for_each(|_| assert_eq!(server.get("/hello").text(), "hello"));
    assert!(!log.exists());
    server.signal(Signal::SIGUSR1);
    eventually("there is a new one", || log.exists());
    eventually("all write to it", || {
        server.get("/hello?again");
        server.log().contains("worker 0") && server.log().contains("worker 1")
    });
}

#[test]
fn without_its_folder_an_instance_serves_reloads_and_stops() {
    let (sandbox, mut server) = with_hello(&["-n", "lab", "-w", "2"]);
    let before = server.worker_pids();
    let folder = server.folder();
    fs::remove_dir_all(folder.dir()).unwrap();
    assert_eq!(server.get("/hello").text(), "hello");
    assert_eq!(server.post("/hello", &vec![b'x'; 3 << 20]).status, 500, "a large body has no place");
    for signal in [Signal::SIGUSR1, Signal::SIGHUP] {
        server.signal(signal);
    }
    eventually("the old workers have left", || before.iter().all(|&pid| !is_alive(pid)));
    assert_eq!(server.get("/hello").text(), "hello");
    sandbox.caffeine(&["-n", "lab", "--stop"]).fails(1, "lab");
    // The port is still taken, and the name is free.
    let port = server.port().to_string();
    sandbox
        .caffeine(&["-n", "lab", "-p", &port, "--bind", "127.0.0.1"])
        .fails(1, &format!("port {port} is in use"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    let again = sandbox.start(&["-n", "lab", "-p", &port]);
    assert_eq!(again.get("/hello").text(), "hello");
}
