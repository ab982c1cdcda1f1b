//! A new version of the program takes over at a reload, or does not and the old one goes on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use caffeine::listener::STRATEGIES;
use nix::sys::signal::Signal;

use crate::handlers::trees;
use crate::harness::traffic::{begin, children, under_load};
use crate::harness::{Sandbox, Server, eventually, executed_by, is_alive, privileged_port, skipped};
use crate::platform::privileges::{NOBODY, is_root, open_home};
use crate::platform::service_manager::activate;

const HELLO: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";
/// Waits for the file `go` beside it.
const SLOW: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nbegun '\n\
    while [ ! -e go ]; do sleep 0.05; done\necho late >&2\nprintf ended\n";

/// Puts something in the place of the program, as package managers do: a file beside it, then rename(2).
fn install(sandbox: &Sandbox, contents: &[u8]) -> PathBuf {
    let (next, program) = (sandbox.binary("bin/next", contents), sandbox.path("bin/caffeine"));
    fs::rename(next, &program).unwrap();
    program
}

/// Another version of the program, for those who compare files.
fn version(name: &str) -> Vec<u8> {
    [&fs::read(env!("CARGO_BIN_EXE_caffeine")).unwrap(), name.as_bytes()].concat()
}

/// A program in which some words are others of the same length.
fn altered(words: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = version("altered");
    for (from, to) in words {
        let found = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes()));
        for at in found.collect::<Vec<_>>() {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    bytes
}

/// Changes after which it accepts the settings, but cannot start its workers.
const NO_LAUNCH: [(&str, &str); 2] = [("/proc/self/exe", "/proc/self/cwd"), ("/bin/sh", "/bin/no")];

/// What starts the program in the sandbox instead of that of the tests.
fn from(program: &Path) -> [&str; 4] {
    ["sh", "-c", "shift; exec \"$0\" \"$@\"", program.to_str().unwrap()]
}

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Server {
    sandbox.handler("hello", HELLO);
    sandbox.handler("slow", SLOW);
    let program = install(sandbox, &version("1"));
    sandbox.start_with(arguments, |command| executed_by(command, &from(&program)))
}

/// Whether the process executes the file.
fn executes(pid: u32, program: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).unwrap().ino();
    file(format!("/proc/{pid}/exe").as_ref()) == file(program)
}

/// Has the instance execute another version.
#[track_caller]
fn upgrade(sandbox: &Sandbox, server: &Server, name: &str) {
    let program = install(sandbox, &version(name));
    assert!(!executes(server.pid(), &program));
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    assert!(executes(server.pid(), &program), "{}", server.log());
}

#[test]
fn a_new_program_takes_over_at_a_reload_and_no_connection_is_lost() {
    for entry in STRATEGIES {
        if let Err(reason) = (entry.available)(entry.argument.default()) {
            skipped(format!("{}: {reason}", entry.name));
            continue;
        }
        let sandbox = Sandbox::new();
        let arguments = ["--listener", entry.name, "-w", "2", "-n", "lab", "--max-handlers", "50"];
        let arguments = [&arguments[..], &["--handler-timeout", "5m"]].concat();
        let server = start(&sandbox, &arguments);
        let earlier = children(server.pid());
        let tally = under_load(&server, 4, || {
            ["2", "3"].iter().for_each(|name| upgrade(&sandbox, &server, name));
            sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
            eventually("earlier processes have ended", || earlier.iter().all(|&pid| !is_alive(pid)));
        });
        assert_eq!((tally.lost(), tally.refused()), (0, 0), "{}: {tally:?}, {}", entry.name, server.log());
        server.stop();
    }
}

#[test]
fn handlers_of_the_earlier_program_finish_and_a_stop_waits_for_them() {
    for watched in [&[][..], &["--max-handlers", "9", "--response", "auto"]] {
        let sandbox = Sandbox::new();
        let mut server = start(&sandbox, &[&["-w", "2", "-n", "lab"], watched].concat());
        let slow = begin(&server, "/slow");
        eventually("it has begun", || slow.has_answer());
        upgrade(&sandbox, &server, "2");
        assert_eq!(server.get("/hello").text(), "hello\n");
        server.signal(Signal::SIGTERM);
        eventually("it stops", || server.log().contains("stopping"));
        fs::write(sandbox.handlers().join("go"), "").unwrap();
        assert!(slow.finish().text().contains("ended"));
        assert_eq!(server.wait().0, Some(0));
        let log = server.log();
        assert!(log.contains("late") && !log.contains("ERROR"), "{log}");
    }
}

