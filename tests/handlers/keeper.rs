//! The keeper: counts, timeouts and outcomes of handlers, across deaths of workers and of the keeper itself.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use caffeine::sys::sandbox::{Rule, refuse_in};
use nix::sys::signal::{Signal, kill};

use crate::handlers::execution::compile;
use crate::handlers::orphans::{kill_worker, long_handler, pids, reload, with_long};
use crate::harness::traffic::{begin, counters, state, under_load};
use crate::harness::{Sandbox, Server, eventually, is_alive, names_in, pid, says};
use crate::limits::exhaustion::start_within;

fn keeper(server: &Server) -> Option<u32> {
    let row = server.scoreboard().keeper()?;
    u32::try_from(row.pid).ok().filter(|pid| *pid != 0)
}

/// Kills the keeper and waits for its replacement.
fn kill_keeper(server: &Server) {
    eventually("there is one", || keeper(server).is_some());
    let old = keeper(server).unwrap();
    kill(pid(old), Signal::SIGKILL).unwrap();
    eventually("it has a successor", || keeper(server).is_some_and(|new| new != old));
}

/// Suspends the keeper and waits for its replacement.
fn stop_keeper(server: &Server) {
    eventually("there is one", || keeper(server).is_some());
    let old = keeper(server).unwrap();
    kill(pid(old), Signal::SIGSTOP).unwrap();
    eventually("it has a successor", || keeper(server).is_some_and(|new| new != old));
}

/// Faults, each with the function that causes it.
pub type Blow = (&'static str, fn(&Server));

pub const BLOWS: [Blow; 4] = [
    ("reload", reload),
    ("death of the worker", kill_worker),
    ("death of the keeper", kill_keeper),
    ("stop of the keeper", stop_keeper),
];

#[test]
fn handlers_count_against_the_limit_until_they_exit() {
    let (sandbox, server) = with_long(&["-w", "1", "--max-handlers", "1"]);
    sandbox.handler("hello", says("hello"));
    let pending = begin(&server, "/long");
    pids(&sandbox, 1);
    for (what, strike) in BLOWS {
        assert_eq!(server.get("/hello").status, 503, "before a {what}");
        strike(&server);
        for _ in 0..3 {
            assert_eq!(server.get("/hello").status, 503, "after a {what}");
        }
        assert_eq!(server.scoreboard().handlers(), 1, "{what}");
    }
    assert_eq!(server.get("/missing").status, 404, "which is told at the limit too");
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "begun ended\n");
    eventually("there is a place", || server.get("/hello").status == 200);
    eventually("none is counted", || server.scoreboard().handlers() == 0);
}

#[test]
fn deaths_neither_leak_a_slot_nor_exceed_max_handlers() {
    let sandbox = Sandbox::new();
    let (running, over) = (sandbox.path("running"), sandbox.path("over"));
    std::fs::create_dir(&running).unwrap();
    // Each handler marks itself while it counts and checks that no more than the limit are marked.
    let script = format!(
        "#!/bin/sh\n: >{0}/$$\nset -- {0}/*\n[ $# -le 3 ] || echo $# >>{1}\nrm {0}/$$\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nhello\\n'\n",
        running.display(),
        over.display()
    );
    sandbox.handler("hello", script);
    let server = sandbox.start(&["-w", "1", "--max-handlers", "3"]);
    under_load(&server, 6, || {
        for (_, strike) in [&BLOWS[1..], &BLOWS[..]].concat() {
            let before = counters(&server)[0].launched;
            strike(&server);
            eventually("requests are served", || counters(&server)[0].launched != before);
        }
    });
    eventually("all are counted off", || server.scoreboard().handlers() == 0);
    assert!(!over.exists(), "{:?}", std::fs::read_to_string(over));
}

