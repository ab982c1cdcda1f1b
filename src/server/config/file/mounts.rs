//! The tables `[[mount]]` and `[[static]]`, checked so that each can be served.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Source;
use super::variables;
use crate::cgi::mount::check_place;
use crate::cgi::response::Response;
use crate::dist::parse_duration;
use crate::server::config::handler_limit::HandlerLimit;
use crate::server::config::mounts::{Mount, StaticFiles};
use crate::server::config::resolve::{possible, whole_seconds};
use crate::server::config::values;
use crate::server::error::Error;

pub(super) const MOUNT: &str = "mount";
pub(super) const STATIC: &str = "static";
const KEYS: &str = "at, run, dir, response, env, handler-timeout, handler-limit, max-handlers";

/// One table of a list, with what an error about it begins with.
struct Entry<'a> {
    source: &'a Source<'a>,
    /// `[[mount]]` or `[[static]]`.
    heading: &'static str,
    /// Position of the table.
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

/// Reads all mounts; `shared` are the variables that their handlers get too.
///
/// # Errors
/// A table is invalid: the message names file, line and key.
pub(super) fn read(
    source: &Source<'_>,
    table: &DeTable<'_>,
    shared: &BTreeMap<String, String>,
) -> Result<(Vec<Mount>, Vec<StaticFiles>), Error> {
    let mut places = Vec::new();
    let mounts = entries(source, table, MOUNT, "[[mount]]")?;
    let mounts = mounts.iter().map(|entry| entry.mount(&mut places, shared)).collect::<Result<_, _>>()?;
    let files = entries(source, table, STATIC, "[[static]]")?;
    let files = files.iter().map(|entry| entry.files(&mut places)).collect::<Result<_, _>>()?;
    Ok((mounts, files))
}

fn entries<'a>(
    source: &'a Source<'a>,
    table: &'a DeTable<'a>,
    name: &str,
    heading: &'static str,
) -> Result<Vec<Entry<'a>>, Error> {
    let Some((key, value)) = table.get_key_value(name) else { return Ok(Vec::new()) };
    let no_list = |span| {
        let what = format!("{name}: must be a list of tables: a line {heading} with its keys below it");
        source.error(Some(span), &what)
    };
    let list = value.get_ref().as_array().ok_or_else(|| no_list(key.span()))?;
    let entry = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
        DeValue::Table(table) => Ok(Entry { source, heading, span: value.span(), table }),
        _ => Err(no_list(value.span())),
    };
    list.iter().map(entry).collect()
}

