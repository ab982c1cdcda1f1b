//! What `loadgen` sends, how much of it, and where to, against scripted servers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caffeine::measure::record::RunRecord;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use super::outcomes::{loadgen, run};
use super::scripted::{OK, Scripted, read_head};

#[test]
fn method_headers_and_body_reach_the_server() {
    let server = Scripted::new(|mut stream, _| {
        let head = read_head(&mut stream);
        let mut body = [0; 5];
        let right = head.starts_with("PUT /some/path?q HTTP/1.1\r\n")
            && head.contains("\r\nX-Test: yes\r\n")
            && head.contains("\r\nConnection: close\r\n")
            && head.contains("\r\nContent-Length: 5\r\n")
            && stream.read_exact(&mut body).is_ok()
            && &body == b"hello";
        let _ = stream.write_all(if right { OK } else { b"HTTP/1.1 500 Wrong\r\n\r\n" });
    });
    let (record, _) = run(&server.url(), &["-n", "3", "-m", "PUT", "-H", "X-Test: yes", "--body", "hello"]);
    assert_eq!(record.statuses, [("200".into(), 3)].into(), "{record:#?}");
}

#[test]
fn a_large_body_is_sent_completely_and_an_early_response_is_read() {
    const SIZE: usize = 8 << 20;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, vec![b'x'; SIZE]).unwrap();
    let server = Scripted::new(|mut stream, number| {
        read_head(&mut stream);
        if number == 0 {
            let mut body = Vec::new();
            assert_eq!((&mut stream).take(SIZE as u64).read_to_end(&mut body).unwrap(), SIZE);
        }
        let _ = stream.write_all(OK);
    });
    let (record, _) = run(&server.url(), &["-c", "1", "-n", "2", "--body-file", file.to_str().unwrap()]);
    assert_eq!((record.completed, record.started), (2, 2), "{record:#?}");
}

