//! Explains errors in a configuration file. Pure.

use std::error::Error as _;

use clap::Command;
use clap::error::ErrorKind;
use toml::de::DeValue;

use super::mounts::{MOUNT, STATIC};

/// The table of variables for the handlers.
pub(super) const ENV: &str = "env";
/// All tables.
pub(super) const TABLES: [&str; 3] = [ENV, MOUNT, STATIC];
/// Names with this Jaro-Winkler similarity are suggested.
const ALIKE: f64 = 0.8;

/// Explains a syntax error by its usual cause.
pub(super) fn syntax(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let begin = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let message = error.message().replace('\n', ", ");
    let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        let heading = line.trim_start().starts_with(['[', '#']);
        return if heading || line.trim().is_empty() {
            message
        } else {
            format!("{}: write a setting as `key = value`", line.trim())
        };
    };
    if value.is_empty() || value.starts_with('#') {
        return format!("{key}: the value is missing");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/~%".contains(c);
    if message.contains("quoted") && value.chars().all(plain) {
        return format!("{key}: put the value in quotes: {key} = \"{value}\"");
    }
    format!("{key}: {message}")
}

/// Explains why clap refuses a value.
pub(super) fn value(key: &str, text: &str, error: &clap::Error) -> String {
    let why = match error.source() {
        Some(source) => source.to_string(),
        None if error.kind() == ErrorKind::InvalidValue && text.is_empty() => "it is empty".to_owned(),
        // Booleans are the only settings with a list of possible values.
        None if error.kind() == ErrorKind::InvalidValue => "it must be true or false".to_owned(),
        None => error.kind().to_string(),
    };
    if !text.is_empty() && why.contains(text) {
        format!("{key}: {why}")
    } else {
        format!("{key}: {text:?}: {why}")
    }
}

/// Explains an unknown key, with a suggestion.
pub(super) fn unknown(name: &str, value: &DeValue<'_>, known: &Command) -> String {
    let settings = || known.get_arguments().filter_map(clap::Arg::get_long).filter(|&long| long != "config");
    let alike = |long: &str| strsim::jaro_winkler(&name.to_lowercase().replace('_', "-"), long);
    let nearest = settings().chain(TABLES).max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let fits = |nearest: &&str| alike(nearest) >= ALIKE && (!is_table(value) || TABLES.contains(nearest));
    match nearest.filter(fits) {
        _ if name == "config" => "config: a file cannot name another".to_owned(),
        Some(nearest) => format!("unknown key `{name}`; did you mean `{nearest}`?"),
        None if is_table(value) => {
            format!(
                "unknown table [{name}]; the tables are [env], [[mount]] and [[static]], and settings go above them"
            )
        }
        None => format!(
            "unknown key `{name}`; the keys are the settings of `caffeine --help`, without the dashes"
        ),
    }
}

/// Whether a value is a table or a list of tables.
fn is_table(value: &DeValue<'_>) -> bool {
    let list = value.as_array().is_some_and(|list| list.iter().any(|value| value.get_ref().is_table()));
    value.is_table() || list
}
