//! `--log-size`: log files that are renamed when they are full, by processes that know nothing of each other.

use std::path::Path;

use caffeine::server::logging::older;

use crate::harness::{Sandbox, eventually, names_in, says};

const SIZE: u64 = 64 * 1024;
/// What the writers of a file may have collected when it is full.
const MORE: u64 = 48 * 1024;

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_full_log_is_renamed_and_no_line_is_lost() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let arguments = ["-n", "lab", "-w", "2", "--log-size", "64KiB", "--access-log", "combined"];
    let server = sandbox.start(&arguments);
    let logs = [server.folder().log(), server.folder().access_log()];
    let target = format!("/hello?{}", "x".repeat(1500));
    let mut asked = 0;
    eventually("both logs are full", || {
        assert_eq!(server.get(&target).status, 200);
        asked += 1;
        logs.iter().all(|log| older(log).exists())
    });
    for (log, is_request) in logs.iter().zip(["outcome=launched", "\"GET /hello"]) {
        let written = || {
            let all = [lines(&older(log)), lines(log)].concat();
            all.iter().filter(|line| line.contains(is_request)).count()
        };
        eventually("all lines are written", || written() >= asked);
        assert_eq!(written(), asked, "{}", log.display());
        assert!((SIZE..=SIZE + MORE).contains(&size(&older(log))) && size(log) <= MORE);
    }
    server.get("/missing");
    eventually("it goes on in the new file", || server.log().contains("outcome=404"));
    server.stop();
    assert!(lines(&logs[0]).last().unwrap().ends_with("stopped"));
}

#[test]
fn a_flood_of_standard_error_takes_about_twice_the_size() {
    let sandbox = Sandbox::new();
    let line = "x".repeat(200);
    let flood =
        format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nyes {line} | head -c 1000000 >&2\n");
    sandbox.handler("flood", flood);
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--log-size", "64KiB", "--log-to", "file"]);
    let log = server.folder().log();
    for _ in 0..3 {
        assert_eq!(server.get("/flood").status, 200);
        assert!(size(&log) <= SIZE + MORE && size(&older(&log)) <= SIZE + MORE);
    }
    eventually("it is renamed", || older(&log).exists());
    server.stop();
    let logs = names_in(log.parent().unwrap());
    assert_eq!(logs.iter().filter(|name| name.starts_with("log")).count(), 2, "{logs:?}");
    assert!(lines(&log).iter().all(|line| line.starts_with("20")), "lines stay whole");
}

#[test]
fn a_log_that_cannot_be_renamed_is_emptied() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--log-size", "64KiB"]);
    let log = server.folder().log();
    // A directory stands in its way.
    std::fs::create_dir_all(older(&log).join("full")).unwrap();
    let target = format!("/hello?{}", "x".repeat(1500));
    eventually("it is emptied, and says so", || {
        assert_eq!(server.get(&target).status, 200);
        assert!(size(&log) <= SIZE + MORE);
        server.log().contains("could not be renamed, so it was emptied")
    });
    server.stop();
}
