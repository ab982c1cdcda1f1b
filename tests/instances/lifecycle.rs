//! Instances: one holder per name and port, whatever the pid file says; list, stop, reload.

use std::process::{Command, Stdio};

use caffeine::instance::{Claim, Error, Life};
use nix::sys::signal::Signal;

use crate::harness::{Outcome, Sandbox, eventually, free_port, get, is_alive, names_in, says};

#[test]
fn a_name_has_one_holder_and_is_freed_when_it_exits() {
    let sandbox = Sandbox::new();
    let name = "lab".parse().unwrap();
    let claim = Claim::acquire(&sandbox.state_dir(), &name).unwrap();
    assert_eq!(sandbox.folder("lab").life().unwrap(), Life::Running(std::process::id()));
    match Claim::acquire(&sandbox.state_dir(), &name) {
        Err(Error::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(claim);
    // A child just forked by another test shares the lock until it executes its program.
    eventually("the name is free", || sandbox.folder("lab").life().unwrap() == Life::Gone);
    Claim::acquire(&sandbox.state_dir(), &name).unwrap();
}

#[test]
fn a_claim_never_fails_because_a_holder_is_just_exiting() {
    let sandbox = Sandbox::new();
    let name = "lab".parse().unwrap();
    let claim_often = || {
        for _ in 0..200 {
            match Claim::acquire(&sandbox.state_dir(), &name) {
                Ok(_) | Err(Error::Held { pid: Some(_), .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(claim_often))));
}

#[test]
fn a_removed_pid_file_is_not_mistaken_for_the_lock() {
    let sandbox = Sandbox::new();
    let name = "lab".parse().unwrap();
    let first = Claim::acquire(&sandbox.state_dir(), &name).unwrap();
    std::fs::remove_dir_all(first.folder().dir()).unwrap();
    let second = Claim::acquire(&sandbox.state_dir(), &name).unwrap();
    drop(first);
    assert_eq!(second.folder().life().unwrap(), Life::Running(std::process::id()));
}

#[test]
fn the_state_directory_is_private_to_its_user() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let claim = Claim::acquire(&sandbox.state_dir(), &"lab".parse().unwrap()).unwrap();
    for path in [sandbox.state_dir(), claim.folder().dir().to_path_buf(), claim.folder().pid()] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn stale_empty_and_garbage_pid_files_do_not_prevent_a_start() {
    for contents in ["", "garbage\n", "4194303\n", "-1", "0\n", "99999999999999999999", "\0\0\0"] {
        let sandbox = Sandbox::new();
        sandbox.write(".local/state/caffeine/lab/pid", contents);
        sandbox.caffeine(&["-n", "lab", "--stop"]).fails(1, "instance lab is not running");
        assert!(sandbox.caffeine(&["-L"]).succeeds().stdout.contains("no instance is running"));
        let claim = Claim::acquire(&sandbox.state_dir(), &"lab".parse().unwrap()).unwrap();
        assert_eq!(claim.folder().life().unwrap(), Life::Running(std::process::id()), "{contents:?}");
    }
}

/// Starts the commands at once; the outcomes of those that ended, when all but one have.
fn race(commands: Vec<Command>) -> Vec<Outcome> {
    let mut children: Vec<_> = commands
        .into_iter()
        .map(|mut command| command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    eventually("all but one end", || {
        let ended = children.iter_mut().filter_map(|child| child.try_wait().unwrap()).count();
        ended + 1 >= children.len()
    });
    let mut losers = Vec::new();
    for mut child in children {
        if child.try_wait().unwrap().is_none() {
            nix::sys::signal::kill(crate::harness::pid(child.id()), Signal::SIGTERM).unwrap();
            assert!(child.wait().unwrap().success(), "the winner stops in order");
            continue;
        }
        let output = child.wait_with_output().unwrap();
        losers.push(Outcome::of("a start", output));
    }
    losers
}

#[test]
fn of_eight_starts_of_one_name_exactly_one_wins() {
    let sandbox = Sandbox::new();
    let start = || sandbox.command(&["-n", "lab", "-p", "0", "-w", "1", "--bind", "127.0.0.1"]);
    let losers = race((0..8).map(|_| start()).collect());
    assert_eq!(losers.len(), 7);
    for loser in losers {
        loser.fails(1, "instance lab is already running");
    }
}

#[test]
fn of_four_starts_on_one_port_exactly_one_wins() {
    let sandbox = Sandbox::new();
    let port = free_port().to_string();
    let start = |name: &str| sandbox.command(&["-n", name, "-p", &port, "-w", "1", "--bind", "127.0.0.1"]);
    let losers = race(["a", "b", "c", "d"].map(start).into());
    assert_eq!(losers.len(), 3);
    for loser in losers {
        loser.fails(1, &port);
    }
}

#[test]
fn a_port_in_use_is_reported_with_the_name_of_its_instance() {
    let sandbox = Sandbox::new();
    let port = sandbox.start_daemon("lab", &[]).to_string();
    sandbox.caffeine(&["-n", "other", "-p", &port, "--bind", "127.0.0.1"]).fails(1, "lab");
}

#[test]
fn a_port_of_another_program_is_refused_even_if_the_kernel_would_share_it() {
    let sandbox = Sandbox::new();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port().to_string();
    for listener in ["inherited", "reuseport", "round-robin"] {
        let arguments = ["--listener", listener, "-p", &port, "--bind", "127.0.0.1"];
        sandbox.caffeine(&arguments).fails(1, &port);
    }
}

#[test]
fn the_list_shows_running_instances() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-n", "lab", "-w", "3", "--listener", "round-robin"]);
    let list = sandbox.caffeine(&["--list-instances"]).succeeds().stdout;
    let line: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().collect();
    let address = format!("127.0.0.1:{}", server.port());
    assert_eq!(line[..5], ["lab", &server.pid().to_string(), &address, "3", "round-robin"], "{list}");
    server.stop();
    assert!(sandbox.caffeine(&["-L"]).succeeds().stdout.starts_with("no instance is running"));
}

#[test]
fn an_unknown_instance_is_reported_with_the_running_ones() {
    let sandbox = Sandbox::new();
    let _server = sandbox.start(&["-n", "lab"]);
    for action in ["--stop", "--status", "--reload", "--log", "--reset-logs"] {
        sandbox.caffeine(&["-n", "lob", action]).fails(1, "running: lab");
    }
}

#[test]
fn concurrent_stops_wait_for_the_same_graceful_stop() {
    let sandbox = Sandbox::new();
    // Responds only when told to, so that the stops find it running.
    let go = sandbox.path("go");
    let handler = format!(
        "#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.05; done\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nwhole'\n",
        go.display()
    );
    sandbox.handler("slow", handler);
    let mut server = sandbox.start(&["-n", "lab"]);
    let (port, board) = (server.port(), server.scoreboard());
    std::thread::scope(|scope| {
        let answer = scope.spawn(move || get(port, "/slow").text());
        eventually("the handler runs", || board.snapshot().iter().any(|row| row.launched == 1));
        let stop = || sandbox.caffeine(&["-n", "lab", "--stop"]).succeeds();
        let first = scope.spawn(stop);
        eventually("it is stopping", || {
            board.header().closing.load(std::sync::atomic::Ordering::Relaxed) == 1
        });
        let second = scope.spawn(stop);
        eventually("both wait", || !first.is_finished() && !second.is_finished());
        std::fs::write(&go, "").unwrap();
        assert_eq!(answer.join().unwrap(), "whole");
        first.join().unwrap();
        second.join().unwrap();
    });
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn killing_the_supervisor_ends_its_workers_and_frees_name_and_port() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let port = free_port().to_string();
    let mut server = sandbox.start(&["-n", "lab", "-p", &port]);
    let workers = server.worker_pids();
    assert_eq!(workers.len(), 4);
    let client = server.connect();
    server.signal(Signal::SIGKILL);
    server.wait();
    eventually("the workers are gone", || workers.iter().all(|&pid| !is_alive(pid)));
    drop(client);
    let again = sandbox.start(&["-n", "lab", "-p", &port]);
    assert_eq!(again.get("/hello").text(), "hello");
}

#[test]
fn a_reload_returns_when_the_new_generation_serves() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.write("c.toml", "workers = 1\n");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    let before = server.worker_pids();
    sandbox.write("c.toml", "workers = 3\n");
    let said = sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds().stdout;
    assert_eq!(said, "reloaded lab: generation 2, 3 workers\n");
    let after = server.worker_pids();
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|pid| !before.contains(pid)));
    assert_eq!(server.get("/hello").text(), "hello");
}

#[test]
fn a_refused_reload_says_why_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("c.toml", "workers = 1\n");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    let before = server.worker_pids();
    sandbox.write("c.toml", "workerz = 3\n");
    let outcome = sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "keeps its old configuration: ");
    assert!(outcome.stderr.contains("c.toml:1: ") && outcome.stderr.contains("workerz"), "{outcome:?}");
    assert!(server.log().contains("workerz"), "{}", server.log());
    assert_eq!(server.worker_pids(), before);
}

