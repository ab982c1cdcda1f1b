//! `[[mount]]`: a program or a directory of handlers below a path, with settings of its own.

use std::os::unix::fs::symlink;

use crate::harness::{Sandbox, Server, eventually};

/// Says which file it is and what it was asked for, one variable a line.
const TELLS: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n\
    echo \"$0 $*\"; pwd; echo \"$SCRIPT_NAME|$PATH_INFO|$QUERY_STRING\"; echo \"$GREETING|$OTHER|$REDIRECT_STATUS\"; ulimit -n\n";

/// A server with a program at `/run`, a directory at `/app`, one at `/app/deep`, and its own directory.
fn start(sandbox: &Sandbox, more: &str) -> Server {
    for name in
        ["programs/tells", "app/index", "app/tool", "app/sub/index", "deep/tool", ".config/caffeine/own"]
    {
        sandbox.program(name, TELLS);
    }
    sandbox.program(".config/caffeine/app/index", TELLS);
    sandbox.program(".config/caffeine/dir/index", TELLS);
    sandbox.write("app/text", "text");
    let path = |name: &str| sandbox.path(name).to_str().unwrap().to_owned();
    let (tells, app, deep) = (path("programs/tells"), path("app"), path("deep"));
    sandbox.write(
        "c.toml",
        format!(
            "[env]\nGREETING = \"all\"\nOTHER = \"o\"\n\
             [[mount]]\nat = \"/run\"\nrun = [\"{tells}\", \"an argument\", \"--x\"]\nhandler-limit = \"files=77\"\n\
             env = {{ GREETING = \"mine\", REDIRECT_STATUS = 200 }}\n\
             [[mount]]\nat = \"/app\"\ndir = \"{app}\"\n[[mount]]\nat = \"/app/deep\"\ndir = \"{deep}\"\n{more}"
        ),
    );
    sandbox.start(&["-c", "c.toml", "--workers", "1"])
}

#[test]
fn a_program_gets_everything_below_its_mount_and_its_own_settings() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, "");
    let programs = sandbox.path("programs");
    for (target, names) in [
        ("/run", "/run||"),
        ("/run/", "/run|/|"),
        ("/run/a/b?x=1", "/run|/a/b|x=1"),
        ("/%72un/a%20b%2fc", "/run|/a b/c|"),
    ] {
        let response = server.get(target);
        assert_eq!(response.status, 200, "{target}");
        let text = response.text();
        let lines: Vec<_> = text.lines().collect();
        let first = format!("{}/tells an argument --x", programs.display());
        assert_eq!(lines, [&*first, programs.to_str().unwrap(), names, "mine|o|200", "77"], "{target}");
    }
    for (target, status) in [("/run/../own", 404), ("/run/%2e%2e", 404), ("/runs", 404), ("/run/%00", 400)] {
        assert_eq!(server.get(target).status, status, "{target}");
    }
    assert_eq!(server.get("/own").text().lines().nth(3), Some("all|o|"), "others are as before");
    assert_eq!(server.post("/run/x", &[b'x'; 3000]).status, 200);
}

#[test]
fn inside_a_mount_directories_end_with_a_slash_and_an_index_gets_the_rest() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, "");
    let names = |target: &str| server.get(target).text().lines().nth(2).map(str::to_owned);
    for (target, expected) in [
        ("/app/", "/app|/|"),
        ("/app/x/y?q", "/app|/x/y|q"),
        ("/app/tool/z", "/app/tool|/z|"),
        ("/app/sub/", "/app/sub|/|"),
        ("/app/sub/x", "/app/sub|/x|"),
        ("/app/deep/tool", "/app/deep/tool||"),
        ("/own/x", "/own|/x|"),
        ("/dir", "/dir/index||"),
        ("/dir/", "/dir/index||"),
    ] {
        assert_eq!(names(target).as_deref(), Some(expected), "{target}");
    }
    for (target, location) in [("/app", "/app/"), ("/app?a=b&c", "/app/?a=b&c"), ("/app/sub", "/app/sub/")] {
        let response = server.get(target);
        assert_eq!((response.status, response.header("location")), (301, Some(location)), "{target}");
    }
    let moved = server.post("/app/sub", &[b'x'; 100_000]);
    assert_eq!((moved.status, moved.header("location")), (308, Some("/app/sub/")));
    for (target, status) in [
        ("/app/text", 403),
        ("/app/x/%2e%2e/tool", 404),
        ("/app/%2e%2e/programs/tells", 404),
        ("/app/..%2fprograms%2ftells", 404),
        ("/app/deep", 404),
        ("/app/deep/missing", 404),
        ("/dir/missing", 404),
        ("/application", 404),
    ] {
        assert_eq!(server.get(target).status, status, "{target}");
    }
}

#[test]
fn a_new_handler_takes_its_path_from_the_index_at_once() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, "");
    let first = |target: &str| server.get(target).text().lines().next().map(str::to_owned);
    let index = format!("{} ", sandbox.path("app/index").display());
    (0..3).for_each(|_| assert_eq!(first("/app/new/x").as_deref(), Some(&*index)));
    symlink(sandbox.path("app/tool"), sandbox.path("app/new")).unwrap();
    assert_eq!(first("/app/new/x"), Some(format!("{} ", sandbox.path("app/new").display())));
}

#[test]
fn a_mount_at_the_root_has_all_that_no_other_takes() {
    let sandbox = Sandbox::new();
    let tells = sandbox.program("tells", TELLS);
    let root = format!("[[mount]]\nat = \"/\"\nrun = [\"{}\"]\n", tells.display());
    let server = start(&sandbox, &root);
    let names = |target: &str| server.get(target).text().lines().nth(2).map(str::to_owned);
    for (target, expected) in [
        ("/", "|/|"),
        ("/own/x", "|/own/x|"),
        ("//x", "|//x|"),
        ("/application", "|/application|"),
        ("/run/x", "/run|/x|"),
    ] {
        assert_eq!(names(target).as_deref(), Some(expected), "{target}");
    }
    assert_eq!(server.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")[..12], *b"HTTP/1.1 200");
    eventually("the log names the mount", || server.log().contains("handler=/ "));
}

#[test]
fn a_mount_has_a_timeout_of_its_own() {
    let sandbox = Sandbox::new();
    let hangs = sandbox.program("hangs", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec sleep 60\n");
    sandbox.handler("slow", "#!/bin/sh\nsleep 3\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nslow'\n");
    sandbox.write(
        "c.toml",
        format!("[[mount]]\nat = \"/hangs\"\nrun = [\"{}\"]\nhandler-timeout = \"1s\"\n", hangs.display()),
    );
    let server = sandbox.start(&["-c", "c.toml"]);
    assert_eq!(server.get("/hangs").status, 200);
    eventually("the log tells", || server.log().contains("handler exceeded handler-timeout"));
    assert!(server.log().contains("handler=/hangs"), "{}", server.log());
    assert_eq!(server.get("/slow").text(), "slow", "others have none");
}

#[test]
fn a_reload_changes_mounts_and_a_refused_one_does_not() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, "");
    let file = std::fs::read_to_string(sandbox.path("c.toml")).unwrap();
    sandbox.write("c.toml", file.replace("/run", "/walk"));
    server.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("the mount is elsewhere", || server.get("/walk/x").status == 200);
    eventually("and no longer where it was", || server.get("/run/x").status == 404);
    sandbox.write("c.toml", file.replace("run = [", "run = 1 # ["));
    server.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("the reload is refused", || server.log().contains("c.toml:6: [[mount]] run: must be a list"));
    assert_eq!(server.get("/walk/x").status, 200);
}
