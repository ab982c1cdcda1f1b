//! Intercepts system calls of a program (seccomp(2), user notification). For tests that count what a server asks of the kernel,
//! or have the kernel refuse it. No program of the project uses it.

use std::io;
use std::mem::{offset_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use caffeine::sys::bpf::statement;
use caffeine::sys::fdpass;

/// Where the intercepted calls of a program, and of everything it starts, arrive. Dropping it makes these calls fail with `ENOSYS`.
#[derive(Debug)]
pub struct Gate(OwnedFd);

/// Where a [`Gate`] arrives when its program starts.
#[derive(Debug)]
pub struct Entrance(OwnedFd);

/// An intercepted call, which waits for an answer.
#[derive(Debug)]
pub struct Call {
    id: u64,
    /// The id of the calling thread.
    pub thread: u32,
    /// For example `libc::SYS_accept4`.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// Intercepts these calls in the program of `command` and in everything it starts; [`Gate::next`] has to be called by another
/// thread. `sendmmsg` cannot be one of them.
///
/// No thread of the calling process is intercepted: it would wait at its own gate as soon as it and the thread that answers
/// contend for a lock, such as one of malloc().
///
/// # Errors
/// No descriptor is left.
pub fn intercept(command: &mut Command, calls: &[i64]) -> io::Result<Entrance> {
    let (ours, theirs) = fdpass::messages()?;
    let program = compile(calls)?;
    let install = move || {
        let gate = install(&program)?;
        fdpass::send_one_by_sendmmsg(theirs.as_fd(), gate.as_fd())
    };
    // SAFETY: between fork and exec it makes system calls and reads memory that is ready.
    unsafe { command.pre_exec(install) };
    Ok(Entrance(ours))
}

fn compile(calls: &[i64]) -> io::Result<Vec<libc::sock_filter>> {
    let watched = u8::try_from(calls.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number)];
    // A match jumps over the comparisons that are left, and over the first return.
    program.extend(calls.iter().zip((0..watched).rev()).map(|(&call, left)| {
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, left + 1, 0, call as u32)
    }));
    program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    Ok(program)
}

/// Async-signal-safe.
fn install(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    nix::sys::prctl::set_no_new_privs()?;
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: `filter` describes `program`; both live throughout the call, and the kernel only reads them.
    let fd = cerr(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        )
    })?;
    // SAFETY: a new descriptor without another owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

impl Entrance {
    /// Waits until the program starts. `None` when the command was dropped without starting it.
    ///
    /// # Errors
    /// Those of `recvmsg(2)`.
    pub fn gate(self) -> io::Result<Option<Gate>> {
        loop {
            match fdpass::receive_one(self.0.as_fd(), &mut [0], true) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return Ok(received?.1.map(Gate)),
            }
        }
    }
}

impl Gate {
    /// Waits for the next call; `None` when all intercepted processes have exited.
    ///
    /// # Errors
    /// Those of seccomp_unotify(2).
    pub fn next(&self) -> io::Result<Option<Call>> {
        loop {
            let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                polled => polled?,
            };
            if !ready[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
                return Ok(None);
            }
            // SAFETY: a plain struct of numbers, which the kernel wants zeroed.
            let mut asked: libc::seccomp_notif = unsafe { zeroed() };
            // SAFETY: the request reads and writes one seccomp_notif, which lives throughout the call.
            let received = cerr(unsafe {
                libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked)
            });
            match received {
                Ok(_) => {
                    let (number, arguments) = (asked.data.nr.into(), asked.data.args);
                    return Ok(Some(Call { id: asked.id, thread: asked.pid, number, arguments }));
                }
                // Its thread exited or got a signal after poll(), or this one got a signal.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets it be executed.
    ///
    /// # Errors
    /// Those of seccomp_unotify(2).
    pub fn allow(&self, call: &Call) -> io::Result<()> {
        self.answer(call, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Lets it fail with this errno.
    ///
    /// # Errors
    /// Those of seccomp_unotify(2).
    pub fn refuse(&self, call: &Call, errno: i32) -> io::Result<()> {
        self.answer(call, -errno, 0)
    }

    fn answer(&self, call: &Call, error: i32, flags: u32) -> io::Result<()> {
        let answer = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
        loop {
            // SAFETY: the request reads one seccomp_notif_resp, which lives throughout the call.
            let sent = cerr(unsafe {
                libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
            });
            match sent.map_err(|error| (error.raw_os_error(), error)) {
                Err((Some(libc::EINTR), _)) => {}
                // Its thread exited, or was interrupted and will ask again.
                Ok(_) | Err((Some(libc::ENOENT), _)) => return Ok(()),
                Err((_, error)) => return Err(error),
            }
        }
    }
}

/// Turns -1 and `errno` into a `Result`.
fn cerr<T: PartialOrd + From<i8>>(returned: T) -> io::Result<T> {
    if returned < T::from(0) { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

mod tests {
    use super::*;
    use std::process::Stdio;

    #[test]
    fn a_call_is_refused_or_executed_and_other_calls_do_not_wait() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "kill -0 $$; echo $?; kill -0 $$; echo $?"]).stdout(Stdio::piped());
        let entrance = intercept(shell.stderr(Stdio::null()), &[libc::SYS_getpgid, libc::SYS_kill]).unwrap();
        let child = shell.spawn().unwrap();
        let gate = entrance.gate().unwrap().unwrap();
        let call = gate.next().unwrap().unwrap();
        assert_eq!(
            (call.number, call.thread, call.arguments[0]),
            (libc::SYS_kill, child.id(), child.id().into())
        );
        gate.refuse(&call, libc::ESRCH).unwrap();
        gate.allow(&gate.next().unwrap().unwrap()).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"1\n0\n");
        assert!(gate.next().unwrap().is_none(), "the shell has exited");
    }

    #[test]
    fn a_command_that_is_not_started_has_no_gate() {
        let mut command = Command::new("true");
        let entrance = intercept(&mut command, &[]).unwrap();
        drop(command);
        assert!(entrance.gate().unwrap().is_none());
    }
}
