//! The image of packaging/Dockerfile, without an engine: the last stage is carried out on a root file system of busybox, which
//! then runs in namespaces of its own. With TEST_IMAGE_PROGRAM another program than that of the tests is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};

use super::privileges::is_root;
use crate::harness::traffic::children;
use crate::harness::{Sandbox, copy_program, eventually, pid, says, skipped};

const DOCKERFILE: &str = include_str!("../../src/server/packaging/Dockerfile");
/// What an engine does before it starts process 1.
const SET_UP: &str = "root=$1 user=$2; shift 2; ip link set lo up && mount --bind \"$root\" \"$root\" &&
    mount -t proc proc \"$root/proc\" && mount --bind /dev \"$root/dev\" && exec chroot --userspec=\"$user\" \"$root\" \"$@\"";

#[derive(Debug, Default)]
struct Image {
    root: PathBuf,
    variables: Vec<String>,
    user: String,
    health: String,
    command: Vec<String>,
}

impl Image {
    /// Carries out the last stage.
    fn build(root: &Path) -> Self {
        let mut image = Self { root: root.to_owned(), ..Self::default() };
        image.base();
        let text = DOCKERFILE.replace("\\\n", " ");
        let stage = text.rsplit("\nFROM ").next().unwrap();
        for line in stage.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (instruction, rest) = line.split_once(' ').unwrap();
            match instruction {
                "COPY" => image.install(&program(), rest.rsplit(' ').next().unwrap()),
                "RUN" => image.run(&["/bin/sh", "-c", rest]),
                "ENV" => image.variables.extend(rest.split(' ').map(ToOwned::to_owned)),
                "USER" => rest.clone_into(&mut image.user),
                "HEALTHCHECK" => rest.split_once(" CMD ").unwrap().1.clone_into(&mut image.health),
                "ENTRYPOINT" => image.command = serde_json::from_str(rest).unwrap(),
                "EXPOSE" => assert_eq!(rest, "8080"),
                other => panic!("this test cannot carry out {other}"),
            }
        }
        image
    }

    /// The base image: busybox and its applets.
    fn base(&self) {
        for folder in ["bin", "dev", "proc", "tmp"] {
            fs::create_dir_all(self.root.join(folder)).unwrap();
        }
        for folder in ["", "tmp"] {
            let mode = if folder == "tmp" { 0o1777 } else { 0o755 };
            fs::set_permissions(self.root.join(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
        self.install(Path::new("/bin/busybox"), "/bin/busybox");
        self.run(&["/bin/busybox", "--install", "-s", "/bin"]);
    }

    /// Copies a program, and the libraries that a dynamic one needs.
    fn install(&self, program: &Path, to: &str) {
        let put = |from: &Path, to: &str| {
            let to = self.root.join(to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            copy_program(from, to);
        };
        put(program, to);
        let libraries = Command::new("ldd").arg(program).output().unwrap().stdout;
        let libraries = String::from_utf8(libraries).unwrap();
        libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .for_each(|path| put(path.as_ref(), path));
    }

    fn run(&self, words: &[&str]) {
        let status = Command::new("chroot").arg(&self.root).args(words).status().unwrap();
        assert!(status.success(), "{words:?}");
    }

    /// Starts it as an engine would.
    fn start(&self) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--net", "--fork", "--kill-child", "--", "sh", "-c", SET_UP, "sh"]);
        command.arg(&self.root).arg(&self.user).args(["/bin/env", "-i", "PATH=/usr/bin:/bin"]);
        command.args(&self.variables).args(&self.command).stdin(Stdio::null());
        command
    }
}

/// The program that the image is to have.
fn program() -> PathBuf {
    std::env::var_os("TEST_IMAGE_PROGRAM")
        .map_or_else(|| env!("CARGO_BIN_EXE_caffeine").into(), PathBuf::from)
}

/// Whether all that the test needs is here.
fn can_run() -> bool {
    let tried: [(&str, &[&str]); 4] = [
        ("unshare", &["--mount", "--pid", "--net", "--fork", "true"]),
        ("nsenter", &["--version"]),
        ("ip", &["-Version"]),
        ("/bin/busybox", &["true"]),
    ];
    let fails = |(program, arguments): &(&str, &[&str])| {
        let output = Command::new(program).args(*arguments).output();
        !output.is_ok_and(|output| output.status.success())
    };
    let missing = tried.iter().find(|tried| fails(tried));
    missing.iter().for_each(|(program, _)| skipped(format!("{program} is missing or cannot be used")));
    missing.is_none()
}

/// Runs a shell command in the container of process `first`.
fn inside(first: u32, user: &str, script: &str, output: Stdio) -> Output {
    let (user, group) = user.split_once(':').unwrap();
    let mut command = Command::new("timeout");
    command.args([
        "5",
        "nsenter",
        "--mount",
        "--net",
        "--pid",
        "--root",
        "--wd",
        "--target",
        &first.to_string(),
    ]);
    command.args(["--setuid", user, "--setgid", group, "/bin/sh", "-c", script]);
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap()
}

#[test]
fn the_image_serves_as_process_1_of_an_ordinary_user_and_its_health_check_notices_stopped_workers() {
    if !is_root("a root file system") || !can_run() {
        return;
    }
    let sandbox = Sandbox::new();
    let image = Image::build(&sandbox.path("root"));
    sandbox.program("root/srv/handlers/hello", says("hello"));
    let port = ["--port", "8080", "--bind", "0.0.0.0"]; // the defaults
    let mut server = sandbox.start_with(&port, |command| *command = image.start());
    assert_eq!((server.name(), server.port()), ("web", 8080));
    let first = children(server.pid())[0];
    let about = fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let process_1 = format!("NSpid:\t{first}\t1\n");
    for line in
        ["Name:\tcaffeine\n", &process_1, "Uid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n"]
    {
        assert!(about.contains(line), "{line:?}: {about}");
    }
    let healthy = || inside(first, &image.user, &image.health, Stdio::null()).status.success();
    assert!(healthy());
    let request = "printf 'GET /hello HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' | nc 127.0.0.1 8080";
    let answer = inside(first, &image.user, request, Stdio::piped());
    assert!(answer.stdout.ends_with(b"\r\n\r\nhello"), "{answer:?}");
    let workers = children(first);
    let all = |signal: Signal| workers.iter().for_each(|&worker| kill(pid(worker), signal).unwrap());
    all(Signal::SIGSTOP);
    assert!(!healthy());
    all(Signal::SIGCONT);
    eventually("it is healthy again", healthy);
    kill(pid(first), Signal::SIGTERM).unwrap();
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("target=/hello") && log.contains("stopped"), "{log}");
    assert!(!image.root.join("var/lib/caffeine/web/log").exists(), "the log is on standard error alone");
}