#[test]
fn a_timeout_applies_even_if_worker_and_keeper_die() {
    for (_, strike) in BLOWS {
        let (sandbox, server) = with_long(&["-w", "1", "--handler-timeout", "2s", "--grace", "1h"]);
        let _pending = begin(&server, "/long");
        let handlers = pids(&sandbox, 1);
        strike(&server);
        eventually("it is ended", || handlers.iter().all(|&handler| !is_alive(handler)));
        eventually("the log says so", || server.log().contains("handler exceeded handler-timeout"));
    }
}

#[test]
fn no_handler_escapes_its_timeout_or_the_limit() {
    let source = r#"
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) {
            const char *how = getenv("QUERY_STRING");
            signal(SIGALRM, SIG_IGN);
            signal(SIGTERM, SIG_IGN);
            if (strstr(how, "group")) setpgid(0, getppid());
            if (strstr(how, "orphan") && fork()) _exit(0);
            if (strstr(how, "kill")) kill(getppid(), SIGKILL);
            FILE *pids = fopen(PIDS, "a");
            fprintf(pids, "%d\n", getpid());
            fclose(pids);
            printf("HTTP/1.1 200 OK\r\n\r\n");
            fflush(stdout);
            for (;;) pause();
        }
    "#;
    for how in ["group", "kill", "group-orphan"] {
        let sandbox = Sandbox::new();
        let file = format!("{:?}", sandbox.path("pids"));
        compile(&sandbox, "cc", &source.replace("PIDS", &file), "c", "escapes");
        sandbox.handler("hello", says("hello"));
        let server =
            sandbox.start(&["-w", "1", "--handler-timeout", "2s", "--max-handlers", "1", "--grace", "1h"]);
        let _pending = begin(&server, &format!("/escapes?{how}"));
        let handlers = pids(&sandbox, 1);
        if how != "group-orphan" {
            eventually("a worker serves", || server.worker_pids()[0] != 0);
            assert_eq!(server.get("/hello").status, 503, "{how}: it counts");
        }
        eventually("it is ended", || handlers.iter().all(|&handler| !is_alive(handler)));
        eventually("it is counted off", || server.get("/hello").status == 200);
    }
}

#[test]
fn with_few_descriptors_every_handler_still_times_out() {
    let sandbox = Sandbox::new();
    let script = format!(
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nsleep 600 &\necho $! >>'{0}'\necho $$ >>'{0}'\nwait\n",
        sandbox.path("pids").display()
    );
    sandbox.handler("long", script);
    let arguments = ["-w", "1", "--handler-timeout", "2s", "--defer-accept", "5s"];
    let server = start_within(&sandbox, 64, &arguments);
    let clients: Vec<_> = (0..70).map(|_| begin(&server, "/long")).collect();
    let all = pids(&sandbox, 140);
    for client in clients {
        assert_eq!(client.finish().status, 200);
    }
    eventually("all are ended", || all.iter().all(|&one| !is_alive(one)));
    eventually("all are counted off", || server.scoreboard().handlers() == 0);
}

#[test]
fn handler_outcomes_are_logged_counted_and_shown() {
    let sandbox = Sandbox::new();
    sandbox.handler("well", says("well"));
    for (name, end) in [("fails", "exit 3"), ("crashes", "kill -SEGV $$"), ("dies", "kill -9 $$")] {
        sandbox.handler(name, says(name) + end + "\n");
    }
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--outcomes", "on", "--log-level", "DEBUG"]);
    for name in ["well", "fails", "crashes", "dies"] {
        assert_eq!(server.get(&format!("/{name}")).text(), name);
    }
    for (level, handler, rest) in [
        ("DEBUG", "well", "outcome=ok duration_us="),
        ("WARN", "fails", "outcome=failed code=3 duration_us="),
        ("ERROR", "crashes", "outcome=killed signal=11 duration_us="),
        ("ERROR", "dies", "outcome=killed signal=9 duration_us="),
    ] {
        eventually("the log says so", || {
            server.log().lines().any(|line| {
                line.contains(level)
                    && line.contains(&format!(" keeper: handler=/{handler} worker=0 pid="))
                    && line.contains(rest)
            })
        });
    }
    let board = server.scoreboard();
    let header = board.header();
    let ends = [&header.handlers_ok, &header.handlers_failed, &header.handlers_killed];
    assert_eq!(ends.map(|n| n.load(SeqCst)), [1, 1, 2]);
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    assert!(status.contains("handlers: 0 running, 1 ok, 1 failed, 2 killed"), "{status}");
}

