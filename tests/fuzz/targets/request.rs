//! The request parser with arbitrary bytes: it never panics, accepts only the grammar, and read boundaries do
//! not matter.
#![no_main]

use caffeine::http::limits::Limits;
use caffeine::http::request::{self, Framing};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { request_line: 256, head: 1024, body: 4096 };

/// An owned copy of a parsed head.
fn read(bytes: &[u8]) -> Result<Option<String>, u16> {
    let mut slots = request::slots();
    let head = request::parse(bytes, &mut slots, &LIMITS).map_err(|refusal| refusal.status)?;
    Ok(head.map(|head| {
        assert!(head.len <= bytes.len() && head.len <= LIMITS.head);
        assert!(bytes[..head.len].ends_with(b"\r\n\r\n"));
        assert!(head.path.starts_with('/') || head.path == "*");
        assert!(!head.target.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'#'));
        assert!(!head.method.is_empty() && head.minor <= 1);
        assert!(head.host.is_some() || head.minor == 0);
        assert!(!matches!(head.framing, Framing::Length(length) if length > LIMITS.body));
        for header in head.headers.iter() {
            assert!(!header.name.is_empty() && !header.name.contains([' ', '\t', ':', '\0', '\r', '\n']));
            assert!(!header.value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f));
        }
        let count = |name: &str| head.headers.iter().filter(|one| one.name.eq_ignore_ascii_case(name)).count();
        assert!(count("host") <= 1 && count("content-length") + count("transfer-encoding") <= 1);
        format!("{head:?}")
    }))
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    // A boundary chosen by the input.
    let cut = bytes.first().map_or(0, |&first| usize::from(first) * 5 % (bytes.len() + 1));
    match (read(&bytes[..cut]), &whole) {
        (Ok(None), _) => {}
        (Ok(Some(earlier)), Ok(Some(later))) => assert_eq!(&earlier, later, "what follows a head changes it"),
        (Err(_), Err(_)) => {}
        (earlier, later) => panic!("{earlier:?} after {cut} bytes, {later:?} after all"),
    }
});
