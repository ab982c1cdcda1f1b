//! Values as users write them, in any of the three places: sizes, times, levels. Pure.

use std::time::Duration;

use tracing::Level;

use crate::server::logging::Format;

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const LEVELS: [(&str, Level); 4] =
    [("DEBUG", Level::DEBUG), ("INFO", Level::INFO), ("WARN", Level::WARN), ("ERROR", Level::ERROR)];

/// A time in whole milliseconds: `10s`, `500ms`, `2m`, `1h`.
///
/// # Errors
/// The text is no such time; the message says what is.
pub fn duration(text: &str) -> Result<Duration, String> {
    with_unit(text, &TIME_UNITS)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is no time; write it like 10s, 500ms, 2m"))
}

/// The time as [`duration`] reads it.
pub fn duration_text(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// A size in bytes: `65536`, `64KiB`, `8MiB`, `1GiB`.
///
/// # Errors
/// The text is no such size; the message says what is.
pub fn size(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .or_else(|| with_unit(text, &SIZE_UNITS))
        .ok_or_else(|| format!("{text:?} is no size; write it like 65536, 64KiB, 8MiB, 1GiB"))
}

/// A level of the log.
///
/// # Errors
/// The text is none of the four.
pub fn level(text: &str) -> Result<Level, String> {
    LEVELS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|&(_, level)| level)
        .ok_or_else(|| format!("{text:?} is no log level; choose DEBUG, INFO, WARN or ERROR"))
}

/// The form of the log lines.
///
/// # Errors
/// The text is none of the two.
pub fn log_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(format!("{text:?} is no log format; choose text or json")),
    }
}

/// The form as [`log_format`] reads it.
pub fn log_format_text(format: Format) -> &'static str {
    match format {
        Format::Text => "text",
        Format::Json => "json",
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2 m"), Ok(Duration::from_secs(120)));
        for bad in ["", "10", "s", "-1s", "1d", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for text in ["10s", "500ms", "0s", "1500ms"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_are_bytes_unless_a_unit_says_otherwise() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for bad in ["", "KiB", "1KB", "-1", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn levels_are_the_four_in_either_case() {
        assert_eq!(level("warn"), Ok(Level::WARN));
        assert_eq!(level("DEBUG"), Ok(Level::DEBUG));
        assert!(level("TRACE").is_err() && level("3").is_err());
    }
}
