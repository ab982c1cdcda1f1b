//! A reference to a process that is safe against reuse of its number: a pidfd (Linux 5.3). If a sandbox refuses pidfds,
//! the number and the start time, which is compared before each use.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cerr;
use super::fork::Fate;

/// Polling interval for a process without a pidfd.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Pidfd {
    pid: Pid,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Descriptor(OwnedFd),
    /// In clock ticks since the machine's start (proc(5)).
    Start(u64),
}

impl Pidfd {
    /// Opens the process that has the number `pid` now.
    ///
    /// # Errors
    /// `ESRCH` if there is none; `EMFILE` and others of pidfd_open(2).
    pub fn open(pid: u32) -> io::Result<Self> {
        let number = Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::ESRCH)?);
        // SAFETY: no memory is passed.
        let proof = match cerr(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }) {
            // SAFETY: the kernel returned a new descriptor (close-on-exec), which is ours alone.
            Ok(fd) => Proof::Descriptor(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
            Err(error) if super::is_refused(&error) => Proof::Start(start_time(number).ok_or(Errno::ESRCH)?),
            Err(error) => return Err(error),
        };
        Ok(Self { pid: number, proof })
    }

    /// The process `pid` by a descriptor of it.
    pub fn of(pid: Pid, descriptor: OwnedFd) -> Self {
        Self { pid, proof: Proof::Descriptor(descriptor) }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when the process has ended, `EPERM` when it is another user's.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if let Proof::Descriptor(fd) = &self.proof {
            let (fd, no_info) = (fd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
            // SAFETY: a null siginfo asks the kernel to fill in what kill(2) would.
            let sent =
                cerr(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, no_info, 0) });
            if !matches!(&sent, Err(error) if super::is_refused(error)) {
                return sent.map(drop);
            }
        }
        if self.wait(0)? {
            return Err(Errno::ESRCH.into());
        }
        Ok(kill(self.pid, signal)?)
    }

    /// Waits up to `timeout_ms` for the end of the process. Returns whether it has ended.
    ///
    /// # Errors
    /// Those of poll(2), `EINTR` among them.
    pub fn wait(&self, timeout_ms: u16) -> io::Result<bool> {
        let start = match &self.proof {
            Proof::Descriptor(fd) => {
                let mut ended = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
                return Ok(poll(&mut ended, PollTimeout::from(timeout_ms))? > 0);
            }
            Proof::Start(start) => *start,
        };
        let end = Instant::now() + Duration::from_millis(timeout_ms.into());
        while start_time(self.pid) == Some(start) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left.min(LOOK));
        }
        Ok(true)
    }

    /// The descriptor, which is readable when the process has ended; `None` without pidfds.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.proof {
            Proof::Descriptor(fd) => Some(fd.as_fd()),
            Proof::Start(_) => None,
        }
    }
}

/// How the process of a pidfd ended (`PIDFD_GET_INFO`, Linux 6.15), even long after it was reaped. `None` if it still
/// runs, or this kernel does not tell.
pub fn fate(pidfd: BorrowedFd<'_>) -> Option<Fate> {
    // SAFETY: a plain struct of numbers.
    let mut info: libc::pidfd_info = unsafe { zeroed() };
    info.mask = libc::PIDFD_INFO_EXIT.into();
    // SAFETY: the request reads and writes one pidfd_info, which lives throughout the call; its number carries the size.
    let asked = cerr(unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) });
    let told = info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    (asked.is_ok() && told).then(|| Fate::of(info.exit_code))
}

/// When a process started, in clock ticks since boot: together with its number it identifies a process for good. `None`
/// if it has ended or is a zombie.
pub fn start_time(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, parentheses too: what follows the last one counts.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let ended = matches!(fields.next()?, "Z" | "X");
    // A process whose first thread has ended is in the same state as a zombie as long as others run.
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    (!ended || threads > 1).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sandbox::{Rule, refuse_in_this_thread};
    use std::process::Command;

    fn own() -> u32 {
        std::process::id()
    }

    /// Opens it, stops it, and sees its end.
    fn live_and_die() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Pidfd::open(child.id()).unwrap();
        assert!(!process.wait(1).unwrap());
        process.signal(Signal::SIGTERM).unwrap();
        assert!(process.wait(10_000).unwrap());
        child.wait().unwrap();
        assert_eq!(process.signal(Signal::SIGTERM).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn a_process_is_signalled_and_its_end_is_seen() {
        live_and_die();
        assert!(Pidfd::open(own()).unwrap().fd().is_some());
    }

    #[test]
    fn without_pidfds_the_start_time_proves_the_process() {
        for call in [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal] {
            for errno in [libc::ENOSYS, libc::EPERM] {
                let refused = move || {
                    refuse_in_this_thread(&[Rule::call(call)], errno).unwrap();
                    live_and_die();
                    assert_eq!(Pidfd::open(own()).unwrap().fd().is_none(), call == libc::SYS_pidfd_open);
                };
                std::thread::spawn(refused).join().unwrap();
            }
        }
    }

    #[test]
    fn the_start_time_tells_a_process_from_its_successor() {
        let own = Pid::this();
        assert_eq!(start_time(own), start_time(own));
        let earlier = Pidfd { pid: own, proof: Proof::Start(start_time(own).unwrap() - 1) };
        assert!(earlier.wait(0).unwrap());
        assert_eq!(earlier.signal(Signal::SIGKILL).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn the_fate_of_a_process_is_told_where_the_kernel_knows_it() {
        let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
        let process = Pidfd::open(child.id()).unwrap();
        child.wait().unwrap();
        let told = fate(process.fd().unwrap());
        assert!(matches!(told, None | Some(Fate::Exited(3))), "{told:?}");
        assert_eq!(fate(Pidfd::open(own()).unwrap().fd().unwrap()), None, "it runs");
    }
}
