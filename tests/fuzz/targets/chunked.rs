//! The chunked decoder with arbitrary bytes: it never panics or exceeds the limit, and read boundaries do not
//! matter.
#![no_main]

use caffeine::http::chunked::Decoder;
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 512;

/// Body, bytes used and whether it is complete; or the status of the refusal.
type Outcome = Result<(Vec<u8>, usize, bool), u16>;

/// Decodes in pieces of `piece` bytes, as reads from a client would.
fn decode(bytes: &[u8], piece: usize) -> Outcome {
    let (mut decoder, mut body, mut used) = (Decoder::new(LIMIT), Vec::new(), 0);
    for end in (piece..bytes.len()).step_by(piece).chain([bytes.len()]) {
        loop {
            let progress = decoder.decode(&bytes[used..end]).map_err(|refusal| refusal.status)?;
            assert!(progress.consumed <= end - used && progress.data.len() <= progress.consumed);
            body.extend_from_slice(progress.data);
            used += progress.consumed;
            assert!(body.len() as u64 <= decoder.total() && decoder.total() <= LIMIT);
            if progress.finished {
                assert_eq!(body.len() as u64, decoder.total());
                return Ok((body, used, true));
            }
            if progress.consumed == 0 {
                break;
            }
        }
    }
    assert_eq!(used, bytes.len(), "input is left over");
    Ok((body, used, false))
}

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(bytes, bytes.len().max(1));
    for piece in [1, 2, 7] {
        assert_eq!(decode(bytes, piece), whole, "in pieces of {piece}");
    }
    if let Ok((_, used, true)) = whole {
        assert_eq!(decode(&bytes[..used], used), whole, "what follows a body changes it");
    }
});
