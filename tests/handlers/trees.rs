//! Deployed directories: a handler keeps the tree it was started in; old trees are removed when nothing runs
//! in them.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use caffeine::sys::sandbox::{Rule, refuse_in};
use nix::libc;
use nix::sys::signal::{Signal, kill};

use crate::harness::{Sandbox, Server, eventually, executed_by, get, names_in, pid, says, skipped};
use crate::platform::privileges::{NOBODY, open_home, start_as};

/// Deploys in the test under load; `.ci/soak` makes more.
const DEPLOYS: &str = "TEST_DEPLOYS";

/// Writes the directory `app`, version `version`. Its handler waits for the file `go` and then looks into its
/// tree by the working directory, by `$0` and by SCRIPT_FILENAME.
fn write_app(sandbox: &Sandbox, version: &str) {
    let [started, go] = ["started", "go"].map(|name| sandbox.path(name));
    sandbox.write("app/part", version);
    let script = format!(
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n%s' {version}\necho >>{}\nuntil [ -e {} ]; do sleep 0.02; done\n\
         cat part \"${{0%/*}}/part\" \"${{SCRIPT_FILENAME%/*}}/part\" ../app-name\n",
        started.display(),
        go.display()
    );
    sandbox.program("app/index", script);
    sandbox.program("app/quick", says(version));
    // Files beside the directory can still be reached from it.
    sandbox.write(".config/caffeine/app-name", "!");
}

pub fn deploy(sandbox: &Sandbox, version: &str) {
    write_app(sandbox, version);
    sandbox.caffeine(&["-d", "app"]).succeeds();
}

/// Deploys as if from another container, where the processes here are invisible. Needs root.
fn deploy_elsewhere(sandbox: &Sandbox) {
    let mut command = sandbox.command(&["-d", "app"]);
    executed_by(&mut command, &["unshare", "--pid", "--fork", "--mount-proc", "--"]);
    sandbox.run(command).succeeds();
}

/// Names of the existing trees.
pub fn trees(sandbox: &Sandbox) -> Vec<String> {
    let names = names_in(&sandbox.handlers()).into_iter();
    names.filter(|name| name.starts_with(".caffeine@") && !name.ends_with(".lock")).collect()
}

/// Locks whose tree is gone.
fn stray_locks(sandbox: &Sandbox) -> Vec<String> {
    let all = names_in(&sandbox.handlers());
    let is_stray = |name: &String| name.strip_suffix(".lock").is_some_and(|tree| !all.contains(&tree.into()));
    all.iter().filter(|name| is_stray(name)).cloned().collect()
}

/// A request whose handler has started and waits.
pub fn begin(sandbox: &Sandbox, server: &Server) -> JoinHandle<String> {
    let lines = || fs::read_to_string(sandbox.path("started")).unwrap_or_default().len();
    let (before, port) = (lines(), server.port());
    let request = std::thread::spawn(move || get(port, "/app").text());
    eventually("the handler runs", || lines() > before);
    request
}

pub fn go(sandbox: &Sandbox) {
    sandbox.write("go", "");
}

pub fn only_one_tree_is_left(sandbox: &Sandbox) {
    eventually("old trees are removed", || trees(sandbox).len() == 1);
    eventually("their locks are", || stray_locks(sandbox).is_empty());
}

#[test]
fn a_running_handler_keeps_its_tree_with_two_instances_sharing_a_path() {
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    let servers = ["a", "b"].map(|name| sandbox.start(&["-n", name, "-w", "2"]));
    let requests = [&servers[0], &servers[1], &servers[0]].map(|server| begin(&sandbox, server));
    for version in ["2", "3"] {
        deploy(&sandbox, version);
        for server in &servers {
            assert_eq!(server.get("/app/quick").text(), version);
            assert_eq!(server.post("/app/quick", b"body").text(), version);
        }
    }
    let newer = begin(&sandbox, &servers[1]);
    go(&sandbox);
    for request in requests {
        assert_eq!(request.join().unwrap(), "1111!");
    }
    assert_eq!(newer.join().unwrap(), "3333!");
    only_one_tree_is_left(&sandbox);
    assert_eq!(servers[0].get("/app").text(), "3333!");
}

