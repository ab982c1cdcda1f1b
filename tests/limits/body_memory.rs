//! `--max-body-memory`: bodies that are arriving hold no more memory than that, over all workers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

use crate::handlers::orphans::kill_worker;
use crate::harness::{Response, Sandbox, Server, eventually};
use crate::http::statuses::assert_own;

const MIB: u64 = 1 << 20;

/// Begins a body of `length` bytes and sends `sent` of it.
fn upload(server: &Server, length: usize, sent: usize) -> TcpStream {
    let mut client = server.connect();
    let head = format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(&[head.as_bytes(), &vec![b'x'; sent]].concat()).unwrap();
    client
}

/// Bytes in memory files of the workers.
fn in_memory(server: &Server) -> u64 {
    let of_worker = |pid: u32| -> u64 {
        let Ok(all) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
        let bodies = all.flatten().map(|entry| entry.path()).filter(|path| {
            std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:body"))
        });
        bodies.filter_map(|path| Some(std::fs::metadata(path).ok()?.blocks() * 512)).sum()
    };
    server.worker_pids().into_iter().map(of_worker).sum()
}

fn serve(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("count", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'; wc -c\n");
    let server = sandbox.start(&[&["--body-timeout", "1h"][..], arguments].concat());
    (sandbox, server)
}

#[test]
fn beyond_max_body_memory_bodies_get_503_and_memory_stays_bounded() {
    let (_sandbox, server) = serve(&["-w", "2", "--max-body-memory", "3MiB"]);
    let board = server.scoreboard();
    let mut clients: Vec<TcpStream> = (0..8).map(|_| upload(&server, 1_000_000, 900_000)).collect();
    let answered = || board.snapshot().iter().map(|row| row.answered[4]).sum::<u64>();
    eventually("all have arrived or are refused", || {
        answered() >= 5 && board.body_bytes() == (8 - answered()) * 900_000
    });
    assert!(board.body_bytes() <= 3 * MIB);
    let held = in_memory(&server);
    assert!((1..=3 * MIB + 8 * 4096).contains(&held), "{held} bytes are in memory");
    assert_eq!(server.post("/count", b"").text().trim(), "0");
    let mut served = 0;
    for client in &mut clients {
        // A refused client has its answer already.
        let _ = client.write_all(&vec![b'x'; 100_000]);
        let mut bytes = Vec::new();
        let _ = client.read_to_end(&mut bytes); // what is sent after the end may cause a reset
        let response = Response::parse(&bytes);
        if response.status == 200 {
            served += 1;
            assert_eq!(response.text().trim(), "1000000");
        } else {
            assert_own(&response, 503, "too much");
            assert!(response.header("retry-after").is_some());
        }
    }
    assert!(served >= 1, "those that were held were served");
    eventually("all of it is given back", || board.body_bytes() == 0);
    assert_eq!(server.post("/count", &vec![b'x'; 2 << 20]).text().trim(), "2097152", "by way of the disk");
    assert_eq!(board.body_bytes(), 0);
}

#[test]
fn a_killed_worker_gives_the_memory_of_its_bodies_back() {
    let (_sandbox, server) = serve(&["-w", "1", "--max-body-memory", "1MiB"]);
    let board = server.scoreboard();
    for _ in 0..2 {
        let _body = upload(&server, 1_000_000, 600_000);
        eventually("it is held", || board.body_bytes() == 600_000);
        kill_worker(&server);
        eventually("it is given back", || board.body_bytes() == 0);
    }
    assert_eq!(server.post("/count", &[b'x'; 700_000]).text().trim(), "700000");
}
