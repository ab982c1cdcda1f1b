//! The actions of `caffeine` besides serving: one function each, in a file of its name.

mod check;
mod deploy;
mod forget;
mod list;
mod logs;
mod reload;
mod shell;
mod status;
mod stop;
mod table;
mod trial;

use std::path::Path;
use std::time::Duration;

use crate::instance::{Folder, Holder, Life, registry};
use crate::server::cli::Action;
use crate::server::config::{self, Sources};
use crate::server::error::Error;
use crate::server::owner::Owner;
use crate::sys::pidfd::Pidfd;
use crate::sys::stdio;
use deploy::What;
pub use forget::forget_failed_start;

/// Performs any action but `Action::Start`.
///
/// # Errors
/// Those of the action.
pub fn act(action: &Action, sources: &Sources) -> Result<(), Error> {
    match action {
        Action::Start { .. } => Ok(()),
        Action::Stop => on_one(sources, "--stop", stop::stop),
        Action::ListInstances { json } => list::list(&config::state_dir(&sources.options()?)?, *json),
        Action::Status { json: false } => on_one(sources, "--status", status::status),
        Action::Status { json: true } => on_one(sources, "--status", status::json),
        Action::Metrics => on_one(sources, "--metrics", status::metrics),
        Action::Reload => on_one(sources, "--reload", reload::reload),
        Action::Forget(name) => forget::forget(name, sources),
        Action::CheckConfig => check::check(sources),
        Action::Try(handler) => trial::try_one(handler, sources),
        Action::Deploy(source) => deploy::deploy(What::Path(source), sources),
        Action::DeployBuiltin(builtin) => deploy::deploy(What::Builtin(*builtin), sources),
        Action::Log { access, follow } => {
            on_one(sources, "--log", |folder| logs::print(folder, *access, *follow))
        }
        Action::ResetLogs => on_one(sources, "--reset-logs", logs::reset),
        Action::Completions(shell) => shell::completions(*shell),
        Action::Man => shell::man(),
    }
}

/// Creates the default directory of handlers if it is missing; a `--path` must exist.
///
/// # Errors
/// It cannot be created.
pub fn make_default_path(path: &Path, hint: &str) -> Result<(), Error> {
    if !path.exists() {
        let shown = path.display();
        std::fs::create_dir_all(path).map_err(|error| {
            Error::Failed(format!("cannot create {shown}: {error}; choose another directory with --path"))
        })?;
        stdio::remark(format_args!("caffeine: created {shown}{hint}"));
    }
    Ok(())
}

/// Performs an action on the named instance, as the owner of its directory if root runs it.
fn on_one(
    sources: &Sources,
    action: &str,
    act: impl FnOnce(&Folder) -> Result<(), Error>,
) -> Result<(), Error> {
    let folder = named(sources, action)?;
    match Owner::of(&folder)? {
        None => act(&folder),
        Some(owner) => act(&owner.enter(folder)?).map_err(|error| owner.explain(error)),
    }
}

/// The directory of the named instance.
fn named(sources: &Sources, action: &str) -> Result<Folder, Error> {
    let options = sources.options()?;
    let state_dir = config::state_dir(&options)?;
    let name = options.name.as_ref().ok_or_else(|| needs_name(action))?;
    Ok(Folder::new(&state_dir, name))
}

/// The error for a missing --name.
pub(super) fn needs_name(action: &str) -> Error {
    Error::Usage(format!(
        "{action} needs the name of an instance: `caffeine --name NAME {action}` (--list-instances shows those running)"
    ))
}

/// The error for an instance that does not run or does not exist (`why`): it lists the candidates.
fn unknown(folder: &Folder, why: &str) -> Error {
    let state_dir = folder.dir().parent().unwrap_or(Path::new("/"));
    let running = registry::running(state_dir).unwrap_or_default();
    let names: Vec<_> = running.iter().map(|folder| folder.name().as_str()).collect();
    let names =
        if names.is_empty() { "none is running".into() } else { format!("running: {}", names.join(", ")) };
    Error::Failed(format!("instance {} {why} ({}); {names}", folder.name(), folder.dir().display()))
}

/// Whether an instance runs, here or elsewhere. If it is just starting, waits a moment for its pid.
fn running(folder: &Folder) -> Result<Life, Error> {
    for _ in 0..100 {
        match folder.life()? {
            Life::Gone => break,
            Life::Starting => std::thread::sleep(Duration::from_millis(10)),
            life @ Life::Running(_) => return Ok(life),
        }
    }
    Err(unknown(folder, "is not running"))
}

/// Its process, if proven to be the instance's.
fn process(folder: &Folder) -> Result<(u32, Pidfd), Error> {
    for _ in 0..100 {
        running(folder)?;
        if let Some(process) = folder.process()? {
            return Ok(process);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Error::Failed(format!(
        "instance {} is running, but its process is not visible from here; run this command where the instance was started",
        folder.name()
    )))
}

/// If the instance runs in another pid namespace or machine, a line that says so: its pids are not valid here.
fn note(folder: &Folder) -> Option<String> {
    let name = folder.name();
    match (folder.holder().ok()??, folder.life().ok()?) {
        (Holder::Elsewhere(place), _) => Some(format!("{name} runs {place}\n")),
        (Holder::Here(pid, _), Life::Running(there)) if pid != there => {
            Some(format!("{name} runs in another pid namespace, where its pid is {there}\n"))
        }
        (Holder::Here(..) | Holder::Unproved(_), _) => None,
    }
}

/// Prints to standard output; a closed pipe is not an error.
fn print(text: &str) -> Result<(), Error> {
    stdio::print(text).map_err(Error::Failed)
}
