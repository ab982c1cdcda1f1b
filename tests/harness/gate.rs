//! Servers whose system calls a test counts, refuses or holds.

use std::sync::mpsc;
use std::time::Duration;

use caffeine::sys::seccomp::{Call, Gate};

use super::{Sandbox, Server, skipped};

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
    /// As [`Sandbox::start`], and each of `calls` by the server, or by what it starts, is shown to `answer`,
    /// which decides about it. `None`, and the reason on standard error, where the kernel has no such gate.
    #[track_caller]
    pub fn start_behind<A: Into<Answer>>(
        &self,
        calls: &[i64],
        answer: impl Fn(&Call) -> A + Send + 'static,
        arguments: &[&str],
    ) -> Option<Server> {
        // Bounded, so that sending allocates nothing: the allocator may wait for a lock, which is a call at the gate.
        let (send, gate) = mpsc::sync_channel::<Gate>(1);
        // It ends with the last process behind the gate.
        std::thread::spawn(move || {
            // It must not wait to be woken: that is a call that the other thread may no longer make by then.
            let gate = loop {
                match gate.try_recv() {
                    Ok(gate) => break gate,
                    Err(mpsc::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(1)),
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            };
            while let Some(call) = gate.next().unwrap() {
                match answer(&call).into() {
                    Answer::Fail(errno) => gate.refuse(&call, errno).unwrap(),
                    Answer::Allow => gate.allow(&call).unwrap(),
                    Answer::Hold => {}
                }
            }
        });
        std::thread::scope(|scope| {
            let start = || match Gate::before_this_thread(calls) {
                Ok(gate) => {
                    send.send(gate).unwrap();
                    Some(self.start(arguments))
                }
                Err(error) => {
                    drop(send);
                    skipped(format!("seccomp(2), user notification: {error}"));
                    None
                }
            };
            scope.spawn(start).join().unwrap()
        })
    }
}
