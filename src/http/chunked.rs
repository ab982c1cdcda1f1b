//! The chunked transfer coding, taken off (RFC 9112, section 7.1). It hands out slices of its input and copies
//! nothing; it does not know where the bytes come from or go to.
//!
//! Strict where decoders differ and requests have been smuggled: lines end with CRLF only, a size is 1 to 16 hex digits and
//! nothing else, an extension has a name, chunk data ends with its CRLF. Extensions and trailer fields are checked
//! and dropped.

use super::refusal::{Refusal, bad};

/// Bytes of extensions and trailer fields that one body may have: no client uses them, but each costs time.
const MAX_EXTRA: usize = 16 * 1024;
/// Hex digits of a chunk size, leading zeroes included: no more fit into 64 bits.
const MAX_DIGITS: u8 = 16;

/// Takes the coding off one body, piece by piece.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    limit: u64,
    total: u64,
    extra: usize,
}

/// The result of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'i> {
    /// Bytes of the body; may be empty although input was consumed.
    pub data: &'i [u8],
    /// How much of the input is dealt with, `data` included. 0 and not finished: more input is needed.
    pub consumed: usize,
    /// The body is complete; what is left of the input is not part of it.
    pub finished: bool,
}

/// The decoder's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A digit of the size; so much was read already, in this many digits.
    Size(u64, u8),
    /// Blanks behind the size, which only an extension may follow.
    Blank(u64),
    /// The name of an extension.
    ExtensionName(u64),
    /// The rest of the extensions.
    Extension(u64),
    /// LF of the size line.
    SizeLf(u64),
    /// This many bytes of data.
    Data(u64),
    DataCr,
    DataLf,
    /// A trailer field or the last CRLF.
    LineStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Finished,
}

impl Decoder {
    /// A decoder for one body of at most `limit` bytes, decoded.
    pub fn new(limit: u64) -> Self {
        Self { state: State::Size(0, 0), limit, total: 0, extra: 0 }
    }

    /// Bytes of the body that the sizes so far announced.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Goes through `input` up to the end of the next run of data. Call it again with what follows `consumed`.
    ///
    /// # Errors
    /// 400 for a malformed body, 413 for one beyond the limit, at the size that goes beyond it, 431 for too many
    /// trailer fields. After an error the decoder is of no use.
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<Progress<'i>, Refusal> {
        let mut at = 0;
        while self.state != State::Finished {
            if let State::Data(left) = self.state {
                let data = &input[at..];
                let data = &data[..data.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                let left = left - data.len() as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                return Ok(Progress { data, consumed: at + data.len(), finished: false });
            }
            let Some(&byte) = input.get(at) else { break };
            self.state = self.step(byte)?;
            at += 1;
        }
        Ok(Progress { data: &[], consumed: at, finished: self.state == State::Finished })
    }

    /// The state after one byte that is not data.
    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size(size, digits), _) => size_byte(size, digits, byte)?,
            (State::Blank(size), b' ' | b'\t') => self.extra(State::Blank(size))?,
            (State::Blank(size), b';') => self.extra(State::ExtensionName(size))?,
            (State::ExtensionName(size), b' ' | b'\t') => self.extra(State::ExtensionName(size))?,
            (State::ExtensionName(size), _) if is_token(byte) => self.extra(State::Extension(size))?,
            (State::Extension(size), b';') => self.extra(State::ExtensionName(size))?,
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(size), _) if is_text(byte) => self.extra(State::Extension(size))?,
            (State::SizeLf(0), b'\n') => State::LineStart,
            (State::SizeLf(size), b'\n') => self.announce(size)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::LineStart, b'\r') => State::LastLf,
            (State::LineStart | State::TrailerName, _) if is_token(byte) => {
                self.trailer(State::TrailerName)?
            }
            (State::TrailerName, b':') => self.trailer(State::TrailerValue)?,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => self.trailer(State::TrailerValue)?,
            (State::TrailerLf, b'\n') => State::LineStart,
            (State::LastLf, b'\n') => State::Finished,
            _ => return Err(bad("the chunked body is malformed")),
        })
    }

    fn announce(&mut self, size: u64) -> Result<State, Refusal> {
        match self.total.checked_add(size) {
            Some(total) if total <= self.limit => self.total = total,
            _ => return Err(Refusal::new(413, "the body is larger than this server accepts")),
        }
        Ok(State::Data(size))
    }

    fn extra(&mut self, next: State) -> Result<State, Refusal> {
        self.extra += 1;
        if self.extra > MAX_EXTRA {
            return Err(bad("the chunked body has more extensions than this server accepts"));
        }
        Ok(next)
    }

    fn trailer(&mut self, next: State) -> Result<State, Refusal> {
        self.extra += 1;
        if self.extra > MAX_EXTRA {
            return Err(Refusal::new(431, "the trailer fields are larger than this server accepts"));
        }
        Ok(next)
    }
}

/// The state after a byte of the size.
fn size_byte(size: u64, digits: u8, byte: u8) -> Result<State, Refusal> {
    match (char::from(byte).to_digit(16), byte) {
        (Some(digit), _) if digits < MAX_DIGITS => Ok(State::Size(size << 4 | u64::from(digit), digits + 1)),
        (None, b'\r') if digits > 0 => Ok(State::SizeLf(size)),
        (None, b';') if digits > 0 => Ok(State::ExtensionName(size)),
        (None, b' ' | b'\t') if digits > 0 => Ok(State::Blank(size)),
        _ => Err(bad("a chunk size is malformed")),
    }
}

/// `tchar` (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a field value or a quoted string may hold (RFC 9110, section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
#[path = "chunked_tests.rs"]
mod tests;
