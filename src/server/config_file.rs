//! The configuration file: one regular file, read anew for every look at the settings, with errors that say where. What the
//! options mean is not known here: a value becomes the text that the command line would have, and is read by its definitions.
//!
//! A pipe would be empty at the second look, and an empty configuration is a sound one: its settings would be lost without
//! a word. A FIFO would stop the supervisor at a reload until somebody wrote to it.

mod complaint;
mod variables;

use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::path::Path;

use clap::{Args, Command, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::server::cli::{Options, Uses};
use crate::server::error::Error;
use crate::sys::fs::open_regular;

/// The one table, of variables for the handlers.
const ENV: &str = "env";

/// Reads of a configuration file what is used. Relative paths in it count from its own directory, and `~/` is the home. `flags`
/// of open(2) are added.
///
/// # Errors
/// It cannot be read, or not again; or it is no good: then the message names file, line and key. What is not used is not looked
/// at, as long as it is TOML.
pub fn read(path: &Path, flags: i32, uses: Uses) -> Result<Options, Error> {
    let text = open_regular(OpenOptions::new().read(true), path, flags)
        .and_then(io::read_to_string)
        .map_err(|error| unreadable(path, &error))?;
    let source = Source { path, text: &text };
    let table = DeTable::parse(&text)
        .map_err(|error| source.error(error.span(), &complaint::syntax(&text, &error)))?;
    let mut options = source.settings(table.get_ref(), uses)?;
    if let (true, Some((key, value))) = (uses.includes(ENV), table.get_ref().get_key_value(ENV)) {
        options.env = variables::read(&source, key.span(), value)?;
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    for path in [&mut options.path, &mut options.state_dir].into_iter().flatten() {
        *path = match (path.strip_prefix("~"), std::env::home_dir()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => base.join(&path),
        };
    }
    Ok(options)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let text = format!("cannot read the configuration {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::InvalidInput => {
            Error::Usage(format!("{text}, and a pipe cannot be read again; put the settings into a file"))
        }
        _ => Error::Failed(text),
    }
}

/// The file, for values as they are written and for errors.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// `FILE:LINE: what is wrong`, in one line.
    fn error(&self, at: Option<Range<usize>>, what: &str) -> Error {
        let start = at.map_or(0, |at| at.start.min(self.text.len()));
        let line = self.text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::Usage(format!("{}:{line}: {what}", self.path.display()))
    }

    /// What stands there.
    fn written(&self, at: Range<usize>) -> &str {
        self.text.get(at).unwrap_or_default()
    }

    fn settings(&self, table: &DeTable<'_>, uses: Uses) -> Result<Options, Error> {
        let known = Options::augment_args(Command::new("file").no_binary_name(true));
        let mut arguments = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let setting = known.get_arguments().find(|setting| setting.get_long() == Some(name));
            match setting.map(|setting| setting.get_id().as_str()).filter(|&id| id != "config") {
                Some(id) if uses.includes(id) => {
                    let argument = format!("--{name}={}", self.text_of(name, value)?);
                    if let Err(error) = known.clone().try_get_matches_from([&argument]) {
                        let text = &argument[name.len() + 3..];
                        return Err(self.error(Some(key.span()), &complaint::value(name, text, &error)));
                    }
                    arguments.push(argument);
                }
                None if matches!(uses, Uses::All) && name != ENV => {
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

    /// A value as the command line would have it.
    fn text_of(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Error> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => Ok(i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string())),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                Ok(self.written(value.span()).to_owned())
            }
            DeValue::Array(_) => {
                Err(self.error(Some(value.span()), &format!("{name}: one value, not a list")))
            }
            DeValue::Table(_) => {
                Err(self.error(Some(value.span()), &format!("{name}: one value, not a table")))
            }
        }
    }
}
