//! Service managers: passed listening sockets, notifications, log rotation.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use caffeine::listener::{STRATEGIES, SocketCount};
use nix::sys::signal::{Signal, kill};

use crate::harness::traffic::{counters, under_load};
use crate::harness::{
    DEADLINE, Outcome, Place, Sandbox, Server, eventually, executed_by, free_port, is_alive, pid, says,
    skipped,
};

const HELLO: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";

/// Runs `command` as a service manager would: `passed` is descriptor 3, and also 4 if there are two names.
pub fn activate(command: &mut Command, passed: impl Into<OwnedFd>, names: &str) {
    let count = names.split(':').count();
    let second = if count == 2 { " 4<&0" } else { "" };
    let script = format!("exec 3<&0{second} 0</dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("LISTEN_FDS", count.to_string()).env("LISTEN_FDNAMES", names);
    shell.current_dir(command.get_current_dir().unwrap()).stdin(passed.into());
    *command = shell;
}

/// A listening socket as a service manager has it: of TCP, or the unix socket `web.sock`.
fn listening(sandbox: &Sandbox, unix: bool) -> (OwnedFd, Place) {
    if unix {
        let path = sandbox.path("web.sock");
        return (UnixListener::bind(&path).unwrap().into(), Place::Unix(path));
    }
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket.into(), Place::Port(port))
}

fn start_from(sandbox: &Sandbox, (socket, place): &(OwnedFd, Place), arguments: &[&str]) -> Server {
    let server = sandbox
        .start_with(arguments, |command| activate(command, socket.try_clone().unwrap(), "caffeine.socket"));
    assert_eq!(server.place(), place, "not that of the command line");
    server
}

#[test]
fn a_shut_down_socket_is_reported_once_per_process_and_a_stop_works() {
    for entry in STRATEGIES {
        let argument = entry.argument.default();
        if (entry.available)(argument).is_err() || (entry.sockets)(argument) != SocketCount::One {
            continue;
        }
        let sandbox = Sandbox::new();
        let socket = listening(&sandbox, false);
        sandbox.handler("hello", HELLO);
        let server = start_from(&sandbox, &socket, &["--listener", entry.name, "-w", "2", "-n", "lab"]);
        assert_eq!(server.get("/hello").status, 200);
        socket2::SockRef::from(&socket.0).shutdown(std::net::Shutdown::Both).unwrap();
        let told = || server.log().matches("ERROR").count();
        let accepting = if entry.auxiliary.is_some() { 1 } else { 2 };
        eventually("it is told", || told() == accepting);
        assert!(server.log().contains("if the listening socket was shut down"), "{}", server.log());
        let log = server.folder().log();
        server.stop();
        let text = fs::read_to_string(log).unwrap();
        assert_eq!(text.matches("ERROR").count(), accepting, "{}: {text}", entry.name);
    }
}

fn fails_from(sandbox: &Sandbox, arguments: &[&str], passed: impl Into<OwnedFd>, names: &str) -> Outcome {
    let mut command = sandbox.command(arguments);
    activate(&mut command, passed, names);
    sandbox.run(command)
}

#[test]
fn a_passed_socket_works_with_every_single_socket_strategy_and_outlives_the_instance() {
    for (entry, unix) in STRATEGIES.iter().flat_map(|entry| [(entry, false), (entry, true)]) {
        let sandbox = Sandbox::new();
        let socket = listening(&sandbox, unix);
        sandbox.handler("hello", HELLO);
        let arguments = ["--listener", entry.name, "-w", "2", "-n", "lab"];
        if let Err(reason) = (entry.available)(entry.argument.default()) {
            skipped(format!("{}: {reason}", entry.name));
            continue;
        }
        if (entry.sockets)(entry.argument.default()) != SocketCount::One {
            let outcome = fails_from(&sandbox, &arguments, socket.0.try_clone().unwrap(), "x");
            outcome.fails(1, "needs one socket per worker");
            continue;
        }
        let first = start_from(&sandbox, &socket, &arguments);
        let mut second = None;
        let tally = under_load(&first, 4, || {
            first.signal(Signal::SIGTERM);
            eventually("it ends", || !is_alive(first.pid()));
            let server = second.insert(start_from(&sandbox, &socket, &arguments));
            eventually("the next one serves", || {
                counters(server).iter().map(|row| row.accepted).sum::<u64>() > 20
            });
            sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        });
        assert_eq!((tally.lost(), tally.refused()), (0, 0), "{}: {tally:?}", entry.name);
        second.unwrap().stop();
        // Connections wait while no instance runs.
        let mut client = socket.1.connect().unwrap();
        client.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let _third = start_from(&sandbox, &socket, &arguments);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"hello\n"), "{}", entry.name);
    }
}

