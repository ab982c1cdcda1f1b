//! The hot path of `loadgen` allocates nothing: the engine runs in this process, and the allocations of its
//! thread are counted.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::channel;

use crate::harness::sys::alloc::allocations;
use caffeine::loadgen::cli::Args;
use caffeine::loadgen::control::Control;
use caffeine::loadgen::count::Handoff;
use caffeine::loadgen::engine::Engine;
use clap::Parser as _;

use crate::loadgen::scripted::{KEEP, OK, Scripted, read_head};

/// Allocations of a thread that sends `requests` requests.
fn allocations_of(server: &Scripted, requests: &str, options: &[&str]) -> u64 {
    let url = server.url();
    // One interval, because the hand-over at the end of an interval allocates.
    let args = ["loadgen", "-c", "1", "-w", "0s", "--interval", "1h", "-n", requests, &url];
    let plan = Args::parse_from([&args[..], options].concat()).plan().unwrap();
    let control = Control::new(&plan, Arc::default());
    let ((to, batches), (_, back)) = (channel(), channel());
    std::thread::spawn(move || {
        let before = allocations();
        Engine::new(&plan, &plan.shares()[0], &control, Handoff { to, back }).unwrap().run().unwrap();
        let allocated = allocations() - before;
        let measured = batches.iter().filter_map(|batch| batch.measured);
        assert_eq!(measured.map(|tally| tally.completed).sum::<u64>(), plan.timing.requests.unwrap());
        allocated
    })
    .join()
    .unwrap()
}

/// Ten times the requests without a single further allocation.
fn expect_constant(server: &Scripted, options: &[&str]) {
    let (few, many) = (allocations_of(server, "100", options), allocations_of(server, "1000", options));
    assert!(few > 0, "nothing is counted");
    assert_eq!(many, few, "{} allocations per request with {options:?}", (many - few) as f64 / 900.0);
}

#[test]
fn a_request_on_a_new_connection_allocates_nothing() {
    let server = Scripted::answering(OK);
    expect_constant(&server, &[]);
    expect_constant(&server, &["-r", "100000"]);
    expect_constant(&server, &["--occupy", "exp(1ms)"]);
    expect_constant(&server, &["--sources", "127.0.0.2-127.0.0.9", "--think", "exp(1us)"]);
    let folder = tempfile::tempdir().unwrap();
    let urls = folder.path().join("urls");
    std::fs::write(&urls, "/a\n/b/c?d\n/e\n").unwrap();
    expect_constant(&server, &["--urls", urls.to_str().unwrap()]);
}

#[test]
fn a_request_on_a_kept_connection_allocates_nothing() {
    let server = Scripted::new(
        |mut stream, _| {
            while !read_head(&mut stream).is_empty() && stream.write_all(KEEP).is_ok() {}
        },
    );
    expect_constant(&server, &["-k"]);
    expect_constant(&server, &["--requests-per-connection", "7", "--client-closes"]);
}

#[test]
fn fragmented_responses_allocate_nothing_after_the_first() {
    let server = Scripted::new(|mut stream, _| {
        stream.set_nodelay(true).unwrap();
        while !read_head(&mut stream).is_empty() {
            let (head, rest) = KEEP.split_at(20);
            let _ = stream.write_all(head).and_then(|()| stream.write_all(rest));
        }
    });
    // The kernel decides how pieces combine in one read; the largest combination soon occurs.
    allocations_of(&server, "100", &["-k"]);
    let (few, many) = (allocations_of(&server, "100", &["-k"]), allocations_of(&server, "1000", &["-k"]));
    assert!(many <= few + 8, "{few} allocations of 100 requests, {many} of 1000");
}
