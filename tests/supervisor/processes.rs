//! The supervisor and its workers as processes: descriptors, deaths, signals.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use nix::sys::signal::{Signal, kill};

use crate::harness::traffic::begin;
use crate::harness::{Sandbox, Server, eventually, get, is_alive, pid, says};

fn with_hello(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(arguments);
    (sandbox, server)
}

/// A server with a handler `/wait` that writes its pid to the file `pid` and runs until the file `go` exists.
fn with_wait(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let (go, pid) = (sandbox.path("go"), sandbox.path("pid"));
    let wait = format!(
        "echo $$ >'{0}.new'; mv '{0}.new' '{0}'\nuntil [ -e '{1}' ]; do sleep 0.01; done\n",
        pid.display(),
        go.display()
    );
    sandbox.handler("wait", says("waited").replacen('\n', &format!("\n{wait}"), 1));
    let server = sandbox.start(arguments);
    (sandbox, server)
}

/// The pid of the waiting handler.
fn waiting(sandbox: &Sandbox) -> u32 {
    let mut pid = None;
    eventually("the handler runs", || {
        pid = fs::read_to_string(sandbox.path("pid")).ok().and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Children of these processes, with their state.
fn children(parents: &[u32]) -> Vec<(u32, char)> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let child =
        |pid: u32| stat(pid).filter(|(_, parent)| parents.contains(parent)).map(|(state, _)| (pid, state));
    processes.filter_map(child).collect()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Inodes of the sockets that a process holds.
fn sockets(pid: u32) -> BTreeSet<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(Into::into))
        .collect()
}

/// Inodes of the sockets that listen on a port.
fn listeners(port: u16) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let end = format!(":{port:04X}");
    let listens = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[3] == "0A" && fields[1].ends_with(&end)).then(|| fields[9].to_owned())
    };
    table.lines().skip(1).filter_map(listens).collect()
}

#[test]
fn thousands_of_requests_leak_neither_zombies_nor_descriptors() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.handler("broken", "#!/no/such/interpreter\n");
    sandbox.write(".config/caffeine/secret", "");
    let server = sandbox.start(&["-w", "2", "--max-body", "3MiB", "--max-handlers", "100"]);
    let large = vec![b'x'; 2 << 20];
    let some_of_everything = || {
        for target in ["/hello", "/missing", "/secret", "/broken", "/hello/info?query", "/hello"] {
            server.get(target);
        }
        server.post("/hello", b"body");
        server.raw(b"nonsense\r\n\r\n");
        drop(TcpStream::connect(("127.0.0.1", server.port())));
        server.connect().write_all(b"GET /hello HTTP/1.1\r\nHo").unwrap();
    };
    let settled = || {
        eventually("no connection is held", || {
            server.scoreboard().snapshot().iter().all(|row| row.open == 0 && row.running == 0)
        });
    };
    some_of_everything();
    server.post("/hello", &large);
    settled();
    let workers = server.worker_pids();
    let keeper = u32::try_from(server.scoreboard().keeper().unwrap().pid).unwrap();
    let all = [workers.clone(), vec![server.pid(), keeper]].concat();
    let before: Vec<usize> = all.iter().map(|&pid| descriptors(pid)).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| some_of_everything()));
        }
    });
    (0..10).for_each(|_| drop(server.post("/hello", &large)));
    settled();
    assert_eq!(server.worker_pids(), workers, "no worker has died");
    eventually("no handler is left, dead or alive", || {
        children(&all).iter().all(|(pid, _)| workers.contains(pid) || *pid == keeper)
    });
    let after: Vec<usize> = all.iter().map(|&pid| descriptors(pid)).collect();
    assert_eq!(after, before, "descriptors of the workers and the supervisor");
}

#[test]
fn the_supervisor_holds_no_listening_descriptor() {
    for listener in ["inherited", "reuseport"] {
        let (_sandbox, server) = with_hello(&["-w", "2", "--listener", listener]);
        let check = || {
            let listeners = listeners(server.port());
            assert_eq!(listeners.len(), if listener == "reuseport" { 2 } else { 1 }, "{listener}");
            for worker in server.worker_pids() {
                assert!(!sockets(worker).is_disjoint(&listeners), "{listener}: a worker without a listener");
            }
            assert!(sockets(server.pid()).is_disjoint(&listeners), "{listener}: the supervisor could accept");
        };
        check();
        let before = server.worker_pids();
        kill(pid(before[0]), Signal::SIGKILL).unwrap();
        eventually("a successor runs", || {
            !server.worker_pids().iter().any(|pid| *pid == before[0] || *pid == 0)
        });
        eventually("the sockets are parked again", || {
            sockets(server.pid()).is_disjoint(&listeners(server.port()))
        });
        check();
    }
}

