//! Users and permissions: as which user the server and its handlers run, and who may read their files.

mod growth;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use caffeine::sys::lock::try_lock_byte;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::harness::traffic::oom_points;
use crate::harness::{
    Sandbox, Server, copy_program, eventually, executed_by, names_in, privileged_port, says, skipped,
};

/// An unused user id.
pub const NOBODY: u32 = 54_321;
const WHO: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\necho \"$(id -u) $(id -g) $(id -G)\"\n";

/// Whether the tests run as root; reports a skipped test otherwise.
pub fn is_root(test: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        skipped(format!("{test} needs root"));
    }
    root
}

/// A home that other users may enter, with handlers.
pub fn open_home() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.handler("who", WHO);
    sandbox.handler("hello", says("hello"));
    sandbox.handler("length", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec wc -c\n");
    for directory in ["", ".config", ".config/caffeine"] {
        fs::set_permissions(sandbox.path(directory), fs::Permissions::from_mode(0o755)).unwrap();
    }
    sandbox
}

/// A server running as this user and group.
pub fn start_as(sandbox: &Sandbox, user: &str, more: &[&str]) -> Server {
    let state = sandbox.path("state");
    let arguments = ["--user", user, "--group", user, "--state-dir", state.to_str().unwrap(), "-n", "lab"];
    sandbox.start_in(&state, &[&arguments[..], more].concat())
}

