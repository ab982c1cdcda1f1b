//! Kernels and sandboxes without some system calls. A filter answers `ENOSYS`, as old kernels and container
//! profiles do, or `EPERM`, as older profiles do, to the server and everything it starts.

use std::sync::Mutex;

use caffeine::instance::Life;
use caffeine::sys::sandbox::{Rule, kill_in, refuse_in};
use nix::libc;

use crate::harness::{Outcome, Response, Sandbox, executed_by, get, port_of, raw};

/// Every call or flag newer than Linux 5.10 or often refused that the program uses. Each has a fallback.
const CALLS: [(&str, Rule); 10] = [
    ("clone3", Rule::call(libc::SYS_clone3)),
    ("close_range", Rule::call(libc::SYS_close_range)),
    ("pidfd_open", Rule::call(libc::SYS_pidfd_open)),
    ("pidfd_send_signal", Rule::call(libc::SYS_pidfd_send_signal)),
    ("memfd_create", Rule::call(libc::SYS_memfd_create)),
    ("O_TMPFILE", Rule::flag(libc::SYS_openat, 2, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32)),
    ("renameat2", Rule::call(libc::SYS_renameat2)),
    ("faccessat2", Rule::call(libc::SYS_faccessat2)),
    ("statx", Rule::call(libc::SYS_statx)),
    ("copy_file_range", Rule::call(libc::SYS_copy_file_range)),
];

/// A sandbox in which all commands run behind a filter.
struct Lesser {
    sandbox: Sandbox,
    rules: Vec<Rule>,
    errno: i32,
}

impl Lesser {
    fn new(rules: &[Rule], errno: i32) -> Self {
        let sandbox = Sandbox::new();
        sandbox.handler("count", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nwc -c\n");
        Self { sandbox, rules: rules.to_vec(), errno }
    }

    #[track_caller]
    fn caffeine(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.sandbox.command(arguments);
        refuse_in(&mut command, &self.rules, self.errno);
        self.sandbox.run(command)
    }

    /// A full cycle: start, requests with no, a small and a large body, deploys, reload, requests, stop.
    fn live(&self, options: &[&str]) {
        let start = ["-n", "lab", "-D", "-p", "0", "--bind", "127.0.0.1", "-w", "1", "--log-level", "DEBUG"];
        let port = port_of(&self.caffeine(&[&start[..], options].concat()).succeeds().stdout);
        let serves = || {
            for length in [0, 5, (1 << 20) + 1] {
                let head = format!("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
                let answer = Response::parse(&raw(port, &[head.as_bytes(), &vec![b'x'; length]].concat()));
                assert_eq!((answer.status, answer.text().trim()), (200, length.to_string().as_str()));
            }
        };
        serves();
        let (file, tree) =
            (self.sandbox.program("new", crate::harness::says("new")), self.sandbox.path("tree"));
        self.sandbox.program("tree/deep", crate::harness::says("deep"));
        for _ in 0..2 {
            self.caffeine(&["-n", "lab", "-d", file.to_str().unwrap()]).succeeds();
            self.caffeine(&["-n", "lab", "-d", tree.to_str().unwrap()]).succeeds();
            assert_eq!([get(port, "/new").text(), get(port, "/tree/deep").text()], ["new", "deep"]);
        }
        self.caffeine(&["-n", "lab", "--reload"]).succeeds();
        serves();
        self.caffeine(&["-L"]).succeeds();
        self.caffeine(&["-n", "lab", "--status"]).succeeds();
        self.caffeine(&["-n", "lab", "-s"]).succeeds();
        let log = std::fs::read_to_string(self.sandbox.folder("lab").log()).unwrap();
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    }
}

/// Runs all cases, three at a time.
fn in_parallel(cells: Vec<(String, Lesser)>, run: impl Fn(&Lesser, usize) + Sync) {
    let cells = Mutex::new(cells.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some((number, (name, cell))) = cells.lock().unwrap().next() else { return };
                    eprintln!("{name}");
                    run(&cell, number);
                }
            });
        }
    });
}

