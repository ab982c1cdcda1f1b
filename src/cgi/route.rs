//! Maps the path of a request to its handler. Pure: it queries the file system only through `probe`, and never about
//! anything outside the base directory.
//!
//! The path is split at each raw `/`, and each segment is decoded once. Segments are then walked from the base directory; the
//! first regular file is the handler, and the rest is its `PATH_INFO`. A path that ends at a directory, with or without a
//! slash, means the `index` in it; a missing entry is never handed to an `index` above it, so that 404 stays 404.
//!
//! Up to the handler a segment never resolves (404) when, decoded, it is empty, begins with `.` (`..`, hidden files, half-deployed
//! ones), or holds a `/`, a `\` or a NUL. Behind the handler anything but NUL goes: it is the handler's own name space.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::http::refusal::{Refusal, bad};

/// The handler of a directory.
pub(super) const INDEX: &str = "index";

pub(super) const NOT_FOUND: Refusal = Refusal::new(404, "there is no handler with this name");

/// The kind of file at a path, following symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Whether this process may execute it.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A FIFO, a socket or a device: never a handler, and never opened.
    Other,
    /// Missing or not accessible.
    Missing,
}

/// Where a request goes. The decoded parts are bytes, for file names need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The file to execute: an absolute path, as the base is.
    pub handler: PathBuf,
    /// The directory it is in.
    pub directory: PathBuf,
    /// The URL path of the handler, decoded; begins with `/`, and names the `index` of a directory outside of mounts. Empty
    /// for the mount at `/`.
    pub script_name: Vec<u8>,
    /// What follows it, decoded; begins with `/`. `None` if nothing does.
    pub path_info: Option<Vec<u8>>,
    /// Whether the path leads there as long as the handler can be executed.
    pub lasting: bool,
}

impl Route {
    /// `script_name`, for people: a mount at `/` has an empty one.
    pub fn name(&self) -> &[u8] {
        if self.script_name.is_empty() { b"/" } else { &self.script_name }
    }
}

/// Finds the handler below `base` for `path`, which is percent-encoded. `probe` may replace the path that it is asked about
/// by another one of the same file or directory; what is found then goes by that one.
///
/// # Errors
/// 400 for an incomplete escape anywhere and for a NUL in what would be `PATH_INFO`; 403 for a file that is not executable;
/// 404 for everything that is not a regular file, and for the path `*`.
pub fn resolve(
    base: &Path,
    path: &str,
    probe: &mut dyn FnMut(&mut PathBuf) -> Kind,
) -> Result<Route, Refusal> {
    check_escapes(path)?;
    let mut script_name = Vec::with_capacity(path.len() + 1 + INDEX.len());
    let mut rest = path.strip_prefix('/').ok_or(NOT_FOUND)?;
    let mut here = PathBuf::with_capacity(base.as_os_str().len() + path.len() + 1 + INDEX.len());
    here.push(base);
    while !rest.is_empty() {
        let end = rest.find('/').unwrap_or(rest.len());
        let name = decode(&rest[..end]);
        if !is_plain(&name) {
            return Err(NOT_FOUND);
        }
        here.push(OsStr::from_bytes(&name));
        script_name.push(b'/');
        script_name.extend_from_slice(&name);
        match probe(&mut here) {
            Kind::File { executable } => return found(here, script_name, executable, &rest[end..]),
            Kind::Directory => rest = rest.get(end + 1..).unwrap_or(""),
            Kind::Other | Kind::Missing => return Err(NOT_FOUND),
        }
    }
    here.push(INDEX);
    script_name.push(b'/');
    script_name.extend_from_slice(INDEX.as_bytes());
    match probe(&mut here) {
        Kind::File { executable } => found(here, script_name, executable, ""),
        Kind::Directory | Kind::Other | Kind::Missing => Err(NOT_FOUND),
    }
}

fn found(handler: PathBuf, script_name: Vec<u8>, executable: bool, rest: &str) -> Result<Route, Refusal> {
    if !executable {
        return Err(Refusal::new(403, "the handler is not executable"));
    }
    let path_info = match decode(rest) {
        info if info.contains(&0) => return Err(bad("the path has a NUL")),
        info if info.is_empty() => None,
        info => Some(info.into_owned()),
    };
    // At least one whole plain name was appended to the base, so there is one.
    let directory = handler.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Route { directory, script_name, path_info, handler, lasting: true })
}

/// Whether a decoded segment can be a name below the directory that was reached.
pub(super) fn is_plain(name: &[u8]) -> bool {
    !matches!(name, [] | [b'.', ..]) && !name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0))
}

/// # Errors
/// 400 unless two hex digits follow each `%`.
pub(super) fn check_escapes(path: &str) -> Result<(), Refusal> {
    if escapes_are_complete(path.as_bytes()) {
        return Ok(());
    }
    Err(bad("the path has an incomplete percent escape"))
}

fn escapes_are_complete(path: &[u8]) -> bool {
    path.iter()
        .enumerate()
        .filter(|&(_, &byte)| byte == b'%')
        .all(|(at, _)| hex_pair(&path[at + 1..]).is_some())
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |&byte: &u8| char::from(byte).to_digit(16);
    let value = digit(digits.first()?)? << 4 | digit(digits.get(1)?)?;
    u8::try_from(value).ok()
}

/// Replaces each escape by its byte, once. Without an escape nothing is copied.
pub(super) fn decode(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    let Some(first) = bytes.iter().position(|&byte| byte == b'%') else {
        return Cow::Borrowed(bytes);
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        let escaped = if byte == b'%' { hex_pair(&bytes[at + 1..]) } else { None };
        decoded.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
