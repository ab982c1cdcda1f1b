//! `--deploy-builtin NAME`: the handlers that come with the server. Each is a script that runs `caffeine` itself.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::server::error::Error;

/// A handler that comes with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// The counters for Prometheus.
    Metrics,
    /// A page with the counters as they change.
    Live,
}

const NAMES: [(&str, Builtin); 2] = [("metrics", Builtin::Metrics), ("live", Builtin::Live)];

impl FromStr for Builtin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, builtin)| *builtin);
        found.ok_or_else(|| format!("'{text}' is not one of metrics, live"))
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[*self as usize].0)
    }
}

impl Builtin {
    /// The script, which finds its instance in `state_dir`.
    ///
    /// # Errors
    /// The running program's path is unknown.
    pub fn script(self, state_dir: &Path) -> Result<String, Error> {
        let program = std::env::current_exe()
            .map_err(|error| Error::Failed(format!("cannot find the path of this program: {error}")))?;
        let script = match self {
            Self::Metrics => include_str!("metrics.sh"),
            Self::Live => include_str!("live.sh"),
        };
        let script = script.replace("@PROGRAM@", &quoted(&program)).replace("@STATE@", &quoted(state_dir));
        Ok(script.replace("@PAGE@", include_str!("live.html")))
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
