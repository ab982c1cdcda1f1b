//! What `caffeine` does besides serving: one small function per action, in a file of its name.

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

use std::path::Path;
use std::time::Duration;

use crate::instance::{Folder, Holder, Life, registry};
use crate::server::cli::Action;
use crate::server::config::{self, Sources};
use crate::server::error::Error;
use crate::server::owner::Owner;
use crate::sys::pidfd::Pidfd;
use crate::sys::stdio;

/// Does everything but `Action::Start`.
///
/// # Errors
/// Those of the action.
pub fn act(action: &Action, sources: &Sources) -> Result<(), Error> {
    match action {
        Action::Start { .. } => Ok(()),
        Action::Stop => on_one(sources, "--stop", stop::stop),
        Action::ListInstances => list::list(&config::state_dir(&sources.options()?)?),
        Action::Status => on_one(sources, "--status", status::status),
        Action::Reload => on_one(sources, "--reload", reload::reload),
        Action::Forget(name) => forget::forget(name, sources),
        Action::CheckConfig => check::check(sources),
        Action::Deploy(source) => deploy::deploy(source, sources),
        Action::Log { follow } => on_one(sources, "--log", |folder| logs::print(folder, *follow)),
        Action::ResetLogs => on_one(sources, "--reset-logs", logs::reset),
        Action::Completions(shell) => shell::completions(*shell),
        Action::Man => shell::man(),
    }
}

/// The default handlers' directory appears when it is first needed; one that was named has to be there already.
///
/// # Errors
/// It cannot be made.
pub fn make_default_path(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        let shown = path.display();
        std::fs::create_dir_all(path).map_err(|error| {
            Error::Failed(format!("cannot make {shown}: {error}; give another with --path"))
        })?;
        stdio::remark(format_args!(
            "caffeine: made {shown} for handlers; put a first one there with `caffeine --deploy FILE`"
        ));
    }
    Ok(())
}

/// Does an action on the instance that was named, as the owner of its folder where that is root's to choose.
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

/// The folder of the instance that was named.
fn named(sources: &Sources, action: &str) -> Result<Folder, Error> {
    let options = sources.options()?;
    let state_dir = config::state_dir(&options)?;
    let name = options.name.as_ref().ok_or_else(|| needs_name(action))?;
    Ok(Folder::new(&state_dir, name))
}

/// An action on one instance needs to be told which.
pub(super) fn needs_name(action: &str) -> Error {
    Error::Usage(format!(
        "{action} needs the name of an instance: `caffeine --name NAME {action}` (--list-instances shows those running)"
    ))
}

/// The message for an instance that does not run, or never did (`why`): it tells which ones could be meant.
fn unknown(folder: &Folder, why: &str) -> Error {
    let state_dir = folder.dir().parent().unwrap_or(Path::new("/"));
    let running = registry::running(state_dir).unwrap_or_default();
    let names: Vec<_> = running.iter().map(|folder| folder.name().as_str()).collect();
    let names =
        if names.is_empty() { "none is running".into() } else { format!("running: {}", names.join(", ")) };
    Error::Failed(format!("instance {} {why} ({}); {names}", folder.name(), folder.dir().display()))
}

/// Whether and as what an instance runs that must be running, wherever that is. One that starts just now has a moment to say
/// its number.
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

/// Its process, where it is proved to be the instance's.
fn process(folder: &Folder) -> Result<(u32, Pidfd), Error> {
    for _ in 0..100 {
        running(folder)?;
        if let Some(process) = folder.process()? {
            return Ok(process);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Error::Failed(format!(
        "instance {} runs, but its process cannot be seen from here; act on it where it was started",
        folder.name()
    )))
}

/// A line on where the instance runs, if that is not here: then its pids are not those of here.
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

/// Prints to standard output. A reader who has left is not an error.
fn print(text: &str) -> Result<(), Error> {
    stdio::print(text).map_err(Error::Failed)
}
