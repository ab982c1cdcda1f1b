//! Daemon mode: the launching process reports success or failure.

use std::net::TcpListener;

use caffeine::instance::Life;
use caffeine::sys::sandbox::{Rule, refuse_in};
use nix::libc;
use nix::sys::signal::{Signal, kill};

use crate::harness::{Sandbox, eventually, executed_by, get, intercept, is_alive, pid, says};

#[test]
fn a_daemon_serves_when_its_launcher_returns() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let port = sandbox.start_daemon("lab", &[]);
    assert_eq!(get(port, "/hello").text(), "hello");
}

#[test]
fn two_daemons_run_side_by_side_and_stop_independently() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let (one, two) = (sandbox.start_daemon("one", &[]), sandbox.start_daemon("two", &["-w", "2"]));
    sandbox.caffeine(&["-n", "one", "--stop"]).succeeds();
    assert!(std::net::TcpStream::connect(("127.0.0.1", one)).is_err());
    assert_eq!(get(two, "/hello").text(), "hello");
    let list = sandbox.caffeine(&["-L"]).succeeds().stdout;
    assert!(list.contains("two") && !list.contains("one"), "{list}");
}

#[test]
fn a_daemon_that_cannot_listen_reports_it_through_its_launcher() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = ["-n", "lab", "-D", "--bind", "127.0.0.1", "-p", &port];
    sandbox.caffeine(&arguments).fails(1, &port);
    assert_eq!(sandbox.caffeine(&["-L"]).succeeds().stdout.lines().count(), 1);
}

#[test]
fn a_daemon_that_dies_silently_is_reported() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["-n", "lab", "-D", "-p", "0", "--bind", "127.0.0.1"]);
    let Some(entrance) = intercept(&mut command, &[libc::SYS_listen]) else { return };
    std::thread::scope(|scope| {
        let launcher = scope.spawn(|| sandbox.run(command));
        let gate = entrance.gate().unwrap().unwrap();
        // It waits in listen() until it is killed.
        let daemon = gate.next().unwrap().unwrap().thread;
        kill(pid(daemon), Signal::SIGKILL).unwrap();
        launcher.join().unwrap().fails(1, "was killed by SIGKILL before it was ready");
    });
}

#[test]
fn a_daemon_detaches_from_terminal_directory_and_session() {
    let sandbox = Sandbox::new();
    sandbox.start_daemon("lab", &[]);
    let (pid, _) = sandbox.folder("lab").process().unwrap().unwrap();
    for stream in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    let session = nix::unistd::getsid(Some(crate::harness::pid(pid))).unwrap();
    assert_eq!(session.as_raw().cast_unsigned(), pid);
    sandbox.caffeine(&["-n", "lab", "-s"]).succeeds();
    eventually("the daemon is gone", || !is_alive(pid));
}

#[test]
fn a_daemon_keeps_no_descriptor_of_its_launcher() {
    let refusals = [None, Some(libc::ENOSYS), Some(libc::EPERM), Some(libc::EINVAL)];
    for (number, errno) in refusals.into_iter().enumerate() {
        let (sandbox, name) = (Sandbox::new(), format!("lab{number}"));
        let lock = sandbox.write("lock", "");
        let arguments = ["-n", &name, "-D", "-p", "0", "--bind", "127.0.0.1", "-w", "1"];
        let mut command = sandbox.command(&arguments);
        // flock(1) keeps the locked file open in its command.
        executed_by(&mut command, &["flock", lock.to_str().unwrap()]);
        if let Some(errno) = errno {
            refuse_in(&mut command, &[Rule::call(libc::SYS_close_range)], errno);
        }
        sandbox.run(command).succeeds();
        let (pid, _) = sandbox.folder(&name).process().unwrap().unwrap();
        let free = std::process::Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap();
        assert!(free.success() && is_alive(pid), "close_range answered {errno:?}");
    }
}

#[test]
fn a_daemon_starts_and_stops_without_pidfds() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let sandbox = Sandbox::new();
        let rules = [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal].map(Rule::call);
        let act = |arguments: &[&str]| {
            let mut command = sandbox.command(arguments);
            refuse_in(&mut command, &rules, errno);
            sandbox.run(command).succeeds();
        };
        act(&["-n", "lab", "-D", "-p", "0", "--bind", "127.0.0.1", "-w", "1"]);
        let (pid, _) = sandbox.folder("lab").process().unwrap().unwrap();
        act(&["-n", "lab", "--reload"]);
        act(&["-n", "lab", "-s"]);
        assert!(!is_alive(pid));
    }
}

#[test]
fn a_failed_daemon_has_exited_and_freed_its_name() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for _ in 0..10 {
        sandbox.caffeine(&["-n", "lab", "-D", "--bind", "127.0.0.1", "-p", &port]).fails(1, &port);
        assert_eq!(sandbox.folder("lab").life().unwrap(), Life::Gone);
    }
}