/// The program in an open home, run by an ordinary user: [`NOBODY`] where the tests run as root.
pub fn by_nobody(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    if geteuid().is_root() {
        // The user may not be able to reach the build directory.
        let program = sandbox.path("caffeine");
        copy_program(env!("CARGO_BIN_EXE_caffeine"), &program);
        executed_by(&mut command, &["sh", "-c", "shift; exec \"$0\" \"$@\"", program.to_str().unwrap()]);
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The real, effective, saved and file system user ids of a process, then its group ids.
fn ids(pid: u32) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |key| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().split_whitespace();
    line("Uid:").chain(line("Gid:")).chain(line("Groups:")).map(|id| id.parse().unwrap()).collect()
}

fn mode(path: &Path) -> (u32, u32) {
    let data = fs::symlink_metadata(path).unwrap();
    (data.uid(), data.mode() & 0o7777)
}

#[test]
fn started_as_root_it_binds_and_drops_privileges() {
    if !is_root("started_as_root_it_binds_and_drops_privileges") {
        return;
    }
    let sandbox = open_home();
    let port = privileged_port();
    let user = NOBODY.to_string();
    let server = start_as(&sandbox, &user, &["-p", &port]);
    assert_eq!(server.get("/who").text(), format!("{user} {user} {user}\n"));
    let all = [server.worker_pids(), vec![server.pid()]].concat();
    for &pid in &all {
        assert_eq!(ids(pid), [NOBODY; 9], "no way back, and no group of root's");
        assert_eq!(
            mode(Path::new(&format!("/proc/{pid}/mem"))).0,
            0,
            "others of its user cannot look into it"
        );
    }
    // When memory runs out, workers are killed first: they can be replaced.
    for pid in server.worker_pids() {
        assert_eq!(oom_points(pid), (oom_points(server.pid()) + 100).min(1000));
    }
    let folder = server.folder();
    assert_eq!(mode(folder.dir()), (NOBODY, 0o700));
    for file in [folder.pid(), folder.log(), folder.config(), folder.scoreboard()] {
        assert_eq!(mode(&file), (NOBODY, 0o600), "{}", file.display());
    }
    // Everything it does later works as that user.
    let large = vec![b'x'; 3 << 20];
    assert_eq!(server.post("/length", &large).text().trim(), large.len().to_string());
    fs::rename(folder.log(), folder.log().with_extension("1")).unwrap();
    server.signal(Signal::SIGUSR1);
    eventually("the log is reopened", || folder.log().exists());
    server.signal(Signal::SIGHUP);
    eventually("there are new workers", || {
        let now = server.worker_pids();
        now.iter().all(|pid| *pid != 0 && !all.contains(pid))
    });
    assert_eq!(server.get("/who").text(), format!("{user} {user} {user}\n"));
    assert!(!server.log().contains("as root"), "{}", server.log());
    server.stop();
    start_as(&sandbox, &user, &[]).stop();
}

#[test]
fn root_does_not_follow_links_in_an_instance_directory() {
    if !is_root("root_does_not_follow_links_in_an_instance_directory") {
        return;
    }
    let sandbox = open_home();
    let user = NOBODY.to_string();
    let log = {
        let server = start_as(&sandbox, &user, &[]);
        let log = server.folder().log();
        server.stop();
        log
    };
    let treasure = sandbox.write("treasure", "of root\n");
    fs::set_permissions(&treasure, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(&log).unwrap();
    symlink(&treasure, &log).unwrap();
    let state = sandbox.path("state");
    sandbox
        .caffeine(&[
            "--user",
            &user,
            "--group",
            &user,
            "--state-dir",
            state.to_str().unwrap(),
            "-n",
            "lab",
            "-p",
            "0",
        ])
        .fails(1, "cannot write the log");
    assert_eq!(fs::read_to_string(&treasure).unwrap(), "of root\n");
    assert_eq!(mode(&treasure), (0, 0o600));
}

#[test]
fn running_as_root_without_user_logs_one_warning() {
    if !is_root("running_as_root_without_user_logs_one_warning") {
        return;
    }
    let sandbox = open_home();
    let server = sandbox.start(&["-w", "2"]);
    assert_eq!(server.get("/who").text(), "0 0 0\n".replace("0 0 0", &format!("0 0 {}", groups())));
    let log = server.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("--user"), "{warnings:?}");
    assert_eq!(server.stop().matches("WARN").count(), 1);
    let meant = sandbox.start(&["--user", "root"]);
    assert!(!meant.log().contains("WARN"), "{}", meant.log());
    let config = sandbox.write("c.toml", "refuse-root = true\n");
    sandbox.caffeine(&["-c", config.to_str().unwrap()]).fails(1, "refuse-root");
    sandbox.caffeine(&["--refuse-root", "--user", "root"]).fails(1, "refuse-root");
    let user = NOBODY.to_string();
    start_as(&sandbox, &user, &["--refuse-root"]).stop();
}

fn groups() -> String {
    let groups: Vec<String> = nix::unistd::getgroups().unwrap().iter().map(ToString::to_string).collect();
    if groups.is_empty() { "0".into() } else { groups.join(" ") }
}

#[test]
fn an_unknown_or_forbidden_user_is_named() {
    let sandbox = open_home();
    sandbox.caffeine(&["--user", "no-such-user"]).fails(2, "unknown user \"no-such-user\"");
    sandbox
        .caffeine(&["--user", "0", "--group", "no-such-group"])
        .fails(2, "unknown group \"no-such-group\"");
    sandbox.caffeine(&["--group", "0"]).fails(2, "--group requires --user");
    sandbox.caffeine(&["--user", "54321"]).fails(2, "--group");
    if !is_root("an_unknown_or_forbidden_user_is_named, its second half") {
        return;
    }
    let user = NOBODY.to_string();
    // A directory the user cannot reach.
    fs::set_permissions(sandbox.path(".config/caffeine"), fs::Permissions::from_mode(0o700)).unwrap();
    let state = sandbox.path("state");
    let place = ["--state-dir", state.to_str().unwrap(), "-p", "0", "--bind", "127.0.0.1"];
    sandbox
        .caffeine(&[&["--user", &user, "--group", &user][..], &place].concat())
        .fails(1, "user 54321 cannot enter --path");
    // As an ordinary user.
    sandbox.run(by_nobody(&sandbox, &["--user", "root"])).fails(1, "only root can switch to another user");
}

#[test]
fn state_files_are_private_and_secrets_are_not_logged() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let config = sandbox.write("c.toml", "[env]\nPASSWORD = \"a secret of the handlers\"\n");
    let server = sandbox.start_with(
        &["-n", "lab", "-c", config.to_str().unwrap(), "--log-level", "DEBUG"],
        |command| {
            command.env("TOKEN", "a secret of the server");
        },
    );
    server.get("/hello");
    server.raw(b"GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: a secret of the client\r\nCookie: a secret\r\n\r\n");
    server.signal(Signal::SIGHUP);
    eventually("the reload is over", || server.log().contains("generation 2"));
    eventually("the requests are in the log", || server.log().matches("/hello").count() >= 2);
    assert!(!server.log().contains("secret"), "{}", server.log());
    assert!(!sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout.contains("secret"));
    let folder = server.folder();
    assert_eq!(mode(folder.dir()).1, 0o700);
    for file in [folder.pid(), folder.log(), folder.config(), folder.scoreboard()] {
        assert_eq!(mode(&file).1, 0o600, "{}", file.display());
    }
}

