//! A request body that is still arriving: how much has arrived, and when more is due. It reads no socket.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::body_memory::BodyMemory;
use super::shared::Shared;
use crate::cgi::body::Spool;
use crate::http::chunked::Decoder;
use crate::http::refusal::Refusal;
use crate::http::request::Framing;
use crate::server::config::Settings;

/// Bound on deadlines, so that no sum of times overflows.
const A_YEAR_S: u64 = 365 * 24 * 3600;

/// The body cannot be stored: 507 if the disk is full, else 500.
pub fn no_room(error: &io::Error) -> Refusal {
    tracing::error!("a request body could not be stored: {error}");
    let full = matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG));
    Refusal::new(if full { 507 } else { 500 }, "the request body could not be stored")
}

#[derive(Debug)]
pub struct Body {
    /// The request head, parsed again when the body is complete.
    pub head: Vec<u8>,
    /// Where the body is stored; `None` if it is not needed.
    pub spool: Option<Spool>,
    memory: BodyMemory,
    rest: Rest,
    /// When the head was complete; then the number of bytes received since.
    begun: Instant,
    pub received: u64,
}

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Decoder),
}

impl Body {
    /// Starts a body after `head`. `received` bytes of it have arrived.
    pub fn new(
        head: &[u8],
        spool: Option<Spool>,
        framing: Framing,
        received: usize,
        shared: &'static Shared,
    ) -> Self {
        let rest = match framing {
            Framing::Chunked => Rest::Chunked(Decoder::new(shared.limits.body)),
            Framing::Length(length) => Rest::Length(length),
            Framing::None => Rest::Length(0),
        };
        let (head, memory) = (head.to_vec(), BodyMemory::new(shared));
        Self { head, spool, memory, rest, begun: Instant::now(), received: received as u64 }
    }

    /// Bytes still to come, if known.
    pub fn owed(&self) -> Option<u64> {
        match self.rest {
            Rest::Length(left) => Some(left),
            Rest::Chunked(_) => None,
        }
    }

    /// When more must arrive: some bytes within body-timeout, and on average no less than min-rate, with body-timeout
    /// added once.
    pub fn deadline(&self, settings: &Settings) -> Instant {
        let progress = Instant::now() + settings.body_timeout;
        let Some(seconds) = self.received.checked_div(settings.min_rate) else { return progress };
        let rate = self.begun + settings.body_timeout + Duration::from_secs(seconds.min(A_YEAR_S));
        progress.min(rate)
    }

    /// Consumes the part of `input` that belongs to the body. Returns how many bytes were used, and whether the body is
    /// complete.
    pub fn take(&mut self, input: &[u8], directory: &Path) -> Result<(usize, bool), Refusal> {
        let decoded;
        let (data, used, complete) = match &mut self.rest {
            Rest::Length(left) => {
                let n = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= n as u64;
                (&input[..n], n, *left == 0)
            }
            Rest::Chunked(decoder) => {
                let (used, complete);
                (decoded, used, complete) = decode(decoder, input)?;
                (&decoded[..], used, complete)
            }
        };
        if let Some(spool) = &mut self.spool {
            self.memory.change(spool.in_memory_with(data.len()))?;
            spool.write(data, directory).map_err(|error| no_room(&error))?;
        }
        Ok((used, complete))
    }
}

/// Decodes the chunks in `input` into one buffer, so that chunks of one byte do not cost a write each. Returns the
/// data, how many bytes were used, and whether the body is complete.
fn decode(decoder: &mut Decoder, input: &[u8]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let (mut data, mut used) = (Vec::with_capacity(input.len()), 0);
    loop {
        let progress = decoder.decode(&input[used..])?;
        data.extend_from_slice(progress.data);
        used += progress.consumed;
        if progress.finished || progress.consumed == 0 {
            return Ok((data, used, progress.finished));
        }
    }
}
