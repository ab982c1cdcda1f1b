//! Deploying: a handler is replaced atomically, even while it runs.

use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, UNIX_EPOCH};

use crate::harness::{Sandbox, names_in, says};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_deploy_warns_of_a_mount_that_hides_it_and_gives_no_hint_to_deploy() {
    let sandbox = Sandbox::new();
    sandbox.program("tool", says("tool"));
    fs::remove_dir_all(sandbox.handlers()).unwrap();
    let first = sandbox.caffeine(&["-d", "tool"]).succeeds();
    assert!(first.stderr.contains("created") && !first.stderr.contains("--deploy"), "{first:?}");
    let dir = sandbox.path("").display().to_string();
    for (at, hidden) in [("/", true), ("/tool", true), ("/live", false)] {
        sandbox.write("c.toml", format!("[[mount]]\nat = \"{at}\"\ndir = \"{dir}\"\n"));
        let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
        let told = sandbox.caffeine(&["-n", "lab", "-d", "tool"]).succeeds().stderr;
        assert_eq!(told.contains(&format!("warning: the mount at {at} hides it")), hidden, "{told}");
        let told = sandbox.caffeine(&["-n", "lab", "--deploy-builtin", "live"]).succeeds().stderr;
        assert_eq!(told.contains("hides it"), at != "/tool", "{told}");
        server.stop();
    }
}

#[test]
fn a_file_becomes_an_executable_handler_in_the_default_directory() {
    let sandbox = Sandbox::new();
    fs::remove_dir(sandbox.handlers()).unwrap();
    let source = sandbox.write("hello", says("hello"));
    fs::set_permissions(&source, Permissions::from_mode(0o4600)).unwrap();
    let outcome = sandbox.caffeine(&["--deploy", "hello"]).succeeds();
    let target = sandbox.handlers().join("hello");
    assert!(outcome.stdout.contains(target.to_str().unwrap()), "{outcome:?}");
    assert_eq!(fs::read_to_string(&target).unwrap(), says("hello"));
    assert_eq!(mode(&target), 0o700, "for its owner alone, as it was; set-user-id is dropped");
    assert_eq!(names_in(&sandbox.handlers()), ["hello"]);
    for (before, after) in [(0o644, 0o755), (0o640, 0o750), (0o604, 0o705), (0o711, 0o711), (0o2660, 0o770)] {
        fs::set_permissions(&source, Permissions::from_mode(before)).unwrap();
        sandbox.caffeine(&["--deploy", "hello"]).succeeds();
        assert_eq!(mode(&target), after, "{before:o}");
    }
}

#[test]
fn modification_times_are_preserved() {
    let sandbox = Sandbox::new();
    let old = [1_000_000_000, 1_100_000_000].map(|seconds| UNIX_EPOCH + Duration::new(seconds, 123_456_789));
    let times = FileTimes::new().set_accessed(old[0]).set_modified(old[1]);
    let age = |path: &Path| fs::File::open(path).unwrap().set_times(times).unwrap();
    age(&sandbox.program("hello", says("hello")));
    age(&sandbox.program("shop/cart/index", says("cart")));
    symlink("index", sandbox.path("shop/cart/link")).unwrap();
    age(&sandbox.path("shop/cart"));
    age(&sandbox.path("shop"));
    let link = |path: &Path| fs::symlink_metadata(path).unwrap().modified().unwrap();
    let of_link = link(&sandbox.path("shop/cart/link"));
    sandbox.caffeine(&["-d", "hello"]).succeeds();
    sandbox.caffeine(&["-d", "shop"]).succeeds();
    for name in ["hello", "shop", "shop/cart", "shop/cart/index"] {
        let found = fs::metadata(sandbox.handlers().join(name)).unwrap();
        assert_eq!(found.modified().unwrap(), old[1], "{name}");
    }
    assert_eq!(link(&sandbox.handlers().join("shop/cart/link")), of_link);
}

