//! The areas of the path space as a worker serves them: the instance's directory and the mounts, with their limits.

use std::time::Duration;

use nix::sys::resource::Resource;

use super::shared::Shared;
use crate::cgi::area::Area;
use crate::cgi::launch::{HANDLER_PATH, SOFTWARE};
use crate::cgi::mount::Target;
use crate::cgi::response::Response;
use crate::cgi::{meta, rehearsal};
use crate::server::config::HandlerLimit;
use crate::server::responders::Respond;
use crate::sys::spawn::Limit;

/// All areas, in the order of [`Settings::timeout_of`](crate::server::config::Settings::timeout_of).
pub fn areas(shared: &Shared) -> Vec<Area<'_>> {
    let settings = &shared.settings;
    let instance = meta::Instance {
        name: settings.name.as_str(),
        software: SOFTWARE,
        path_var: HANDLER_PATH,
        port: settings.port,
        proxied: !settings.trusted_proxy.is_empty(),
        server_name_default: &shared.server_name,
        base: &settings.path,
        worker: shared.number as u64,
        extra: &settings.env,
        more: None,
    };
    let own = Area {
        mount: None,
        instance,
        response: settings.response,
        alarm_s: alarm_s(settings.handler_timeout),
        limits: limits(shared, 0),
    };
    let mounts = settings.mount.iter().enumerate().map(|(place, mount)| Area {
        mount: Some((&*mount.at, mount.target())),
        instance: meta::Instance {
            base: mount.dir.as_deref().unwrap_or(&settings.path),
            more: Some(&mount.env),
            ..instance
        },
        response: settings.response_of(1 + place),
        alarm_s: alarm_s(settings.timeout_of(1 + place)),
        limits: limits(shared, 1 + place),
    });
    // The process that serves a file is ours: only the number of open files is as the server found it.
    let files = settings.files.iter().map(|files| Area {
        mount: Some((&*files.at, Target::Files(files.root.clone()))),
        instance: meta::Instance { base: &files.root, ..instance },
        response: Response::Native,
        alarm_s: 0,
        limits: nofile(shared).collect(),
    });
    std::iter::once(own).chain(mounts).chain(files).collect()
}

/// Tests whether a handler can be started in every area.
///
/// # Errors
/// The reason, for the user.
pub fn rehearse(shared: &Shared) -> Result<(), String> {
    let settings = &shared.settings;
    if settings.respond != Respond::Cgi {
        return Ok(());
    }
    let watched = settings.max_handlers.is_some()
        || settings.max_per_client.is_some()
        || settings.has_timeouts()
        || settings.mounts_are_watched()
        || settings.listener.entry.counts_handlers;
    rehearsal::rehearse(&limits(shared, 0), watched)?;
    for (place, mount) in settings.mount.iter().enumerate().filter(|(_, mount)| mount.handler_limit.is_some())
    {
        rehearsal::rehearse(&limits(shared, 1 + place), watched)
            .map_err(|reason| format!("the mount at {}: {reason}", mount.at))?;
    }
    if settings.files.is_empty() {
        return Ok(());
    }
    rehearsal::own_program().map_err(|error| {
        format!("[[static]] needs this program, and the server's user may not execute its file: {error}")
    })
}

/// Resource limits of handlers in an area, where they differ from the server's.
fn limits(shared: &Shared, area: usize) -> Vec<Limit> {
    nofile(shared).chain(shared.settings.limit_of(area).iter().flat_map(HandlerLimit::limits)).collect()
}

fn nofile(shared: &Shared) -> impl Iterator<Item = Limit> {
    shared.nofile.map(|(soft, hard)| Limit::new(Resource::RLIMIT_NOFILE, soft, hard)).into_iter()
}

/// The keeper enforces the timeout. Should the instance be gone by then, SIGALRM ends the handler's first process a moment later.
fn alarm_s(timeout: Option<Duration>) -> u32 {
    const LATER_S: u64 = 2;
    timeout.map_or(0, |time| u32::try_from(time.as_secs() + LATER_S).unwrap_or(u32::MAX))
}