#[test]
fn dead_workers_are_replaced_one_or_all() {
    let (_sandbox, server) = with_hello(&["-w", "3"]);
    for victims in [1, 3] {
        let before = server.worker_pids();
        before[..victims].iter().for_each(|&victim| kill(pid(victim), Signal::SIGKILL).unwrap());
        // A dying worker may still take a connection with it.
        eventually("they are dead", || !before[..victims].iter().any(|&victim| is_alive(victim)));
        assert_eq!(server.get("/hello").text(), "hello", "{victims} killed");
        eventually("all places are filled", || {
            let now = server.worker_pids();
            now.len() == 3 && now.iter().all(|now| *now != 0 && !before[..victims].contains(now))
        });
        for worker in server.worker_pids() {
            assert_eq!(stat(worker).unwrap().1, server.pid());
        }
    }
    assert!(server.log().contains("was killed by signal 9"));
    assert_eq!(server.scoreboard().header().respawns.load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn a_worker_killed_by_any_signal_is_replaced() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-w", "1", "--respond", "fixed"]);
    let worker = server.worker_pids()[0];
    // A real-time signal, which has no name.
    let killed = std::process::Command::new("kill").args(["-40", &worker.to_string()]).status().unwrap();
    assert!(killed.success());
    eventually("the log says so", || server.log().contains("was killed by signal 40"));
    eventually("it is replaced", || ![0, worker].contains(&server.worker_pids()[0]));
    assert_eq!(server.get("/").status, 200);
    server.stop();
}

#[test]
fn a_worker_that_keeps_dying_is_replaced_with_growing_delays() {
    let (_sandbox, server) = with_hello(&["-w", "2"]);
    let (mut last, mut deaths) = (0, 0);
    eventually("the log says that a worker keeps dying", || {
        let now = server.worker_pids()[0];
        if now != 0 && now != last && is_alive(now) {
            kill(pid(now), Signal::SIGKILL).unwrap();
            (last, deaths) = (now, deaths + 1);
        }
        server.log().contains("next attempt in 400 ms")
    });
    let log = server.log();
    assert!(
        log.contains("worker 0 keeps dying within a second of its start; next attempt in 100 ms"),
        "{log}"
    );
    assert!(log.contains("next attempt in 200 ms") && deaths >= 4, "{log}");
    assert_eq!(server.get("/hello").text(), "hello", "the other serves meanwhile");
    eventually("it is tried again", || {
        !matches!(server.worker_pids()[0], 0) && server.worker_pids()[0] != last
    });
}

#[test]
fn killing_the_supervisor_ends_its_workers_and_frees_the_port() {
    let (sandbox, server) = with_hello(&["-n", "lab"]);
    let (workers, port) = (server.worker_pids(), server.port());
    server.signal(Signal::SIGKILL);
    eventually("the workers are gone", || workers.iter().all(|&worker| !is_alive(worker)));
    let again = sandbox.start(&["-n", "lab", "-p", &port.to_string()]);
    assert_eq!(again.get("/hello").text(), "hello");
}

#[test]
fn sigterm_and_sigint_stop_gracefully_sigquit_immediately() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (sandbox, mut server) = with_wait(&["--grace", "1h"]);
        let workers = server.worker_pids();
        let pending = begin(&server, "/wait");
        let handler = waiting(&sandbox);
        server.signal(signal);
        eventually("new connections are refused", || {
            TcpStream::connect(("127.0.0.1", server.port())).is_err()
        });
        assert!(is_alive(handler) && is_alive(server.pid()), "{signal}");
        fs::write(sandbox.path("go"), "").unwrap();
        assert_eq!(pending.finish().text(), "waited", "{signal}");
        assert_eq!(server.wait().0, Some(0), "{signal}");
        assert!(workers.iter().all(|&worker| !is_alive(worker)), "{signal}");
    }
    let (sandbox, mut server) = with_wait(&["--grace", "1h"]);
    let pending = begin(&server, "/wait");
    let handler = waiting(&sandbox);
    server.signal(Signal::SIGQUIT);
    assert_eq!(server.wait().0, Some(0));
    eventually("the handler is ended too", || !is_alive(handler));
    drop(pending);
}

#[test]
fn a_second_sigterm_stops_without_waiting() {
    let (sandbox, mut server) = with_wait(&["--grace", "1h"]);
    let _pending = begin(&server, "/wait");
    let handler = waiting(&sandbox);
    server.signal(Signal::SIGTERM);
    eventually("it stops", || TcpStream::connect(("127.0.0.1", server.port())).is_err());
    assert!(is_alive(handler));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    eventually("the handler is ended", || !is_alive(handler));
}

