//! The name of an instance: safe as a directory name, on a command line and in a log.

use std::fmt;
use std::str::FromStr;

/// Longest name, in bytes.
const MAX_BYTES: usize = 64;

/// An instance's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text is not an instance name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an instance name: {why} (1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit)"
)]
pub struct InvalidName {
    text: String,
    why: &'static str,
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let why = match text.as_bytes() {
            [] => "it is empty",
            [first, ..] if !first.is_ascii_alphanumeric() => "it begins with another character",
            bytes if !bytes.iter().all(|&byte| plain(byte)) => "it has other characters",
            bytes if bytes.len() > MAX_BYTES => "it is too long",
            _ => return Ok(Self(text.to_owned())),
        };
        Err(InvalidName { text: text.to_owned(), why })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_names() {
        for text in ["a", "lab", "port-8080", "A.b_c-1", &"x".repeat(64)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn nothing_that_could_leave_the_state_directory_or_be_an_option_is_a_name() {
        for text in ["", ".", "..", ".hidden", "-n", "a/b", "a b", "a\n", "ä", "a\0", &"x".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }
}
