//! `--log-to file|stderr|both`: where the log lines go.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// The file `log` in the instance's directory.
    File,
    /// Standard error, for a service manager or a container.
    Stderr,
    Both,
}

const NAMES: [(&str, LogTo); 3] = [("file", LogTo::File), ("stderr", LogTo::Stderr), ("both", LogTo::Both)];

impl LogTo {
    pub fn has_file(self) -> bool {
        self != Self::Stderr
    }

    pub fn has_stderr(self) -> bool {
        self != Self::File
    }
}

impl FromStr for LogTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, place)| *place);
        found.ok_or_else(|| format!("'{text}' is not one of file, stderr, both"))
    }
}

impl fmt::Display for LogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[*self as usize].0)
    }
}