#[test]
fn a_graceful_stop_is_bounded_and_kills_remaining_handlers() {
    let (sandbox, mut server) = with_wait(&["--grace", "200ms"]);
    let pending = begin(&server, "/wait");
    let handler = waiting(&sandbox);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    eventually("the handler is ended", || !is_alive(handler));
    drop(pending);
}

#[test]
fn a_stop_waits_for_a_half_read_request() {
    let (_sandbox, mut server) = with_hello(&["-w", "1"]);
    let mut stream = server.connect();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHos").unwrap();
    eventually("it is held", || server.scoreboard().snapshot()[0].open == 1);
    server.signal(Signal::SIGTERM);
    eventually("it stops", || TcpStream::connect(("127.0.0.1", server.port())).is_err());
    stream.write_all(b"t: a\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(b"hello"), "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn a_reload_with_a_broken_configuration_keeps_the_old_workers() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let config = sandbox.write("c.toml", "workers = 2\n");
    let server = sandbox.start(&["-c", config.to_str().unwrap()]);
    let before = server.worker_pids();
    for (broken, reason) in [
        ("workers = nonsense\n", "c.toml"),
        ("no-such-key = 1\n", "no-such-key"),
        ("workers = 0\n", "workers"),
        ("path = \"/no/such/directory\"\n", "/no/such/directory"),
    ] {
        sandbox.write("c.toml", broken);
        server.signal(Signal::SIGHUP);
        eventually("the log says why", || {
            let log = server.log();
            log.lines().any(|line| line.contains("reload refused") && line.contains(reason))
        });
        assert_eq!(server.worker_pids(), before, "{broken}");
        assert_eq!(server.get("/hello").text(), "hello", "{broken}");
    }
    sandbox.write("c.toml", "workers = 3\n");
    server.signal(Signal::SIGHUP);
    eventually("a sound one is taken", || server.worker_pids().len() == 3);
    eventually("the old workers leave", || before.iter().all(|&worker| !is_alive(worker)));
}

#[test]
fn a_handler_outlives_a_reload() {
    let (sandbox, server) = with_wait(&["-w", "2", "--grace", "100ms"]);
    let before = server.worker_pids();
    let pending = begin(&server, "/wait");
    waiting(&sandbox);
    server.signal(Signal::SIGHUP);
    eventually("the old workers are gone", || before.iter().all(|&worker| !is_alive(worker)));
    fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "waited");
}

#[test]
fn the_log_is_reopened_by_every_process() {
    let (_sandbox, server) = with_hello(&["-w", "2"]);
    let log = server.folder().log();
    let old = log.with_extension("1");
    server.get("/hello?before");
    eventually("a line of before", || server.log().contains("/hello?before"));
    fs::rename(&log, &old).unwrap();
    server.signal(Signal::SIGUSR1);
    eventually("there is a new log", || log.exists());
    let in_log = |pid: u32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).any(|target| target == log)
    };
    let mut all = server.worker_pids();
    all.push(server.pid());
    eventually("all have it open", || all.iter().all(|&pid| in_log(pid)));
    (0..4).for_each(|_| drop(server.get("/hello?after")));
    eventually("lines of after", || server.log().matches("/hello?after").count() == 4);
    assert!(!fs::read_to_string(&old).unwrap().contains("/hello?after"));
    kill(pid(all[0]), Signal::SIGKILL).unwrap();
    eventually("the supervisor writes there too", || server.log().contains("was killed by signal 9"));
}

#[test]
fn a_daemon_has_the_same_processes() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let port = sandbox.start_daemon("lab", &["-w", "2"]);
    let (supervisor, _) = sandbox.folder("lab").process().unwrap().unwrap();
    assert_eq!(children(&[supervisor]).len(), 2);
    assert!(sockets(supervisor).is_disjoint(&listeners(port)));
    assert_eq!(get(port, "/hello").text(), "hello");
}

#[test]
fn orphaned_children_of_handlers_are_reaped() {
    let sandbox = Sandbox::new();
    let go = sandbox.path("go");
    sandbox.handler("orphan", orphan(&go));
    let server = sandbox.start(&["-w", "1"]);
    let text = server.get("/orphan").text();
    let orphan: u32 = text.trim().parse().unwrap();
    eventually("the supervisor adopts it", || stat(orphan).is_some_and(|(_, parent)| parent == server.pid()));
    fs::write(&go, "").unwrap();
    eventually("it ends and is reaped", || stat(orphan).is_none());
}

/// A handler that leaves a child behind and prints its pid.
fn orphan(go: &Path) -> String {
    let child = format!("(until [ -e '{}' ]; do sleep 0.01; done) >/dev/null 2>&1 &", go.display());
    format!("#!/bin/sh\n{child}\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n%s' $!\n")
}
