//! `results/index.html` in a browser: the three questions sort and grey out strategies, and without script all is there.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::skipped;
use crate::lab::experiments::{Bench, text};

/// A summary as `lab report` writes it.
fn summary(question: &str, rounds: u32, cells: Vec<Value>) -> Value {
    json!({
        "question": question,
        "started": "20261126T080000Z",
        "label": "bench",
        "answer": ["Keep the default.", "It says more."],
        "verdicts": {"OK": 30},
        "basis": {"commit": "0123456789ab", "machine": "Test CPU, 2 cores, Linux 6.18", "rounds": rounds, "debug": false, "superseded": false},
        "cells": cells,
    })
}

fn tail(strategy: &str, p99_ms: f64, told: &str) -> Value {
    let mut cell = json!({
        "strategy": strategy, "metric": "response_p99_ms", "work": "sleep", "load": "load 80 %", "estimate": p99_ms,
        "interval": {"low": p99_ms * 0.95, "high": p99_ms * 1.05}, "told": told, "n": 12,
    });
    if told != "baseline" {
        let ratio = p99_ms / 10.0;
        let interval = json!({"low": ratio * 0.95, "high": ratio * 1.05});
        cell["ratio"] = json!({"against": "inherited", "value": ratio, "interval": interval});
    }
    cell
}

fn struck(
    strategy: &str,
    metric: &str,
    fault: &str,
    estimate: f64,
    [low, high]: [f64; 2],
    hits: u64,
) -> Value {
    json!({
        "strategy": strategy, "metric": metric, "work": "sleep", "load": "800/s", "fault": fault, "estimate": estimate,
        "interval": {"low": low, "high": high}, "told": "counted", "n": 100, "hits": hits, "lost": hits,
    })
}

/// A folder with three reports and an index.
fn overview() -> (Bench, PathBuf) {
    let bench = Bench::new("");
    let leave = |name: &str, summary: Value| {
        let folder = bench.path("results").join(name).join("reference");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("summary.json"), summary.to_string()).unwrap();
    };
    let cells = vec![
        tail("inherited", 10.0, "baseline"),
        tail("reuseport", 28.6, "differs"),
        tail("round-robin", 9.0, "open"),
        tail("reuseport-steal", 8.0, "differs"),
    ];
    leave("tail", summary("What does waiting cost?", 12, cells));
    let cells = vec![
        json!({"strategy": "inherited", "metric": "response_p99_ms", "work": "cgi", "load": "load 60 %",
               "estimate": 21.5, "interval": {"low": 20.0, "high": 23.0}, "told": "baseline", "n": 12}),
    ];
    leave("tail-cgi", summary("What does it cost with handlers?", 12, cells));
    let late = |strategy, n: f64| struck(strategy, "delayed_per_fault", "stall", n, [n - 1.0, n + 1.0], 0);
    let cells = vec![late("inherited", 1.0), late("dispatch", 0.2), late("reuseport", 109.0)];
    leave("stuck", summary("Who waits for a worker that is stuck?", 12, cells));
    let lost = |strategy, hits: u64| {
        let share = hits as f64 / 100.0;
        struck(strategy, "lost_per_fault", "kill", share, [share * 0.8, share * 0.8 + 0.03], hits)
    };
    let cells = vec![lost("inherited", 0), lost("reuseport", 0), lost("reuseport:private", 60)];
    leave("losses", summary("What is lost?", 1, cells));
    let output = bench.run(&["report", "--all"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = bench.path("results/index.html");
    (bench, page)
}

/// The names of the rows from the top, with `-` before those that are greyed out.
const ROWS: &str = "[...document.querySelectorAll('.matrix tbody tr')].map(row => \
                    (row.classList.contains('out') ? '-' : '') + row.cells[0].querySelector('a').textContent)";

fn rows(browser: &mut Browser) -> Vec<String> {
    let value = browser.value(ROWS);
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn button(key: &str) -> String {
    format!("button[data-question={key}]")
}

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        skipped("no Chromium is installed (apt-get install chromium)");
    }
    browser
}

