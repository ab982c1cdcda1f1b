//! A mistake in an experiment, and its line in the file.

use crate::lab::error::Error;

pub type Checked = Result<(), Problem>;

/// Refuses the value of `key` unless it is `fine`.
pub fn check(fine: bool, key: &str, what: impl Into<String>) -> Checked {
    if fine { Ok(()) } else { Err(Problem::at(key, what)) }
}

/// Refuses the value of `key` if something is wrong with it.
pub fn none(key: &str, wrong: Option<String>) -> Checked {
    wrong.map_or(Ok(()), |what| Err(Problem::at(key, what)))
}

/// The first that stands in a list twice.
pub fn twice(list: &[String]) -> Option<&String> {
    list.iter().enumerate().find(|(i, v)| list[..*i].contains(v)).map(|(_, v)| v)
}

#[derive(Debug)]
pub struct Problem {
    /// The table that holds the key, such as `[[load]]`, and its index.
    table: Option<(&'static str, usize)>,
    key: String,
    what: String,
}

impl Problem {
    pub fn at(key: &str, what: impl Into<String>) -> Self {
        Self { table: None, key: key.into(), what: what.into() }
    }

    pub fn within(mut self, table: &'static str, index: usize) -> Self {
        self.table = Some((table, index));
        self
    }

    /// With file and line.
    pub fn located(&self, text: &str, origin: &str) -> Error {
        Error::Usage(format!("{origin}:{}: {}: {}", self.line(text), self.key, self.what))
    }

    /// 1 if the key is not in the file.
    fn line(&self, text: &str) -> usize {
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        let header = |line: &str, name: &str| {
            let inner = line.trim_start_matches('[');
            inner.len() < line.len() && inner.strip_prefix(name).is_some_and(|rest| rest.starts_with(']'))
        };
        let (from, until) = match self.table {
            None => (0, lines.len()),
            Some((name, index)) => {
                let begins = lines.iter().enumerate().filter(|(_, line)| header(line, name)).nth(index);
                let from = begins.map_or(0, |(line, _)| line);
                let ends = lines.iter().skip(from + 1).position(|line| line.starts_with('['));
                (from, ends.map_or(lines.len(), |more| from + 1 + more))
            }
        };
        let names = |line: &&str| {
            header(line, &self.key)
                || line.strip_prefix(self.key.as_str()).is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        1 + lines[from..until].iter().position(names).map_or(from, |line| from + line)
    }
}
