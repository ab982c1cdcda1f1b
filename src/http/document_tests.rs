//! Heads of document responses: each kind of head, and properties over any bytes.

use proptest::prelude::*;

use super::*;

/// The HTTP head for a client of HTTP/1.1, without the fields that are always there.
fn sent(output: &str) -> String {
    let document = parse(output.as_bytes()).unwrap().expect("complete");
    assert_eq!(&output[document.len..], "body");
    let head = document.head(document.framing(1, false), "D");
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains("\r\nDate: D\r\n") && head.ends_with("\r\nConnection: close\r\n\r\n"), "{head:?}");
    head.replace("Date: D\r\n", "").replace("Connection: close\r\n\r\n", "")
}

#[test]
fn a_head_is_completed() {
    for (output, head) in [
        (
            "Content-Type: a/b\n\nbody",
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "Content-Type:a/b\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("content-length: 4\n\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"),
        (
            "Status: 404 No such page\nA: b\n\nbody",
            "HTTP/1.1 404 No such page\r\nA: b\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "STATUS: 503\nContent-Length: 4\n\nbody",
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n",
        ),
        ("Status: 418\nContent-Length: 4\n\nbody", "HTTP/1.1 418 \r\nContent-Length: 4\r\n"),
        (
            "A: b\n\tc \n  d\nContent-Length: 4\n\nbody",
            "HTTP/1.1 200 OK\r\nA: b c d\r\nContent-Length: 4\r\n",
        ),
        (
            "<!--: spam\n more\nA: b\nContent-Length: 4\n\nbody",
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 4\r\n",
        ),
        ("Connection: keep-alive\nContent-Length: 4\n\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"),
        ("A : b\nContent-Length: 4\n\nbody", "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 4\r\n"),
        ("A: \u{e9}\nContent-Length: 4\n\nbody", "HTTP/1.1 200 OK\r\nA: \u{e9}\r\nContent-Length: 4\r\n"),
    ] {
        assert_eq!(sent(output), head, "{output:?}");
    }
}

#[test]
fn a_location_redirects_the_client_or_stays_here() {
    for (output, status, local) in [
        ("Location: http://other/\n\n", 302, None),
        ("Location: //other/\n\n", 302, None),
        ("Location: /here?a=b\n\n", 302, Some("/here?a=b")),
        ("Location: /here\nContent-Type: text/html\nContent-Length: 0\n\n", 302, Some("/here")),
        ("Location: /here\nSet-Cookie: a=b\n\n", 302, None),
        ("Status: 301 Moved\nLocation: /here\n\n", 301, None),
        ("Status: 201 Created\nLocation: /here\nContent-Type: text/plain\n\n", 201, None),
    ] {
        let document = parse(output.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (document.status, document.local.as_deref()),
            (status, local.map(str::as_bytes)),
            "{output:?}"
        );
        let head = String::from_utf8(document.head(ResponseFraming::None, "D")).unwrap();
        assert_eq!(head.contains("Location: "), local.is_none(), "{head:?}");
    }
}

#[test]
fn a_broken_head_has_its_reason() {
    for (output, reason) in [
        ("\nbody", "no header field before"),
        ("<!--: spam\n\n", "no header field before"),
        ("<html>\n", "does not begin with a header field"),
        ("A: b\nhello\n", "no colon"),
        ("HTTP/1.1 200 OK\r\n", "begins with a status line"),
        (" A: b\n", "begins with a folded line"),
        ("A: b\rc\n", "control character"),
        ("A\0: b\n", "control character"),
        ("Status: ok\n\n", "not a status code"),
        ("Status: 100 Continue\n\n", "not a status code"),
        ("Status: 2000\n\n", "not a status code"),
        ("Status: 200\nStatus: 200\n\n", "more than one Status"),
        ("Content-Length: 4\nContent-Length: 5\n\n", "more than one Content-Length"),
        ("Content-Length: +4\n\n", "not a number"),
        ("Transfer-Encoding: chunked\n\n", "Transfer-Encoding"),
        ("Location: /a\nLocation: /b\n\n", "more than one Location"),
    ] {
        let found = parse(output.as_bytes()).unwrap_err();
        assert!(found.contains(reason), "{output:?}: {found}");
    }
    assert!(parse("A: b\n".repeat(97).as_bytes()).unwrap_err().contains("too many lines"));
    let huge = format!("A: {}", "b".repeat(MOST_BYTES));
    assert!(parse(huge.as_bytes()).unwrap_err().contains("too long"));
    assert!(parse(format!("{huge}\n\n").as_bytes()).unwrap_err().contains("too long"));
}

#[test]
fn the_framing_fits_the_client_and_the_status() {
    let framing = |output: &str, minor, head| parse(output.as_bytes()).unwrap().unwrap().framing(minor, head);
    let (none, length) = ("A: b\n\n", "Content-Length: 7\n\n");
    assert_eq!(framing(none, 1, false), ResponseFraming::Chunked);
    assert_eq!(framing(none, 0, false), ResponseFraming::UntilClose);
    assert_eq!(framing(length, 0, false), ResponseFraming::Length(7));
    assert_eq!(framing(length, 1, true), ResponseFraming::None);
    assert_eq!(framing("Status: 204\nContent-Length: 7\n\n", 1, false), ResponseFraming::None);
    let document = parse(b"Status: 204\nDate: then\nContent-Length: 0\n\n").unwrap().unwrap();
    let head = String::from_utf8(document.head(ResponseFraming::None, "now")).unwrap();
    assert_eq!(head, "HTTP/1.1 204 \r\nDate: then\r\nConnection: close\r\n\r\n");
}

/// Output that looks like a head more often than any bytes do.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        ":",
        "A: b\n",
        "Status: 404 Gone\n",
        "Location: /x\n",
        "Location: http://x/\r\n",
        "Content-Length: 5\n",
        "Transfer-Encoding: chunked\n",
        "<!--: spam\n",
        "HTTP/1.1 200 OK\r\n",
        "Date: x\n",
        "\0",
        "\u{e9}",
        "Connection: x\n",
        "body",
        "Set-Cookie: a=b\r\n",
    ]);
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn where_the_reads_cut_the_output_does_not_matter(bytes in output()) {
        let whole = parse(&bytes);
        for end in 0..bytes.len() {
            match (parse(&bytes[..end]), &whole) {
                (Ok(None), _) => {}
                (Ok(Some(early)), whole) => prop_assert_eq!(Ok(Some(early)), whole.clone(), "after {} bytes", end),
                (Err(early), whole) => prop_assert_eq!(Err(early), whole.clone(), "after {} bytes", end),
            }
        }
    }

    #[test]
    fn a_head_that_is_sent_is_a_valid_one_and_ends_where_it_should(bytes in output(), minor in 0..2_u8, head_only: bool) {
        let Ok(Some(document)) = parse(&bytes) else { return Ok(()) };
        let framing = document.framing(minor, head_only);
        let sent = document.head(framing, "Sun, 06 Nov 1994 08:49:37 GMT");
        let read = crate::http::response::parse_response(&sent, head_only).unwrap().expect("complete");
        prop_assert_eq!((read.status, read.len, read.keep_alive), (document.status, sent.len(), false));
        prop_assert_eq!(read.framing, framing);
    }

    #[test]
    fn line_ends_make_no_difference(bytes in output()) {
        let plain: Vec<u8> = bytes.into_iter().filter(|&byte| byte != b'\r').collect();
        let strict = String::from_utf8_lossy(&plain).replace('\n', "\r\n");
        let without_len = |parsed: Result<Option<Document>, _>| parsed.map(|found| found.map(|head| Document { len: 0, ..head }));
        prop_assert_eq!(without_len(parse(&plain)), without_len(parse(strict.as_bytes())));
    }
}