#[test]
fn a_passed_descriptor_must_be_a_listening_socket_for_this_process() {
    let sandbox = Sandbox::new();
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp, pair) = (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), UnixStream::pair().unwrap().0);
    let null = fs::File::open("/dev/null").unwrap();
    for passed in [OwnedFd::from(null), OwnedFd::from(udp), OwnedFd::from(pair)] {
        fails_from(&sandbox, &[], passed, "x").fails(1, "not a listening TCP or unix socket");
    }
    fails_from(&sandbox, &[], listener(), "x:y").fails(1, "FileDescriptorName=http");
    let (two, socket) = (Sandbox::new(), listener());
    let server = two.start_with(&[], |command| activate(command, socket.try_clone().unwrap(), "x:http"));
    assert_eq!(server.port(), socket.local_addr().unwrap().port());
    // Variables meant for another process.
    let server = sandbox.start_with(&[], |command| {
        command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    });
    assert_ne!(server.port(), 0);
}

#[test]
fn a_replaced_program_takes_over_at_a_restart_without_a_lost_connection() {
    let (sandbox, socket) = (Sandbox::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    sandbox.handler("hello", HELLO);
    sandbox.write("files/page", "text");
    let files = format!("[[static]]\nat = \"/files\"\nroot = {:?}\n", sandbox.path("files"));
    let config = sandbox.write("c.toml", files);
    let original = fs::read(env!("CARGO_BIN_EXE_caffeine")).unwrap();
    let program = sandbox.binary("bin/caffeine", &original);
    let start = || {
        sandbox.start_with(&["-n", "lab", "-w", "2", "-c", config.to_str().unwrap()], |command| {
            executed_by(command, &["sh", "-c", "shift; exec \"$0\" \"$@\"", program.to_str().unwrap()]);
            activate(command, socket.try_clone().unwrap(), "caffeine.socket");
        })
    };
    let runs_the_file = |server: &Server| {
        let file = |path: &Path| fs::metadata(path).unwrap().ino();
        file(format!("/proc/{}/exe", server.pid()).as_ref()) == file(&program)
    };
    let first = start();
    assert!(runs_the_file(&first));
    let mut second = None;
    let tally = under_load(&first, 4, || {
        // As package managers do: a file beside it, then rename(2).
        let next = sandbox.binary("bin/next", [&original[..], b"another version"].concat());
        fs::rename(next, &program).unwrap();
        assert!(!runs_the_file(&first));
        assert_eq!(first.get("/files/page").text(), "text");
        first.signal(Signal::SIGTERM);
        eventually("it ends", || !is_alive(first.pid()));
        let server = second.insert(start());
        eventually("the next one serves", || {
            counters(server).iter().map(|row| row.accepted).sum::<u64>() > 20
        });
    });
    assert_eq!((tally.lost(), tally.refused()), (0, 0), "{tally:?}");
    let second = second.unwrap();
    assert!(runs_the_file(&second));
    assert_eq!(second.get("/files/page").text(), "text");
}

/// A service manager's notification socket.
struct Manager(UnixDatagram);

impl Manager {
    fn new(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// The lines of the next message.
    #[track_caller]
    fn told(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let n = self.0.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..n]).lines().map(ToOwned::to_owned).collect()
    }
}

