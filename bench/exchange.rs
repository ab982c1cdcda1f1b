//! The hot path of `loadgen`: one request and its response over loopback, on a new and on a kept connection,
//! and the parsing of a response. The server is a thread that only reads and writes, so half of the first two
//! figures is its work and the kernel's.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use caffeine::loadgen::cli::Args;
use caffeine::loadgen::control::Control;
use caffeine::loadgen::count::Handoff;
use caffeine::loadgen::engine::Engine;
use caffeine::loadgen::engine::exchange::Exchange;
use caffeine::sys::clock::monotonic_ns;
use clap::Parser as _;
use criterion::{Criterion, Throughput};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nCaffeine-Worker: 3\r\n\r\nhello\n";

/// The time for this many sequential requests.
fn run(url: &str, requests: u64, options: &[&str]) -> Duration {
    let requests = requests.to_string();
    let args = ["loadgen", "-c", "1", "-w", "0s", "-n", &requests, url];
    let plan = Args::parse_from([&args[..], options].concat()).plan().unwrap();
    let control = Control::new(&plan, Arc::default());
    let ((to, batches), (_back, back)) = (channel(), channel());
    let engine = Engine::new(&plan, &plan.shares()[0], &control, Handoff { to, back }).unwrap();
    engine.run().unwrap();
    // It first waits for the start of the run.
    let elapsed = Duration::from_nanos(monotonic_ns() - control.origin_ns());
    let completed = batches.iter().filter_map(|batch| batch.measured).map(|tally| tally.completed);
    assert_eq!(completed.sum::<u64>().to_string(), requests);
    elapsed
}

/// Responds on every connection until the client leaves, or once with `close`.
fn serve(listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        converse(stream);
    }
}

fn converse(mut stream: TcpStream) {
    let mut request = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut request) {
        let closing = request[..bytes].windows(5).any(|word| word == b"close");
        if stream.write_all(RESPONSE).is_err() || closing {
            return;
        }
    }
}

/// An exchange on a new and on a kept connection, and the parsing of a response.
pub fn bench(criterion: &mut Criterion) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hello", listener.local_addr().unwrap());
    // It ends with the program.
    std::thread::spawn(move || serve(&listener));
    let mut group = criterion.benchmark_group("exchange");
    for (name, options) in [("new-connection", &[][..]), ("kept", &["-k"])] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|requests| run(&url, requests, options));
        });
    }
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    let mut exchange = Exchange::new(false);
    group.bench_function("receive", |bencher| {
        bencher.iter(|| {
            exchange.reset();
            exchange.receive(black_box(RESPONSE)).unwrap();
            exchange.is_reusable()
        });
    });
    group.finish();
}