#[test]
fn a_program_that_cannot_serve_leaves_the_instance_to_the_old_one() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["-w", "2", "-n", "lab"]);
    let reload = || sandbox.caffeine(&["-n", "lab", "--reload"]);
    let tally = under_load(&server, 2, || {
        install(&sandbox, b"#!/bin/sh\nexit 3\n");
        reload().fails(1, "did not say that it can take over");
        let shared = sandbox.binary("bin/next", version("2"));
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o757)).unwrap();
        fs::rename(shared, sandbox.path("bin/caffeine")).unwrap();
        reload().fails(1, "others may write to it");
        install(&sandbox, b"no program");
        reload().fails(1, "cannot execute");
        // It accepts the settings, but cannot start its workers, or not even get that far.
        let no_scoreboard = [("scoreboard", "a/b/c/dead")];
        for (words, reason) in
            [(&NO_LAUNCH[..], "cannot start handlers"), (&no_scoreboard, "cannot write the")]
        {
            install(&sandbox, &altered(words));
            reload().fails(1, reason);
            assert_eq!(server.get("/hello").text(), "hello\n");
        }
        let program = install(&sandbox, &version("3"));
        reload().succeeds();
        assert!(executes(server.pid(), &program));
    });
    assert_eq!((tally.lost(), tally.refused()), (0, 0), "{tally:?}, {}", server.log());
    server.stop();
}

#[test]
fn a_daemon_on_a_unix_socket_with_relative_paths_is_upgraded() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", HELLO);
    sandbox.write("c.toml", "workers = 2\n");
    let program = install(&sandbox, &version("1"));
    let mut command = sandbox.command(&["-n", "lab", "-D", "--bind", "unix:web.sock", "-c", "c.toml"]);
    executed_by(&mut command, &from(&program));
    sandbox.run(command).succeeds();
    let (daemon, _) = sandbox.folder("lab").process().unwrap().unwrap();
    sandbox.write("c.toml", "workers = 3\n");
    let program = install(&sandbox, &version("2"));
    let said = sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds().stdout;
    assert!(said.contains("3 workers"), "{said}");
    assert!(executes(daemon, &program));
    let mut client = UnixStream::connect(sandbox.path("web.sock")).unwrap();
    client.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
    sandbox.caffeine(&["-n", "lab", "-s"]).succeeds();
    assert!(!sandbox.path("web.sock").exists() && !is_alive(daemon));
}

#[test]
fn an_instance_that_root_started_for_another_user_is_upgraded() {
    if !is_root("an_instance_that_root_started_for_another_user_is_upgraded") {
        return;
    }
    let user = NOBODY.to_string();
    for (listener, port) in [("inherited", &*privileged_port()), ("reuseport", "0")] {
        let sandbox = open_home();
        let arguments = ["--user", &user, "--group", &user, "-n", "lab", "-w", "2", "--max-handlers", "50"];
        let server = start(&sandbox, &[&arguments[..], &["--listener", listener, "-p", port]].concat());
        let tally = under_load(&server, 4, || {
            ["2", "3"].iter().for_each(|name| upgrade(&sandbox, &server, name));
        });
        assert_eq!((tally.lost(), tally.refused()), (0, 0), "{listener}: {tally:?}, {}", server.log());
        assert_eq!(server.get("/who").text(), format!("{user} {user} {user}\n"));
        server.stop();
    }
}

