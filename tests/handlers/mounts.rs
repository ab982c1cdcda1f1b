//! Limits of single mounts on the number of handlers, across deaths of workers and of the keeper.

use crate::handlers::keeper::BLOWS;
use crate::handlers::orphans::{long_handler, pids};
use crate::harness::traffic::{begin, counters, under_load};
use crate::harness::{Sandbox, Server, eventually, says};

/// A server with this program as the mount `at`, and this limit there.
fn start(sandbox: &Sandbox, at: &str, handler: &str, most: u64, arguments: &[&str]) -> Server {
    let program = sandbox.handlers().join(handler);
    let program = program.display();
    sandbox
        .write("c.toml", format!("[[mount]]\nat = \"{at}\"\nrun = [\"{program}\"]\nmax-handlers = {most}\n"));
    sandbox.start(&[&["-c", "c.toml", "-w", "1"], arguments].concat())
}

#[test]
fn handlers_of_a_mount_count_against_its_limit_and_the_instances() {
    let sandbox = Sandbox::new();
    long_handler(&sandbox);
    sandbox.handler("hello", says("hello"));
    let server = start(&sandbox, "/m", "long", 1, &["--max-handlers", "2"]);
    let pending = begin(&server, "/m/x");
    pids(&sandbox, 1);
    for (what, strike) in BLOWS {
        for _ in 0..3 {
            assert_eq!(server.get("/m").status, 503, "before a {what}");
            assert_eq!(server.get("/hello").text(), "hello", "before a {what}");
        }
        strike(&server);
        assert_eq!(server.get("/m").status, 503, "after a {what}");
    }
    let other = begin(&server, "/long");
    pids(&sandbox, 2);
    assert_eq!(server.get("/hello").status, 503, "the instance's limit holds too");
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "begun ended\n");
    assert_eq!(other.finish().text(), "begun ended\n");
    eventually("there is a place", || server.get("/m").status == 200);
    eventually("none is counted", || server.scoreboard().handlers() == 0);
}

#[test]
fn a_program_that_cannot_be_started_takes_no_place() {
    let sandbox = Sandbox::new();
    let program = sandbox.handler("broken", "#!/nowhere/interpreter\n");
    let server = start(&sandbox, "/m", "broken", 1, &[]);
    (0..3).for_each(|_| assert_eq!(server.get("/m").status, 500));
    std::fs::write(program, says("mended")).unwrap();
    assert_eq!(server.get("/m").text(), "mended");
}

#[test]
fn deaths_neither_leak_a_place_of_a_mount_nor_exceed_its_limit() {
    let sandbox = Sandbox::new();
    let (running, over) = (sandbox.path("running"), sandbox.path("over"));
    std::fs::create_dir(&running).unwrap();
    let script = format!(
        "#!/bin/sh\n: >{0}/$$\nset -- {0}/*\n[ $# -le 3 ] || echo $# >>{1}\nrm {0}/$$\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nhello\\n'\n",
        running.display(),
        over.display()
    );
    sandbox.handler("counts", script);
    let server = start(&sandbox, "/hello", "counts", 3, &[]);
    under_load(&server, 6, || {
        for (_, strike) in BLOWS {
            let before = counters(&server)[0].launched;
            strike(&server);
            eventually("requests are served", || counters(&server)[0].launched != before);
        }
    });
    eventually("all are counted off", || server.scoreboard().handlers() == 0);
    assert!(!over.exists(), "{:?}", std::fs::read_to_string(over));
    // Three at once still find a place.
    let pending: Vec<_> = (0..3).map(|_| begin(&server, "/hello")).collect();
    pending.into_iter().for_each(|one| assert_eq!(one.finish().status, 200));
}