#[test]
fn an_old_tree_stays_while_an_orphaned_handler_runs() {
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    let server = sandbox.start(&["-n", "a", "-w", "1"]);
    let orphan = begin(&sandbox, &server);
    let worker = server.worker_pids()[0];
    kill(pid(worker), Signal::SIGKILL).unwrap();
    eventually("another worker serves", || server.worker_pids()[0] != worker);
    deploy(&sandbox, "2");
    assert_eq!(server.get("/app/quick").text(), "2");
    let reloaded = begin(&sandbox, &server);
    sandbox.caffeine(&["-n", "a", "--reload"]).succeeds();
    deploy(&sandbox, "3");
    deploy(&sandbox, "4");
    assert_eq!(server.get("/app/quick").text(), "4");
    go(&sandbox);
    assert_eq!((orphan.join().unwrap(), reloaded.join().unwrap()), ("1111!".into(), "2222!".into()));
    only_one_tree_is_left(&sandbox);
}

#[test]
fn an_instance_protects_trees_of_handlers_a_deploy_cannot_see() {
    if !nix::unistd::geteuid().is_root() {
        skipped("only root makes namespaces");
        return;
    }
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    let server = sandbox.start(&[]);
    let request = begin(&sandbox, &server);
    for version in ["2", "3"] {
        write_app(&sandbox, version);
        deploy_elsewhere(&sandbox);
        assert_eq!(server.get("/app/quick").text(), version);
    }
    go(&sandbox);
    assert_eq!(request.join().unwrap(), "1111!");
    only_one_tree_is_left(&sandbox);
}

#[test]
fn a_background_child_of_a_handler_keeps_its_tree() {
    let sandbox = Sandbox::new();
    let released = sandbox.path("released");
    write_app(&sandbox, "1");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", released.display());
    let script = format!("{}setsid sh -c '{wait}' >/dev/null 2>&1 &\n", says("left"));
    sandbox.program("app/leaves", script);
    sandbox.caffeine(&["-d", "app"]).succeeds();
    let server = sandbox.start(&[]);
    assert_eq!(server.get("/app/leaves").text(), "left");
    deploy(&sandbox, "2");
    assert_eq!(server.get("/app/quick").text(), "2");
    deploy(&sandbox, "3");
    assert_eq!(server.get("/app/quick").text(), "3");
    eventually("the second tree is removed, and the first is not", || trees(&sandbox).len() == 2);
    sandbox.write("released", "");
    only_one_tree_is_left(&sandbox);
}

#[test]
fn one_tree_is_left_by_a_stop_and_by_a_deploy_without_an_instance() {
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    let server = sandbox.start(&[]);
    assert_eq!(server.get("/app/quick").text(), "1");
    deploy(&sandbox, "2"); // and no request notices it
    assert_eq!(trees(&sandbox).len(), 2);
    server.stop();
    only_one_tree_is_left(&sandbox);
    deploy(&sandbox, "3");
    assert_eq!((trees(&sandbox).len(), stray_locks(&sandbox).len()), (1, 0));
}

#[test]
fn a_deployed_name_is_a_link_that_can_be_edited_through_and_renamed() {
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    let server = sandbox.start(&[]);
    let app = sandbox.handlers().join("app");
    assert_eq!(fs::read_link(&app).unwrap(), PathBuf::from(trees(&sandbox).remove(0)));
    assert_eq!(server.get("/app/quick").text(), "1");
    fs::write(app.join("quick"), says("edited")).unwrap();
    fs::rename(sandbox.program("added", says("added")), app.join("added")).unwrap();
    assert_eq!(server.get("/app/quick").text(), "edited");
    assert_eq!(server.get("/app/added").text(), "added");
    // Renamed, or copied together with the base directory, with links and without locks.
    fs::rename(&app, sandbox.handlers().join("other")).unwrap();
    assert_eq!((server.get("/other/quick").text(), server.get("/app/quick").status), ("edited".into(), 404));
    let copied =
        Command::new("cp").args(["-a", ".config/caffeine", "copy"]).current_dir(sandbox.path("")).status();
    assert!(copied.unwrap().success());
    let locks = names_in(&sandbox.path("copy")).into_iter().filter(|name| name.ends_with(".lock"));
    locks.for_each(|lock| fs::remove_file(sandbox.path("copy").join(lock)).unwrap());
    let copy = sandbox.start(&["-n", "copy", "--path", "copy"]);
    assert_eq!(copy.get("/other/quick").text(), "edited");
}

