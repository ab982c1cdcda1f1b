//! `--deploy` and `--deploy-builtin`: copy handlers to the named instance's directory, to `--path`, or to the default
//! directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{make_default_path, print, unknown};
use crate::cgi::launch::HANDLER_PATH;
use crate::cgi::mount;
use crate::instance::Folder;
use crate::instance::deploy::{self, Source};
use crate::server::builtin::Builtin;
use crate::server::config::{self, Sources, recorded_for_handlers, recorded_mounts};
use crate::server::error::Error;
use crate::server::owner::Owner;
use crate::sys::stdio;

/// What to deploy.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// A file or a directory.
    Path(&'a Path),
    /// A handler that comes with the server.
    Builtin(Builtin),
}

pub fn deploy(what: What<'_>, sources: &Sources) -> Result<(), Error> {
    if sources.is_typed("name") && sources.is_typed("path") {
        return Err(Error::Usage("--deploy takes --name or --path, not both".into()));
    }
    let options = sources.options()?;
    let state_dir = || config::state_dir(&options);
    if let Some(name) = options.name.as_ref().filter(|_| !sources.is_typed("path")) {
        let state_dir = state_dir()?;
        return to_instance(what, &state_dir, &Folder::new(&state_dir, name));
    }
    let path = config::handlers_dir(options.path.clone())?;
    // A wrong source leaves no directory behind.
    if let What::Path(source) = what {
        Source::open(source)?;
    }
    make_default_path(&path, "")?;
    put(&what.open(state_dir, &path)?, &path, &options.env, &[])
}

impl What<'_> {
    /// Opens it, for the directory `base`.
    fn open(self, state_dir: impl FnOnce() -> Result<PathBuf, Error>, base: &Path) -> Result<Source, Error> {
        match self {
            Self::Path(source) => Ok(Source::open(source)?),
            Self::Builtin(builtin) => {
                Ok(Source::script(&builtin.to_string(), &builtin.script(&state_dir()?)?, base)?)
            }
        }
    }
}

/// Deploys to the directory that an instance has recorded. Root does it as the instance's owner, who could have
/// recorded any directory.
fn to_instance(what: What<'_>, state_dir: &Path, folder: &Folder) -> Result<(), Error> {
    let owner = Owner::of(folder)?;
    if !folder.config().exists() {
        return Err(unknown(folder, "was never started"));
    }
    let recorded = recorded_for_handlers(&folder.config())?;
    let path =
        recorded.path.ok_or_else(|| Error::Failed(format!("{} has no path", folder.config().display())))?;
    let mounts = recorded_mounts(&folder.config());
    let put = || put(&what.open(|| Ok(state_dir.to_owned()), &path)?, &path, &recorded.env, &mounts);
    let Some(owner) = owner else { return put() };
    owner.become_for_good()?;
    put().map_err(|error| match owner.explain(error) {
        Error::Failed(text) => Error::Failed(format!("{text}; to deploy as root, give --path and no --name")),
        usage @ Error::Usage(_) => usage,
    })
}

/// `env` are the variables that handlers will be started with, `mounts` the paths that are not served from `base`.
fn put(source: &Source, base: &Path, env: &BTreeMap<String, String>, mounts: &[String]) -> Result<(), Error> {
    let search = env.get("PATH").map_or(HANDLER_PATH, String::as_str);
    let done = deploy::deploy(source, base, search)?;
    for warning in &done.warnings {
        stdio::remark(format_args!("caffeine: warning: {warning}"));
    }
    let path = format!("/{}", done.target.file_name().unwrap_or_default().display());
    if let Some(at) = mounts.iter().find(|at| mount::below(at, &path).is_some()) {
        stdio::remark(format_args!(
            "caffeine: warning: the mount at {at} hides it: requests to {path} go there; mount a directory of handlers \
             at another path, and deploy to it with --path DIR"
        ));
    }
    let printed = print(&format!("deployed {}\n", done.target.display()));
    // Last, because it can take longest.
    deploy::tidy(base);
    printed
}
