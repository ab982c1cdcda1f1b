//! `[[mount]]` and `[[static]]`: parts of the path space with a program, handlers or files of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::handler_limit::HandlerLimit;
use super::settings::{Settings, optional_time};
use crate::cgi::mount::Target;
use crate::cgi::response::Response;

/// A program or a directory of handlers, with settings that override those of the instance.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mount {
    /// Where it is: `/`, or a path without a slash at its end.
    pub at: String,
    /// A program with its arguments; empty for a directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
    pub dir: Option<PathBuf>,
    /// What its handlers write, if not what those of the instance do.
    pub response: Option<Response>,
    /// 0 means no timeout.
    #[serde(serialize_with = "optional_time")]
    pub handler_timeout: Option<Duration>,
    pub handler_limit: Option<HandlerLimit>,
    /// Most handlers at once in the mount; 0 means no limit of its own.
    pub max_handlers: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Files that are served as they are.
#[derive(Clone, Debug, Serialize)]
pub struct StaticFiles {
    pub at: String,
    /// A directory, or one file.
    pub root: PathBuf,
}

impl Mount {
    /// Its own limit on handlers at once.
    pub fn most_handlers(&self) -> Option<u64> {
        self.max_handlers.filter(|&most| most != 0)
    }

    pub fn target(&self) -> Target {
        match (&self.dir, self.run.split_first()) {
            (None, Some((program, arguments))) => {
                Target::Program { file: program.into(), arguments: arguments.to_vec() }
            }
            (dir, _) => Target::Handlers(dir.clone().unwrap_or_default()),
        }
    }
}

impl Settings {
    /// The mount of an area.
    pub fn mount_of(&self, area: usize) -> Option<&Mount> {
        self.mount.get(area.checked_sub(1)?)
    }

    /// Whether handlers of some mount are watched otherwise than those of the instance.
    pub fn mounts_are_watched(&self) -> bool {
        self.mount.iter().any(|mount| mount.handler_timeout.is_some() || mount.most_handlers().is_some())
    }

    /// Whether it is noted of each handler where it counts and when it times out, for a keeper that takes over.
    pub fn shares_are_noted(&self) -> bool {
        self.mounts_are_watched() || self.max_per_client.is_some()
    }

    /// The timeout of handlers in an area: 0 is the instance's directory, then come the mounts, then files, which have none.
    pub fn timeout_of(&self, area: usize) -> Option<Duration> {
        let Some(place) = area.checked_sub(1) else { return self.handler_timeout };
        let mount = self.mount.get(place)?;
        mount.handler_timeout.map_or(self.handler_timeout, |own| Some(own).filter(|time| !time.is_zero()))
    }

    /// What handlers in an area write; files are native.
    pub fn response_of(&self, area: usize) -> Response {
        let Some(place) = area.checked_sub(1) else { return self.response };
        self.mount.get(place).map_or(Response::Native, |mount| mount.response.unwrap_or(self.response))
    }

    /// Whether an area is one of files.
    pub fn is_of_files(&self, area: usize) -> bool {
        area > self.mount.len()
    }

    /// Whether some responses are relayed.
    pub fn relays(&self) -> bool {
        (0..self.areas()).any(|area| self.response_of(area) != Response::Native)
    }

    /// Resource limits of handlers in an area.
    pub fn limit_of(&self, area: usize) -> Option<HandlerLimit> {
        let Some(place) = area.checked_sub(1) else { return self.handler_limit };
        self.mount.get(place)?.handler_limit.or(self.handler_limit)
    }

    /// How many areas there are.
    pub fn areas(&self) -> usize {
        1 + self.mount.len() + self.files.len()
    }

    /// Whether handlers of some area have a timeout.
    pub fn has_timeouts(&self) -> bool {
        (0..self.areas()).any(|area| self.timeout_of(area).is_some())
    }

    /// The timeout of a handler of which nothing is known: none, unless all areas have one. SIGALRM ends its first process
    /// in any case.
    pub fn timeout_of_unknown(&self) -> Option<Duration> {
        let timeouts = (0..=self.mount.len()).map(|area| self.timeout_of(area));
        timeouts.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
    }
}