#[test]
fn each_refused_call_has_a_fallback_alone_and_combined() {
    let mut cells = Vec::new();
    for errno in [libc::ENOSYS, libc::EPERM] {
        let all: Vec<Rule> = CALLS.iter().map(|(_, rule)| *rule).collect();
        cells.push((format!("all, errno {errno}"), Lesser::new(&all, errno)));
        let alone =
            CALLS.iter().map(|(name, rule)| (format!("{name}, errno {errno}"), Lesser::new(&[*rule], errno)));
        cells.extend(alone);
    }
    in_parallel(cells, |cell, number| {
        // Each watched handler needs a pidfd.
        let watched = ["--max-handlers", "8", "--handler-timeout", "20s"];
        cell.live(if number % 2 == 0 { &watched } else { &[] });
    });
}

#[test]
fn each_refused_flag_has_a_fallback() {
    let rules = [
        Rule::flag(libc::SYS_close_range, 2, libc::CLOSE_RANGE_CLOEXEC),
        Rule::flag(libc::SYS_memfd_create, 1, libc::MFD_ALLOW_SEALING),
        Rule::flag(libc::SYS_openat, 2, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32),
        Rule::flag(libc::SYS_renameat2, 4, libc::RENAME_EXCHANGE),
    ];
    let mut cells = vec![("all flags".to_owned(), Lesser::new(&rules, libc::EINVAL))];
    cells.extend(rules.iter().map(|rule| (format!("{rule:?}"), Lesser::new(&[*rule], libc::EINVAL))));
    in_parallel(cells, |cell, _| cell.live(&[]));
}

/// Of the groups of system calls that the unit for systemd denies, and of RestrictNamespaces=, those of every processor.
const DENIED_BY_THE_UNIT: [i64; 17] = [
    libc::SYS_adjtimex,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_clone3,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_mount,
    libc::SYS_pivot_root,
    libc::SYS_reboot,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

#[test]
fn what_the_unit_denies_is_not_needed() {
    Lesser::new(&DENIED_BY_THE_UNIT.map(Rule::call), libc::EPERM).live(&["--max-handlers", "8"]);
}

/// Calls that create a process sharing its parent's memory.
const NO_HANDLERS: [Rule; 2] =
    [Rule::call(libc::SYS_clone3), Rule::flag(libc::SYS_clone, 0, libc::CLONE_VFORK as u32)];
const START: [&str; 8] = ["-n", "lab", "-p", "0", "--bind", "127.0.0.1", "-w", "2"];

#[test]
fn a_server_that_cannot_launch_handlers_fails_at_start_and_leaves_nothing() {
    for daemon in [&["-D"][..], &[]] {
        let lesser = Lesser::new(&NO_HANDLERS, libc::EPERM);
        let arguments = [&START[..], daemon].concat();
        lesser.caffeine(&arguments).fails(1, "cannot start handlers: cannot make a process");
        assert_eq!(lesser.sandbox.folder("lab").life().unwrap(), Life::Gone);
        // These settings need none.
        let arguments = [&START[..], &["-D", "--respond", "fixed"]].concat();
        let port = port_of(&lesser.caffeine(&arguments).succeeds().stdout);
        assert_eq!(get(port, "/").status, 200);
    }
}

#[test]
fn without_pidfds_only_what_needs_them_is_refused() {
    let no_pidfds = [Rule::call(libc::SYS_clone3), Rule::flag(libc::SYS_clone, 0, libc::CLONE_PIDFD as u32)];
    let lesser = Lesser::new(&no_pidfds, libc::ENOSYS);
    for needs in [&["--max-handlers", "9"], &["--handler-timeout", "9s"], &["--listener", "inherited-delay"]]
    {
        lesser.caffeine(&[&START[..], needs].concat()).fails(1, "has no pidfds; omit");
    }
    lesser.live(&[]);
}

#[test]
fn limits_too_low_for_any_handler_are_refused_at_start_and_reload() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", crate::harness::says("hello"));
    let tight = ["--handler-limit", "memory=1M"];
    sandbox.caffeine(&[&START[..], &tight].concat()).fails(1, "is too low to run even /bin/sh");
    let file = sandbox.write("caffeine.toml", "handler-limit = \"memory=1G\"\n");
    let server = sandbox.start(&["-n", "lab", "-w", "2", "-c", file.to_str().unwrap()]);
    sandbox.write("caffeine.toml", "handler-limit = \"memory=1M\"\n");
    assert_eq!(sandbox.caffeine(&["-n", "lab", "--reload"]).code, Some(1));
    assert!(server.log().contains("is too low to run even /bin/sh"), "{}", server.log());
    assert_eq!(server.get("/hello").text(), "hello");
    sandbox.write("caffeine.toml", "handler-limit = \"memory=2G\"\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
}

#[test]
fn a_sandbox_that_kills_workers_or_forbids_accept_fails_the_start() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&START);
    kill_in(&mut command, &[Rule::call(libc::SYS_setsid)]);
    sandbox.run(command).fails(1, "killed by SIGSYS");
    let lesser = Lesser::new(&[Rule::call(libc::SYS_setsid)], libc::EPERM);
    lesser.caffeine(&START).fails(1, "the workers cannot start");
    let lesser = Lesser::new(&[Rule::call(libc::SYS_accept4)], libc::ENOSYS);
    lesser.caffeine(&START).fails(1, "cannot accept connections here");
}