#[test]
fn each_question_sorts_the_strategies_and_greys_out_those_that_it_rules_out() {
    let Some(mut browser) = browser() else { return };
    let (_bench, page) = overview();
    browser.open(&page);
    let all = rows(&mut browser);
    assert!(
        all[0] == "inherited" && all.len() > 14 && !all.iter().any(|name| name.starts_with('-')),
        "{all:?}"
    );

    // Measured ones by p99; without a figure the promise decides.
    browser.click(&button("lengths"));
    let sorted = rows(&mut browser);
    assert_eq!(sorted[..3], ["reuseport-steal", "round-robin", "inherited"], "{sorted:?}");
    let out: Vec<&str> = sorted.iter().filter_map(|name| name.strip_prefix('-')).collect();
    assert_eq!(out[0], "reuseport", "{sorted:?}");
    assert_eq!(
        sorted[sorted.len() - out.len()..].iter().filter(|name| name.starts_with('-')).count(),
        out.len()
    );
    for name in ["reuseport:private", "inherited-mutex", "uring-multishot"] {
        assert!(out.contains(&name), "{out:?}");
    }
    let why = browser.value("document.querySelector('#row-reuseport .against').textContent");
    assert_eq!(why, "tail at 80 % load: 28.6 ms, 10.0 ms with the default");
    let says = browser.value("document.querySelector('#sorted').textContent");
    assert!(
        says.as_str().unwrap().starts_with(&format!(
            "{} of {} strategies remain",
            all.len() - out.len(),
            all.len()
        )),
        "{says}"
    );

    // Pressed again, it is as it was.
    browser.click(&button("lengths"));
    assert_eq!(rows(&mut browser), all);

    browser.click(&button("hangs"));
    let sorted = rows(&mut browser);
    assert_eq!(sorted[..2], ["dispatch", "inherited"], "{sorted:?}");
    assert!(sorted.contains(&"-reuseport".to_owned()), "{sorted:?}");
    browser.click(&button("hangs"));

    browser.click(&button("losses"));
    let sorted = rows(&mut browser);
    assert_eq!(sorted[..2], ["inherited", "reuseport"], "{sorted:?}");
    assert!(sorted.contains(&"-reuseport:private".to_owned()), "{sorted:?}");
    // Two questions at once rule out what either does.
    browser.click(&button("lengths"));
    let sorted = rows(&mut browser);
    assert!(sorted.contains(&"-reuseport".to_owned()) && sorted.contains(&"-reuseport:private".to_owned()));
    assert_eq!(sorted[0], "inherited", "the ranks add up: {sorted:?}");
}

#[test]
fn the_questions_are_buttons_for_the_keyboard_and_for_a_screen_reader() {
    let Some(mut browser) = browser() else { return };
    let (_bench, page) = overview();
    browser.open(&page);
    for (index, key) in ["lengths", "hangs", "losses"].into_iter().enumerate() {
        browser.key("Tab");
        assert_eq!(browser.value("document.activeElement.dataset.question"), key, "Tab {index}");
    }
    let pressed = format!("document.querySelector('{}').getAttribute('aria-pressed')", button("losses"));
    assert_eq!(browser.value(&pressed), "false");
    browser.key(" ");
    assert_eq!(browser.value(&pressed), "true");
    assert!(rows(&mut browser).contains(&"-reuseport:private".to_owned()));
    browser.key("Enter");
    assert_eq!(browser.value(&pressed), "false");
    let lacks =
        "[...document.querySelectorAll('.matrix tr')].filter(row => !row.querySelector('th[scope]')).length";
    assert_eq!(browser.value(lacks), 0);
    assert_eq!(browser.value("document.querySelectorAll('.matrix caption').length"), 1);
    // Each dot has its value and its meaning as text.
    let cell = browser.value("document.querySelector('#row-reuseport td').textContent.replace(/\\s+/g, ' ')");
    for words in ["28.6 ms", "2.9 times [2.7, 3.0]", "95 % interval [27.2, 30.0]; worse than the default"] {
        assert!(cell.as_str().unwrap().contains(words), "{cell}");
    }
}

