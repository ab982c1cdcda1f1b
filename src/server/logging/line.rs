//! Formats one log line, as text or as a JSON object, escaped so that no outside input can forge a line. Works on bytes
//! only.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::Level;
use tracing::field::{Field, Visit};

/// Stands for the supervisor instead of a worker number.
pub(super) const SUPERVISOR: i64 = -1;
/// Stands for an auxiliary process instead of a worker number.
pub(super) const AUXILIARY: i64 = -2;
/// Stands for the keeper instead of a worker number.
pub(super) const KEEPER: i64 = -3;

/// Longest escaped value; longer ones are cut. Handlers' output is not: its lines have a bound of their own.
const VALUE_BYTES: usize = 4096;

/// A line under construction at the end of the buffer.
pub(super) struct Line<'a> {
    pub bytes: &'a mut Vec<u8>,
    /// JSON object or text.
    pub json: bool,
    /// The worker number, or [`SUPERVISOR`], [`AUXILIARY`] or [`KEEPER`].
    pub worker: i64,
}

impl Line<'_> {
    /// Time, level and process. Assembled by hand, because this runs once per request.
    pub fn begin(&mut self, second: &str, millis: u32, level: Level) {
        let [time, level_key, after_level] =
            if self.json { [r#"{"time":""#, r#"Z","level":""#, "\""] } else { ["", "Z ", ""] };
        self.push(time);
        self.push(second);
        self.bytes.push(b'.');
        self.bytes.extend([100, 10, 1].map(|unit| b'0' + (millis / unit % 10) as u8));
        self.push(level_key);
        self.push(if self.json { level.as_str() } else { padded(level) });
        self.push(after_level);
        match (self.json, self.worker) {
            (true, SUPERVISOR) => {}
            (false, SUPERVISOR) => self.push(" supervisor:"),
            (true, AUXILIARY) => self.push(",\"auxiliary\":true"),
            (false, AUXILIARY) => self.push(" auxiliary:"),
            (true, KEEPER) => self.push(",\"keeper\":true"),
            (false, KEEPER) => self.push(" keeper:"),
            _ => {
                self.push(if self.json { ",\"worker\":" } else { " worker " });
                self.decimal(self.worker.unsigned_abs());
                self.push(if self.json { "" } else { ":" });
            }
        }
    }

    pub fn end(&mut self) {
        self.push(if self.json { "}\n" } else { "\n" });
    }

    /// Writes the message text.
    pub fn message(&mut self, text: &str) {
        self.push(if self.json { ",\"message\":\"" } else { " " });
        let _ = Escape { bytes: self.bytes, json: self.json, left: VALUE_BYTES }.write_str(text);
        self.push(if self.json { "\"" } else { "" });
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn decimal(&mut self, mut value: u64) {
        let start = self.bytes.len();
        loop {
            self.bytes.push(b'0' + (value % 10) as u8);
            value /= 10;
            if value == 0 {
                return self.bytes[start..].reverse();
            }
        }
    }

    fn key(&mut self, field: &Field) {
        let [before, after] = match (self.json, field.name()) {
            (true, _) => [",\"", "\":"],
            (false, "message") => return self.push(" "),
            (false, _) => [" ", "="],
        };
        self.push(before);
        self.push(field.name());
        self.push(after);
    }

    fn quoted(&mut self, field: &Field, write: impl FnOnce(&mut Escape<'_>) -> fmt::Result) {
        self.key(field);
        let start = self.bytes.len();
        let left = if field.name() == "message" { usize::MAX } else { VALUE_BYTES };
        let _ = write(&mut Escape { bytes: self.bytes, json: self.json, left });
        let ambiguous =
            |text: &[u8]| text.is_empty() || text.iter().any(|byte| matches!(byte, b' ' | b'=' | b'"'));
        if self.json || (field.name() != "message" && ambiguous(&self.bytes[start..])) {
            self.bytes.insert(start, b'"');
            self.bytes.push(b'"');
        }
    }
}

/// The level, padded to five characters.
fn padded(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN ",
        Level::INFO => "INFO ",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

impl Visit for Line<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field);
        self.decimal(value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field);
        self.push(if value < 0 { "-" } else { "" });
        self.decimal(value.unsigned_abs());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.key(field);
        self.push(if value { "true" } else { "false" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.quoted(field, |out| out.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.quoted(field, |out| write!(out, "{value:?}"));
    }
}

/// U+0080 to U+00BF start with this byte in UTF-8, and the next byte is the code point. Those below U+00A0 are control
/// characters (C1), which a terminal may interpret.
const C1: u8 = 0xc2;

/// `\\u001b`
const LONGEST_ESCAPE: usize = 6;

/// Escapes characters that could end a line, forge a field or confuse a terminal.
struct Escape<'a> {
    bytes: &'a mut Vec<u8>,
    json: bool,
    /// Approximate number of bytes that may still be written.
    left: usize,
}

impl Escape<'_> {
    /// Writes bytes unescaped, as far as there is room. Returns whether all fitted.
    fn run(&mut self, mut run: &[u8]) -> bool {
        let whole = run.len() <= self.left;
        if !whole {
            run = &run[..self.left];
            // Cut at a character boundary: a character starts with a byte that is not a continuation byte.
            let end = run.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
            run = if run.is_ascii() { run } else { &run[..end] };
        }
        self.bytes.extend_from_slice(run);
        self.left = self.left.saturating_sub(run.len());
        whole
    }

    fn cut(&mut self) -> fmt::Result {
        self.left = 0;
        self.bytes.extend_from_slice(b"...");
        Err(fmt::Error) // the rest is not asked for
    }
}

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let json = self.json;
        let plain = |byte: &u8| {
            matches!(byte, b' '..=b'~' if !matches!(byte, b'"' | b'\\'))
                || (json && *byte >= 0x80 && *byte != C1)
        };
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let run = rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len());
            if !self.run(&rest[..run]) {
                return self.cut();
            }
            let Some((&byte, mut after)) = rest[run..].split_first() else { break };
            if self.left < LONGEST_ESCAPE {
                return self.cut();
            }
            let before = self.bytes.len();
            match byte {
                C1 if json => {
                    let Some((&second, others)) = after.split_first() else { break };
                    if second < 0xa0 {
                        write!(self.bytes, "\\u{second:04x}").map_err(|_| fmt::Error)?;
                    } else {
                        self.bytes.extend([C1, second]);
                    }
                    after = others;
                }
                b'"' | b'\\' => self.bytes.extend([b'\\', byte]),
                _ if json => write!(self.bytes, "\\u{byte:04x}").map_err(|_| fmt::Error)?,
                _ => write!(self.bytes, "\\x{byte:02X}").map_err(|_| fmt::Error)?,
            }
            self.left -= self.bytes.len() - before;
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, json: bool) -> String {
        let mut bytes = Vec::new();
        Escape { bytes: &mut bytes, json, left: usize::MAX }.write_str(text).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_text_can_end_a_line_or_a_quotation() {
        assert_eq!(escaped("a\nb\"c\\d\x1b[1m\u{e9}", false), r#"a\x0Ab\"c\\d\x1B[1m\xC3\xA9"#);
        assert_eq!(escaped("a\nb\"c\u{e9}", true), "a\\u000ab\\\"c\u{e9}");
        assert_eq!(escaped("\x7f", true), "\\u007f");
    }

    #[test]
    fn no_text_can_control_a_terminal() {
        // U+009B is equivalent to ESC [ on a terminal with 8-bit controls.
        assert_eq!(escaped("a\u{80}\u{9b}2J\u{9f}", true), "a\\u0080\\u009b2J\\u009f");
        assert_eq!(
            escaped("\u{a0}\u{bf}\u{df}\u{109b}\u{1f600}", true),
            "\u{a0}\u{bf}\u{df}\u{109b}\u{1f600}"
        );
        for control in ('\0'..='\u{9f}').filter(|c| c.is_control()) {
            for json in [false, true] {
                let text = escaped(&format!("\u{e9}{control}\u{e9}"), json);
                assert!(!text.contains(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        for json in [false, true] {
            for text in
                ["a".repeat(9000), "\\".repeat(9000), "\u{e9}".repeat(9000), "\u{9b}a\u{e9}".repeat(3000)]
            {
                let mut bytes = Vec::new();
                let _ = Escape { bytes: &mut bytes, json, left: VALUE_BYTES }.write_str(&text);
                let cut = String::from_utf8(bytes).unwrap();
                assert!(
                    cut.ends_with("...") && (VALUE_BYTES - 8..=VALUE_BYTES + 3).contains(&cut.len()),
                    "{}",
                    cut.len()
                );
            }
        }
    }

    #[test]
    fn a_line_begins_with_time_level_and_process() {
        let begun = |json| {
            let mut bytes = Vec::new();
            let mut line = Line { bytes: &mut bytes, json, worker: 12 };
            line.begin("2026-11-23T01:02:03", 45, Level::WARN);
            line.end();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(begun(false), "2026-11-23T01:02:03.045Z WARN  worker 12:\n");
        assert_eq!(begun(true), "{\"time\":\"2026-11-23T01:02:03.045Z\",\"level\":\"WARN\",\"worker\":12}\n");
    }

    #[test]
    fn numbers_are_decimal() {
        let mut bytes = Vec::new();
        let mut line = Line { bytes: &mut bytes, json: false, worker: SUPERVISOR };
        for value in [0, 7, 10, 1_234_567, u64::MAX] {
            line.decimal(value);
            line.push(" ");
        }
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("0 7 10 1234567 {} ", u64::MAX));
    }
}
