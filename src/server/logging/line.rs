//! Formats one log line, as text or as a JSON object, escaped so that no outside input can forge a line. Works on bytes
//! only.

use std::fmt::{self, Write as _};

use tracing::Level;
use tracing::field::{Field, Visit};

use super::clock::three_digits;
use super::escape::Escape;

/// Stands for the supervisor instead of a worker number.
pub(super) const SUPERVISOR: i64 = -1;
/// Stands for an auxiliary process instead of a worker number.
pub(super) const AUXILIARY: i64 = -2;
/// Stands for the keeper instead of a worker number.
pub(super) const KEEPER: i64 = -3;

/// Longest escaped value; longer ones are cut. Handlers' output is not: its lines have a bound of their own.
const VALUE_BYTES: usize = 4096;

/// The keys whose values are numbers in JSON. The values of all others are strings, whatever an event records, so that
/// each key has one type.
pub const NUMBERS: [&str; 6] = ["worker", "pid", "launch_us", "duration_us", "code", "signal"];

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
        self.bytes.extend(three_digits(millis));
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
        if !self.json || NUMBERS.contains(&field.name()) {
            self.key(field);
            self.decimal(value);
        } else {
            self.quoted(field, |out| write!(out, "{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !(self.json && NUMBERS.contains(&field.name())) {
            self.quoted(field, |out| out.write_str(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A number that was recorded as text would give its key a second type.
        if !(self.json && NUMBERS.contains(&field.name())) {
            self.quoted(field, |out| write!(out, "{}", Recorded(value)));
        }
    }
}

/// A recorded value. Formatted through a type of this module, so that the code for it lies with that of the module.
struct Recorded<'a>(&'a dyn fmt::Debug);

impl fmt::Display for Recorded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
