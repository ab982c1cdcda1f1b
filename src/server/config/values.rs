//! Parsers for numbers, addresses, and the log's level and format. Pure.

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use tracing::Level;

use crate::server::logging::Format;

pub fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "a port is a whole number from 0 to 65535".into())
}

/// Permissions of a file. With four digits, so that a number that is not octal is not taken for one.
pub fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('0').filter(|digits| digits.len() == 3);
    let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
    mode.ok_or_else(|| {
        "it is not a mode, such as 0660: a zero and three octal digits, in quotes in a file".into()
    })
}

/// The name of a header field that handlers could be given.
pub fn field_name(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(text.to_owned());
    }
    Err("the name of a header field has letters, digits and hyphens, such as X-Remote-User".into())
}

pub fn whole<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParseIntError| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow => "it is too large",
            _ if text.starts_with('-') => "it must not be below 0",
            _ => "it is not a whole number",
        };
        why.into()
    })
}

const LEVELS: [(&str, Level); 4] =
    [("DEBUG", Level::DEBUG), ("INFO", Level::INFO), ("WARN", Level::WARN), ("ERROR", Level::ERROR)];

pub fn level(text: &str) -> Result<Level, String> {
    LEVELS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|&(_, level)| level)
        .ok_or_else(|| format!("{text:?} is not a log level; choose DEBUG, INFO, WARN or ERROR"))
}

pub fn log_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(format!("{text:?} is not a log format; choose text or json")),
    }
}

/// The format as [`log_format`] parses it.
pub fn log_format_text(format: Format) -> &'static str {
    match format {
        Format::Text => "text",
        Format::Json => "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_those_that_become_variables() {
        assert_eq!(field_name("X-Remote-User"), Ok("X-Remote-User".into()));
        for text in ["", "X_User", "X-User:", "a b", "\u{e9}"] {
            assert!(field_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn levels_are_the_four_in_either_case() {
        assert_eq!(level("warn"), Ok(Level::WARN));
        assert_eq!(level("DEBUG"), Ok(Level::DEBUG));
        assert!(level("TRACE").is_err() && level("3").is_err());
    }
}