#[test]
fn no_width_cuts_the_table() {
    let Some(mut browser) = browser() else { return };
    let (_bench, page) = overview();
    for width in [360, 390, 800, 1280] {
        let screen = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.call("Emulation.setDeviceMetricsOverride", screen);
        browser.open(&page);
        browser.click(&button("lengths"));
        assert_eq!(browser.value("document.documentElement.scrollWidth > innerWidth"), false, "{width}");
        let cut = "[...document.querySelectorAll('.matrix td, .matrix th, .scroll, .questions li')].filter(one => \
                   one.clientWidth > 2 && (one.scrollWidth > one.clientWidth + 1 || \
                   one.getBoundingClientRect().right > innerWidth)).map(one => one.outerHTML.slice(0, 300))";
        assert_eq!(browser.value(cut), json!([]), "{width}");
    }
}

#[test]
fn without_script_all_is_there() {
    let Some(mut browser) = browser() else { return };
    let (_bench, page) = overview();
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&page);
    let names = rows(&mut browser);
    assert!(names.len() > 14 && !names.iter().any(|name| name.starts_with('-')), "{names:?}");
    assert_eq!(browser.value("document.querySelectorAll('.questions button:disabled').length"), 3);
    let says = browser.value("document.querySelector('#says-lengths').textContent");
    assert!(
        says.as_str().unwrap().contains("leave out") && says.as_str().unwrap().contains("reuseport"),
        "{says}"
    );
    assert_eq!(browser.value("document.querySelectorAll('.sheets details').length"), names.len());
    let hatched = browser.value("document.querySelector('#row-uring td.hatched').textContent");
    assert!(hatched.as_str().unwrap().contains("lab run tail"), "{hatched}");
    let sheet = browser.value("document.querySelector('#sheet-uring').textContent");
    assert!(sheet.as_str().unwrap().contains("lab run tail --only listener=uring"), "{sheet}");
    browser.click(&button("lengths"));
    assert_eq!(rows(&mut browser), names);
}

#[test]
fn the_page_for_github_is_filled_from_the_kept_reports_alone() {
    let (bench, _) = overview();
    let path = bench.path("results/README.md");
    let part = "<!-- drawn by `lab report --all` -->\n<!-- end of the drawn part -->\n";
    fs::write(&path, format!("# Results\n\n{part}")).unwrap();
    // Not kept, and so on this machine only.
    let own = bench.path("results/tail/20261127T080000Z-host");
    fs::create_dir_all(&own).unwrap();
    let cells = vec![tail("inherited", 10.0, "baseline"), tail("uring", 77.7, "differs")];
    fs::write(own.join("summary.json"), summary("What does waiting cost?", 12, cells).to_string()).unwrap();
    assert!(bench.run(&["report", "--all"]).status.success());
    let page = fs::read_to_string(&path).unwrap();
    let row = page.lines().find(|line| line.starts_with("| `reuseport` |")).unwrap();
    assert!(
        row.starts_with("| `reuseport` | 28.6 ms ▼ 2.9 times [2.7, 3.0] | not measured | 109.0 late ▼"),
        "{row}"
    );
    assert!(row.contains("| none of 100 < 3.0 % |"), "{row}");
    assert!(
        page.contains("From [tail, load 80 %; workers sleep (sleep)](tail/reference/report.md)"),
        "{page}"
    );
    assert!(page.contains("`lab run tail --only listener=NAME`") && !page.contains("77.7"), "{page}");
    assert!(fs::read_to_string(bench.path("results/index.html")).unwrap().contains("77.7"));
}
