//! Each way of starting a process, with real programs.

use super::*;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use crate::sys::sandbox::{Rule, refuse_in_this_thread};

/// What stands for a kernel without clone3, for a sandbox that forbids it, and for a kernel that lacks a flag.
const REFUSALS: [i32; 3] = [libc::ENOSYS, libc::EPERM, libc::EINVAL];

fn refuse_clone3(errno: i32) {
    refuse_in_this_thread(&[Rule::call(libc::SYS_clone3)], errno).unwrap();
}

fn run(program: &CStr, arguments: &[&[u8]], stdin: Option<&[u8]>) -> Result<String, SpawnError> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (input, mut feed) = std::io::pipe().unwrap();
    feed.write_all(stdin.unwrap_or_default()).unwrap();
    drop(feed);
    let (mut argv, mut env) = (CStrings::default(), CStrings::default());
    arguments.iter().for_each(|argument| assert!(argv.push(&[argument])));
    assert!(env.push(&[b"GREETING=", b"hello"]));
    let order = Order {
        program,
        arguments: &mut argv,
        environment: &mut env,
        directory: c"/usr",
        stdin: stdin.map(|_| input.as_fd()),
        stdout: writer.as_fd(),
        stderr: None,
        pid: None,
        alarm_s: 0,
        limits: &[Limit::new(Resource::RLIMIT_NOFILE, 99, 100), Limit::new(Resource::RLIMIT_CORE, 0, 0)],
        clear_mask: true,
    };
    Spawner::new().unwrap().spawn(order, false)?;
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    Ok(output)
}

#[test]
fn the_program_gets_its_arguments_environment_directory_and_limits() {
    let script: &[u8] = b"echo $0 $1 $GREETING; pwd; ulimit -n; ulimit -c";
    let output = run(c"/bin/sh", &[b"sh", b"-c", script, b"name", b"argument"], None).unwrap();
    assert_eq!(output, "name argument hello\n/usr\n99\n0\n");
}

#[test]
fn the_program_leads_a_process_group_of_its_own() {
    // Fields 5 and 1 of /proc/PID/stat: the group, and the process.
    let script: &[u8] = b"read pid name state parent group rest </proc/$$/stat; echo $((group - pid))";
    assert_eq!(run(c"/bin/sh", &[b"sh", b"-c", script], None).unwrap(), "0\n");
}

#[test]
fn the_program_reads_its_standard_input() {
    assert_eq!(run(c"/bin/cat", &[b"cat"], Some(b"a body")).unwrap(), "a body");
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_with_its_reason() {
    assert_eq!(run(c"/nowhere", &[b"x"], None).unwrap_err(), SpawnError::Exec(libc::ENOENT));
    assert_eq!(run(c"/etc/passwd", &[b"x"], None).unwrap_err(), SpawnError::Exec(libc::EACCES));
}

#[test]
fn a_pidfd_tells_the_end_of_the_process() {
    let (mut argv, mut env) = (CStrings::default(), CStrings::default());
    assert!(argv.push(&[b"true"]));
    let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
    let order = Order {
        program: c"/bin/true",
        arguments: &mut argv,
        environment: &mut env,
        directory: c"/",
        stdin: None,
        stdout: null.as_fd(),
        stderr: None,
        pid: None,
        alarm_s: 0,
        limits: &[],
        clear_mask: false,
    };
    let started = Spawner::new().unwrap().spawn(order, true).unwrap();
    let pidfd = started.pidfd.unwrap();
    let mut poll = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut poll, 10_000u16).unwrap(), 1);
}

/// How the kernel has the signals of a program that a thread starts: with or without those that the thread blocks.
fn signals(clear_mask: bool) -> String {
    let null = std::fs::File::open("/dev/null").unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (mut argv, mut env) = (CStrings::default(), CStrings::default());
    [&b"cat"[..], b"/proc/self/status"].iter().for_each(|argument| assert!(argv.push(&[argument])));
    let order = Order {
        program: c"/bin/cat",
        arguments: &mut argv,
        environment: &mut env,
        directory: c"/",
        stdin: Some(null.as_fd()),
        stdout: writer.as_fd(),
        stderr: None,
        pid: None,
        alarm_s: 0,
        limits: &[],
        clear_mask,
    };
    Spawner::new().unwrap().spawn(order, false).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text.lines().filter(|line| ["SigBlk", "SigIgn", "SigCgt"].contains(&&line[..6.min(line.len())])).collect()
}

#[test]
fn both_ways_give_a_program_the_same_signals() {
    use nix::sys::signal::{SigSet, Signal};
    // The runtime of this program ignores one signal (PIPE) and handles others (SEGV, BUS).
    let blocking = |way: Option<i32>| {
        let thread = move || {
            way.iter().for_each(|&errno| refuse_clone3(errno));
            SigSet::from(Signal::SIGUSR2).thread_block().unwrap();
            let texts = (signals(false), signals(true));
            assert_eq!(SigSet::thread_get_mask().unwrap(), SigSet::from(Signal::SIGUSR2), "it is put back");
            texts
        };
        std::thread::spawn(thread).join().unwrap()
    };
    let (kept, cleared) = blocking(None);
    assert!(
        kept.contains("SigBlk:\t0000000000000800") && kept.contains("SigCgt:\t0000000000000000"),
        "{kept}"
    );
    assert!(cleared.contains("SigBlk:\t0000000000000000"), "{cleared}");
    for errno in REFUSALS {
        assert_eq!(blocking(Some(errno)), (kept.clone(), cleared.clone()));
    }
}

#[test]
fn where_clone3_is_refused_clone_does_all_that_it_does() {
    let everything = || {
        the_program_gets_its_arguments_environment_directory_and_limits();
        the_program_leads_a_process_group_of_its_own();
        the_program_reads_its_standard_input();
        a_program_that_cannot_be_executed_is_an_error_with_its_reason();
        a_pidfd_tells_the_end_of_the_process();
    };
    for errno in REFUSALS {
        let thread = move || {
            refuse_clone3(errno);
            everything();
        };
        std::thread::spawn(thread).join().unwrap();
    }
}

#[test]
fn where_both_are_refused_the_error_says_so() {
    let thread = || {
        refuse_clone3(libc::ENOSYS);
        refuse_in_this_thread(&[Rule::call(libc::SYS_clone)], libc::EPERM).unwrap();
        run(c"/bin/true", &[b"true"], None).unwrap_err()
    };
    assert_eq!(std::thread::spawn(thread).join().unwrap(), SpawnError::Clone(libc::EPERM));
}
