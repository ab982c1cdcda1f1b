//! The text of a configuration file: its values as clap would read them, and errors that say where.

use std::ops::Range;
use std::path::Path;

use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::complaint::{self, TABLES};
use crate::server::config::layers::Uses;
use crate::server::config::options::Options;
use crate::server::error::Error;

pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// One line: `FILE:LINE: what`.
    pub fn error(&self, at: Option<Range<usize>>, what: &str) -> Error {
        let start = at.map_or(0, |at| at.start.min(self.text.len()));
        let line = self.text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::Usage(format!("{}:{line}: {what}", self.path.display()))
    }

    /// The source text of a value.
    pub fn written(&self, at: Range<usize>) -> &str {
        self.text.get(at).unwrap_or_default()
    }

    pub fn settings(&self, table: &DeTable<'_>, uses: Uses) -> Result<Options, Error> {
        let known = Options::augment_args(Command::new("file").no_binary_name(true));
        let mut arguments = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let setting = known.get_arguments().find(|setting| setting.get_long() == Some(name));
            match setting.filter(|setting| setting.get_id().as_str() != "config") {
                Some(setting) if uses.includes(setting.get_id().as_str()) => {
                    for text in self.texts_of(setting, name, value)? {
                        let argument = format!("--{name}={text}");
                        if let Err(error) = known.clone().try_get_matches_from([&argument]) {
                            return Err(self.error(Some(key.span()), &complaint::value(name, &text, &error)));
                        }
                        arguments.push(argument);
                    }
                }
                None if matches!(uses, Uses::All) && !TABLES.contains(&name) => {
                    let what = complaint::unknown(name, value.get_ref(), &known);
                    return Err(self.error(Some(key.span()), &what));
                }
                _ => {}
            }
        }
        let refused = |error: clap::Error| Error::Usage(format!("{}: {error}", self.path.display()));
        let matches = known.try_get_matches_from(arguments).map_err(refused)?;
        let mut options = Options::default();
        options.update_from_arg_matches(&matches).map_err(refused)?;
        Ok(options)
    }

    /// A value as it would be written on the command line; a list, if the option can be repeated, as several.
    fn texts_of(
        &self,
        setting: &Arg,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>, Error> {
        match value.get_ref() {
            DeValue::Array(list) if matches!(setting.get_action(), ArgAction::Append) => {
                list.iter().map(|value| self.text_of(name, value)).collect()
            }
            _ => Ok(vec![self.text_of(name, value)?]),
        }
    }

    /// A value as it would be written on the command line.
    pub fn text_of(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Error> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => Ok(i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string())),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                Ok(self.written(value.span()).to_owned())
            }
            DeValue::Array(_) => {
                Err(self.error(Some(value.span()), &format!("{name}: expected one value, not a list")))
            }
            DeValue::Table(_) => {
                Err(self.error(Some(value.span()), &format!("{name}: expected one value, not a table")))
            }
        }
    }
}
