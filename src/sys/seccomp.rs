//! Standing at the gate of system calls (seccomp(2), user notification): whoever passes is seen, let through or refused. For
//! tests that count what a server asks of the kernel, or have the kernel refuse it. No program of the project uses it.

use std::io;
use std::mem::{offset_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::bpf::statement;
use super::cerr;

/// Where the watched calls of a thread, and of all that it starts, arrive. Dropped, these calls fail with `ENOSYS`.
#[derive(Debug)]
pub struct Gate(OwnedFd);

/// A call that waits at a [`Gate`].
#[derive(Debug)]
pub struct Call {
    id: u64,
    /// The thread that makes it (its number; that of its process in a process' first thread).
    pub thread: u32,
    /// Its number, as `libc::SYS_accept4`.
    pub number: i64,
    /// What it passes.
    pub arguments: [u64; 6],
}

impl Gate {
    /// From now on each of these calls by the calling thread, and by the threads and processes that it starts, waits at the
    /// gate: another thread has to answer. It cannot be undone, and takes the thread the way to new privileges.
    ///
    /// # Errors
    /// `EBUSY`: the thread stands behind a gate already; others of seccomp(2).
    pub fn before_this_thread(calls: &[i64]) -> io::Result<Self> {
        let watched = u8::try_from(calls.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let number = offset_of!(libc::seccomp_data, nr) as u32;
        let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number)];
        // A match jumps over the comparisons that are left, and over the first return.
        program.extend(calls.iter().zip((0..watched).rev()).map(|(&call, left)| {
            statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, left + 1, 0, call as u32)
        }));
        program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
        program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        nix::sys::prctl::set_no_new_privs()?;
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
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Waits for the next call; `None` when nobody is left who could make one.
    ///
    /// # Errors
    /// Those of seccomp_unotify(2).
    pub fn next(&self) -> io::Result<Option<Call>> {
        use std::os::fd::AsFd;
        loop {
            let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::NONE)?;
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
                // It ended, or a signal came, between poll() and here.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets it through.
    ///
    /// # Errors
    /// Those of seccomp_unotify(2).
    pub fn allow(&self, call: &Call) -> io::Result<()> {
        self.answer(call, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Has it fail with this `errno`.
    ///
    /// # Errors
    /// Those of seccomp_unotify(2).
    pub fn refuse(&self, call: &Call, errno: i32) -> io::Result<()> {
        self.answer(call, -errno, 0)
    }

    fn answer(&self, call: &Call, error: i32, flags: u32) -> io::Result<()> {
        let answer = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
        // SAFETY: the request reads one seccomp_notif_resp, which lives throughout the call.
        let sent = cerr(unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
        });
        match sent {
            // Who called is gone, or was interrupted and will ask again.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            sent => sent.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_call_is_seen_and_refused_or_let_through_and_others_do_not_wait() {
        let (send, gate) = mpsc::channel();
        let caller = std::thread::spawn(move || {
            send.send(Gate::before_this_thread(&[libc::SYS_getppid, libc::SYS_getpgid])).unwrap();
            let first = nix::unistd::getpgid(None);
            (first, nix::unistd::getpgid(None), nix::unistd::getpid())
        });
        let gate: Gate = gate.recv().unwrap().unwrap();
        let call = gate.next().unwrap().unwrap();
        assert_eq!(call.number, libc::SYS_getpgid);
        gate.refuse(&call, libc::ENFILE).unwrap();
        let call = gate.next().unwrap().unwrap();
        gate.allow(&call).unwrap();
        let (first, second, pid) = caller.join().unwrap();
        assert_eq!(first, Err(nix::errno::Errno::ENFILE));
        assert!(second.is_ok() && call.thread != pid.as_raw() as u32);
        assert!(gate.next().unwrap().is_none(), "nobody is left");
    }
}