#[test]
fn root_drops_privileges_for_an_instance_of_another_user() {
    if !is_root("root_drops_privileges_for_an_instance_of_another_user") {
        return;
    }
    let sandbox = open_home();
    let folder = {
        let server = start_as(&sandbox, &NOBODY.to_string(), &[]);
        let folder = server.folder();
        server.stop();
        folder
    };
    let treasure = sandbox.write("treasure", "of root\n");
    fs::set_permissions(&treasure, fs::Permissions::from_mode(0o600)).unwrap();
    let state = sandbox.path("state");
    let act = |action: &[&str]| {
        let place = ["--state-dir", state.to_str().unwrap(), "-n", "lab"];
        sandbox.caffeine(&[&place[..], action].concat())
    };
    // That user can replace the log by a link,
    fs::remove_file(folder.log()).unwrap();
    symlink(&treasure, folder.log()).unwrap();
    act(&["--reset-logs"]).fails(1, "Permission denied");
    act(&["--log"]).fails(1, "root acts as user");
    assert_eq!(fs::read_to_string(&treasure).unwrap(), "of root\n");
    // hold the locks of the pid file and write another process id into it,
    fs::remove_file(folder.scoreboard()).unwrap();
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(folder.pid(), format!("{}\n", victim.id())).unwrap();
    let held = fs::OpenOptions::new().read(true).write(true).open(folder.pid()).unwrap();
    assert!([0, 1].iter().all(|&at| try_lock_byte(&held, at).unwrap()));
    act(&["--stop"]).fails(1, "nothing proves that process");
    act(&["--reload"]).fails(1, "nothing proves that process");
    let lives = victim.try_wait().unwrap().is_none();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(lives, "a process of root's was signalled");
    // and set another directory in the configuration.
    fs::create_dir(sandbox.path("root-only")).unwrap();
    fs::write(folder.config(), format!("path = {:?}\n", sandbox.path("root-only"))).unwrap();
    let source = sandbox.write("new", says("new"));
    act(&["--deploy", source.to_str().unwrap()]).fails(1, "to deploy as root, give --path and no --name");
    assert_eq!(names_in(&sandbox.path("root-only")).len(), 0);
    // A link in place of the directory is refused too.
    fs::rename(folder.dir(), state.join("other")).unwrap();
    symlink("other", folder.dir()).unwrap();
    act(&["--log"]).fails(1, "Not a directory");
}

