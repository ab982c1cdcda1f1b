//! Properties of the request parser over any bytes, any damage and any cut.

use proptest::prelude::*;

use super::{read, read_with};
use crate::http::limits::Limits;

/// Requests that are valid, with a body behind them.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let field = ("[A-Za-z][A-Za-z-]{0,12}x", "[ -~\t]{0,40}")
        .prop_map(|(name, value)| format!("{name}: {value}\r\n"));
    let body = prop_oneof![Just(""), Just("Content-Length: 12\r\n"), Just("Transfer-Encoding: chunked\r\n")];
    (
        "[A-Z]{1,8}",
        "(/[a-z%4]{0,5}){1,4}(\\?[a-z=&?/]{0,9})?",
        0..2,
        prop::collection::vec(field, 0..6),
        body,
        any::<bool>(),
    )
        .prop_map(|(method, target, minor, fields, body, empty_line)| {
            let body = if minor == 0 { "" } else { body };
            let first = if empty_line { "\r\n" } else { "" };
            format!(
                "{first}x{method} {target} HTTP/1.{minor}\r\nHost: h\r\n{}{body}\r\nhello, world",
                fields.concat()
            )
            .into_bytes()
        })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), line in 0..200_usize, head in 0..300_usize) {
        let _ = read_with(&bytes, &Limits { request_line: line, head, body: 10 });
    }

    #[test]
    fn no_damage_to_a_request_makes_it_panic_and_no_byte_beyond_the_head_is_read(
        mut bytes in valid(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(Some(seen)) = read(&bytes) {
            prop_assert_eq!(read(&bytes[..seen.len]), Ok(Some(seen)));
        }
    }

    #[test]
    fn a_valid_request_is_incomplete_up_to_its_last_byte_and_then_always_the_same(bytes in valid()) {
        let whole = read(&bytes).unwrap().expect("complete");
        for end in 0..whole.len {
            prop_assert_eq!(read(&bytes[..end]), Ok(None), "after {} bytes", end);
        }
        for end in whole.len..bytes.len() {
            let again = read(&bytes[..end]).unwrap();
            prop_assert_eq!(again.as_ref(), Some(&whole));
        }
    }

    #[test]
    fn a_refusal_stays_a_refusal_when_more_bytes_come(bytes in prop::collection::vec(prop::sample::select(&b"GET /:\r\n HTP1.0a"[..]), 0..60)) {
        if read(&bytes).is_err() {
            let more = [&bytes[..], b"x: y\r\nHost: a\r\n\r\n"].concat();
            prop_assert!(read(&more).is_err());
        }
    }
}