#[test]
fn a_directory_copied_by_hand_becomes_a_tree() {
    let sandbox = Sandbox::new();
    sandbox.handler("app/quick", says("by hand"));
    sandbox.handler("app/index", says("by hand"));
    let server = sandbox.start(&["-w", "1"]);
    assert_eq!(server.get("/app").text(), "by hand");
    assert_eq!(server.get("/app/quick").text(), "by hand");
    deploy(&sandbox, "1");
    let request = begin(&sandbox, &server);
    deploy(&sandbox, "2");
    go(&sandbox);
    assert_eq!(request.join().unwrap(), "1111!");
    assert_eq!(server.get("/app/quick").text(), "2");
    only_one_tree_is_left(&sandbox);
    // A directory put in place of the link is served as it is.
    fs::remove_file(sandbox.handlers().join("app")).unwrap();
    sandbox.handler("app/quick", says("by hand again"));
    assert_eq!(server.get("/app/quick").text(), "by hand again");
}

#[test]
fn the_next_deploy_removes_directories_left_by_a_killed_one() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/caffeine/.caffeine@app.1700000000000001/half", "half");
    sandbox.write(".config/caffeine/.caffeine@app.1700000000000001.lock", "");
    sandbox.write(".config/caffeine/.caffeine@app.1700000000000002.lock", "");
    deploy(&sandbox, "1");
    assert_eq!((trees(&sandbox).len(), stray_locks(&sandbox).len()), (1, 0));
}

#[test]
fn a_deployed_directory_can_be_replaced_by_hand() {
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    sandbox.program("app/app/index", "");
    sandbox.caffeine(&["-d", "app"]).succeeds();
    sandbox.write("file/app", "");
    for (source, text) in [
        (".config/caffeine/app", "it is in place already"),
        (".config/caffeine/app/app", "inside the directory that it would replace"),
        ("file/app", "is a directory; remove it first"),
    ] {
        sandbox.caffeine(&["-d", source]).fails(1, text);
    }
    // A long name, and one that is not UTF-8.
    use std::os::unix::ffi::OsStrExt;
    for name in [&[b'x'; 255][..], b"caf\xe9"] {
        let source = sandbox.path("named").join(Path::new(std::ffi::OsStr::from_bytes(name)));
        fs::create_dir_all(&source).unwrap();
        let mut command = sandbox.command(&["-d"]);
        command.arg(&source);
        sandbox.run(command).succeeds();
        assert!(sandbox.handlers().join(source.file_name().unwrap()).is_dir());
    }
}

#[test]
fn a_handler_whose_instance_was_killed_keeps_its_tree() {
    let sandbox = Sandbox::new();
    deploy(&sandbox, "1");
    let mut server = sandbox.start(&[]);
    let request = begin(&sandbox, &server);
    server.signal(Signal::SIGKILL);
    server.wait();
    deploy(&sandbox, "2");
    deploy(&sandbox, "3");
    assert_eq!(trees(&sandbox).len(), 2);
    go(&sandbox);
    assert_eq!(request.join().unwrap(), "1111!");
    eventually("a later deploy removes it", || {
        deploy(&sandbox, "4");
        trees(&sandbox).len() == 1
    });
}

