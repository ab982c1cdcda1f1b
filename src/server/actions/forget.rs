//! `--forget`: removes everything that a stopped instance left.

use std::sync::atomic::Ordering::Relaxed;

use super::print;
use crate::instance::{Abandoned, Folder, Name, registry};
use crate::scoreboard::Scoreboard;
use crate::server::config::{self, Sources};
use crate::server::error::Error;
use crate::server::owner::Owner;

/// Removes the directory of a stopped instance, with its log.
pub fn forget(name: &Name, sources: &Sources) -> Result<(), Error> {
    let state_dir = config::state_dir(&sources.options()?)?;
    let folder = Folder::new(&state_dir, name);
    if !folder.exists() {
        let all = registry::all(&state_dir)?;
        let stopped: Vec<_> =
            all.iter().filter(|folder| folder.is_gone()).map(|folder| folder.name().as_str()).collect();
        let stopped = if stopped.is_empty() {
            "none is stopped".into()
        } else {
            format!("stopped: {}", stopped.join(", "))
        };
        return Err(Error::Failed(format!(
            "there is no instance {name} ({}); {stopped}",
            folder.dir().display()
        )));
    }
    match Owner::of(&folder)? {
        None => as_oneself(&folder)?,
        Some(owner) => as_owner(&owner, folder).map_err(|error| owner.explain(error))?,
    }
    print(&format!("forgot {name}\n"))
}

/// Removes what the first start of an instance has left, if it failed before the instance served.
pub fn forget_failed_start(folder: &Folder) {
    let path = folder.scoreboard();
    let has_served = match Scoreboard::open(&path) {
        Ok(board) => board.header().generation.load(Relaxed) > 0,
        Err(_) => path.exists(),
    };
    if !has_served {
        // What cannot be removed does no harm: it is listed as stopped.
        let _ = as_oneself(folder);
    }
}

fn as_oneself(folder: &Folder) -> Result<(), Error> {
    let abandoned = Abandoned::lock(folder)?;
    abandoned.set_aside()?;
    abandoned.empty()?;
    Ok(abandoned.remove()?)
}

/// Root opens and removes files as the owner of the directory, who could have put anything there. Only the directory
/// itself is removed as root, if its parent belongs to root.
fn as_owner(owner: &Owner, folder: Folder) -> Result<(), Error> {
    let folder = owner.enter_for_now(folder)?;
    let abandoned = Abandoned::lock(&folder)?;
    let by_root = abandoned.is_in_roots()?;
    let change = |work: &dyn Fn() -> Result<(), Error>| if by_root { owner.as_root(work) } else { work() };
    change(&|| Ok(abandoned.set_aside()?))?;
    abandoned.empty()?;
    change(&|| Ok(abandoned.remove()?))
}
