//! Standard error of handlers: each line names its handler, and no handler costs another one a line or its
//! response.

use nix::sys::signal::Signal;

use crate::handlers::execution::compile;
use crate::harness::traffic::{begin, counters, signal};
use crate::harness::{Sandbox, Server, eventually, says};

/// Writes a response head, then runs `script`; `GO` is a file it can wait for.
fn handler(sandbox: &Sandbox, name: &str, script: &str) {
    let wait = format!("until [ -e '{}' ]; do sleep 0.01; done", sandbox.path("go").display());
    let script = script.replace("WAIT", &wait);
    sandbox.handler(name, format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n{script}\n"));
}

fn go(sandbox: &Sandbox) {
    sandbox.write("go", "");
}

/// Log lines with this text, once there is one.
fn lines(server: &Server, text: &str) -> Vec<String> {
    let found = || -> Vec<String> {
        let log = server.log();
        log.lines().filter(|line| line.contains(text)).map(ToOwned::to_owned).collect()
    };
    eventually(&format!("a line with {text}"), || !found().is_empty());
    found()
}

#[test]
fn unfinished_lines_of_two_handlers_are_two_lines_and_name_them() {
    let sandbox = Sandbox::new();
    handler(&sandbox, "one", "printf AAAA >&2; echo $$; WAIT; echo aaaa >&2");
    handler(&sandbox, "two", "printf BBBB >&2; echo $$; WAIT; echo bbbb >&2");
    let server = sandbox.start(&["-w", "1"]);
    let pending = [begin(&server, "/one"), begin(&server, "/two")];
    eventually("both run", || counters(&server)[0].launched == 2);
    go(&sandbox);
    let pids = pending.map(|request| request.finish().text().trim().to_owned());
    for (pid, name, own, others) in
        [(&pids[0], "/one", ["AAAA", "aaaa"], "BBBB"), (&pids[1], "/two", ["BBBB", "bbbb"], "AAAA")]
    {
        for text in own {
            let line = lines(&server, text).remove(0);
            assert!(
                line.contains(&format!(" WARN  worker 0: stream=stderr pid={pid} handler={name} ")),
                "{line}"
            );
            assert!(!line.contains(others), "{line}");
        }
    }
}

#[test]
fn a_handler_that_makes_its_stderr_nonblocking_loses_no_lines_of_others() {
    let sandbox = Sandbox::new();
    let source = "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\nint main(void) {\n\
                  puts(\"HTTP/1.1 200 OK\\r\\n\\r\"); fflush(stdout);\n\
                  fcntl(2, F_SETFL, O_NONBLOCK); for (;;) pause(); }\n";
    compile(&sandbox, "cc", source, "c", "mode");
    handler(&sandbox, "talks", "seq -f 'line %04g of many, and some more to make it long' 1 4000 >&2");
    let server = sandbox.start(&["-w", "1"]);
    let _mode = begin(&server, "/mode");
    eventually("it runs", || counters(&server)[0].launched == 1);
    // With no reader the pipe fills up and its writer blocks.
    server.signal(Signal::SIGSTOP);
    let talks = begin(&server, "/talks");
    eventually("it talks", || counters(&server)[0].launched == 2);
    std::thread::sleep(std::time::Duration::from_millis(200));
    server.signal(Signal::SIGCONT);
    talks.finish();
    eventually("the last line has come", || server.log().contains("line 4000 of many"));
    assert_eq!(server.log().matches(" of many").count(), 4000);
}

#[test]
fn with_more_handlers_than_pipes_every_line_still_names_its_worker() {
    let sandbox = Sandbox::new();
    handler(&sandbox, "waits", "echo begun $$ >&2; WAIT; echo done $$ >&2");
    let server = sandbox.start(&["-w", "1"]);
    let pending: Vec<_> = (0..20).map(|_| begin(&server, "/waits")).collect();
    eventually("all have begun", || server.log().matches(" begun ").count() == 20);
    go(&sandbox);
    pending.into_iter().for_each(|request| drop(request.finish()));
    eventually("all are done", || server.log().matches(" done ").count() == 20);
    let log = server.log();
    let all: Vec<&str> = log.lines().filter(|line| line.contains("stream=stderr")).collect();
    assert!(all.iter().all(|line| line.contains(" worker 0: ")), "{all:?}");
    let named = all.iter().filter(|line| line.contains(" pid=")).count();
    assert_eq!(named, 16, "eight have a pipe to themselves, and write two lines each: {all:?}");
    for line in all.iter().filter(|line| line.contains(" pid=")) {
        let pid = line.split(" pid=").nth(1).unwrap().split(' ').next().unwrap();
        assert!(line.ends_with(&format!(" {pid}")), "{line}");
    }
}

#[test]
fn stderr_is_read_after_the_worker_died_or_was_replaced() {
    let sandbox = Sandbox::new();
    handler(&sandbox, "waits", "echo begun $$ >&2; WAIT; echo done $$ >&2");
    let server = sandbox.start(&["-n", "lab", "-w", "1"]);
    let pending = [begin(&server, "/waits")];
    eventually("it has begun", || server.log().contains(" begun "));
    let row = counters(&server).swap_remove(0);
    signal(&row, Signal::SIGKILL);
    eventually("a successor is there", || {
        counters(&server)[0].pid != row.pid && counters(&server)[0].state == 2
    });
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    let late = begin(&server, "/waits");
    eventually("another one has begun", || server.log().matches(" begun ").count() == 2);
    go(&sandbox);
    pending.into_iter().chain([late]).for_each(|request| drop(request.finish()));
    eventually("both are done", || server.log().matches(" done ").count() == 2);
    assert!(lines(&server, " done ").iter().all(|line| line.contains(" handler=/waits ")));
}

#[test]
fn a_handler_finishes_its_response_after_the_supervisor_was_killed() {
    let sandbox = Sandbox::new();
    handler(&sandbox, "slow", "printf one; WAIT; echo warn >&2; /bin/echo again >&2; printf two");
    sandbox.handler("hello", says("hello"));
    let mut server = sandbox.start(&["-w", "1"]);
    let pending = begin(&server, "/slow");
    eventually("it runs", || counters(&server)[0].launched == 1);
    server.signal(Signal::SIGKILL);
    server.wait();
    go(&sandbox);
    assert_eq!(pending.finish().text(), "onetwo");
}

#[test]
fn stderr_can_be_opened_by_name() {
    let sandbox = Sandbox::new();
    handler(&sandbox, "opens", "echo by name >/dev/stderr && printf opened");
    let server = sandbox.start(&["-w", "1"]);
    assert_eq!(server.get("/opens").text(), "opened");
    lines(&server, "by name");
}
