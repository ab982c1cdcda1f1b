//! `--deploy-builtin`: the handlers that come with the server, by themselves and in a browser.

use std::io::{BufRead, BufReader, Write};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::metrics::samples;
use crate::harness::browser::Browser;
use crate::harness::{Sandbox, Server, eventually, pid, says, skipped};

fn serving(builtin: &str) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab", "-w", "2", "--outcomes", "on"]);
    sandbox.caffeine(&["-n", "lab", "--deploy-builtin", builtin]).succeeds();
    (sandbox, server)
}

#[test]
fn metrics_are_served_over_http() {
    let (sandbox, server) = serving("metrics");
    server.get("/hello");
    let answer = server.get("/metrics");
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").unwrap();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    // Whether its own launch is counted yet is chance.
    assert!(samples(&answer.text())["caffeine_handlers_launched_total{name=\"lab\"}"] >= 1.0);
    // It is a handler like any other.
    sandbox.caffeine(&["--try", ".config/caffeine/hello"]).succeeds();
    std::fs::remove_file(sandbox.handlers().join("metrics")).unwrap();
    assert_eq!(server.get("/metrics").status, 404);
}

#[test]
fn a_builtin_goes_where_any_handler_goes() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("it's here")).unwrap();
    sandbox.caffeine(&["--path", "it's here", "--deploy-builtin", "metrics"]).succeeds();
    let server = sandbox.start(&["--path", "it's here", "--state-dir", "a 'state'", "-n", "lab"]);
    assert_eq!(server.get("/metrics").status, 503, "it looks into another state directory");
    let both = ["--path", "it's here", "--state-dir", "a 'state'", "--deploy-builtin", "metrics"];
    sandbox.caffeine(&both).succeeds();
    assert_eq!(server.get("/metrics").status, 200);
    server.signal(Signal::SIGQUIT);
}

/// The next object of a stream of events.
fn next_event(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Value {
    let line = lines.map(Result::unwrap).find(|line| line.starts_with("data: ")).unwrap();
    serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap()
}

#[test]
fn the_stream_shows_deaths_and_ends_with_its_client_and_with_the_instance() {
    let (_sandbox, server) = serving("live");
    let page = server.get("/live");
    assert!(page.status == 200 && page.text().contains("new EventSource("), "{page:?}");
    assert_eq!(server.get("/live/other").status, 404);
    let open = || {
        let mut stream = server.connect();
        stream.write_all(b"GET /live/events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        BufReader::new(stream).lines()
    };
    let mut lines = open();
    let first = next_event(&mut lines);
    assert_eq!((&first["name"], &first["restarts"]), (&"lab".into(), &0.into()));
    kill(pid(server.worker_pids()[1]), Signal::SIGKILL).unwrap();
    while next_event(&mut lines)["restarts"] != 1 {}
    drop(lines);
    eventually("the handler ends with its client", || server.scoreboard().handlers() == 0);
    let mut lines = open();
    next_event(&mut lines);
    server.stop();
}

#[test]
fn the_live_page_shows_in_a_browser_how_workers_die_and_are_replaced() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.handler("page", "#!/bin/sh\nprintf 'Content-Length: 2\\n\\nok'\n");
    let server = sandbox.start(&["-n", "lab", "-w", "2", "--outcomes", "on", "--response", "auto"]);
    sandbox.caffeine(&["-n", "lab", "--deploy-builtin", "live"]).succeeds();
    let Some(mut browser) = Browser::start() else { return skipped("chromium is not installed") };
    browser.navigate(&format!("http://127.0.0.1:{}/live", server.port()));
    let mut text = |expression: String| {
        browser.value(&format!("String({expression})")).as_str().unwrap_or_default().to_owned()
    };
    let cell = |row: usize, column: usize| {
        format!("document.querySelector('#workers').rows[{row}]?.cells[{column}].textContent")
    };
    let total = |name: &str| {
        let is_it = format!("dt => dt.textContent === '{name}'");
        format!("[...document.querySelectorAll('dt')].find({is_it})?.nextSibling.textContent")
    };
    eventually("both workers are shown", || {
        let pids = server.worker_pids();
        (0..2).all(|row| text(cell(row, 1)) == pids[row].to_string())
    });
    assert_eq!(text("document.querySelector('#state').textContent".into()), "live");
    let graph = "document.querySelector('#workers').rows[1].cells[5].querySelector('polyline').getAttribute('points')";
    eventually("the graph has begun", || text(graph.into()).contains(','));
    assert_eq!(text("getComputedStyle(document.querySelector('th:nth-child(6)')).textAlign".into()), "left");
    assert_eq!(server.get("/page").status, 200);
    let mut number = |name: &str| text(total(name)).parse::<u64>().unwrap_or_default();
    // The stream of the page is one of them.
    eventually("documents are counted", || {
        number("documents 2xx") >= 2 && number("documents under way") >= 1
    });
    assert_eq!(text(total("documents cut")), "0");
    assert!(!server.log().contains("favicon"), "{}", server.log());
    let before: u64 = text(total("accepted")).parse().unwrap();
    for round in 1..=2 {
        let old = server.worker_pids();
        kill(pid(old[0]), Signal::SIGKILL).unwrap();
        eventually("the replacement is shown", || {
            let new = server.worker_pids()[0];
            new != old[0] && new != 0 && text(cell(0, 1)) == new.to_string()
        });
        (0..5).for_each(|_| assert_eq!(server.get("/hello").status, 200));
        eventually("and counted", || text(total("restarts")) == round.to_string());
        eventually("requests too", || text(total("accepted")).parse::<u64>().unwrap() >= before + 5 * round);
    }
    assert_eq!(text(cell(0, 2)), "running");
    assert_eq!(text(cell(1, 1)), server.worker_pids()[1].to_string(), "the other one lives");
}
