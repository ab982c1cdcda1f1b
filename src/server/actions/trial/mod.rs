//! `--try`: runs a handler for one request, as a worker would, and says what is wrong with it.

mod run;
mod verdict;

use std::fmt::Write as _;
use std::path::Path;

use super::print;
use crate::cgi::launch::Failure;
use crate::server::config::{Mount, Sources};
use crate::server::error::Error;
use crate::sys::fork::{self, Fate};
use run::{Conditions, Trial};
use verdict::{counted, problems, summary, visible};

/// Most lines of standard error in the report.
const STDERR_LINES: usize = 20;

/// Tries the handler and prints a report.
///
/// # Errors
/// Something is wrong with the handler, or it cannot be tried.
pub fn try_one(file: &Path, sources: &Sources) -> Result<(), Error> {
    let options = sources.options()?;
    let shown = file.display();
    let cannot = |why: &str| Error::Failed(format!("cannot try {shown}: {why}"));
    let whole = file.canonicalize().map_err(|error| cannot(&error.to_string()))?;
    if whole.is_dir() {
        return Err(cannot("it is a directory; name one of the handlers in it"));
    }
    let (Some(directory), Some(name)) = (whole.parent(), whole.file_name().and_then(|name| name.to_str()))
    else {
        return Err(cannot("its name is not valid UTF-8"));
    };
    if name.starts_with('.') || name.contains('\\') {
        return Err(cannot("a name that begins with '.' or contains '\\' is never served; rename it"));
    }
    // As handlers run, and this process does nothing else later.
    if !options.allow_setuid.unwrap_or(false) {
        fork::gain_no_privileges().map_err(|error| cannot(&error.to_string()))?;
    }
    let port = options.port.unwrap_or(8080);
    let mount = options.mount.into_iter().find(|mount| runs(mount, &whole)).unwrap_or_default();
    let conditions = Conditions {
        env: options.env,
        more: mount.env,
        limit: mount.handler_limit.or(options.handler_limit),
        port,
        response: mount.response.or(options.response).unwrap_or_default(),
    };
    let trial = run::run(directory, name, &conditions).map_err(|error| cannot(&error.to_string()))?;
    let problems = match &trial {
        Ok(trial) => {
            print(&report(trial))?;
            problems(trial)
        }
        Err(failure) => vec![refused(failure)],
    };
    problems.iter().try_for_each(|problem| print(&format!("problem: {problem}\n")))?;
    match problems.len() as u64 {
        0 => print(&format!("{shown} is fine\n")),
        count => Err(Error::Failed(format!("{shown} has {}", counted(count, "problem", "problems")))),
    }
}

/// Whether it is the mount of this program.
fn runs(mount: &Mount, program: &Path) -> bool {
    mount.run.first().is_some_and(|file| Path::new(file).canonicalize().is_ok_and(|file| file == program))
}

/// Why the server would not start it.
fn refused(failure: &Failure) -> String {
    let reason = failure.refusal.reason;
    match &failure.cause {
        Some(cause) => format!("{reason}: {cause}"),
        None if failure.refusal.status == 403 => {
            format!("{reason}: make it executable with chmod +x (--deploy does that for its copy)")
        }
        None => reason.to_owned(),
    }
}

fn report(trial: &Trial) -> String {
    let ended = match trial.fate {
        Some(Fate::Exited(code)) => format!("exit code {code}"),
        Some(fate) => fate.to_string(),
        None => "end unknown".into(),
    };
    let took = trial.took.as_secs_f64() * 1e3;
    let mut text = format!("GET {}: {}, {ended}, {took:.1} ms\n", trial.path, summary(trial));
    let stderr = String::from_utf8_lossy(&trial.stderr.bytes);
    for line in stderr.lines().take(STDERR_LINES) {
        let _ = writeln!(text, "stderr: {}", visible(line));
    }
    let shown: usize = stderr.split_inclusive('\n').take(STDERR_LINES).map(str::len).sum();
    if trial.stderr.total > shown as u64 {
        text += "stderr: ...\n";
    }
    text
}
