//! System calls that fail for this thread and all that it starts (seccomp(2), errno): what containers do, and what a test asks
//! for to see a server on a lesser kernel.

use std::io;
use std::mem::offset_of;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::bpf::statement;
use super::cerr;

/// A call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    call: i64,
    /// Only where this argument has one of these bits.
    bits: Option<(u8, u32)>,
}

impl Rule {
    /// Every use of the call, by its number (`libc::SYS_clone3`).
    pub const fn call(call: i64) -> Self {
        Self { call, bits: None }
    }

    /// Its use with one of `bits` in the argument `index`, counted from 0.
    pub const fn flag(call: i64, index: u8, bits: u32) -> Self {
        Self { call, bits: Some((index, bits)) }
    }

    fn append(self, program: &mut Vec<libc::sock_filter>, action: u32) {
        let load = |offset: usize| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset as u32);
        let number = load(offset_of!(libc::seccomp_data, nr));
        let answer = statement(libc::BPF_RET | libc::BPF_K, 0, 0, action);
        let other = if self.bits.is_some() { 4 } else { 1 };
        program.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, other, self.call as u32));
        if let Some((index, bits)) = self.bits {
            // The lower half of the argument; all machines of the project are little-endian.
            let offset = offset_of!(libc::seccomp_data, args) + usize::from(index) * size_of::<u64>();
            program.push(load(offset));
            program.push(statement(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, bits));
            program.extend([answer, number]);
        } else {
            program.push(answer);
        }
    }
}

fn compile(rules: &[Rule], action: u32) -> Vec<libc::sock_filter> {
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number)];
    rules.iter().for_each(|rule| rule.append(&mut program, action));
    program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// Async-signal-safe.
fn install(program: &[libc::sock_filter]) -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: `filter` describes `program`; both live throughout the call, and the kernel only reads them.
    cerr(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) })
        .map(drop)
}

/// From now on these calls fail with `errno` for the calling thread, and for the threads and processes that it starts. Of
/// several filters the youngest names the errno. It cannot be undone, and takes the thread the way to new privileges.
///
/// # Errors
/// Those of seccomp(2).
pub fn refuse_in_this_thread(rules: &[Rule], errno: i32) -> io::Result<()> {
    install(&compile(rules, fail(errno)))
}

/// Lets this process start threads where a sandbox answers `EPERM` to clone3: glibc (2.34 and later) goes on to clone only where
/// the answer is `ENOSYS`, so that is what a filter of our own makes of it.
///
/// # Errors
/// Those of seccomp(2).
pub fn let_threads_start() -> io::Result<()> {
    // SAFETY: no memory is passed; the kernel refuses a size of 0 (EINVAL).
    let answer = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<u64>(), 0_usize) };
    match cerr(answer) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            refuse_in_this_thread(&[Rule::call(libc::SYS_clone3)], libc::ENOSYS)
        }
        _ => Ok(()),
    }
}

/// Has the program of `command` start with these calls failing with `errno`.
pub fn refuse_in(command: &mut Command, rules: &[Rule], errno: i32) {
    install_in(command, compile(rules, fail(errno)));
}

/// Has the program of `command` start with these calls ending the process that makes them (SIGSYS).
pub fn kill_in(command: &mut Command, rules: &[Rule]) {
    install_in(command, compile(rules, libc::SECCOMP_RET_KILL_PROCESS));
}

fn fail(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

fn install_in(command: &mut Command, program: Vec<libc::sock_filter>) {
    // SAFETY: between fork and exec it makes two system calls and reads memory that is ready.
    unsafe { command.pre_exec(move || install(&program)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn threads_start_where_clone3_is_forbidden() {
        let refused = || {
            refuse_in_this_thread(&[Rule::call(libc::SYS_clone3)], libc::EPERM).unwrap();
            let start = || std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap());
            let before = start();
            let_threads_start().unwrap();
            (before.map_err(|error| error.raw_os_error()), start().is_ok())
        };
        let (before, after) = std::thread::spawn(refused).join().unwrap();
        assert!(matches!(before, Ok(()) | Err(Some(libc::EPERM))), "{before:?}");
        assert!(after);
    }

    #[test]
    fn a_call_fails_as_a_whole_or_with_a_flag_alone_and_the_youngest_filter_names_the_errno() {
        let duplicate = |flags| {
            let fd = std::io::stdin();
            // SAFETY: no memory is passed.
            let new = unsafe { libc::dup3(std::os::fd::AsRawFd::as_raw_fd(&fd), 900, flags) };
            Errno::result(new).map(drop)
        };
        let refused = move || {
            refuse_in_this_thread(
                &[Rule::call(libc::SYS_getpgid), Rule::flag(libc::SYS_dup3, 2, libc::O_CLOEXEC as u32)],
                libc::ENOSYS,
            )
            .unwrap();
            let group = || nix::unistd::getpgid(None).map(drop);
            let before = (group(), duplicate(libc::O_CLOEXEC), duplicate(0));
            refuse_in_this_thread(&[Rule::call(libc::SYS_getpgid)], libc::EPERM).unwrap();
            (before, group())
        };
        let (before, after) = std::thread::spawn(refused).join().unwrap();
        assert_eq!(before, (Err(Errno::ENOSYS), Err(Errno::ENOSYS), Ok(())));
        assert_eq!(after, Err(Errno::EPERM));
    }
}
