//! Lines of the access log: their formats, and that no request can forge one.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::http::limits::Limits;
use crate::http::request;

const OWN: Response =
    Response { status: Some(404), bytes: Some(12), took: Some(Duration::from_micros(345)), cut: false };

/// The line of a request with this head, or of these bytes if they are no request.
fn line(form: Form, user: Option<&[u8]>, bytes: &[u8], response: &Response) -> String {
    let mut slots = request::slots();
    let head = request::parse(bytes, &mut slots, &Limits::default()).ok().flatten();
    let asked = head.as_ref().map_or(Asked::Bytes(bytes), Asked::Request);
    let mut clock = Clock::default();
    clock.tick();
    let request = Request { peer: Some([192, 0, 2, 1].into()), user, asked };
    let entry = Entry::at(form, &clock, 7, &request);
    assert!(entry.as_bytes().len() <= ENTRY_BYTES, "{}", entry.as_bytes().len());
    let entry = Entry::from_bytes(entry.as_bytes()).unwrap();
    let mut lines = Vec::new();
    entry.write(&mut lines, response);
    String::from_utf8(lines).unwrap()
}

/// The fields of a line of the combined format; panics unless it is exactly one such line.
#[track_caller]
fn combined(line: &str) -> Vec<String> {
    let rest = line.strip_suffix('\n').unwrap();
    assert!(rest.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
    let (mut fields, mut rest) = (Vec::new(), format!("{rest} "));
    while !rest.is_empty() {
        let (skip, end) = match fields.len() {
            3 => (1, rest.find("] ").unwrap()),
            4 | 7 | 8 => {
                assert!(rest.starts_with('"'), "{line:?}");
                let bytes = rest.as_bytes();
                let mut at = 1;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                (1, at)
            }
            _ => (0, rest.find(' ').unwrap()),
        };
        fields.push(rest[skip..end].to_owned());
        assert_eq!(&rest[end + skip..=end + skip], " ", "{line:?}");
        rest = rest[end + skip + 1..].to_owned();
    }
    fields
}

const USUAL: &[u8] =
    b"GET /a?b=\"c\" HTTP/1.1\r\nHost: example.org:80\r\nReferer: http://a/ b\r\nUser-Agent: curl/8\r\n\r\n";

#[test]
fn the_combined_format_has_nine_fields() {
    let text = line(Form::Combined, Some(b"a b"), USUAL, &OWN);
    let fields = combined(&text);
    assert_eq!(fields[..3], ["192.0.2.1", "-", "a+b"]);
    assert_eq!(fields[4..], [r#"GET /a?b=\"c\" HTTP/1.1"#, "404", "12", "http://a/ b", "curl/8"]);
    assert_eq!(fields[3].len(), "23/Nov/2026:01:02:03 +0000".len());
    let unknown = combined(&line(Form::Combined, None, USUAL, &Response::default()));
    assert_eq!((&*unknown[2], &*unknown[5], &*unknown[6]), ("-", "-", "-"));
    let odd = combined(&line(Form::Combined, None, b"\x16\x03 TLS", &OWN));
    assert_eq!(odd[4], r"\x16\x03 TLS");
    assert_eq!(combined(&line(Form::Combined, None, b"", &OWN))[4], "-");
}

#[test]
fn json_has_keys_for_what_is_known() {
    let text = line(Form::Json, Some(b"me"), USUAL, &OWN);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert!(object["time"].as_str().unwrap().ends_with(".007Z"), "{text}");
    for (key, value) in [
        ("peer", "192.0.2.1"),
        ("user", "me"),
        ("host", "example.org:80"),
        ("request", "GET /a?b=\"c\" HTTP/1.1"),
        ("referer", "http://a/ b"),
        ("agent", "curl/8"),
    ] {
        assert_eq!(object[key], value);
    }
    for (key, value) in [("status", 404), ("bytes", 12), ("duration_us", 345)] {
        assert_eq!(object[key], value);
    }
    let native: Value = serde_json::from_str(&line(Form::Json, None, USUAL, &Response::default())).unwrap();
    let keys: Vec<&str> = native.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(!["status", "bytes", "duration_us", "user"].iter().any(|key| keys.contains(key)), "{keys:?}");
}

#[test]
fn malformed_entries_are_refused() {
    for bytes in [&b""[..], b"1", b"00000", b"70000", b"1ffffshort", b"\x010000"] {
        assert_eq!(Entry::from_bytes(bytes), None, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn no_request_can_forge_a_line_or_a_field(
        target in "[!-~]{0,40}",
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 3),
        user in prop::collection::vec(any::<u8>(), 0..700),
        raw in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut whole = format!("GET /{target} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        for (name, value) in ["Referer", "User-Agent", "X"].iter().zip(&values) {
            whole.extend(name.bytes().chain(*b": ").chain(value.iter().copied()).chain(*b"\r\n"));
        }
        whole.extend(*b"\r\n");
        for bytes in [whole, raw] {
            let text = line(Form::Combined, Some(&user), &bytes, &OWN);
            let fields = combined(&text);
            prop_assert_eq!(fields.len(), 9, "{}", text);
            prop_assert_eq!((&*fields[5], &*fields[6]), ("404", "12"), "{}", text);
            let text = line(Form::Json, Some(&user), &bytes, &OWN);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let object: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&object["status"], 404, "{}", text);
        }
    }
}
