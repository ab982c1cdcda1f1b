//! git-http-backend: clones, shallow ones too, in both protocols, and pushes of a known user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{installed, mount, serving};
use crate::harness::{Sandbox, Server, eventually};

pub fn backend() -> Option<PathBuf> {
    installed(&["/usr/lib/git-core/git-http-backend", "/usr/libexec/git-core/git-http-backend"], "git")
}

/// Runs git in a directory, as a user without settings of their own.
fn run(sandbox: &Sandbox, directory: &Path, arguments: &[&str]) -> Output {
    let mut git = Command::new("git");
    git.current_dir(directory).args(arguments).env_clear();
    git.env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", sandbox.path(""))
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "A").env(format!("GIT_{role}_EMAIL"), "a@example.org");
    }
    git.output().unwrap()
}

/// Expects success, and returns what git prints.
#[track_caller]
pub fn git(sandbox: &Sandbox, directory: &Path, arguments: &[&str]) -> String {
    let output = run(sandbox, directory, arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A bare repository `repositories/r.git` with three commits.
pub fn repository(sandbox: &Sandbox) -> PathBuf {
    let (work, bare) = (sandbox.path("work"), sandbox.path("repositories/r.git"));
    fs::create_dir_all(&work).unwrap();
    git(sandbox, &work, &["init", "-q", "-b", "main"]);
    for number in 1..=3 {
        fs::write(work.join("file"), format!("version {number}\n")).unwrap();
        git(sandbox, &work, &["add", "file"]);
        git(sandbox, &work, &["commit", "-q", "-m", &format!("commit {number}")]);
    }
    git(sandbox, &work, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    fs::write(bare.join("description"), "a repository for tests\n").unwrap();
    bare
}

/// The `[env]` table for the backend.
pub fn variables(sandbox: &Sandbox) -> String {
    let root = sandbox.path("repositories").display().to_string();
    format!("[env]\nGIT_PROJECT_ROOT = {root:?}\nGIT_HTTP_EXPORT_ALL = \"1\"\n\n")
}

/// A server with the repository at `/git/r.git`; its URL, and the bare repository.
fn start(sandbox: &Sandbox, backend: &Path, arguments: &[&str]) -> (Server, String, PathBuf) {
    let bare = repository(sandbox);
    let server = serving(sandbox, &(variables(sandbox) + &mount("/git", backend, &[])), arguments);
    let url = format!("http://127.0.0.1:{}/git/r.git", server.port());
    (server, url, bare)
}

/// Commits a file of bytes that do not become fewer when packed.
fn commit_noise(sandbox: &Sandbox, clone: &Path, name: &str, bytes: usize) {
    let next = |seed: &mut u32| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*seed >> 24) as u8)
    };
    fs::write(clone.join(name), (0..bytes).scan(7, |seed, _| next(seed)).collect::<Vec<u8>>()).unwrap();
    git(sandbox, clone, &["add", name]);
    git(sandbox, clone, &["commit", "-q", "-m", name]);
}

/// The subject of the last commit.
fn last(sandbox: &Sandbox, bare: &Path) -> String {
    git(sandbox, bare, &["log", "-1", "--format=%s", "main"]).trim().to_owned()
}

#[test]
fn git_clones_in_part_and_pushes_in_chunks() {
    let Some(backend) = backend() else { return };
    let sandbox = Sandbox::new();
    let (server, url, bare) = start(&sandbox, &backend, &[]);
    git(&sandbox, &bare, &["config", "http.receivepack", "true"]);
    let home = sandbox.path("");
    for version in ["0", "2"] {
        let (protocol, target) = (format!("protocol.version={version}"), format!("shallow-{version}"));
        git(&sandbox, &home, &["-c", &protocol, "clone", "-q", "--depth", "1", &url, &target]);
        assert_eq!(git(&sandbox, &sandbox.path(&target), &["rev-list", "--count", "HEAD"]).trim(), "1");
    }
    git(&sandbox, &home, &["clone", "-q", &url, "whole"]);
    let clone = sandbox.path("whole");
    // Beyond its buffer git sends a body in chunks.
    for (name, buffer, bytes) in
        [("small", "1048576", 10), ("chunked", "65536", 5_000_000), ("whole", "8388608", 3_000_000)]
    {
        commit_noise(&sandbox, &clone, name, bytes);
        let buffer = format!("http.postBuffer={buffer}");
        git(&sandbox, &clone, &["-c", &buffer, "push", "-q", "origin", "HEAD:main"]);
        assert_eq!(last(&sandbox, &bare), name);
    }
    assert_eq!(server.get("/git/../../../etc/passwd").status, 404);
    server.stop();
}

#[test]
fn git_pushes_for_the_user_that_a_trusted_proxy_names_and_for_no_other() {
    let Some(backend) = backend() else { return };
    let sandbox = Sandbox::new();
    let arguments = ["--trusted-proxy", "127.0.0.1", "--remote-user-header", "X-Remote-User"];
    let arguments = [&arguments[..], &["--access-log", "combined"]].concat();
    let (server, url, bare) = start(&sandbox, &backend, &arguments);
    git(&sandbox, &sandbox.path(""), &["clone", "-q", &url, "clone"]);
    let clone = sandbox.path("clone");
    commit_noise(&sandbox, &clone, "new", 10);
    let refused = run(&sandbox, &clone, &["push", "-q", "origin", "HEAD:main"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("403"), "{told}");
    let header = "http.extraHeader=X-Remote-User: ann";
    git(&sandbox, &clone, &["-c", header, "push", "-q", "origin", "HEAD:main"]);
    assert_eq!(last(&sandbox, &bare), "new");
    eventually("the access log says who pushed", || {
        let log = fs::read_to_string(server.folder().access_log()).unwrap_or_default();
        log.lines()
            .any(|line| line.contains(" - ann [") && line.contains("POST /git/r.git/git-receive-pack "))
    });
}
