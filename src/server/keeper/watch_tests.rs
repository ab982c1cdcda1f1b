//! The table of watched handlers, with real processes.

use super::*;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

fn child(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap()
}

fn watched(child: &Child, timeout_s: u64) -> Watched {
    let pid = Pid::from_raw(child.id().cast_signed());
    let pidfd = Pidfd::open(child.id()).unwrap();
    Watched::new(pid, Some(pidfd), Instant::now(), Some(Duration::from_secs(timeout_s)))
}

fn epoll() -> Epoll {
    Epoll::new(nix::sys::epoll::EpollCreateFlags::EPOLL_CLOEXEC).unwrap()
}

fn no_table() -> io::Result<Vec<Process>> {
    Err(io::Error::from_raw_os_error(libc::EMFILE))
}

#[test]
fn without_a_process_table_the_first_process_and_its_group_are_ended_all_the_same() {
    let mut stubborn = child("trap '' TERM; sleep 60; sleep 60");
    let mut handlers = Handlers::default();
    let id = handlers.insert(watched(&stubborn, 1));
    let none = HashSet::new();
    let late = Instant::now() + Duration::from_secs(2);
    handlers.sweep(late, &none, no_table);
    assert_eq!(handlers.next_deadline(), Some(late + RETRY), "it is tried again");
    handlers.sweep(late + LAST_MOMENT, &none, no_table);
    assert!(!stubborn.wait().unwrap().success());
    assert!(handlers.ended(&epoll(), id, |handler, _| assert!(handler.timed_out())));
    assert_eq!(handlers.running(), 0);
}

#[test]
fn one_that_ends_in_time_is_forgotten() {
    let mut quick = child("exit 0");
    let mut handlers = Handlers::default();
    let id = handlers.insert(watched(&quick, 60));
    assert!(
        handlers.next_deadline().is_some()
            && handlers.find(Pid::from_raw(quick.id().cast_signed())).is_some()
    );
    quick.wait().unwrap();
    handlers.ended(&epoll(), id, |handler, _| assert!(!handler.timed_out()));
    assert!(handlers.is_empty() && handlers.next_deadline().is_none());
}

#[test]
fn a_later_deadline_takes_the_place_of_the_earlier_one() {
    let mut one = child("sleep 60");
    let mut handlers = Handlers::default();
    handlers.insert(watched(&one, 1));
    handlers.set_timeout(Pid::from_raw(one.id().cast_signed()), Some(Duration::from_secs(3600)));
    assert!(handlers.next_deadline().unwrap() > Instant::now() + Duration::from_secs(3000));
    one.kill().unwrap();
    one.wait().unwrap();
}
