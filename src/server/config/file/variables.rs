//! Tables of variables for handlers, `[env]` and those of mounts, checked so that handlers can be started with them.

use std::collections::BTreeMap;
use std::ops::Range;

use clap::{Args, Command};
use nix::sys::resource::{Resource, getrlimit};
use toml::Spanned;
use toml::de::DeValue;

use super::source::Source;
use crate::cgi::meta::check_variable;
use crate::http::limits::Limits;
use crate::server::config::options::Options;
use crate::server::error::Error;

/// Longest `NAME=VALUE` that execve(2) takes, with the NUL: MAX_ARG_STRLEN, 32 pages of 4 KiB.
const LONGEST: usize = 32 * 4096;
/// The kernel allows a quarter of the stack for arguments and environment, within these bounds.
const ROOM: (u64, u64) = (128 << 10, 6 << 20);

/// Reads the variables of the table `heading`; `at` is its position. Its handlers get `others` too.
///
/// # Errors
/// A name or value is invalid, or the table is too large: the message names file, line and variable.
pub(super) fn read(
    source: &Source<'_>,
    heading: &str,
    at: Range<usize>,
    table: &Spanned<DeValue<'_>>,
    others: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let Some(variables) = table.get_ref().as_table() else {
        let what = match heading {
            "[env]" => "env: must be a table: a line [env] with one line per variable below it".to_owned(),
            _ => format!("{heading}: must be a table, such as {{ NAME = \"value\" }}"),
        };
        return Err(source.error(Some(at), &what));
    };
    let mut env = BTreeMap::new();
    for (name, value) in variables {
        let text = text_of(source, name.get_ref(), value)
            .and_then(|text| check(name.get_ref(), &text).map(|()| text))
            .map_err(|what| source.error(Some(name.span()), &format!("{heading} {what}")))?;
        env.insert(name.get_ref().to_string(), text);
    }
    // execve counts each string with its NUL and a pointer to it.
    let all_variables = env.iter().chain(others);
    let bytes: usize =
        all_variables.map(|(name, value)| name.len() + value.len() + 2 + size_of::<usize>()).sum();
    // Each request header can become a variable, five bytes longer for `HTTP_`.
    let all = room();
    let room = all - (2 * Limits::default().head as u64).min(all / 2);
    if bytes as u64 > room {
        let what =
            format!("{heading}: {bytes} bytes in all are too many to start a handler; at most {room} fit");
        return Err(source.error(Some(at), &what));
    }
    Ok(env)
}

fn check(name: &str, text: &str) -> Result<(), String> {
    check_variable(name, text)?;
    let bytes = name.len() + text.len() + 2;
    if bytes > LONGEST {
        return Err(format!("{name}: the value is too long to start a handler; pass it in a file"));
    }
    Ok(())
}

/// Numbers and booleans count as they are written.
fn text_of(source: &Source<'_>, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => Err(format!("{name}: expected one value, in quotes")),
        _ if is_setting(name) => Err(format!(
            "{name}: settings go above the line [env]; if this is a variable, put the value in quotes"
        )),
        _ => Ok(source.written(value.span()).to_owned()),
    }
}

pub(super) fn is_setting(name: &str) -> bool {
    let settings = Options::augment_args(Command::new("file"));
    settings.get_arguments().any(|setting| setting.get_long() == Some(name))
}

/// Bytes that execve(2) allows for arguments and environment.
fn room() -> u64 {
    let stack = getrlimit(Resource::RLIMIT_STACK).map_or(8 << 20, |(soft, _)| soft);
    (stack / 4).clamp(ROOM.0, ROOM.1)
}
