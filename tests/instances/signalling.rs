//! Which process an action signals: the proven process of the instance, never another with the same number.

use std::process::{Child, Command};

use caffeine::instance::{Claim, Holder};
use nix::sys::signal::Signal;

use crate::harness::{Sandbox, Server, eventually, executed_by, is_alive, skipped};

/// An unrelated process, killed on drop.
struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reused_process_id_is_never_signalled() {
    let sandbox = Sandbox::new();
    let mut stranger = Stranger::new();
    sandbox.write(".local/state/caffeine/lab/pid", format!("{}\n", stranger.0.id()));
    for action in ["--stop", "--reload", "--status"] {
        sandbox.caffeine(&["-n", "lab", action]).fails(1, "instance lab is not running");
    }
    assert!(stranger.lives());
}

/// A shell in its own pid namespace with its own /proc. `None` where namespaces are not permitted.
const NAMESPACE: [&str; 8] =
    ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child", "sh"];

fn has_namespaces() -> bool {
    let works = Command::new(NAMESPACE[0])
        .args(&NAMESPACE[1..])
        .args(["-c", "exit 0"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        skipped("pid namespaces cannot be made here");
    }
    works
}

/// An instance whose supervisor is process 2 in its own pid namespace.
fn contained(sandbox: &Sandbox) -> Server {
    let words = [&NAMESPACE[..], &["-c", "\"$@\" & wait", "sh"]].concat();
    sandbox.start_with(&["-n", "web"], |command| executed_by(command, &words))
}

#[test]
fn an_instance_in_another_pid_namespace_is_refused_and_nothing_else_is_signalled() {
    if !has_namespaces() {
        return;
    }
    let sandbox = Sandbox::new();
    let server = contained(&sandbox);
    assert_eq!(std::fs::read_to_string(server.folder().pid()).unwrap(), "2\n");
    // In that namespace process 2 is the bystander.
    let script = "sleep 60 & \"$@\"; code=$?; kill -0 $! && echo \"$! lives\"; exit $code";
    let beside = |action: &str| {
        let mut command = sandbox.command(&["-n", "web", action]);
        executed_by(&mut command, &[&NAMESPACE[..], &["-c", script, "sh"]].concat());
        sandbox.run(command)
    };
    for action in ["--stop", "--reload"] {
        let refused = beside(action).fails(1, "instance web runs in another pid namespace (");
        assert!(refused.stderr.contains("where its pid is 2; run this command there"), "{refused:?}");
        assert_eq!(refused.stdout, "2 lives\n");
    }
    for action in ["--status", "--list-instances"] {
        let mut command =
            sandbox.command(&if action == "--status" { vec!["-n", "web", action] } else { vec![action] });
        executed_by(&mut command, &[&NAMESPACE[..], &["-c", "\"$@\"", "sh"]].concat());
        let said = sandbox.run(command).succeeds().stdout;
        assert!(said.contains("web runs in another pid namespace ("), "{said}");
    }
    assert_eq!(server.get("/").status, 404, "it serves");
    beside("--log").succeeds();
}

#[test]
fn an_instance_in_a_child_namespace_is_found_by_its_outer_process_id() {
    if !has_namespaces() {
        return;
    }
    let sandbox = Sandbox::new();
    let server = contained(&sandbox);
    let Ok(Some(Holder::Here(here, _))) = server.folder().holder() else {
        panic!("{:?}", server.folder().holder())
    };
    let list = sandbox.caffeine(&["-L"]).succeeds().stdout;
    assert!(list.contains(&format!(" {here} ")), "{list}");
    assert!(list.contains("web runs in another pid namespace, where its pid is 2\n"), "{list}");
    assert_eq!(sandbox.caffeine(&["-n", "web", "--stop"]).succeeds().stdout, "stopped web\n");
    assert!(!is_alive(here));
}

#[test]
fn the_process_is_found_whatever_the_pid_file_says() {
    let sandbox = Sandbox::new();
    let mut server = sandbox.start(&["-n", "lab"]);
    let mut stranger = Stranger::new();
    std::fs::write(server.folder().pid(), format!("{}\n", stranger.0.id())).unwrap();
    sandbox.caffeine(&["-n", "lab", "--stop"]).succeeds();
    assert_eq!(server.wait().0, Some(0));
    assert!(stranger.lives());
}

#[test]
fn an_instance_without_its_process_file_is_identified_by_its_lock() {
    let sandbox = Sandbox::new();
    let mut server = sandbox.start(&["-n", "lab"]);
    std::fs::remove_file(server.folder().process_file()).unwrap();
    let mut stranger = Stranger::new();
    std::fs::write(server.folder().pid(), format!("{}\n", stranger.0.id())).unwrap();
    let refusal = format!("nothing proves that process {} is instance lab", stranger.0.id());
    for action in ["--stop", "--reload"] {
        sandbox.caffeine(&["-n", "lab", action]).fails(1, &refusal);
    }
    assert!(stranger.lives());
    std::fs::write(server.folder().pid(), format!("{}\n", server.pid())).unwrap();
    sandbox.caffeine(&["-n", "lab", "--stop"]).succeeds();
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn without_a_visible_lock_the_process_file_is_the_proof() {
    let sandbox = Sandbox::new();
    let claim = Claim::acquire(&sandbox.state_dir(), &"lab".parse().unwrap()).unwrap();
    let folder = claim.folder();
    // The kernel does not report a process's own lock to it.
    assert!(matches!(folder.holder().unwrap(), Some(Holder::Here(pid, _)) if pid == std::process::id()));
    let text = std::fs::read_to_string(folder.process_file()).unwrap();
    for (key, elsewhere) in
        [("pid-namespace", "in another pid namespace (1)"), ("boot", "on another machine")]
    {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        std::fs::write(folder.process_file(), text.replace(line, &format!("{key} 1"))).unwrap();
        match folder.holder().unwrap() {
            Some(Holder::Elsewhere(place)) => assert!(place.starts_with(elsewhere), "{place}"),
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn a_suspended_instance_is_stopped_like_any_other() {
    let sandbox = Sandbox::new();
    let mut server = sandbox.start(&["-n", "lab", "-w", "1"]);
    server.signal(Signal::SIGSTOP);
    eventually("it is suspended", || crate::harness::traffic::state(server.pid()) == 'T');
    let suspended = format!("instance lab (pid {0}) is suspended; `kill -CONT {0}` resumes it", server.pid());
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, &suspended);
    assert_eq!(sandbox.caffeine(&["-n", "lab", "--stop"]).succeeds().stdout, "stopped lab\n");
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn a_stop_that_cannot_finish_says_which_signal_to_send() {
    let sandbox = Sandbox::new();
    sandbox.handler("slow", "#!/bin/sh\nexec sleep 60\n");
    let mut server = sandbox.start(&["-n", "lab", "-w", "1", "--grace", "1s"]);
    let client = server.connect();
    std::io::Write::write_all(&mut &client, b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    eventually("the handler runs", || server.scoreboard().snapshot()[0].launched == 1);
    let advice = format!(
        "(pid {0}) is still stopping after 6 s; wait with --stop again, or end it with `kill -QUIT {0}`, or with `kill -KILL {0}`",
        server.pid()
    );
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| sandbox.caffeine(&["-n", "lab", "--stop"]));
        // The handler has a second left.
        let closing = || server.scoreboard().header().closing.load(std::sync::atomic::Ordering::Relaxed) == 1;
        eventually("it is stopping", closing);
        server.signal(Signal::SIGSTOP);
        stop.join().unwrap().fails(1, &advice);
    });
    server.signal(Signal::SIGKILL);
    server.wait();
}