#[test]
fn an_early_whole_response_is_a_response_though_the_body_is_not_read() {
    const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, vec![b'x'; 32 << 20]).unwrap();
    let server = Scripted::new(|mut stream, _| {
        read_head(&mut stream);
        stream.write_all(TOO_LARGE).unwrap();
        // It neither reads on nor closes: only the client's end lets it go on.
        while nix::sys::socket::recv(stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK)
            .is_ok_and(|bytes| bytes > 0)
            && !has_ended(&stream)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    for kept in [&[][..], &["-k"]] {
        let args = ["-c", "1", "-n", "2", "--timeout", "5s", "--body-file", file.to_str().unwrap()];
        let (record, _) = run(&server.url(), &[&args[..], kept].concat());
        assert_eq!(record.statuses, [("413".into(), 2)].into(), "{record:#?}");
        assert!(record.errors.is_empty() && record.verdict == "ERRORS", "{record:#?}");
    }
}

/// Whether the peer has closed or reset the connection, whatever is left to read.
fn has_ended(stream: &TcpStream) -> bool {
    let events = PollFlags::POLLHUP | PollFlags::POLLERR;
    let mut set = [PollFd::new(stream.as_fd(), events)];
    poll(&mut set, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[test]
fn folded_header_lines_are_read() {
    let server = Scripted::answering(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length :\r\n 2\r\n\r\nok");
    let (record, code) = run(&server.url(), &["-n", "2"]);
    assert_eq!((record.completed, record.errors.len(), code), (2, 0, 0), "{record:#?}");
}

#[test]
fn a_number_of_requests_is_all_that_the_server_sees() {
    let server = Scripted::answering(OK);
    let body = ["-n", "1", "-m", "POST", "--body", "x"];
    let output = loadgen(&body).args(["--json", "-", &server.url()]).output().unwrap();
    let record: RunRecord = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((record.completed, record.plan.warmup_s), (1, 0.0));
    assert_eq!(server.accepted.load(Relaxed), 1);
}

#[test]
fn a_run_ends_however_rare_its_requests_are() {
    let server = Scripted::answering(OK);
    for (rate, arrivals, sent) in [("1e-11", "const", 1), ("1e-5", "burst:50", 50)] {
        let args = ["-r", rate, "--arrivals", arrivals, "-d", "300ms"];
        let (record, _) = run(&server.url(), &args);
        assert_eq!((record.started, record.duration_s), (sent, 0.3), "{record:#?}");
    }
    assert_eq!(server.accepted.load(Relaxed), 51);
}

#[test]
fn a_run_of_error_responses_or_failures_says_so() {
    let missing = Scripted::answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let output = loadgen(&["-n", "5", &missing.url()]).assert().success();
    let output = output.get_output();
    let (text, hints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(hints.contains("loadgen: warning: GET /some/path?q is 404 Not Found"), "{hints}");
    assert!(
        text.contains("verdict    ERRORS") && text.contains("5 of 5 responses are errors (404: 5)"),
        "{text}"
    );
    let broken = Scripted::answering(b"");
    let output = loadgen(&["-n", "5", "-q", &broken.url()]).assert().code(1);
    let hints = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(hints.starts_with("loadgen: FAILED: none of 5 requests completed (early-end: 5)"), "{hints}");
}

#[test]
fn urls_of_a_file_are_requested_in_turn_and_a_body_comes_from_standard_input() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let server = Scripted::new(move |mut stream, _| {
        let head = read_head(&mut stream);
        let mut body = [0; 4];
        stream.read_exact(&mut body).unwrap();
        seen.lock().unwrap().push((head, body));
        let _ = stream.write_all(OK);
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls");
    std::fs::write(&file, format!("/a\nhttp://{}/b?c\n", server.address)).unwrap();
    let args = ["-c", "1", "-n", "3", "--urls", file.to_str().unwrap(), "--body-file", "-", "--json", "-"];
    let output = loadgen(&args).arg(server.url()).write_stdin("body").output().unwrap();
    let record: RunRecord = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((record.completed, record.plan.urls), (3, Some(2)));
    let heads = heads.lock().unwrap();
    for ((head, body), path) in heads.iter().zip(["/a", "/b?c", "/a"]) {
        assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")) && body == b"body", "{head}");
        assert!(head.contains("\r\nUser-Agent: loadgen/"), "{head}");
    }
}

#[test]
fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let missing = loadgen(&["--unix-socket", path.to_str().unwrap()]).assert().code(1);
    assert!(String::from_utf8_lossy(&missing.get_output().stderr).contains("does it listen on this socket?"));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        for _ in 0..5 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(String::from_utf8_lossy(&request[..length]).contains("\r\nHost: shop\r\n"));
            stream.write_all(OK).unwrap();
        }
    });
    let (record, code) =
        run("http://shop/", &["-c", "2", "-n", "5", "--unix-socket", path.to_str().unwrap()]);
    assert_eq!((record.completed, record.connections.opened, code), (5, 5, 0), "{record:#?}");
    assert_eq!(record.plan.unix_socket.as_deref(), path.to_str());
    server.join().unwrap();
}

#[test]
fn the_addresses_of_a_host_are_tried_until_one_answers() {
    let server = Scripted::answering(OK);
    let port = server.address.port();
    let url = format!("http://shop:{port}/");
    let several = format!("shop:{port}:127.0.0.9,::1,127.0.0.1");
    for load in [&["-c", "4", "-n", "20", "-t", "2"][..], &["-r", "200", "-n", "20"]] {
        let (record, _) = run(&url, &[load, &["--resolve", &several]].concat());
        assert_eq!((record.completed, record.errors.len()), (20, 0), "{record:#?}");
    }
    let none = format!("shop:{port}:127.0.0.9,127.0.0.8");
    let output = loadgen(&["-n", "1", "--resolve", &none, &url]).assert().code(1);
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(stderr.contains(&format!("cannot connect to 127.0.0.9:{port}, 127.0.0.8:{port}: ")), "{stderr}");
}