impl Entry<'_> {
    fn mount(&self, places: &mut Vec<String>, shared: &BTreeMap<String, String>) -> Result<Mount, Error> {
        let mut mount = Mount { at: self.place(places)?, ..Mount::default() };
        for (key, value) in self.table {
            let (name, at) = (key.get_ref().as_ref(), key.span());
            match name {
                "at" => {}
                "run" => mount.run = self.program(at, value)?,
                "dir" => mount.dir = Some(self.directory(at, value)?),
                "response" => mount.response = Some(self.parsed(name, value, Response::from_str)?),
                "env" => {
                    let heading = format!("{} env", self.heading);
                    mount.env = variables::read(self.source, &heading, at, value, shared)?;
                }
                "handler-timeout" => {
                    let time = self.parsed(name, value, parse_duration)?;
                    whole_seconds(Some(time)).map_err(|error| self.error(at, &error.to_string()))?;
                    mount.handler_timeout = Some(time);
                }
                "handler-limit" => {
                    let limit = self.parsed(name, value, HandlerLimit::from_str)?;
                    let checked = possible(limit).map_err(|error| self.error(at, &error.to_string()))?;
                    mount.handler_limit = Some(checked);
                }
                "max-handlers" => mount.max_handlers = Some(self.parsed(name, value, values::whole)?),
                _ if variables::is_setting(name) => {
                    let what = format!("unknown key `{name}`; settings go above the first line in brackets");
                    return Err(self.error(at, &what));
                }
                _ => return Err(self.error(at, &format!("unknown key `{name}`; the keys are {KEYS}"))),
            }
        }
        match (mount.run.is_empty(), mount.dir.is_none()) {
            (true, true) => {
                Err(self
                    .error(self.span.clone(), "run or dir is missing: a program, or a directory of handlers"))
            }
            (false, false) => {
                Err(self.error(self.span.clone(), "run and dir exclude each other: give one of them"))
            }
            _ => Ok(mount),
        }
    }

    fn files(&self, places: &mut Vec<String>) -> Result<StaticFiles, Error> {
        let at = self.place(places)?;
        let mut root = None;
        for (key, value) in self.table {
            match key.get_ref().as_ref() {
                "at" => {}
                "root" => {
                    let path = self.absolute("root", value)?;
                    let found = self.metadata("root", key.span(), &path)?;
                    if !found.is_dir() && !found.is_file() {
                        let what =
                            format!("root: {} is neither a directory nor a regular file", path.display());
                        return Err(self.error(key.span(), &what));
                    }
                    root = Some(path);
                }
                name => {
                    return Err(
                        self.error(key.span(), &format!("unknown key `{name}`; the keys are at, root"))
                    );
                }
            }
        }
        let root =
            root.ok_or_else(|| self.error(self.span.clone(), "root is missing: a directory of files"))?;
        Ok(StaticFiles { at, root })
    }

    fn error(&self, at: Range<usize>, what: &str) -> Error {
        self.source.error(Some(at), &format!("{} {what}", self.heading))
    }

    /// The key `at`, which no other table has.
    fn place(&self, places: &mut Vec<String>) -> Result<String, Error> {
        let Some((key, value)) = self.table.get_key_value("at") else {
            return Err(
                self.error(self.span.clone(), "at is missing: the path to mount at, such as \"/git\"")
            );
        };
        let at = self.text("at", value)?;
        check_place(&at).map_err(|why| self.error(key.span(), &format!("at: {why}")))?;
        if places.contains(&at) {
            return Err(self.error(key.span(), &format!("at: {at:?} is mounted twice")));
        }
        places.push(at.clone());
        Ok(at)
    }

    fn program(&self, at: Range<usize>, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Error> {
        let list = value.get_ref().as_array().filter(|list| !list.is_empty()).ok_or_else(|| {
            self.error(at.clone(), "run: must be a list: the program, then its arguments, such as [\"/usr/bin/fossil\", \"http\"]")
        })?;
        let words = list.iter().map(|word| self.text("run", word)).collect::<Result<Vec<_>, _>>()?;
        let program = self.absolute("run", &list[0])?;
        let found = self.metadata("run", at.clone(), &program)?;
        if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
            return Err(self.error(at, &format!("run: {} is not an executable file", program.display())));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(self.error(at, "run: an argument contains a NUL"));
        }
        Ok(words)
    }

    fn directory(&self, at: Range<usize>, value: &Spanned<DeValue<'_>>) -> Result<PathBuf, Error> {
        let path = self.absolute("dir", value)?;
        if self.metadata("dir", at.clone(), &path)?.is_dir() {
            return Ok(path);
        }
        Err(self.error(at, &format!("dir: {} is not a directory", path.display())))
    }

    fn absolute(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<PathBuf, Error> {
        let text = self.text(name, value)?;
        if Path::new(&text).is_absolute() {
            return Ok(text.into());
        }
        Err(self.error(value.span(), &format!("{name}: {text:?} must be an absolute path")))
    }

    fn metadata(&self, name: &str, at: Range<usize>, path: &Path) -> Result<fs::Metadata, Error> {
        let missing = |error| self.error(at, &format!("{name}: {}: {error}", path.display()));
        fs::metadata(path).map_err(missing)
    }

    fn parsed<T>(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        parse(&self.text(name, value)?).map_err(|why| self.error(value.span(), &format!("{name}: {why}")))
    }

    fn text(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Error> {
        self.source.text_of(&format!("{} {name}", self.heading), value)
    }
}