#[test]
fn a_service_manager_is_notified_of_start_reload_and_stop() {
    let sandbox = Sandbox::new();
    sandbox.handler("env", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nenv\n");
    let config = sandbox.write("c.toml", "workers = 1\n");
    let path = sandbox.path("notify");
    let hidden = format!("caffeine-test-{}", sandbox.path("").display());
    let addresses = [
        (path.to_str().unwrap().to_owned(), SocketAddr::from_pathname(&path).unwrap()),
        (format!("@{hidden}"), SocketAddr::from_abstract_name(&hidden).unwrap()),
    ];
    for (name, address) in addresses {
        let manager = Manager::new(&address);
        sandbox.write("c.toml", "workers = 1\n");
        let server = sandbox.start_with(&["-c", config.to_str().unwrap()], |command| {
            command.env("NOTIFY_SOCKET", &name);
        });
        let ready = |told: &[String]| {
            assert!(told.contains(&"READY=1".to_owned()), "{told:?}");
            assert!(told.contains(&format!("MAINPID={}", server.pid())), "{told:?}");
        };
        ready(&manager.told());
        for (contents, outcome) in [("workers = 2\n", "ready on"), ("nonsense", "refused")] {
            sandbox.write("c.toml", contents);
            server.signal(Signal::SIGHUP);
            let told = manager.told();
            assert_eq!(told[0], "RELOADING=1");
            let since: u64 = told[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
            assert!(since > 0 && since <= caffeine::sys::clock::monotonic_ns() / 1000);
            let told = manager.told();
            ready(&told);
            assert!(
                told.iter().any(|line| line.starts_with("STATUS=") && line.contains(outcome)),
                "{told:?}"
            );
        }
        assert!(!server.get("/env").text().contains("NOTIFY"));
        server.signal(Signal::SIGTERM);
        assert_eq!(manager.told()[0], "STOPPING=1");
        server.stop();
    }
}

#[test]
fn a_daemon_reports_its_own_process_id() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("notify");
    let manager = Manager::new(&SocketAddr::from_pathname(&path).unwrap());
    let mut command = sandbox.command(&["-n", "lab", "-D", "-p", "0", "--bind", "127.0.0.1"]);
    command.env("NOTIFY_SOCKET", &path);
    sandbox.run(command).succeeds();
    let (supervisor, _) = sandbox.folder("lab").process().unwrap().unwrap();
    assert!(manager.told().contains(&format!("MAINPID={supervisor}")));
}

#[test]
fn it_works_with_systemd_socket_activate() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let (program, port, path) = ("systemd-socket-activate", free_port(), sandbox.path("web.sock"));
    for (address, place) in [
        (format!("127.0.0.1:{port}"), Place::Port(port)),
        (path.display().to_string(), Place::Unix(path.clone())),
    ] {
        let own = sandbox.command(&[]);
        let mut command = Command::new(program);
        command.args(["-E", "HOME", "-l", &address]).arg(own.get_program()).args(["-n", "lab"]);
        for (name, value) in own.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return skipped(format!("{program} is not installed")) };
        eventually("it listens", || place.connect().is_ok());
        let (mut client, mut answer) = (place.connect().unwrap(), String::new());
        client.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello"), "{address}: {answer}");
        kill(pid(child.id()), Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_logrotate_example_rotates_the_log_of_a_running_instance() {
    if Command::new("logrotate").arg("--version").output().is_err() {
        return skipped("logrotate is not installed");
    }
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab", "-w", "2"]);
    let example = include_str!("../../src/server/packaging/logrotate.conf");
    let systemctl = example.lines().find(|line| line.contains("systemctl")).unwrap();
    let config = example
        .replace("/var/lib/caffeine", sandbox.state_dir().to_str().unwrap())
        .replace(systemctl, &format!("kill -USR1 {}", server.pid()));
    let config = sandbox.write("logrotate.conf", config);
    let state = sandbox.path("logrotate.state");
    server.get("/hello?before");
    eventually("it is in the log", || server.log().contains("before"));
    for turn in 1..3 {
        let output = Command::new("logrotate").arg("-f").arg("-s").arg(&state).arg(&config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.get(&format!("/hello?turn-{turn}"));
        eventually("what comes after is in the new log", || {
            let log = server.log();
            log.contains(&format!("turn-{turn}")) && !log.contains("before")
        });
    }
    let old = fs::read_to_string(server.folder().log().with_extension("1")).unwrap();
    assert!(old.contains("turn-1") && !old.contains("turn-2"), "{old}");
}
