//! Escapes outside input for a line of a log, as text or in a JSON string. Works on bytes only.

use std::fmt;
use std::io::Write as _;

/// U+0080 to U+00BF start with this byte in UTF-8, and the next byte is the code point. Those below U+00A0 are control
/// characters (C1), which a terminal may interpret.
const C1: u8 = 0xc2;

/// `\\u001b`
const LONGEST_ESCAPE: usize = 6;

/// Escapes characters that could end a line, forge a field or confuse a terminal.
pub(super) struct Escape<'a> {
    pub bytes: &'a mut Vec<u8>,
    pub json: bool,
    /// Approximate number of bytes that may still be written.
    pub left: usize,
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
    use std::fmt::Write as _;

    use super::*;

    const VALUE_BYTES: usize = 4096;

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
}