#[test]
fn a_removed_or_unreadable_executable_does_not_prevent_launches() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", crate::harness::says("hello"));
    let copy = sandbox.path("copy");
    let with_copy = |mode: &str, arguments: &[&str]| {
        let script = format!("cp \"$0\" copy && chmod {mode} copy && exec ./copy \"$@\"");
        sandbox.start_with(arguments, |command| executed_by(command, &["sh", "-c", &script]))
    };
    let server = with_copy("755", &["-n", "lab", "-w", "1"]);
    std::fs::remove_file(&copy).unwrap();
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    assert_eq!(server.get("/hello").text(), "hello");
    server.stop();
    // Mode 0711: the user may execute but not read it.
    let server = with_copy("711", &["-n", "lab", "-w", "1"]);
    assert_eq!(server.get("/hello").text(), "hello");
}

#[test]
fn an_old_kernel_gets_a_warning_and_is_served() {
    let sandbox = Sandbox::new();
    let server =
        sandbox.start_with(&["-w", "1"], |command| executed_by(command, &["setarch", "--uname-2.6"]));
    assert!(server.log().contains("is older than 5.10"), "{}", server.log());
    let server = sandbox.start(&["-n", "lab", "-w", "1"]);
    assert!(!server.log().contains("the oldest supported version"), "{}", server.log());
}

#[test]
fn refused_io_uring_is_reported_before_the_start() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let lesser = Lesser::new(&[Rule::call(libc::SYS_io_uring_setup)], errno);
        for listener in ["uring", "uring-multishot"] {
            lesser.caffeine(&[&START[..], &["--listener", listener]].concat()).fails(1, "io_uring");
        }
    }
}

#[test]
fn loadgen_works_without_epoll_pwait2() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-w", "1", "--respond", "fixed"]);
    for errno in [libc::ENOSYS, libc::EPERM] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(["-r", "300", "-n", "60", "-w", "0s", &format!("http://127.0.0.1:{}/", server.port())]);
        refuse_in(&mut command, &[Rule::call(libc::SYS_epoll_pwait2)], errno);
        // A busy machine may miss the schedule, so timing is not checked.
        let outcome = sandbox.run(command);
        assert!(outcome.stdout.contains("60 completed, 0 failed"), "{outcome:?}");
    }
}
