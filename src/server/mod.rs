//! The program `caffeine`: parses the command line, performs the action, and reports errors in one place.

mod actions;
mod activation;
mod builtin;
pub mod cli;
pub mod config;
pub mod error;
mod file_record;
pub mod keeper;
pub mod logging;
mod notify;
mod owner;
mod platform;
mod privileges;
pub mod responders;
pub mod supervisor;
mod today;
mod worker;

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use crate::cgi::{file_server, rehearsal};
use crate::instance::daemon::{self, Detached, Outcome, Ready};
use crate::instance::{Claim, Folder};
use crate::sys::stdio;
use cli::{Action, Parsed};
use config::{Settings, Sources};
use error::Error;
use logging::LogTo;
use privileges::Identity;
use supervisor::{ANSWER, Beginning, Call, Inheritance};

pub fn main() -> ExitCode {
    // A worker rehearses a launch with the server's own executable.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == rehearsal::ARGUMENT) {
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().nth(1).is_some_and(|argument| argument == file_server::ARGUMENT) {
        return file_record::serve();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stdio::remark(format_args!("caffeine: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<(), Error> {
    match cli::parse(std::env::args_os(), |name| std::env::var_os(name))? {
        Parsed::Print(text) => stdio::print(&text).map_err(Error::Failed),
        Parsed::Act(Action::Start { daemon }, layers) => start(Sources::new(*layers), daemon),
        Parsed::Act(action, layers) => actions::act(&action, &Sources::new(*layers)),
    }
}

/// Starts an instance. In the foreground it returns when the instance has ended; with --daemon it returns in the
/// launching process when the instance is ready, and in the daemon when it has ended.
fn start(sources: Sources, in_background: bool) -> Result<(), Error> {
    if in_background && sources.options()?.name.is_none() {
        return Err(actions::needs_name("--daemon"));
    }
    let settings = sources.resolve()?;
    if in_background && settings.log_to.is_some_and(LogTo::has_stderr) {
        return Err(Error::Usage("log-to: a daemon has no standard error; with --daemon use file".into()));
    }
    let identity = Identity::of(&settings)?;
    match supervisor::called()? {
        Some(Call::Check) => return stdio::print(ANSWER).map_err(Error::Failed),
        Some(Call::TakeOver(left)) => return take_over(settings, sources, identity, *left),
        None => {}
    }
    actions::make_default_path(&settings.path, "; add a handler with `caffeine --deploy FILE`")?;
    let given = activation::socket()?;
    if !in_background {
        return serve(settings, sources, identity, given, (daemon::foreground(), false));
    }
    let detached = daemon::detach(given.as_ref().map(AsFd::as_fd))
        .map_err(|error| Error::Failed(format!("cannot start a daemon: {error}")))?;
    match detached {
        // A closed standard output does not make the start fail.
        Detached::Launcher(Outcome { code: 0, text }) => {
            let _ = stdio::print(&format!("{text}\n"));
            Ok(())
        }
        Detached::Launcher(Outcome { code: 2, text }) => Err(Error::Usage(text)),
        Detached::Launcher(Outcome { text, .. }) => Err(Error::Failed(text)),
        Detached::Daemon(ready, failure) => serve(settings, sources, identity, given, (ready, true))
            .inspect_err(|error| failure.report(error.exit_code(), &error.to_string())),
    }
}

fn serve(
    settings: Settings,
    sources: Sources,
    identity: Identity,
    given: Option<OwnedFd>,
    (ready, in_background): (Ready, bool),
) -> Result<(), Error> {
    identity.step_aside(&settings.state_dir, &Folder::new(&settings.state_dir, &settings.name))?;
    let folder = Folder::new(&settings.state_dir, &settings.name);
    let is_first = !folder.exists();
    let claim = Claim::acquire(&settings.state_dir, &settings.name)?;
    let inheritance = None;
    let beginning = Beginning { claim, ready, identity, given, in_background, inheritance };
    supervisor::run(settings, sources, beginning).inspect_err(|_| {
        if is_first {
            actions::forget_failed_start(&folder);
        }
    })
}

/// Goes on with the instance of an earlier program of this process.
fn take_over(
    mut settings: Settings,
    sources: Sources,
    identity: Identity,
    mut left: Inheritance,
) -> Result<(), Error> {
    // It may derive from a port that only the first start knew.
    settings.name = left.name().parse().unwrap_or(settings.name);
    let claim = match left.claim.take() {
        Some(files) => Claim::inherit(&settings.state_dir, &settings.name, files),
        None => Claim::acquire(&settings.state_dir, &settings.name)?,
    };
    let in_background = left.in_background();
    if in_background {
        let _ = std::env::set_current_dir("/");
    }
    let (ready, given, inheritance) = (daemon::foreground(), None, Some(left));
    supervisor::run(
        settings,
        sources,
        Beginning { claim, ready, identity, given, in_background, inheritance },
    )
}