#[test]
fn a_reload_cannot_rename_the_instance() {
    let sandbox = Sandbox::new();
    sandbox.write("c.toml", "name = \"lab\"\n");
    let server = sandbox.start(&["-c", "c.toml"]);
    sandbox.write("c.toml", "name = \"lob\"\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "keeps its old configuration");
    assert!(server.log().contains("the name cannot change"), "{}", server.log());
    server.stop();
}

#[test]
fn fifos_and_symlinks_in_an_instance_directory_never_block() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-n", "lab"]);
    let dir = sandbox.state_dir().join("odd");
    std::fs::create_dir(&dir).unwrap();
    for file in ["pid", "log"] {
        nix::unistd::mkfifo(&dir.join(file), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let list = sandbox.caffeine(&["-L"]).succeeds().stdout;
    assert!(list.contains("\nlab ") && !list.contains("odd"), "{list}");
    for action in ["--stop", "--reload", "--status", "--log", "--reset-logs"] {
        sandbox.caffeine(&["-n", "odd", action]).fails(1, "it is not a regular file");
    }
    std::fs::remove_file(dir.join("pid")).unwrap();
    std::os::unix::fs::symlink(server.folder().pid(), dir.join("pid")).unwrap();
    sandbox.caffeine(&["-n", "odd", "--stop"]).fails(1, "cannot read the pid file");
    server.stop();
}

#[test]
fn a_first_start_that_fails_leaves_nothing_and_a_later_one_keeps_the_log() {
    let sandbox = Sandbox::new();
    let failing = ["-n", "lab", "--bind", "unix:missing/socket"];
    for daemon in [&[][..], &["-D"]] {
        sandbox.caffeine(&[&failing[..], daemon].concat()).fails(1, "make it");
        assert!(!sandbox.state_dir().join("lab").exists());
    }
    assert!(!sandbox.caffeine(&["-L"]).succeeds().stdout.contains("lab"));
    let server = sandbox.start(&["-n", "lab"]);
    let folder = server.folder();
    server.stop();
    sandbox.caffeine(&failing).fails(1, "make it");
    assert!(std::fs::read_to_string(folder.log()).unwrap().contains("lab ready on"));
}

#[test]
fn a_stopped_instance_leaves_five_files() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-n", "lab"]);
    assert_eq!(names_in(server.folder().dir()), ["config.toml", "log", "pid", "process", "scoreboard"]);
    assert_eq!(server.name(), "lab");
    let text = std::fs::read_to_string(server.folder().pid()).unwrap();
    assert_eq!(text, format!("{}\n", server.pid()));
    server.stop();
    assert_eq!(
        std::fs::read_to_string(sandbox.folder("lab").pid()).unwrap(),
        "",
        "emptied in an orderly end"
    );
}