#[test]
fn a_handler_whose_client_has_gone_is_neither_killed_nor_failed() {
    let sandbox = Sandbox::new();
    let endless = "while printf x; do sleep 0.01; done";
    sandbox.handler("native", format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n{endless}\n"));
    // It handles the error that others die of.
    let stubborn = format!("#!/bin/sh\ntrap '' PIPE\nprintf 'A: b\\n\\n'\n{endless} 2>/dev/null\nexit 3\n");
    sandbox.handler("document", stubborn);
    let arguments =
        ["-n", "lab", "-w", "1", "--response", "document", "--access-log", "json", "--outcomes", "on"];
    sandbox.handler("nph-native", std::fs::read(sandbox.handlers().join("native")).unwrap());
    let server = sandbox.start(&arguments);
    for target in ["/nph-native", "/document"] {
        let mut stream = server.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 20]).unwrap();
    }
    let count = |counter: fn(&caffeine::scoreboard::Header) -> &std::sync::atomic::AtomicU64| {
        counter(server.scoreboard().header()).load(SeqCst)
    };
    eventually("both have ended", || count(|header| &header.handlers_client_gone) == 2);
    assert_eq!((count(|header| &header.handlers_killed), count(|header| &header.handlers_failed)), (0, 0));
    let log = server.log();
    assert!(!log.contains("outcome=failed") && !log.contains("outcome=killed"), "{log}");
    let access = std::fs::read_to_string(server.folder().access_log()).unwrap();
    let lines = |wanted: &str| access.lines().filter(|line| line.contains(wanted)).count();
    assert_eq!((lines("/document"), lines("\"cut\":true")), (1, 1), "{access}");
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    assert!(status.contains("0 killed, 2 client gone"), "{status}");
    let metrics = sandbox.caffeine(&["-n", "lab", "--metrics"]).succeeds().stdout;
    assert!(metrics.contains("handlers_ended_total{name=\"lab\",outcome=\"client_gone\"} 2\n"), "{metrics}");
}

#[test]
fn outcomes_are_recorded_when_handlers_are_watched_unless_disabled() {
    for (arguments, recorded) in [
        (&["--handler-timeout", "1h"][..], true),
        (&["--max-handlers", "9", "--outcomes", "auto"], true),
        (&["--listener", "inherited-delay"], true),
        (&["--handler-timeout", "1h", "--outcomes", "off"], false),
    ] {
        let sandbox = Sandbox::new();
        sandbox.handler("fails", says("fails") + "exit 3\n");
        let server = sandbox.start(arguments);
        server.get("/fails");
        eventually("it is counted off", || {
            counters(&server).iter().any(|row| row.launched == 1) && server.scoreboard().handlers() == 0
        });
        if recorded {
            eventually("the log says so", || server.log().contains("outcome=failed"));
        } else {
            assert!(!server.log().contains("outcome=failed"), "{arguments:?}");
        }
    }
}

#[test]
fn a_keeper_runs_only_while_a_setting_needs_one() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let path = sandbox.path("c.toml").display().to_string();
    let configure = |text: &str| sandbox.write("c.toml", format!("workers = 1\n{text}"));
    configure("");
    let server = sandbox.start(&["-c", &path]);
    assert_eq!(keeper(&server), None);
    configure("max-handlers = 1\n");
    reload(&server);
    eventually("there is one", || keeper(&server).is_some());
    assert_eq!(server.get("/hello").text(), "hello");
    let first = keeper(&server).unwrap();
    reload(&server);
    assert_eq!(keeper(&server), Some(first), "it outlives a reload");
    configure("outcomes = \"off\"\n");
    reload(&server);
    eventually("it has left", || !is_alive(first) && keeper(&server).is_none());
    assert_eq!(server.get("/hello").text(), "hello");
    configure("outcomes = \"on\"\n");
    reload(&server);
    eventually("there is another one", || keeper(&server).is_some());
    assert_eq!(server.get("/hello").text(), "hello");
    server.stop();
}

