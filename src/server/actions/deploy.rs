//! `--deploy`: copies handlers to the named instance's directory, to `--path`, or to the default directory.

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

pub fn deploy(source: &Path, sources: &Sources) -> Result<(), Error> {
    if sources.is_typed("name") && sources.is_typed("path") {
        return Err(Error::Usage("--deploy takes --name or --path, not both".into()));
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

/// Deploys to the directory that an instance has recorded. Root does it as the instance's owner, who could have
/// recorded any directory.
fn to_instance(source: &Path, folder: &Folder) -> Result<(), Error> {
    let owner = Owner::of(folder)?;
    if !folder.config().exists() {
        return Err(unknown(folder, "was never started"));
    }
    let recorded = recorded_for_handlers(&folder.config())?;
    let path =
        recorded.path.ok_or_else(|| Error::Failed(format!("{} has no path", folder.config().display())))?;
    let put = || put(&Source::open(source)?, &path, &recorded.env);
    let Some(owner) = owner else { return put() };
    owner.become_for_good()?;
    put().map_err(|error| match owner.explain(error) {
        Error::Failed(text) => Error::Failed(format!("{text}; to deploy as root, give --path and no --name")),
        usage @ Error::Usage(_) => usage,
    })
}

/// `env` are the variables that handlers will be started with.
fn put(source: &Source, base: &Path, env: &BTreeMap<String, String>) -> Result<(), Error> {
    let search = env.get("PATH").map_or(HANDLER_PATH, String::as_str);
    let done = deploy::deploy(source, base, search)?;
    for warning in &done.warnings {
        stdio::remark(format_args!("caffeine: warning: {warning}"));
    }
    let printed = print(&format!("deployed {}\n", done.target.display()));
    // Last, because it can take longest.
    deploy::tidy(base);
    printed
}
