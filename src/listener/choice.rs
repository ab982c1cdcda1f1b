//! A strategy as the user names it: `NAME[:ARG]`, checked against the table.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::promises::Promises;
use super::{Entry, STRATEGIES, SocketCount, Strategy};

/// What may follow the colon. The first example is what the bare name means; the suite tries them all.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// Nothing.
    None,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Number {
        /// The least.
        least: u64,
        /// The greatest.
        most: u64,
        /// The default, and others worth trying.
        examples: &'static [&'static str],
    },
    /// Text with a check of its own.
    Text {
        /// What it looks like, for the user.
        form: &'static str,
        /// What is wrong with it.
        check: fn(&str) -> Result<(), String>,
        /// The default, and others worth trying.
        examples: &'static [&'static str],
    },
}

impl Argument {
    /// What to try; the first is the default.
    pub fn examples(&self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Word(examples) | Self::Number { examples, .. } | Self::Text { examples, .. } => examples,
        }
    }

    /// What the bare name means.
    pub fn default(&self) -> &'static str {
        self.examples().first().copied().unwrap_or("")
    }

    /// The argument in the form that strategies get, or what is wrong with it.
    fn read(&self, text: &str) -> Result<String, String> {
        match self {
            Self::None => Err("takes no argument".into()),
            Self::Word(words) if words.contains(&text) => Ok(text.into()),
            Self::Word(words) => Err(format!("takes one of: {}", words.join(", "))),
            Self::Number { least, most, .. } => match text.parse::<u64>() {
                Ok(number) if (*least..=*most).contains(&number) => Ok(number.to_string()),
                _ => Err(format!("takes a number from {least} to {most}")),
            },
            Self::Text { check, .. } => check(text).map(|()| text.into()),
        }
    }

    /// How it is written after the name: `:skip|:wait`, `:N`.
    pub fn form(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Word(words) => format!("[:{}]", words.join("|")),
            Self::Number { .. } => "[:N]".into(),
            Self::Text { form, .. } => format!("[:{form}]"),
        }
    }
}

/// A strategy and its argument.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its line in the table.
    pub entry: &'static Entry,
    /// Checked; empty where it takes none.
    pub argument: String,
}

impl Choice {
    /// What it promises.
    pub fn promises(&self) -> Promises {
        (self.entry.promises)(&self.argument)
    }

    /// How many listening sockets it needs.
    pub fn sockets(&self) -> SocketCount {
        (self.entry.sockets)(&self.argument)
    }

    /// Whether this kernel, and what this process may do, are enough for it.
    ///
    /// # Errors
    /// What is missing.
    pub fn available(&self) -> Result<(), String> {
        (self.entry.available)(&self.argument)
    }

    /// Makes the supervisor's side.
    ///
    /// # Errors
    /// What the strategy cannot get from the system.
    pub fn open(&self, workers: usize) -> io::Result<Box<dyn Strategy>> {
        self.available().map_err(io::Error::other)?;
        (self.entry.open)(&self.argument, workers)
    }

    /// Every strategy with every argument that is worth trying.
    pub fn all() -> impl Iterator<Item = Self> {
        STRATEGIES.iter().flat_map(|entry| {
            let arguments: &[&str] = match entry.argument.examples() {
                [] => &[""],
                some => some,
            };
            arguments.iter().map(move |&argument| Self { entry, argument: argument.to_owned() })
        })
    }
}

impl Default for Choice {
    fn default() -> Self {
        let entry = &STRATEGIES[0];
        Self { entry, argument: entry.argument.default().to_owned() }
    }
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name && self.argument == other.argument
    }
}

impl Eq for Choice {}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) =
            text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let Some(entry) = STRATEGIES.iter().find(|entry| entry.name == name) else {
            let known: Vec<_> = STRATEGIES.iter().map(|entry| entry.name).collect();
            return Err(format!("no listener strategy '{name}'; there are: {}", known.join(", ")));
        };
        let argument = match argument {
            None => entry.argument.default().to_owned(),
            Some(argument) => entry
                .argument
                .read(argument)
                .map_err(|wrong| format!("listener strategy '{name}' {wrong}"))?,
        };
        Ok(Self { entry, argument })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.argument == self.entry.argument.default() {
            f.write_str(self.entry.name)
        } else {
            write!(f, "{}:{}", self.entry.name, self.argument)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_and_written_the_same() {
        for choice in Choice::all() {
            assert_eq!(choice.to_string().parse::<Choice>().unwrap(), choice);
        }
        assert_eq!("round-robin:skip".parse::<Choice>(), "round-robin".parse::<Choice>());
        assert_eq!("round-robin:wait".parse::<Choice>().unwrap().to_string(), "round-robin:wait");
    }

    #[test]
    fn a_wrong_choice_says_what_there_is() {
        assert!("lifo".parse::<Choice>().unwrap_err().contains("inherited, inherited-herd, "));
        assert!("inherited:x".parse::<Choice>().unwrap_err().contains("'inherited' takes no argument"));
        assert!("round-robin:x".parse::<Choice>().unwrap_err().contains("takes one of: skip, wait"));
    }

    #[test]
    fn a_number_has_bounds_and_one_form() {
        let number = Argument::Number { least: 1, most: 100, examples: &["1", "16"] };
        assert_eq!(number.read("016"), Ok("16".into()));
        for wrong in ["0", "101", "", "-1", "x"] {
            assert_eq!(number.read(wrong), Err("takes a number from 1 to 100".into()));
        }
    }

    #[test]
    fn examples_are_arguments() {
        for choice in Choice::all().filter(|choice| !choice.argument.is_empty()) {
            assert_eq!(choice.entry.argument.read(&choice.argument), Ok(choice.argument.clone()));
        }
    }
}
