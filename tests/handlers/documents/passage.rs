//! The body of a document response on its way: at once, in any size, to clients that are slow or gone.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{dechunked, go, long_document, serving, text, zeros};
use crate::handlers::orphans::pids;
use crate::harness::traffic::{begin, state};
use crate::harness::{Sandbox, Server, eventually, executed_by, has_descriptors, is_alive, read_some};

fn keeper(server: &Server) -> u32 {
    u32::try_from(server.scoreboard().keeper().unwrap().pid).unwrap()
}

/// What a process has written of its memory, in kB.
struct Written {
    /// What it shares with no other process.
    private: u64,
    /// All of it, so that it does not change with what other processes write.
    all: u64,
}

impl Written {
    /// Pages of files do not count. Those of a program that was built or copied just now are dirty until they are on the disk, and
    /// code that is executed for the first time would be taken for memory.
    fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
        let (mut written, mut dirty) = (Self { private: 0, all: 0 }, 0);
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (name, kb) = (words.next().unwrap_or_default(), words.next().and_then(|kb| kb.parse().ok()));
            match (name, kb) {
                ("Private_Dirty:", Some(kb)) => dirty = kb,
                ("Anonymous:", Some(kb)) => {
                    written.private += kb.min(dirty);
                    written.all += kb;
                }
                _ => {}
            }
        }
        written
    }
}

fn ask(server: &Server, target: &str) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    stream
}

#[test]
fn each_write_arrives_at_once() {
    for head in [r"A: b\n\n", r"Content-Length: 12\n\n"] {
        let sandbox = Sandbox::new();
        long_document(&sandbox, "long", head);
        let server = serving(&sandbox, &[]);
        let mut client = ask(&server, "/long");
        let (mut bytes, mut seen) = ([0; 1000], Vec::new());
        while !seen.windows(6).any(|window| window == b"begun ") {
            let n = read_some(&mut client, &mut bytes);
            assert!(n > 0, "{:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&bytes[..n]);
        }
        go(&sandbox);
        client.read_to_end(&mut seen).unwrap();
        let text = String::from_utf8(seen).unwrap();
        assert!(text.contains("ended\n"), "{text}");
    }
}

#[test]
fn a_gibibyte_passes_without_growth_of_the_keeper() {
    const BYTES: u64 = 1 << 30;
    let sandbox = Sandbox::new();
    let zeros = zeros(&sandbox, BYTES);
    let script = |head: &str| format!("#!/bin/sh\nprintf '{head}'\nexec cat '{}'\n", zeros.display());
    sandbox.handler("length", script(&format!("Content-Length: {BYTES}\\n\\n")));
    // A copy whose pages are dirty still.
    let program = sandbox.binary("caffeine", std::fs::read(env!("CARGO_BIN_EXE_caffeine")).unwrap());
    let server = sandbox.start_with(&["-w", "1", "--response", "document"], |command| {
        executed_by(command, &["sh", "-c", "shift; exec \"$0\" \"$@\"", program.to_str().unwrap()]);
    });
    let before = Written::of(keeper(&server)).all;
    let mut client = ask(&server, "/length");
    let (mut buffer, mut total) = (vec![0; 1 << 20], 0);
    loop {
        match client.read(&mut buffer).unwrap() {
            0 => break,
            n => total += n as u64,
        }
    }
    assert!(total > BYTES && total < BYTES + 1000, "{total}");
    let after = Written::of(keeper(&server)).all;
    assert!(after < before + 100, "{before} kB, then {after} kB");
    eventually("it is logged", || server.log().contains(&format!("outcome=200 bytes={BYTES} ")));
}

#[test]
fn large_bodies_arrive_whole_in_chunks_of_any_size() {
    let sandbox = Sandbox::new();
    let zeros = zeros(&sandbox, 3_000_001);
    let script = |size: &str| {
        format!("#!/bin/sh\nprintf 'A: b\\n\\n'\nexec dd if='{}' bs={size} 2>/dev/null\n", zeros.display())
    };
    for size in ["700", "4096", "65536", "3000001"] {
        sandbox.handler("page", script(size));
        let server = serving(&sandbox, &[]);
        let response = server.get("/page");
        let (data, complete) = dechunked(&response.body);
        assert!(
            complete && data.len() == 3_000_001 && data.iter().all(|&byte| byte == 0),
            "{size}: {}",
            data.len()
        );
    }
}

#[test]
fn a_thousand_responses_in_flight_take_less_than_a_megabyte() {
    const COUNT: usize = 1000;
    // The keeper has three for each.
    if !has_descriptors(4 * COUNT as u64) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.handler("page", "#!/bin/sh\nprintf 'A: b\\n\\nbegun'\nexec sleep 600\n");
    let server = serving(&sandbox, &["--grace", "0s"]);
    drop(ask(&server, "/page"));
    eventually("the first runs", || server.scoreboard().handlers() == 1);
    let before = Written::of(keeper(&server)).private;
    let clients: Vec<TcpStream> = (0..COUNT).map(|_| ask(&server, "/page")).collect();
    for mut client in clients.iter() {
        let mut bytes = [0; 500];
        let mut seen = Vec::new();
        while !seen.windows(5).any(|window| window == b"begun") {
            let n = read_some(&mut client, &mut bytes);
            assert!(n > 0);
            seen.extend_from_slice(&bytes[..n]);
        }
    }
    let relaying = server.scoreboard().header().relaying.load(std::sync::atomic::Ordering::SeqCst);
    assert!(relaying >= COUNT as u64, "{relaying}");
    let after = Written::of(keeper(&server)).private;
    assert!(after < 1000, "{before} kB, then {after} kB with {COUNT} responses");
    eventually("it sleeps", || state(keeper(&server)) == 'S');
}

#[test]
fn a_slow_client_keeps_the_keeper_from_nothing_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let zeros = zeros(&sandbox, 20_000_000);
    for (name, head) in [("chunked", r"A: b\n\n"), ("length", r"Content-Length: 20000000\n\n")] {
        sandbox.handler(name, format!("#!/bin/sh\nprintf '{head}'\nexec cat '{}'\n", zeros.display()));
    }
    sandbox.handler("hello", super::prints(r"A: b\n\nhello"));
    let server = serving(&sandbox, &[]);
    for name in ["chunked", "length"] {
        let pending = begin(&server, &format!("/{name}"));
        eventually("it runs", || pending.has_answer());
        for _ in 0..3 {
            assert_eq!(text(&server.get("/hello")), "hello");
        }
        eventually("the keeper sleeps", || state(keeper(&server)) == 'S');
        let response = pending.finish();
        let data = if name == "chunked" { dechunked(&response.body) } else { (response.body, true) };
        assert!(data.1 && data.0.len() == 20_000_000, "{name}: {}", data.0.len());
    }
}