#[test]
fn a_handler_that_cannot_run_is_deployed_with_a_warning() {
    let sandbox = Sandbox::new();
    let missing = ": its interpreter /no/such/python does not exist; requests for it will get 500";
    for (name, contents, warning) in [
        ("missing", "#!/no/such/python\n", missing),
        ("windows", "#!/bin/sh\r\necho\r\n", "windows: its #! line ends with a carriage return"),
        ("text", "no program\n", "text: it is neither an ELF program nor a script that begins with #!"),
        ("absent", "#!/usr/bin/env no-such\n", "absent: its interpreter no-such is not in PATH"),
    ] {
        sandbox.write(name, contents);
        let outcome = sandbox.caffeine(&["-d", name]).succeeds();
        assert!(
            outcome.stderr.starts_with("caffeine: warning: ") && outcome.stderr.contains(warning),
            "{outcome:?}"
        );
    }
    sandbox.program("app/bin/broken", "#!/no/such/python\n");
    sandbox.program("app/index", "#!bin/own\n");
    fs::copy("/bin/true", sandbox.path("app/bin/own")).unwrap();
    sandbox.write("app/README", "It is not executable, and nothing is wrong with that.\n");
    let outcome = sandbox.caffeine(&["-d", "app"]).succeeds();
    assert!(outcome.stderr.contains(&format!("app/bin/broken{missing}")), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    // PATH is the one handlers get.
    sandbox.program("tools/no-such", says("tool"));
    sandbox.write("c.toml", format!("[env]\nPATH = {:?}\n", sandbox.path("tools")));
    let outcome = sandbox.caffeine(&["-c", "c.toml", "-d", "absent"]).succeeds();
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    let _server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    let outcome = sandbox.caffeine(&["-n", "lab", "-d", "absent"]).succeeds();
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
}

#[test]
fn a_missing_source_creates_no_directory() {
    let sandbox = Sandbox::new();
    fs::remove_dir_all(sandbox.path(".config")).unwrap();
    sandbox.caffeine(&["-d", "/nosuch"]).fails(1, "/nosuch: No such file");
    assert!(!sandbox.path(".config").exists());
}

#[test]
fn a_link_out_of_the_directory_is_kept_only_in_hidden_directories() {
    let sandbox = Sandbox::new();
    sandbox.program("app/index", says("app"));
    fs::create_dir_all(sandbox.path("app/.venv/bin")).unwrap();
    symlink("/bin/sh", sandbox.path("app/.venv/bin/python3")).unwrap();
    symlink("python3", sandbox.path("app/.venv/bin/python")).unwrap();
    sandbox.caffeine(&["-d", "app"]).succeeds();
    let server = sandbox.start(&[]);
    assert_eq!(server.get("/app").text(), "app");
    assert_eq!(server.get("/app/.venv/bin/python3").status, 404);
    // A second link would lead out of the directory as well.
    symlink(".venv/bin/python", sandbox.path("app/run")).unwrap();
    sandbox.caffeine(&["-d", "app"]).fails(1, "app/run: the link points outside the directory");
    fs::remove_file(sandbox.path("app/run")).unwrap();
    symlink("/bin/sh", sandbox.path("app/python3")).unwrap();
    sandbox.caffeine(&["-d", "app"]).fails(1, "to /bin/sh; copy its target");
}

#[test]
fn a_deployed_directory_replaces_the_old_one_completely() {
    let sandbox = Sandbox::new();
    sandbox.program("shop/cart", says("one"));
    sandbox.write("shop/old", "");
    sandbox.caffeine(&["-d", "shop"]).succeeds();
    let program = sandbox.program("shop/cart", says("two"));
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).unwrap();
    fs::remove_file(sandbox.path("shop/old")).unwrap();
    sandbox.write("shop/data/prices", "1");
    symlink("data/prices", sandbox.path("shop/prices")).unwrap();
    sandbox.caffeine(&["-d", "shop/"]).succeeds();

    let shop = sandbox.handlers().join("shop");
    assert_eq!(names_in(&shop), ["cart", "data", "prices"]);
    assert_eq!(fs::read_to_string(shop.join("prices")).unwrap(), "1");
    assert_eq!(mode(&shop.join("cart")), 0o755, "set-user-id is dropped");
    assert_eq!(mode(&shop.join("data/prices")) & 0o111, 0, "execute bits are kept as they are");
    let (hidden, shown): (Vec<_>, Vec<_>) =
        names_in(&sandbox.handlers()).into_iter().partition(|name| name.starts_with('.'));
    assert_eq!((shown, hidden.len()), (vec!["shop".into()], 2), "the old tree and its lock are gone");
}