#[test]
fn root_acts_on_an_instance_of_another_user_as_that_user() {
    if !is_root("root_acts_on_an_instance_of_another_user_as_that_user") {
        return;
    }
    let sandbox = open_home();
    let handlers = sandbox.path("handlers");
    fs::create_dir(&handlers).unwrap();
    std::os::unix::fs::chown(&handlers, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut server = start_as(&sandbox, &NOBODY.to_string(), &["--path", handlers.to_str().unwrap()]);
    let state = sandbox.path("state");
    // Its user cannot reach the directory from above, as in state directories of a service manager.
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let act = |action: &[&str]| {
        let place = ["--state-dir", state.to_str().unwrap(), "-n", "lab"];
        sandbox.caffeine(&[&place[..], action].concat()).succeeds().stdout
    };
    let source = sandbox.write("new", says("new"));
    act(&["--deploy", source.to_str().unwrap()]);
    assert_eq!(mode(&handlers.join("new")), (NOBODY, 0o755));
    assert_eq!(server.get("/new").text(), "new");
    assert!(act(&["--status"]).contains("launched 1"));
    act(&["--reload"]);
    assert!(act(&["--log"]).contains("generation 2"));
    act(&["--reset-logs"]);
    assert!(!server.log().contains("generation 2"));
    assert!(
        sandbox.caffeine(&["--state-dir", state.to_str().unwrap(), "-L"]).succeeds().stdout.contains("lab")
    );
    act(&["--stop"]);
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn handlers_owned_by_root_are_deployed_by_naming_their_directory() {
    if !is_root("handlers_owned_by_root_are_deployed_by_naming_their_directory") {
        return;
    }
    let sandbox = open_home();
    let server = start_as(&sandbox, &NOBODY.to_string(), &[]);
    let source = sandbox.write("new", says("new"));
    let (source, state) = (source.to_str().unwrap(), sandbox.path("state"));
    let place = ["--state-dir", state.to_str().unwrap(), "-n", "lab"];
    let outcome = sandbox.caffeine(&[&place[..], &["--deploy", source]].concat());
    outcome.fails(1, "Permission denied (os error 13) (root acts as user ");
    sandbox.caffeine(&["--deploy", source, "--path", sandbox.handlers().to_str().unwrap()]).succeeds();
    assert_eq!(server.get("/new").text(), "new");
    fs::write(source, says("newer")).unwrap();
    sandbox.caffeine(&["--deploy", source]).succeeds();
    assert_eq!(server.get("/new").text(), "newer");
    assert_eq!(mode(&sandbox.handlers().join("new")), (0, 0o755));
    server.stop();
}

#[test]
fn root_does_not_serve_from_the_directory_of_another_user() {
    if !is_root("root_does_not_serve_from_the_directory_of_another_user") {
        return;
    }
    let sandbox = open_home();
    start_as(&sandbox, &NOBODY.to_string(), &[]).stop();
    let state = sandbox.path("state");
    let place = ["--state-dir", state.to_str().unwrap(), "-n", "lab", "-p", "0", "--bind", "127.0.0.1"];
    sandbox.caffeine(&place).fails(1, "belongs to user 54321");
}

#[test]
fn a_reload_with_refuse_root_is_refused_by_root() {
    if !is_root("a_reload_with_refuse_root_is_refused_by_root") {
        return;
    }
    let sandbox = open_home();
    sandbox.write("c.toml", "");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    sandbox.write("c.toml", "refuse-root = true\n");
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "keeps its old configuration");
    assert!(server.log().contains("refuse-root forbids"), "{}", server.log());
    server.stop();
}

#[test]
fn a_handler_cannot_inspect_the_server_unless_it_is_dumpable() {
    const LOOK: &str = r"#!/bin/sh
printf 'HTTP/1.1 200 OK\r\n\r\n'
boss=$(sed -n 's/^PPid:.//p' /proc/$PPID/status)
for pid in $PPID $boss; do
    grep -c SECRET_OF_THE_SERVER /proc/$pid/environ || echo unread
    head -c 1 /proc/$pid/maps >/dev/null && echo mapped || echo hidden
done
";
    let sandbox = open_home();
    sandbox.handler("look", LOOK);
    let program = sandbox.path("caffeine");
    copy_program(env!("CARGO_BIN_EXE_caffeine"), &program);
    let state = sandbox.path("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    for (dumpable, seen) in [("--dumpable=false", "unread\nhidden\n"), ("--dumpable", "1\nmapped\n")] {
        let arguments = [dumpable, "-w", "1", "--state-dir", state.to_str().unwrap()];
        let server = sandbox.start_with(&arguments, |command| {
            command.env("SECRET_OF_THE_SERVER", "x");
            if geteuid().is_root() {
                executed_by(command, &["sh", "-c", "shift; exec \"$0\" \"$@\"", program.to_str().unwrap()]);
                command.uid(NOBODY).gid(NOBODY);
            }
        });
        assert_eq!(server.get("/look").text(), seen.repeat(2), "{dumpable}");
        // It still has its own files open.
        let score = oom_points(server.pid());
        let board = caffeine::scoreboard::Scoreboard::open(&state.join(server.name()).join("scoreboard"));
        for row in board.unwrap().snapshot() {
            assert_eq!(oom_points(u32::try_from(row.pid).unwrap()), (score + 100).min(1000));
        }
    }
}
