//! Tests of the chunked decoder: what is taken, what is refused, and the same result however the input is cut.

use proptest::prelude::*;

use super::*;

/// The decoded body and the input left over, `None` if incomplete, or the status of the refusal.
type Fed = Result<Option<(Vec<u8>, Vec<u8>)>, u16>;

/// Feeds `pieces` one after the other.
fn feed<'i>(pieces: impl IntoIterator<Item = &'i [u8]>, limit: u64) -> Fed {
    let mut decoder = Decoder::new(limit);
    let (mut body, mut left, mut finished) = (Vec::new(), Vec::new(), false);
    for mut input in pieces {
        while !finished {
            let progress = decoder.decode(input).map_err(|refusal| refusal.status)?;
            body.extend_from_slice(progress.data);
            input = &input[progress.consumed..];
            finished = progress.finished;
            if progress.consumed == 0 {
                break;
            }
        }
        left.extend_from_slice(input);
    }
    assert!(!finished || decoder.total() == body.len() as u64);
    Ok(finished.then_some((body, left)))
}

fn decode(input: &[u8]) -> Fed {
    feed([input], 1 << 20)
}

#[track_caller]
fn accepted(input: &str, body: &str) {
    assert_eq!(decode(input.as_bytes()), Ok(Some((body.into(), Vec::new()))), "{input:?}");
}

#[test]
fn chunks_are_joined_and_what_follows_is_left() {
    accepted("5\r\nhello\r\n0\r\n\r\n", "hello");
    accepted("0\r\n\r\n", "");
    accepted("3\r\na\r\n\r\n000A\r\n0123456789\r\n000\r\n\r\n", "a\r\n0123456789");
    assert_eq!(decode(b"1\r\nx\r\n0\r\n\r\nGET /"), Ok(Some((b"x".to_vec(), b"GET /".to_vec()))));
}

#[test]
fn data_is_not_copied() {
    let input = b"5\r\nhello\r\n";
    let progress = Decoder::new(5).decode(input).unwrap();
    assert_eq!(progress.data.as_ptr(), input[3..].as_ptr());
    assert_eq!((progress.consumed, progress.finished), (8, false));
}

#[test]
fn extensions_and_trailer_fields_are_dropped() {
    accepted("5;a\r\nhello\r\n0;b=c;d=\"e f\"\r\n\r\n", "hello");
    accepted("5 \t; a\r\nhello\r\n0\r\n\r\n", "hello");
    accepted("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x");
}

#[test]
fn malformed_bodies_are_400() {
    for input in [
        "zz\r\n",
        "-5\r\n",
        "+5\r\n",
        "0x5\r\n",
        "0_5\r\n",
        "\r\n",
        ";a\r\n",
        " 5\r\n",
        "5 \r\n",
        "5 5\r\n",
        "5,\r\n",
        "5\n",
        "5\rx",
        "5;\n",
        "5;\r\n",
        "5; \r\n",
        "5;=\r\n",
        "5;a;\r\n",
        "5;a\n",
        "5;a\0\r\n",
        "5;a\rb\r\n",
        "FFFFFFFFFFFFFFFF5\r\n",
        "00000000000000005\r\n",
        "5\r\nhelloworld\r\n",
        "5\r\nhello\n",
        "5\r\nhello\rx",
        "5\r\nhello0\r\n",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n \r\n",
        "0\r\nA\r\n",
        "0\r\nA : b\r\n",
        "0\r\n: b\r\n",
        "0\r\nA: b\n",
        "0\r\nA: b\r\n c\r\n",
        "0\r\nA: \x01\r\n",
        "0\n\r\n",
    ] {
        assert_eq!(decode(input.as_bytes()), Err(400), "{input:?}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_413_at_the_size_that_passes_it() {
    assert!(feed([&b"a\r\n0123456789\r\n0\r\n\r\n"[..]], 10).unwrap().is_some());
    assert_eq!(feed([&b"b\r\n"[..]], 10), Err(413));
    assert_eq!(feed([&b"5\r\nhello\r\n6\r\n"[..]], 10), Err(413));
    assert_eq!(feed([&b"1\r\nx\r\nFFFFFFFFFFFFFFFF\r\n"[..]], u64::MAX), Err(413));
}

#[test]
fn extensions_and_trailers_without_end_are_cut() {
    assert_eq!(decode(format!("5;{}", "a".repeat(65_536)).as_bytes()), Err(400));
    assert_eq!(decode("1;aaaaaaaa\r\nx\r\n".repeat(4096).as_bytes()), Err(400));
    assert_eq!(decode(format!("0\r\n{}", "A: b\r\n".repeat(10_000)).as_bytes()), Err(431));
}

fn encode(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        coded.extend_from_slice(format!("{:x};e=1\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\nTrailer: field\r\n\r\n");
    coded
}

proptest! {
    #[test]
    fn any_body_survives_coding_however_it_is_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8), piece in 1..50_usize,
    ) {
        let coded = encode(&chunks);
        prop_assert_eq!(feed(coded.chunks(piece), 1 << 20), Ok(Some((chunks.concat(), Vec::new()))));
        for end in 0..coded.len() {
            prop_assert_eq!(feed([&coded[..end]], 1 << 20), Ok(None));
        }
    }

    #[test]
    fn any_bytes_give_the_same_whole_or_in_pieces(
        bytes in prop::collection::vec(prop::sample::select(&b"0123af;=\r\n\r\n\r\nx: "[..]), 0..60), piece in 1..9_usize,
    ) {
        prop_assert_eq!(feed(bytes.chunks(piece), 100), feed([&bytes[..]], 100));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}
