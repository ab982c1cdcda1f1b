//! Tests of our own answers, read back by our own client side, and of the heads it must understand.

use proptest::prelude::*;

use super::*;
use crate::http::refusal::bad;

fn refuse(refusal: &Refusal, head_only: bool) -> Vec<u8> {
    super::refuse(refusal, None, "", head_only, "Sun, 06 Nov 1994 08:49:37 GMT")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_refusal_is_a_complete_answer_that_closes() {
    let answer = refuse(&Refusal::new(404, "no such handler"), false);
    let head = parse_response(&answer, false).unwrap().unwrap();
    assert_eq!((head.status, head.keep_alive), (404, false));
    assert_eq!(head.framing, ResponseFraming::Length((answer.len() - head.len) as u64));
    assert_eq!(&answer[head.len..], b"404 Not Found: no such handler\n");
    assert!(text(answer).starts_with("HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

#[test]
fn a_refusal_of_head_says_the_length_and_has_no_body() {
    let whole = text(refuse(&bad("x"), false));
    let head = text(refuse(&bad("x"), true));
    assert!(head.ends_with("\r\n\r\n") && whole.starts_with(&head) && whole.len() > head.len());
}

#[test]
fn only_503_says_when_to_come_back() {
    assert!(text(refuse(&Refusal::new(503, "x"), false)).contains("\r\nRetry-After: 1\r\n"));
    assert!(!text(refuse(&Refusal::new(500, "x"), false)).contains("Retry-After"));
}

#[test]
fn a_directory_is_elsewhere_and_a_wrong_method_names_the_right_ones() {
    use crate::http::{limits::Limits, request};
    let refusal = Refusal::new(308, "x");
    for (request, status, location) in [
        ("GET /app HTTP/1.0\r\n\r\n", 301, "/app/"),
        ("HEAD /app?a=/b HTTP/1.0\r\n\r\n", 301, "/app/?a=/b"),
        ("POST /a%20b HTTP/1.0\r\n\r\n", 308, "/a%20b/"),
        ("GET http://host/app HTTP/1.0\r\n\r\n", 301, "/app/"),
    ] {
        let mut slots = request::slots();
        let head = request::parse(request.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
        let moved = Moved::to_folder(head.method, head.path, head.query);
        assert_eq!((moved.status, &*moved.location), (status, location), "{request}");
        let answer = super::refuse(&refusal, Some(&moved), "", false, "");
        assert_eq!(parse_response(&answer, false).unwrap().unwrap().status, status);
        assert!(text(answer).contains(&format!("\r\nLocation: {location}\r\n")));
    }
    assert!(text(refuse(&Refusal::new(405, "x"), false)).contains("\r\nAllow: GET, HEAD\r\n"));
}

#[test]
fn every_status_that_is_sent_has_its_phrase() {
    for status in [
        100, 200, 206, 301, 304, 308, 400, 403, 404, 405, 408, 412, 413, 414, 416, 417, 431, 500, 501, 503,
        505, 507,
    ] {
        assert_ne!(phrase(status), "Error", "{status}");
    }
}

#[test]
fn the_fixed_answer_names_its_worker_and_keeps_alive_when_asked() {
    for keep_alive in [true, false] {
        let answer = fixed(7, keep_alive, false);
        let head = parse_response(&answer, false).unwrap().unwrap();
        assert_eq!((head.status, head.worker, head.keep_alive), (200, Some("7"), keep_alive));
        assert_eq!(&answer[head.len..], FIXED_BODY.as_bytes());
        assert_eq!(head.framing, ResponseFraming::Length(FIXED_BODY.len() as u64));
    }
    // A client of HTTP/1.0 must be told that it may go on.
    assert!(text(fixed(7, true, false)).contains("\r\nConnection: keep-alive\r\n"));
    assert!(text(fixed(7, true, true)).ends_with("\r\n\r\n"));
}

#[test]
fn continue_is_an_interim_response_without_a_body() {
    let head = parse_response(CONTINUE, false).unwrap().unwrap();
    assert_eq!((head.status, head.framing, head.len), (100, ResponseFraming::None, CONTINUE.len()));
}

#[test]
fn the_body_is_framed_as_rfc_9112_says() {
    let framing = |text: &str, head_request| {
        let bytes = format!("HTTP/1.1 {text}\r\n\r\n");
        parse_response(bytes.as_bytes(), head_request).map(|head| head.unwrap().framing)
    };
    assert_eq!(framing("200 OK\r\nContent-Length: 5", false), Ok(ResponseFraming::Length(5)));
    assert_eq!(framing("200 OK\r\nContent-Length: 5", true), Ok(ResponseFraming::None));
    assert_eq!(framing("200 OK\r\nTransfer-Encoding: Chunked", false), Ok(ResponseFraming::Chunked));
    assert_eq!(framing("200 OK", false), Ok(ResponseFraming::UntilClose));
    assert_eq!(framing("200", false), Ok(ResponseFraming::UntilClose));
    for status in ["103", "204", "304"] {
        assert_eq!(framing(&format!("{status} x\r\nContent-Length: 5"), false), Ok(ResponseFraming::None));
    }
    assert_eq!(
        framing("200 OK\r\nContent-Length: 5\r\nContent-Length: 5", false),
        Ok(ResponseFraming::Length(5))
    );
    for doubtful in [
        "200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        "200 OK\r\nContent-Length: x",
        "200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "200 OK\r\nTransfer-Encoding: gzip",
        "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "099 x",
        "600 x",
    ] {
        assert!(framing(doubtful, false).is_err(), "{doubtful}");
    }
}

#[test]
fn a_connection_can_be_used_again_only_when_both_sides_know_where_the_body_ends() {
    let keep_alive = |text: &str| parse_response(text.as_bytes(), false).unwrap().unwrap().keep_alive;
    assert!(keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!keep_alive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    assert!(!keep_alive("HTTP/1.1 200 OK\r\n\r\n"));
    assert!(!keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(keep_alive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n"));
}

#[test]
fn folded_lines_and_blanks_before_a_colon_are_read_as_a_client_must() {
    let head =
        "HTTP/1.1 200 OK\r\nX-Long: a\r\n\tb\r\nContent-Length :\r\n 5\r\nConnection: x,\r\n close\r\n\r\n";
    let parsed = parse_response(head.as_bytes(), false).unwrap().unwrap();
    assert_eq!(
        (parsed.framing, parsed.keep_alive, parsed.len),
        (ResponseFraming::Length(5), false, head.len())
    );
    let named = "HTTP/1.1 200 OK\r\nCaffeine-Worker: 3\r\n 4\r\n\r\n";
    assert_eq!(parse_response(named.as_bytes(), false).unwrap().unwrap().worker, Some("3"));
}

#[test]
fn what_is_no_http_response_is_an_error_and_not_a_wait() {
    for text in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 200\r\n\r\n",
        "hello\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    ] {
        assert!(parse_response(text.as_bytes(), false).is_err(), "{text:?}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(parse_response(many.as_bytes(), false), Err("the response has too many header fields"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), head: bool) {
        let _ = parse_response(&bytes, head);
        let _ = parse_response(&[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat(), head);
    }

    #[test]
    fn an_answer_is_incomplete_up_to_the_end_of_its_head(worker: u64, keep_alive: bool) {
        let answer = fixed(worker, keep_alive, true);
        for end in 0..answer.len() {
            prop_assert_eq!(parse_response(&answer[..end], false), Ok(None));
        }
    }
}
