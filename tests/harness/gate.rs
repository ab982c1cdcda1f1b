//! Servers whose system calls a test counts, refuses or holds.

use std::process::Command;
use std::sync::LazyLock;

use super::sys::seccomp::{self, Call, Entrance};
use super::{Sandbox, Server, skipped};

/// Why this kernel or sandbox does not permit it.
static REFUSAL: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut command = Command::new("true");
    let entrance = seccomp::intercept(&mut command, &[]);
    let status = entrance.and_then(|_entrance| command.status());
    status.err().map(|error| format!("seccomp(2), user notification: {error}"))
});

/// Intercepts these calls in the program of `command`. `None`, reported, where that is not permitted.
pub fn intercept(command: &mut Command, calls: &[i64]) -> Option<Entrance> {
    match &*REFUSAL {
        None => Some(seccomp::intercept(command, calls).unwrap()),
        Some(reason) => {
            skipped(reason);
            None
        }
    }
}

/// What happens to an intercepted call.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It is executed.
    Allow,
    /// It fails with this errno.
    Fail(i32),
    /// Its thread waits until a signal comes; then the call is interrupted or restarted.
    Hold,
}

impl From<Option<i32>> for Answer {
    /// It fails with that errno, or is executed.
    fn from(errno: Option<i32>) -> Self {
        errno.map_or(Self::Allow, Self::Fail)
    }
}

impl Sandbox {
    /// Like [`Sandbox::start`], but `answer` decides about each of `calls` by the server and everything it starts.
    /// `None`, reported, where that is not permitted.
    #[track_caller]
    pub fn start_behind<A: Into<Answer>>(
        &self,
        calls: &[i64],
        answer: impl Fn(&Call) -> A + Send + 'static,
        arguments: &[&str],
    ) -> Option<Server> {
        let mut entrance = None;
        let prepare = |command: &mut Command| entrance = intercept(command, calls);
        let command = self.start_command(arguments, prepare);
        let entrance = entrance?;
        // Ends with the last intercepted process.
        std::thread::spawn(move || {
            let Some(gate) = entrance.gate().unwrap() else { return };
            while let Some(call) = gate.next().unwrap() {
                match answer(&call).into() {
                    Answer::Fail(errno) => gate.refuse(&call, errno).unwrap(),
                    Answer::Allow => gate.allow(&call).unwrap(),
                    Answer::Hold => {}
                }
            }
        });
        Some(Server::spawn(command, self.state_dir()))
    }
}