#[test]
fn a_handler_that_cannot_be_inspected_keeps_its_tree() {
    if !nix::unistd::geteuid().is_root() {
        skipped("only root serves as another user");
        return;
    }
    let sandbox = open_home();
    let write = |version: &str| {
        write_app(&sandbox, version);
        // A program that its user may execute but not read: its environment cannot be read either.
        fs::copy("/bin/sh", sandbox.path("app/shell")).unwrap();
        fs::set_permissions(sandbox.path("app/shell"), Permissions::from_mode(0o711)).unwrap();
    };
    write("1");
    deploy_elsewhere(&sandbox);
    let first = trees(&sandbox).remove(0);
    let server = start_as(&sandbox, &NOBODY.to_string(), &["--path", sandbox.handlers().to_str().unwrap()]);
    let go_file = sandbox.path("go");
    let script = format!(
        "printf 'HTTP/1.1 200 OK\\r\\n\\r\\nbegun\\n'; until [ -e {} ]; do sleep 0.02; done; cat part\n",
        go_file.display()
    );
    let mut client = server.connect();
    let head = format!("POST /app/shell HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", script.len());
    client.write_all((head + &script).as_bytes()).unwrap();
    let mut begun = [0; 25];
    client.read_exact(&mut begun).unwrap();
    for version in ["2", "3"] {
        write(version);
        deploy_elsewhere(&sandbox);
        assert_eq!(server.get("/app/quick").text(), version);
        // Longer than the instance waits before its first check.
        std::thread::sleep(Duration::from_millis(700));
    }
    assert!(trees(&sandbox).contains(&first));
    go(&sandbox);
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "1");
    // The instance may not remove files of root: it releases the tree, and a deploy removes it.
    eventually("a deploy removes the tree", || {
        deploy_elsewhere(&sandbox);
        !trees(&sandbox).contains(&first)
    });
}

#[test]
fn directories_are_deployed_without_rename_exchange() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let sandbox = Sandbox::new();
        sandbox.handler("app/quick", says("by hand"));
        for (version, warnings) in [("1", 1), ("2", 0)] {
            write_app(&sandbox, version);
            let mut command = sandbox.command(&["-d", "app"]);
            refuse_in(&mut command, &[Rule::call(libc::SYS_renameat2)], errno);
            let outcome = sandbox.run(command).succeeds();
            assert_eq!(outcome.stderr.lines().count(), warnings, "{outcome:?}");
            assert_eq!(fs::read_to_string(sandbox.handlers().join("app/part")).unwrap(), version);
            assert_eq!((trees(&sandbox).len(), stray_locks(&sandbox).len()), (1, 0));
        }
    }
}

#[test]
fn a_directory_is_replaced_under_load_and_every_response_is_of_one_version() {
    let deploys = std::env::var(DEPLOYS).map_or(25, |count| count.parse().expect(DEPLOYS));
    let sandbox = Sandbox::new();
    let write = |version: usize| {
        sandbox.write("shop/part", format!("{version};"));
        sandbox.write("shop/lib/code", format!("echo '{version};'\n"));
        let head = "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n'";
        let script = format!(
            "#!/bin/sh\n{head}\necho '{version};'\ncat part\n. \"${{0%/*}}/lib/code\"\ncat \"${{SCRIPT_FILENAME%/*}}/part\"\n"
        );
        sandbox.program("shop/index", script);
        sandbox.caffeine(&["-d", "shop"]).succeeds();
    };
    write(0);
    let servers = ["a", "b"].map(|name| sandbox.start(&["-n", name, "-w", "2"]));
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for server in &servers {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(SeqCst) {
                    let body = server.get("/shop").text();
                    let parts: Vec<&str> =
                        body.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
                    assert!(parts.len() == 4 && parts.iter().all(|part| *part == parts[0]), "{body:?}");
                    let version: usize = parts[0].parse().unwrap();
                    assert!(version >= last, "{version} after {last}");
                    last = version;
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        let deployed =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (1..=deploys).for_each(write)));
        done.store(true, SeqCst);
        deployed.unwrap();
    });
    assert!(answered.load(SeqCst) > 0);
    for server in &servers {
        assert!(server.get("/shop").text().starts_with(&format!("{deploys};")));
    }
    only_one_tree_is_left(&sandbox);
}
