//! `--deploy`: to the named instance's handlers, to `--path`, or to the default directory.

use std::path::Path;

use super::{make_default_path, print, unknown};
use crate::instance::{self, Folder};
use crate::server::config::{self, Sources, recorded};
use crate::server::error::Error;
use crate::server::owner::Owner;
use crate::sys::stdio;

/// Copies a handler or a directory of handlers into place.
pub fn deploy(source: &Path, sources: &Sources) -> Result<(), Error> {
    if sources.is_typed("name") && sources.is_typed("path") {
        return Err(Error::Usage(
            "--deploy goes to the instance named by --name or to the directory --path: give one of the two"
                .into(),
        ));
    }
    let options = sources.options()?;
    if let Some(name) = options.name.as_ref().filter(|_| !sources.is_typed("path")) {
        return to_instance(source, &Folder::new(&config::state_dir(&options)?, name));
    }
    let path = config::handlers_dir(options.path)?;
    make_default_path(&path)?;
    put(source, &path)
}

/// Into the directory that an instance has recorded. Root does that as the owner of the instance, who could have recorded
/// any.
fn to_instance(source: &Path, folder: &Folder) -> Result<(), Error> {
    let owner = Owner::of(folder)?;
    if !folder.config().exists() {
        return Err(unknown(folder, "was never started"));
    }
    let path = recorded(&folder.config())?
        .path
        .ok_or_else(|| Error::Failed(format!("{} names no path", folder.config().display())))?;
    let Some(owner) = owner else { return put(source, &path) };
    owner.become_for_good()?;
    put(source, &path).map_err(|error| match owner.explain(error) {
        Error::Failed(text) => {
            Error::Failed(format!("{text}; to do it as root, name the directory with --path, and no --name"))
        }
        usage @ Error::Usage(_) => usage,
    })
}

fn put(source: &Path, base: &Path) -> Result<(), Error> {
    let done = instance::deploy::deploy(source, base)?;
    for warning in &done.warnings {
        stdio::remark(format_args!("caffeine: warning: {warning}"));
    }
    print(&format!("deployed {}\n", done.target.display()))
}