#[test]
fn unsuitable_sources_are_refused_and_leave_nothing() {
    let sandbox = Sandbox::new();
    nix::unistd::mkfifo(&sandbox.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.path("socket")).unwrap();
    sandbox.write(".hidden", "");
    sandbox.write("leading-out/program", "");
    symlink("../.hidden", sandbox.path("leading-out/link")).unwrap();
    fs::create_dir(sandbox.path("special")).unwrap();
    nix::unistd::mkfifo(&sandbox.path("special/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (source, text) in [
        ("missing", "missing: No such file"),
        ("fifo", "fifo: it is neither a file nor a directory"),
        ("socket", "neither a file nor a directory"),
        ("/dev/null", "neither a file nor a directory"),
        (".hidden", "names that begin with '.' are never served"),
        ("leading-out", "the link points outside the directory, to ../.hidden"),
        ("special", "special/fifo: it is not a file"),
        (".", "cannot deploy .: "),
        ("/", "it has no name"),
    ] {
        sandbox.caffeine(&["--deploy", source]).fails(1, text);
        assert!(names_in(&sandbox.handlers()).is_empty(), "{source}");
    }
}

#[test]
fn an_unreadable_file_is_refused() {
    let sandbox = crate::platform::privileges::open_home();
    let source = sandbox.write("secret", "");
    fs::set_permissions(source, Permissions::from_mode(0o0)).unwrap();
    // Root can read everything, so this runs as another user.
    sandbox
        .run(crate::platform::privileges::by_nobody(&sandbox, &["-d", "secret"]))
        .fails(1, "secret: Permission denied");
}

#[test]
fn a_deploy_never_replaces_itself_or_another_file_type() {
    let sandbox = Sandbox::new();
    sandbox.program("at/shop/shop/cart", "");
    sandbox.program("at/cart", "");
    sandbox.write("shop", "");
    sandbox.program("other/cart/x", "");
    for (source, text) in [
        ("at/cart", "it is in place already"),
        ("at/shop", "it is in place already"),
        ("at/shop/shop", "inside the directory that it would replace"),
        ("at", "the destination"),
        ("shop", "at/shop is a directory; remove it first"),
        ("other/cart", "at/cart is not a directory; remove it first"),
    ] {
        sandbox.caffeine(&["--path", "at", "-d", source]).fails(1, text);
    }
    assert_eq!(names_in(&sandbox.path("at")), ["cart", "shop"]);
}

#[test]
fn a_directory_without_a_program_is_deployed_with_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("shop/cart", says("one"));
    let outcome = sandbox.caffeine(&["-d", "shop"]).succeeds();
    assert!(outcome.stderr.contains("nothing in") && outcome.stderr.contains("chmod +x"), "{outcome:?}");
}

#[test]
fn the_next_deploy_removes_leftovers_of_a_killed_one() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/caffeine/.caffeine-1", "half");
    sandbox.write(".config/caffeine/.caffeine-2/half", "half");
    sandbox.write("hello", says("hello"));
    sandbox.caffeine(&["-d", "hello"]).succeeds();
    assert_eq!(names_in(&sandbox.handlers()), ["hello"]);
}

#[test]
fn handlers_are_deployed_to_the_directory_of_the_instance() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("served")).unwrap();
    sandbox.write("hello", says("hello"));
    let server = sandbox.start(&["-n", "lab", "--path", "served"]);
    sandbox.caffeine(&["-n", "lab", "-d", "hello"]).succeeds();
    assert_eq!(server.get("/hello").text(), "hello");
    server.stop();
    sandbox.write("bye", says("bye"));
    sandbox.caffeine(&["-n", "lab", "-d", "bye"]).succeeds();
    assert_eq!(names_in(&sandbox.path("served")), ["bye", "hello"]);
    sandbox.caffeine(&["-n", "other", "-d", "hello"]).fails(1, "instance other was never started");
}

#[test]
fn a_program_is_replaced_under_load_and_every_request_gets_one_version() {
    let sandbox = Sandbox::new();
    // A compiled program: a script never causes ETXTBSY. `env` prints the handler's environment.
    fs::copy("/usr/bin/env", sandbox.path("program")).unwrap();
    sandbox.caffeine(&["-d", "program"]).succeeds();
    let server = sandbox.start(&["-w", "2"]);
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    let answer = server.raw(b"GET /program HTTP/1.1\r\nHost: test\r\n\r\n");
                    let text = String::from_utf8_lossy(&answer);
                    assert!(text.contains("GATEWAY_INTERFACE=CGI/1.1\n"), "{text}");
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        let deploys = (0..20).map(|_| sandbox.caffeine(&["-d", "program"]));
        let all_done = deploys.filter(|outcome| outcome.code == Some(0)).count();
        done.store(true, SeqCst);
        assert_eq!(all_done, 20);
    });
    assert!(answered.load(SeqCst) > 0);
}
