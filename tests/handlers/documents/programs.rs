//! Programs that exist, unmodified. `.ci/run` installs them; what is missing is skipped and said.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::text;
use crate::harness::{Response, Sandbox, Server, skipped};

/// The first of these files that is installed, after reporting if none is.
pub(super) fn installed(files: &[&str], package: &str) -> Option<PathBuf> {
    let found = files.iter().map(PathBuf::from).find(|file| file.is_file());
    if found.is_none() {
        skipped(format!("{} is not installed (package {package})", files[0]));
    }
    found
}

/// A server of document responses, whose handlers have these variables.
fn with_variables(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Server {
    let env: String = variables.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    let config = sandbox.write("c.toml", format!("workers = 2\nresponse = \"document\"\n\n[env]\n{env}"));
    sandbox.start(&["-c", config.to_str().unwrap()])
}

/// Runs git in a directory, as a user without settings of their own.
#[track_caller]
pub(super) fn git(sandbox: &Sandbox, directory: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(directory).args(arguments).env_clear();
    git.env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", sandbox.path(""))
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "A").env(format!("GIT_{role}_EMAIL"), "a@example.org");
    }
    let output = git.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A bare repository `repositories/r.git` with three commits, which may be pushed to.
pub(super) fn repository(sandbox: &Sandbox) -> PathBuf {
    let (work, bare) = (sandbox.path("work"), sandbox.path("repositories/r.git"));
    fs::create_dir_all(&work).unwrap();
    git(sandbox, &work, &["init", "-q", "-b", "main"]);
    for number in 1..=3 {
        fs::write(work.join("file"), format!("version {number}\n")).unwrap();
        git(sandbox, &work, &["add", "file"]);
        git(sandbox, &work, &["commit", "-q", "-m", &format!("commit {number}")]);
    }
    git(sandbox, &work, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    git(sandbox, &bare, &["config", "http.receivepack", "true"]);
    fs::write(bare.join("description"), "a repository for tests\n").unwrap();
    bare
}

#[test]
fn git_clones_and_pushes() {
    let Some(backend) =
        installed(&["/usr/lib/git-core/git-http-backend", "/usr/libexec/git-core/git-http-backend"], "git")
    else {
        return;
    };
    let sandbox = Sandbox::new();
    let bare = repository(&sandbox);
    symlink(backend, sandbox.handlers().join("git")).unwrap();
    let root = sandbox.path("repositories").display().to_string();
    let server = with_variables(&sandbox, &[("GIT_PROJECT_ROOT", &root), ("GIT_HTTP_EXPORT_ALL", "1")]);
    let url = format!("http://127.0.0.1:{}/git/r.git", server.port());
    let home = sandbox.path("");
    git(&sandbox, &home, &["clone", "-q", &url, "whole"]);
    assert_eq!(fs::read_to_string(sandbox.path("whole/file")).unwrap(), "version 3\n");
    for version in ["0", "2"] {
        let (protocol, target) = (format!("protocol.version={version}"), format!("shallow-{version}"));
        git(&sandbox, &home, &["-c", &protocol, "clone", "-q", "--depth", "1", &url, &target]);
        assert_eq!(git(&sandbox, &sandbox.path(&target), &["rev-list", "--count", "HEAD"]).trim(), "1");
    }
    let clone = sandbox.path("whole");
    for (name, buffer, bytes) in [("small", "1048576", 10), ("chunked", "65536", 700_000)] {
        // Random, so that it cannot be compressed below the buffer.
        let noise: Vec<u8> = (0..bytes)
            .scan(7_u32, |seed, _| {
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some((*seed >> 24) as u8)
            })
            .collect();
        fs::write(clone.join(name), noise).unwrap();
        git(&sandbox, &clone, &["add", name]);
        git(&sandbox, &clone, &["commit", "-q", "-m", name]);
        git(
            &sandbox,
            &clone,
            &["-c", &format!("http.postBuffer={buffer}"), "push", "-q", "origin", "HEAD:main"],
        );
        let pushed = git(&sandbox, &bare, &["log", "-1", "--format=%s", "main"]);
        assert_eq!(pushed.trim(), name);
    }
    assert_eq!(server.get("/git/none.git/info/refs?service=git-upload-pack").status, 404);
    server.stop();
}

#[test]
fn cgit_shows_a_repository() {
    let Some(program) = installed(&["/usr/lib/cgit/cgit.cgi"], "cgit") else { return };
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let settings = format!(
        "enable-git-config=0\nvirtual-root=/cgit\nscan-path={}\n",
        sandbox.path("repositories").display()
    );
    let settings = sandbox.write("cgitrc", settings).display().to_string();
    symlink(program, sandbox.handlers().join("cgit")).unwrap();
    let server = with_variables(&sandbox, &[("CGIT_CONFIG", &settings)]);
    for (target, expected) in [
        ("/cgit/", "a repository for tests"),
        ("/cgit/r.git/log/", "commit 2"),
        ("/cgit/r.git/plain/file", "version 3"),
    ] {
        let response = server.get(target);
        assert_eq!(response.status, 200, "{response:?}");
        assert!(text(&response).contains(expected), "{target}: {response:?}");
    }
    assert_eq!(server.get("/cgit/none/").status, 404);
}

#[test]
fn gitweb_shows_a_repository() {
    let Some(program) = installed(&["/usr/share/gitweb/gitweb.cgi", "/usr/lib/cgi-bin/gitweb.cgi"], "gitweb")
    else {
        return;
    };
    if !has_cgi_pm() {
        return;
    }
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let root = sandbox.path("repositories").display().to_string();
    let settings =
        sandbox.write("gitweb.conf", format!("$projectroot = \"{root}\";\n1;\n")).display().to_string();
    symlink(program, sandbox.handlers().join("gitweb")).unwrap();
    let server = with_variables(&sandbox, &[("GITWEB_CONFIG", &settings)]);
    for (target, status, expected) in [
        ("/gitweb", 200, "a repository for tests"),
        ("/gitweb?p=r.git;a=shortlog", 200, "commit 2"),
        ("/gitweb?p=none.git", 404, "404"),
    ] {
        let response = server.get(target);
        assert_eq!(response.status, status, "{response:?}");
        assert!(text(&response).contains(expected), "{target}: {response:?}");
    }
    let head = Response::parse(&server.raw(b"HEAD /gitweb HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn fossil_serves_a_repository() {
    let Some(fossil) = installed(&["/usr/bin/fossil", "/usr/local/bin/fossil"], "fossil") else { return };
    let sandbox = Sandbox::new();
    let repository = sandbox.path("r.fossil");
    let mut init = Command::new(&fossil);
    init.args(["init", "--admin-user", "a"]).arg(&repository).env("HOME", sandbox.path("")).env("USER", "a");
    let output = init.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    sandbox.handler("code", format!("#!{}\nrepository: {}\n", fossil.display(), repository.display()));
    let server = with_variables(&sandbox, &[("USER", "a"), ("HOME", sandbox.path("").to_str().unwrap())]);
    let timeline = server.get("/code/timeline");
    assert_eq!(timeline.status, 200, "{timeline:?}");
    assert!(text(&timeline).contains("initial empty check-in"), "{timeline:?}");
    let home = server.get("/code");
    assert_eq!(home.status, 302, "{home:?}");
    assert!(home.header("location").is_some_and(|location| location.contains("/code/")), "{home:?}");
}

/// Whether Perl has its CGI module, after reporting if it does not.
pub(super) fn has_cgi_pm() -> bool {
    let loads =
        Command::new("perl").args(["-MCGI", "-e", "1"]).output().is_ok_and(|output| output.status.success());
    if !loads {
        skipped("Perl's CGI.pm is not installed (package libcgi-pm-perl)");
    }
    loads
}

#[test]
fn perl_with_cgi_pm_answers() {
    if !has_cgi_pm() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.handler(
        "page",
        "#!/usr/bin/perl\nuse CGI;\nmy $q = CGI->new;\nif ($q->param('to')) { print $q->redirect($q->param('to')); exit }\n\
         print $q->header(-status => '404 Not Here', -type => 'text/plain'), 'sent ', $q->param('a');\n",
    );
    let server = with_variables(&sandbox, &[]);
    let response = server.get("/page?a=b");
    assert_eq!((response.status, text(&response).as_str()), (404, "sent b"));
    let form = b"POST /page HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=c";
    assert_eq!(text(&Response::parse(&server.raw(form))), "sent c");
    let moved = server.get("/page?to=http://example.org/");
    assert_eq!((moved.status, moved.header("location")), (302, Some("http://example.org/")));
}

#[test]
fn python_with_wsgiref_answers() {
    if installed(&["/usr/bin/python3", "/usr/local/bin/python3"], "python3").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.handler(
        "app",
        "#!/usr/bin/env python3\nfrom wsgiref.handlers import CGIHandler\n\
         def app(environ, start):\n    start('418 I am a teapot', [('Content-Type', 'text/plain')])\n    \
         yield b'path ' + environ['PATH_INFO'].encode()\n    yield b' body ' + environ['wsgi.input'].read()\n\
         CGIHandler().run(app)\n",
    );
    let server = with_variables(&sandbox, &[]);
    let response = server.post("/app/x", b"hello");
    assert_eq!((response.status, text(&response).as_str()), (418, "path /x body hello"), "{response:?}");
}

#[test]
fn php_cgi_answers() {
    let Some(php) = installed(&["/usr/bin/php-cgi", "/usr/local/bin/php-cgi"], "php-cgi") else { return };
    let sandbox = Sandbox::new();
    sandbox.handler(
        "page.php",
        format!(
            "#!{}\n<?php http_response_code(201); header('Content-Type: text/plain'); \
             echo 'path ', $_SERVER['PATH_INFO'] ?? '', ' length ', strlen(file_get_contents('php://input'));\n",
            php.display()
        ),
    );
    let server = with_variables(&sandbox, &[("REDIRECT_STATUS", "200")]);
    let response = server.get("/page.php/more");
    assert_eq!((response.status, text(&response).as_str()), (201, "path /more length 0"), "{response:?}");
    let response = server.post("/page.php", &vec![b'x'; 3_000_000]);
    assert_eq!((response.status, text(&response).as_str()), (201, "path  length 3000000"), "{response:?}");
}