fn with_configured_long() -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let config = sandbox.write("c.toml", "");
    long_handler(&sandbox);
    let server = sandbox.start(&["-w", "1", "-c", config.to_str().unwrap()]);
    (sandbox, server)
}

#[test]
fn handlers_already_running_count_when_a_reload_sets_a_limit() {
    let (sandbox, server) = with_configured_long();
    sandbox.handler("hello", says("hello"));
    let pending = begin(&server, "/long");
    pids(&sandbox, 1);
    sandbox.write("c.toml", "max-handlers = 1\n");
    reload(&server);
    eventually("it is counted", || server.scoreboard().handlers() == 1);
    assert_eq!(server.get("/hello").status, 503);
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "begun ended\n");
    eventually("there is a place", || server.get("/hello").status == 200);
}

#[test]
fn without_pidfds_handlers_are_identified_by_start_time() {
    let sandbox = Sandbox::new();
    long_handler(&sandbox);
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start_with(&["-w", "1", "--max-handlers", "1"], |command| {
        refuse_in(command, &[Rule::call(libc::SYS_pidfd_open)], libc::ENOSYS);
    });
    let pending = begin(&server, "/long");
    pids(&sandbox, 1);
    kill_keeper(&server);
    assert_eq!(server.get("/hello").status, 503);
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "begun ended\n");
    eventually("there is a place", || server.get("/hello").status == 200);
}

#[test]
fn the_status_shows_the_handlers_of_earlier_workers() {
    let (sandbox, server) = with_long(&["-n", "lab", "-w", "1", "--max-handlers", "5"]);
    let _first = begin(&server, "/long");
    pids(&sandbox, 1);
    reload(&server);
    let _second = begin(&server, "/long");
    pids(&sandbox, 2);
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    assert!(status.contains("handlers: 2 running"), "{status}");
}

#[test]
fn a_refusal_at_the_limit_neither_sleeps_nor_polls_handlers() {
    let sandbox = Sandbox::new();
    sandbox.handler("long", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec sleep 600\n");
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let watched = [libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_poll, libc::SYS_ppoll];
    let answer = move |_: &crate::harness::sys::seccomp::Call| {
        seen.fetch_add(1, SeqCst);
        None
    };
    let Some(server) = sandbox.start_behind(&watched, answer, &["-w", "1", "--max-handlers", "2"]) else {
        return;
    };
    let _running = [begin(&server, "/long"), begin(&server, "/long")];
    eventually("both run", || server.scoreboard().handlers() == 2);
    // The first request may wait for a slot in vain; after it the supervisor no longer polls.
    assert_eq!(server.get("/long").status, 503);
    std::thread::sleep(Duration::from_millis(50));
    let before = calls.load(SeqCst);
    for _ in 0..200 {
        assert_eq!(server.get("/long").status, 503);
    }
    let more = calls.load(SeqCst) - before;
    assert!(more < 10, "{more} calls that sleep or look in 200 refusals");
}

#[test]
fn a_keeper_terminated_by_hand_is_replaced_and_leaks_nothing() {
    let (sandbox, mut server) = with_long(&["-w", "1", "--max-handlers", "3", "--grace", "1h"]);
    let pending = begin(&server, "/long");
    pids(&sandbox, 1);
    let old = keeper(&server).unwrap();
    assert_eq!(state(old), 'S', "it sleeps");
    kill(pid(old), Signal::SIGTERM).unwrap();
    server.signal(Signal::SIGTERM);
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "begun ended\n");
    assert_eq!(server.wait().0, Some(0));
    assert!(!is_alive(old));
    assert!(names_in(server.folder().dir()).len() < 10);
}
