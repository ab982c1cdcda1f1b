//! Local redirects: another handler answers, and the client does not notice.

use std::sync::atomic::Ordering::SeqCst;

use super::{prints, serving, text};
use crate::harness::traffic::begin;
use crate::harness::{Sandbox, eventually};

fn shows_request() -> String {
    let show = r"Content-Type: text/plain\n\n%s %s %s %s %s";
    format!(
        "#!/bin/sh\nprintf '{show}' \"$REQUEST_METHOD\" \"$REQUEST_URI\" \"$PATH_INFO\" \"${{CONTENT_LENGTH-none}}\" \"$HTTP_X\"\n"
    )
}

#[test]
fn a_local_redirect_is_answered_by_another_handler() {
    let sandbox = Sandbox::new();
    sandbox.handler("here", prints(r"Location: /there/info?a=b\n\n"));
    sandbox.handler("there", shows_request());
    sandbox.handler("missing", prints(r"Location: /nowhere\n\n"));
    sandbox.handler("native", prints(r"Location: /nph-there\n\n"));
    sandbox.handler("nph-there", crate::harness::says("native"));
    let server = sandbox.start(&["-w", "2", "--response", "document", "--max-handlers", "50"]);
    let head = "Host: x\r\nX: kept\r\n";
    let ask = |request: String| crate::harness::Response::parse(&server.raw(request.as_bytes()));
    let get = ask(format!("GET /here HTTP/1.1\r\n{head}\r\n"));
    assert_eq!(text(&get), "GET /there/info?a=b /info none kept", "{get:?}");
    let post = ask(format!("POST /here HTTP/1.1\r\n{head}Content-Length: 3\r\n\r\nabc"));
    assert_eq!(text(&post), "GET /there/info?a=b /info none kept");
    let head = ask(format!("HEAD /here HTTP/1.1\r\n{head}\r\n"));
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert_eq!(server.get("/missing").status, 404);
    assert_eq!(text(&server.get("/native")), "native");
    eventually("all are counted off", || server.scoreboard().handlers() == 0);
    server.stop();
}

#[test]
fn redirects_end_after_ten() {
    let sandbox = Sandbox::new();
    sandbox.handler("loop", prints(r"Location: /loop\n\n"));
    // Counts down in its query.
    let counts = "#!/bin/sh\nif [ \"$QUERY_STRING\" -gt 0 ]; then printf 'Location: /count?%d\\n\\n' $((QUERY_STRING - 1))\n\
                  else printf 'A: b\\n\\ndown'; fi\n";
    sandbox.handler("count", counts);
    sandbox.handler("bad", prints(r"Location: /a b\n\n"));
    let server = serving(&sandbox, &[]);
    assert_eq!(text(&server.get("/count?10")), "down");
    assert_eq!(server.get("/count?11").status, 502);
    assert_eq!(server.get("/loop").status, 502);
    assert_eq!(server.get("/bad").status, 502);
    eventually("the log says why", || {
        server.log().contains("there were too many local redirects in a row")
            && server.log().contains("the local redirect does not lead to a valid path")
    });
    let cookie = "c".repeat(9000);
    let long = format!("GET /loop HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
    assert_eq!(crate::harness::Response::parse(&server.raw(long.as_bytes())).status, 502);
}

#[test]
fn a_redirect_that_waits_for_a_worker_is_served_by_the_next_one_and_a_stop_leaves_none_waiting() {
    let sandbox = Sandbox::new();
    let go = sandbox.path("go").display().to_string();
    sandbox.handler(
        "late",
        format!("#!/bin/sh\nuntil [ -e '{go}' ]; do sleep 0.02; done\nprintf 'Location: /there\\n\\n'\n"),
    );
    sandbox.handler("there", shows_request());
    let mut server = serving(&sandbox, &["--grace", "1h"]);
    let pending = begin(&server, "/late");
    eventually("the keeper has it", || server.scoreboard().header().relaying.load(SeqCst) == 1);
    crate::handlers::orphans::kill_worker(&server);
    super::go(&sandbox);
    assert!(text(&pending.finish()).starts_with("GET /there"));
    std::fs::remove_file(&go).unwrap();
    let pending = begin(&server, "/late");
    eventually("the keeper has it", || server.scoreboard().header().relaying.load(SeqCst) == 1);
    let worker = server.worker_pids()[0];
    server.signal(nix::sys::signal::Signal::SIGTERM);
    eventually("the worker has left", || !crate::harness::is_alive(worker));
    super::go(&sandbox);
    let response = pending.finish();
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(server.wait().0, Some(0));
}
