//! `--occupy`: which times a server is asked to take, over rounds, strategies, failures, warm-ups, threads and processes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::scripted::{KEEP, OK, Scripted, read_head};

const REQUESTS: usize = 24;

/// The path of a request and the time that it asks for.
fn time(head: &str) -> String {
    let line = head.lines().next().unwrap();
    let target = line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (path, time) = target.rsplit_once("?q&occupy=").unwrap();
    format!("{path} {time}")
}

/// The times that a server was asked to take, in the order of its requests, whatever `serve` did with them.
fn asked_of(args: &[&str], serve: impl Fn(&mut TcpStream, u64) + Send + 'static) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let server = Scripted::new(move |mut stream, number| {
        loop {
            let head = read_head(&mut stream);
            if head.is_empty() {
                return;
            }
            record.lock().unwrap().push(time(&head));
            serve(&mut stream, number);
            if !head.contains("keep-alive") {
                return;
            }
        }
    });
    let common = ["-n", "24", "--occupy", "exp(1ms)", "-q", &server.url()];
    let ended = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(args).args(common).output().unwrap();
    assert_ne!(ended.status.code(), Some(2), "{}", String::from_utf8_lossy(&ended.stderr));
    // The server takes one connection after the other: this is the last one.
    let mut last = TcpStream::connect(server.address).unwrap();
    last.shutdown(Shutdown::Write).unwrap();
    assert_eq!(last.read(&mut [0]).unwrap(), 0);
    drop(server);
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

fn say(stream: &mut TcpStream, response: &[u8]) {
    let _ = stream.write_all(response);
}

fn asked(args: &[&str]) -> Vec<String> {
    asked_of(args, |stream, _| say(stream, OK))
}

const CLOSED: [&str; 4] = ["-w", "0s", "-c", "1"];
const OPEN: [&str; 4] = ["-w", "0s", "-r", "1000"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn a_seed_means_the_same_times_and_another_seed_others() {
    let first = asked(&CLOSED);
    assert_eq!(first.len(), REQUESTS);
    assert_eq!(asked(&CLOSED), first, "the same seed");
    assert_eq!(asked(&OPEN), first, "an open loop");
    let other = asked(&with(&CLOSED, &["--seed", "2"]));
    assert!(first.iter().all(|time| !other.contains(time)), "{first:?} {other:?}");
}

#[test]
fn a_server_that_fails_gets_the_same_times() {
    let expected = asked(&OPEN);
    let failing = asked_of(&with(&OPEN, &["--timeout", "20ms"]), |stream, number| match number % 4 {
        0 => {}
        1 => std::thread::sleep(Duration::from_millis(30)),
        2 => say(stream, &OK[..20]),
        _ => say(stream, OK),
    });
    assert_eq!(failing, expected, "without a response, too late, too short");
    let closed = asked_of(&CLOSED, |stream, number| say(stream, if number % 2 == 0 { OK } else { b"" }));
    assert_eq!(closed, expected, "a closed loop");
}

#[test]
fn a_warm_up_has_times_of_its_own() {
    let measured = asked(&CLOSED);
    for args in [&["-w", "40ms", "-c", "1"][..], &["-w", "40ms", "-r", "1000"], &["-w", "7ms", "-r", "1000"]]
    {
        let all = asked(args);
        let (early, rest) = all.split_at(all.len() - REQUESTS);
        assert_eq!(rest, measured, "{args:?}");
        assert!(!early.is_empty() && early.iter().all(|time| !measured.contains(time)), "{args:?}");
    }
}

#[test]
fn the_urls_of_a_file_belong_to_the_same_times_after_a_warm_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls");
    std::fs::write(&file, "/a?q\n/b?q\n/c?q\n/d?q\n/e?q\n").unwrap();
    let urls = ["--urls", file.to_str().unwrap()];
    let expected = asked(&with(&CLOSED, &urls));
    assert!(expected[0].starts_with("/a") && expected[6].starts_with("/b"), "{expected:?}");
    for args in [&["-w", "40ms", "-c", "1"][..], &["-w", "7ms", "-r", "1000"]] {
        let all = asked(&with(args, &urls));
        assert_eq!(all[all.len() - REQUESTS..], expected, "{args:?}");
    }
}

#[test]
fn kept_connections_carry_the_same_times() {
    let kept = asked_of(&with(&CLOSED, &["-k"]), |stream, _| say(stream, KEEP));
    assert_eq!(kept, asked(&CLOSED));
}

#[test]
fn threads_and_processes_share_the_times_out() {
    let sorted = |mut times: Vec<String>| {
        times.sort();
        times
    };
    let whole = sorted(asked(&CLOSED));
    assert_eq!(sorted(asked(&["-w", "0s", "-c", "3", "-t", "3"])), whole);
    assert_eq!(sorted(asked(&with(&OPEN, &["-t", "3"]))), whole);
    let warmed = asked(&["-w", "7ms", "-r", "1000", "-t", "4"]);
    let (measured, early): (Vec<_>, Vec<_>) = warmed.into_iter().partition(|time| whole.contains(time));
    assert_eq!((sorted(measured), early.len()), (whole.clone(), 7));
    for args in [CLOSED, OPEN] {
        let halves = ["1/2", "2/2"].map(|shard| asked(&with(&args, &["--shard", shard])));
        assert_eq!(halves.each_ref().map(Vec::len), [REQUESTS / 2; 2]);
        assert_eq!(sorted(halves.concat()), whole);
    }
}
