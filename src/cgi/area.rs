//! Areas of the path space with settings of their own: the instance's directory of handlers, and the mounts. Each has the
//! constant part of its handlers' environment ready.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::file_server;
use super::meta;
use super::mount::{self, Target};
use super::response::Response;
use super::route::{self, Kind, Route};
use crate::http::refusal::Refusal;
use crate::sys::cstrings::CStrings;
use crate::sys::spawn::Limit;

/// Files are read, and nothing else.
const NOT_ALLOWED: Refusal = Refusal::new(405, "files here are only read: use GET or HEAD");

/// What an area's handlers have in common.
#[derive(Clone, Debug)]
pub struct Area<'a> {
    /// Where it is and what answers there; `None` for the instance's directory.
    pub mount: Option<(&'a str, Target)>,
    /// The variables of all its handlers.
    pub instance: meta::Instance<'a>,
    /// What they write.
    pub response: Response,
    /// SIGALRM after this many seconds; 0 is never.
    pub alarm_s: u32,
    /// Resource limits, where they differ from the worker's.
    pub limits: Vec<Limit>,
}

/// An area, ready to launch in.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub area: Area<'a>,
    /// Begins with the strings that are the same for all requests.
    pub environment: CStrings,
    /// How many those are.
    pub constant: usize,
}

/// All areas: the instance's own first, then the mounts.
#[derive(Debug)]
pub(super) struct Areas<'a>(Vec<Ready<'a>>);

impl<'a> Areas<'a> {
    pub fn new(areas: Vec<Area<'a>>) -> Self {
        let ready = |area: Area<'a>| {
            let mut environment = CStrings::default();
            meta::fixed(&mut environment, &area.instance);
            Ready { area, constant: environment.len(), environment }
        };
        Self(areas.into_iter().map(ready).collect())
    }

    pub fn get(&mut self, index: usize) -> &mut Ready<'a> {
        &mut self.0[index]
    }

    /// The area of a path, and what follows its mount: the longest that fits.
    pub fn find<'p>(&self, path: &'p str) -> (usize, &'p str) {
        let mounts = self.0.iter().enumerate().skip(1);
        let fits = mounts.filter_map(|(index, ready)| {
            let (at, _) = ready.area.mount.as_ref()?;
            Some((index, mount::below(at, path)?))
        });
        // The more the mount takes, the less is left.
        fits.min_by_key(|(_, rest)| rest.len()).unwrap_or((0, path))
    }
}

impl Area<'_> {
    /// Finds the handler for `rest` in this area.
    ///
    /// # Errors
    /// Those of [`route::resolve`] and [`Target::resolve`]; 405 where there are only files.
    pub fn resolve(
        &self,
        method: &str,
        rest: &str,
        probe: &mut dyn FnMut(&mut PathBuf) -> Kind,
    ) -> Result<Route, Refusal> {
        let Some((at, target)) = &self.mount else { return route::resolve(self.instance.base, rest, probe) };
        route::check_escapes(rest)?;
        if matches!(target, Target::Files(_)) && !matches!(method, "GET" | "HEAD") {
            return Err(NOT_ALLOWED);
        }
        target.resolve(at, rest, probe)
    }

    /// Arguments of its program, behind the name.
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        let (files, more): (Option<[&[u8]; 2]>, &[String]) = match &self.mount {
            Some((_, Target::Files(root))) => {
                (Some([file_server::ARGUMENT.as_bytes(), root.as_os_str().as_bytes()]), &[])
            }
            Some((_, Target::Program { arguments, .. })) => (None, arguments),
            Some((_, Target::Handlers(_))) | None => (None, &[]),
        };
        files.into_iter().flatten().chain(more.iter().map(String::as_bytes))
    }
}
