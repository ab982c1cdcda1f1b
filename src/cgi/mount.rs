//! Mounts: parts of the path space that belong to one program, to a directory of handlers or to files. Pure: they query the
//! file system only through `probe`, and never about anything outside their own directory.
//!
//! Inside a mount paths work as programs for other servers expect. A directory is served with a slash at its end, so that
//! relative links are right; its `index` also gets what is missing below it, as `PATH_INFO`; and no `PATH_INFO` has dot
//! segments, which other servers remove.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::route::{INDEX, Kind, NOT_FOUND, Route, decode, is_plain};
use crate::http::refusal::{Refusal, bad};

/// A directory without the slash. The answer names the address with it.
const MOVED: Refusal = Refusal::new(308, "the address of a directory ends with a slash");
/// This program, which also serves files.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// What answers requests below a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One program with its arguments.
    Program { file: PathBuf, arguments: Vec<String> },
    /// The handlers in a directory.
    Handlers(PathBuf),
    /// The files in a directory, or one file.
    Files(PathBuf),
}

/// Checks where a mount may be.
///
/// # Errors
/// Why not there.
pub fn check_place(at: &str) -> Result<(), String> {
    let odd = |c: char| c.is_control() || "%?#\\".contains(c);
    let why = match at.strip_prefix('/') {
        None => "it must begin with /",
        Some("") => return Ok(()),
        Some(names) if names.split('/').any(|name| matches!(name, "." | "..")) => "it has a dot segment",
        Some(names) if names.ends_with('/') => "it must not end with /",
        Some(names) if names.split('/').any(str::is_empty) => "it has an empty segment",
        Some(names) if names.contains(odd) => {
            "write it without escapes; % ? # \\ and controls cannot be in it"
        }
        Some(_) => return Ok(()),
    };
    Err(format!("{at:?}: {why}"))
}

/// What follows the mount at `at` in `path`, which is percent-encoded: nothing, or a part that begins with `/`. `None` if
/// the path is not below it. Whole segments are compared, decoded.
pub fn below<'p>(at: &str, path: &'p str) -> Option<&'p str> {
    let mut rest = path;
    for name in at.split('/').skip(1).filter(|name| !name.is_empty()) {
        let tail = rest.strip_prefix('/')?;
        let end = tail.find('/').unwrap_or(tail.len());
        if *decode(&tail[..end]) != *name.as_bytes() {
            return None;
        }
        rest = &tail[end..];
    }
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl Target {
    /// Finds what answers `rest`, the part of the path behind the mount at `at`. `probe` is that of
    /// [`route::resolve`](super::route::resolve).
    ///
    /// # Errors
    /// 308 for a directory without its slash; 400, 403 and 404 as outside of mounts.
    pub fn resolve(
        &self,
        at: &str,
        rest: &str,
        probe: &mut dyn FnMut(&mut PathBuf) -> Kind,
    ) -> Result<Route, Refusal> {
        let script_name = at.trim_end_matches('/').as_bytes().to_vec();
        match self {
            Self::Program { file, .. } => to_program(file.clone(), script_name, rest),
            Self::Files(_) => {
                let mut names = rest.split('/').skip(1).peekable();
                while let Some(name) = names.next() {
                    let folder = name.is_empty() && names.peek().is_none();
                    if !folder && !is_plain(&decode(name)) {
                        return Err(NOT_FOUND);
                    }
                }
                to_program(OWN_PROGRAM.into(), script_name, rest)
            }
            Self::Handlers(directory) => in_directory(directory, script_name, rest, probe),
        }
    }
}

fn to_program(handler: PathBuf, script_name: Vec<u8>, rest: &str) -> Result<Route, Refusal> {
    let directory = handler.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Route { directory, script_name, path_info: path_info(rest)?, handler, lasting: false })
}

/// A directory on the way, whose `index` may be the handler.
struct Passed<'p> {
    directory: PathBuf,
    /// Length of its `SCRIPT_NAME`.
    name_len: usize,
    /// What follows it in the path.
    rest: &'p str,
}

fn in_directory(
    base: &Path,
    mut script_name: Vec<u8>,
    rest: &str,
    probe: &mut dyn FnMut(&mut PathBuf) -> Kind,
) -> Result<Route, Refusal> {
    let mut here = base.to_owned();
    let mut passed = vec![Passed { directory: here.clone(), name_len: script_name.len(), rest }];
    let mut left = rest;
    while let Some(tail) = left.strip_prefix('/').filter(|tail| !tail.is_empty()) {
        let end = tail.find('/').unwrap_or(tail.len());
        let name = decode(&tail[..end]);
        if !is_plain(&name) {
            break;
        }
        here.push(OsStr::from_bytes(&name));
        script_name.push(b'/');
        script_name.extend_from_slice(&name);
        left = &tail[end..];
        match probe(&mut here) {
            Kind::File { executable: true } => {
                let directory = here.parent().unwrap_or(base).to_owned();
                let path_info = path_info(left)?;
                return Ok(Route { directory, script_name, path_info, handler: here, lasting: true });
            }
            Kind::File { executable: false } => {
                return Err(Refusal::new(403, "the handler is not executable"));
            }
            Kind::Directory => {
                passed.push(Passed { directory: here.clone(), name_len: script_name.len(), rest: left });
            }
            Kind::Other => return Err(NOT_FOUND),
            Kind::Missing => break,
        }
    }
    nearest_index(passed, script_name, probe)
}

/// The `index` of the innermost directory that has one.
fn nearest_index(
    passed: Vec<Passed<'_>>,
    mut script_name: Vec<u8>,
    probe: &mut dyn FnMut(&mut PathBuf) -> Kind,
) -> Result<Route, Refusal> {
    for Passed { directory, name_len, rest } in passed.into_iter().rev() {
        let mut handler = directory.join(INDEX);
        match probe(&mut handler) {
            Kind::File { .. } if rest.is_empty() && name_len > 0 => return Err(MOVED),
            Kind::File { executable: true } => {
                script_name.truncate(name_len);
                let (path_info, lasting) = (path_info(rest)?, matches!(rest, "" | "/"));
                return Ok(Route { directory, script_name, path_info, handler, lasting });
            }
            Kind::File { executable: false } => {
                return Err(Refusal::new(403, "the handler is not executable"));
            }
            Kind::Directory | Kind::Other | Kind::Missing => {}
        }
    }
    Err(NOT_FOUND)
}

fn path_info(rest: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let info = decode(rest);
    if info.contains(&0) {
        return Err(bad("the path has a NUL"));
    }
    if info.split(|&byte| byte == b'/').any(|name| matches!(name, b"." | b"..")) {
        return Err(NOT_FOUND);
    }
    Ok((!info.is_empty()).then(|| info.into_owned()))
}

#[cfg(test)]
#[path = "mount_tests.rs"]
mod tests;
