//! `--deploy`: to the named instance's handlers, to `--path`, or to the default directory.

use std::path::{Path, PathBuf};

use super::{make_default_path, print, unknown};
use crate::instance::{self, Folder};
use crate::server::config::{self, Sources, recorded};
use crate::server::error::Error;

/// Copies a handler or a directory of handlers into place.
pub fn deploy(source: &Path, sources: &Sources) -> Result<(), Error> {
    if sources.is_typed("name") && sources.is_typed("path") {
        return Err(Error::Usage(
            "--deploy goes to the instance named by --name or to the directory --path: give one of the two"
                .into(),
        ));
    }
    let done = instance::deploy::deploy(source, &base(sources)?)?;
    for warning in &done.warnings {
        eprintln!("caffeine: warning: {warning}");
    }
    print(&format!("deployed {}\n", done.target.display()))
}

fn base(sources: &Sources) -> Result<PathBuf, Error> {
    let options = sources.options()?;
    if let Some(name) = options.name.filter(|_| !sources.is_typed("path")) {
        let folder = Folder::new(&config::state_dir(&sources.options()?)?, &name);
        if folder.config().exists() {
            return recorded(&folder.config())?
                .path
                .ok_or_else(|| Error::Failed(format!("{} names no path", folder.config().display())));
        }
        return Err(unknown(&folder, "was never started"));
    }
    let settings = sources.resolve()?;
    make_default_path(&settings)?;
    Ok(settings.path)
}
