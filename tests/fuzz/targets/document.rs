//! The head of a document response in arbitrary output: it never panics, read boundaries do not matter, and what is sent
//! is a valid head that ends where it says.
#![no_main]

use caffeine::http::document;
use caffeine::http::response::parse_response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|output: &[u8]| {
    let whole = document::parse(output);
    for end in 0..output.len() {
        match document::parse(&output[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "after {end} bytes"),
        }
    }
    let Ok(Some(document)) = whole else { return };
    for (minor, head_only) in [(0, false), (1, false), (1, true)] {
        let framing = document.framing(minor, head_only);
        let sent = document.head(framing, "Sun, 06 Nov 1994 08:49:37 GMT");
        let read = parse_response(&sent, head_only).unwrap().expect("complete");
        assert_eq!((read.status, read.len, read.framing), (document.status, sent.len(), framing));
    }
});
