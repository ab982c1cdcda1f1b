//! `--deploy`: to the named instance's handlers, to `--path`, or to the default directory.

use std::collections::BTreeMap;
use std::path::Path;

use super::{make_default_path, print, unknown};
use crate::cgi::launch::HANDLER_PATH;
use crate::instance::Folder;
use crate::instance::deploy::{self, Source};
use crate::server::config::{self, Sources, recorded_for_handlers};
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
    let source = Source::open(source)?;
    make_default_path(&path)?;
    put(&source, &path, &options.env)
}

/// Into the directory that an instance has recorded. Root does that as the owner of the instance, who could have recorded
/// any.
fn to_instance(source: &Path, folder: &Folder) -> Result<(), Error> {
    let owner = Owner::of(folder)?;
    if !folder.config().exists() {
        return Err(unknown(folder, "was never started"));
    }
    let recorded = recorded_for_handlers(&folder.config())?;
    let path =
        recorded.path.ok_or_else(|| Error::Failed(format!("{} names no path", folder.config().display())))?;
    let put = || put(&Source::open(source)?, &path, &recorded.env);
    let Some(owner) = owner else { return put() };
    owner.become_for_good()?;
    put().map_err(|error| match owner.explain(error) {
        Error::Failed(text) => {
            Error::Failed(format!("{text}; to do it as root, name the directory with --path, and no --name"))
        }
        usage @ Error::Usage(_) => usage,
    })
}

/// Handlers will be started with the variables `env`.
fn put(source: &Source, base: &Path, env: &BTreeMap<String, String>) -> Result<(), Error> {
    let search = env.get("PATH").map_or(HANDLER_PATH, String::as_str);
    let done = deploy::deploy(source, base, search)?;
    for warning in &done.warnings {
        stdio::remark(format_args!("caffeine: warning: {warning}"));
    }
    let printed = print(&format!("deployed {}\n", done.target.display()));
    // Last: it can take longer than all the rest.
    deploy::tidy(base);
    printed
}