#[test]
fn deployed_trees_stay_while_handlers_of_any_version_run_in_them() {
    let sandbox = Sandbox::new();
    trees::deploy(&sandbox, "1");
    let server = start(&sandbox, &["-w", "2", "-n", "lab"]);
    let first = trees::begin(&sandbox, &server);
    trees::deploy(&sandbox, "2");
    assert_eq!(server.get("/app/quick").text(), "2");
    install(&sandbox, &altered(&NO_LAUNCH));
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "cannot start handlers");
    upgrade(&sandbox, &server, "2");
    let second = trees::begin(&sandbox, &server);
    trees::deploy(&sandbox, "3");
    assert_eq!(server.get("/app/quick").text(), "3");
    upgrade(&sandbox, &server, "3");
    trees::go(&sandbox);
    assert_eq!((first.join().unwrap(), second.join().unwrap()), ("1111!".into(), "2222!".into()));
    trees::only_one_tree_is_left(&sandbox);
    server.stop();
}

#[test]
fn running_handlers_count_against_every_limit_after_an_upgrade() {
    let mount = "[[mount]]\nat = \"/slow\"\nrun = [\"SLOW\"]\nmax-handlers = 1\n";
    for (limit, asked, status) in [
        ("max-handlers = 1\n", "/hello", 503),
        ("max-per-client = 1\n", "/hello", 429),
        (mount, "/slow", 503),
    ] {
        let sandbox = Sandbox::new();
        let slow = sandbox.handlers().join("slow").display().to_string();
        sandbox.write("c.toml", limit.replace("SLOW", &slow));
        let server = start(&sandbox, &["-w", "2", "-n", "lab", "-c", "c.toml"]);
        let pending = begin(&server, "/slow");
        eventually("it has begun", || pending.has_answer());
        let is_full = |when: &str| {
            (0..3).for_each(|_| assert_eq!(server.get(asked).status, status, "{limit} {when}"));
        };
        is_full("before");
        upgrade(&sandbox, &server, "2");
        is_full("after an upgrade");
        install(&sandbox, &altered(&NO_LAUNCH));
        sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "cannot start handlers");
        is_full("after one that failed");
        fs::write(sandbox.handlers().join("go"), "").unwrap();
        assert!(pending.finish().text().contains("ended"));
        eventually("there is a place", || server.get(asked).status == 200);
    }
}

#[test]
fn what_earlier_workers_start_during_an_upgrade_counts_too() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["-w", "1", "-n", "lab", "--max-handlers", "1"]);
    let (real, ready) = (sandbox.binary("bin/real", version("2")), sandbox.path("ready"));
    // The supervisor is a shell for a while.
    let slow_start = format!(
        "#!/bin/sh\n[ \"$CAFFEINE_TAKE_OVER\" = check ] || until [ -e '{}' ]; do :; done\nexec '{}' \"$@\"\n",
        ready.display(),
        real.display()
    );
    install(&sandbox, slow_start.as_bytes());
    server.signal(Signal::SIGHUP);
    eventually("the new program is executed", || server.log().contains("takes over"));
    let pending = begin(&server, "/slow");
    eventually("it has begun", || pending.has_answer());
    fs::write(ready, "").unwrap();
    eventually("the new version runs", || executes(server.pid(), &real));
    eventually("it is counted", || server.get("/hello").status == 503);
    (0..3).for_each(|_| assert_eq!(server.get("/hello").status, 503));
    fs::write(sandbox.handlers().join("go"), "").unwrap();
    assert!(pending.finish().text().contains("ended"));
    eventually("there is a place", || server.get("/hello").status == 200);
}

#[test]
fn the_unix_socket_of_a_service_manager_outlives_an_upgrade_and_the_instance() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", HELLO);
    let program = install(&sandbox, &version("1"));
    let socket = UnixListener::bind(sandbox.path("web.sock")).unwrap();
    let server = sandbox.start_with(&["-w", "2", "-n", "lab"], |command| {
        executed_by(command, &from(&program));
        activate(command, socket.try_clone().unwrap(), "caffeine.socket");
    });
    let tally = under_load(&server, 2, || upgrade(&sandbox, &server, "2"));
    assert_eq!((tally.lost(), tally.refused()), (0, 0), "{tally:?}, {}", server.log());
    server.stop();
    UnixStream::connect(sandbox.path("web.sock")).unwrap();
}