#[test]
fn the_program_of_a_client_that_has_gone_gets_sigpipe() {
    let sandbox = Sandbox::new();
    let script = format!(
        "#!/bin/sh\nprintf 'A: b\\n\\n'\necho $$ >>'{}'\nwhile :; do echo more || exit; sleep 0.01; done\n",
        sandbox.path("pids").display()
    );
    sandbox.handler("endless", script);
    let server = serving(&sandbox, &[]);
    let mut client = ask(&server, "/endless");
    let running = pids(&sandbox, 1);
    read_some(&mut client, &mut [0; 100]);
    drop(client);
    eventually("it has ended", || !is_alive(running[0]));
    eventually("the log says why", || server.log().contains("outcome=\"client gone\""));
    eventually("nothing is left", || {
        server.scoreboard().header().relaying.load(std::sync::atomic::Ordering::SeqCst) == 0
    });
    // HEAD: what is written beyond a moderate surplus is not wanted either.
    let mut client = server.connect();
    client.write_all(b"HEAD /endless HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = Vec::new();
    client.read_to_end(&mut head).unwrap();
    assert!(head.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&head));
}

#[test]
fn a_child_that_holds_the_output_is_part_of_the_response() {
    let sandbox = Sandbox::new();
    let (pids_file, go_file) = (sandbox.path("pids"), sandbox.path("go"));
    let script = format!(
        "#!/bin/sh\nprintf 'A: b\\n\\nearly '\necho $$ >>'{}'\n(until [ -e '{}' ]; do sleep 0.02; done; echo late) &\n",
        pids_file.display(),
        go_file.display()
    );
    sandbox.handler("forks", script);
    let server = serving(&sandbox, &[]);
    let pending = begin(&server, "/forks");
    let handler = pids(&sandbox, 1)[0];
    eventually("the first process has ended", || !is_alive(handler));
    go(&sandbox);
    assert_eq!(text(&pending.finish()), "early late\n");
}

#[test]
fn a_program_that_closes_its_output_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let script = format!(
        "#!/bin/sh\nprintf 'A: b\\n\\nall'\necho $$ >>'{}'\nexec >&- 2>&-\nexec sleep 600\n",
        sandbox.path("pids").display()
    );
    sandbox.handler("goes-on", script);
    let server = serving(&sandbox, &["--grace", "0s"]);
    assert_eq!(text(&server.get("/goes-on")), "all");
    assert!(is_alive(pids(&sandbox, 1)[0]));
}

#[test]
fn splice_is_replaced_where_it_is_refused() {
    use caffeine::sys::sandbox::{Rule, refuse_in};
    let sandbox = Sandbox::new();
    let zeros = zeros(&sandbox, 500_000);
    sandbox.handler(
        "page",
        format!("#!/bin/sh\nprintf 'A: b\\n\\n'\nexec dd if='{}' bs=64k 2>/dev/null\n", zeros.display()),
    );
    for errno in [libc::ENOSYS, libc::EPERM] {
        let server = sandbox.start_with(&["-w", "1", "--response", "document"], |command| {
            refuse_in(command, &[Rule::call(libc::SYS_splice)], errno);
        });
        let (data, complete) = dechunked(&server.get("/page").body);
        assert!(complete && data.len() == 500_000, "{}", data.len());
    }
}
