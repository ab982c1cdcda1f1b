//! `--forget` removes a stopped instance completely and refuses a running one.

use std::os::unix::fs::{MetadataExt, symlink};

use crate::harness::{Sandbox, names_in};
use crate::platform::privileges::{NOBODY, is_root, open_home, start_as};

#[test]
fn forget_removes_a_stopped_instance_with_its_whole_directory() {
    let sandbox = Sandbox::new();
    for name in ["lab", "other"] {
        sandbox.start(&["-n", name]).stop();
    }
    let folder = sandbox.folder("lab");
    let elsewhere = sandbox.write("elsewhere/kept", "");
    sandbox.write(".local/state/caffeine/lab/log.1/old", "");
    symlink(elsewhere.parent().unwrap(), folder.dir().join("link")).unwrap();
    assert_eq!(sandbox.caffeine(&["--forget", "lab"]).succeeds().stdout, "forgot lab\n");
    assert_eq!(names_in(&sandbox.state_dir()), ["other"]);
    assert!(elsewhere.exists(), "what a link led to stays");
    sandbox.caffeine(&["--forget", "lab"]).fails(1, "stopped: other");
    sandbox.caffeine(&["-n", "lab", "--log"]).fails(1, "has no log");
    sandbox.start(&["-n", "lab"]).stop();
}

#[test]
fn a_running_instance_is_not_forgotten() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-n", "lab"]);
    let files = names_in(server.folder().dir());
    let refusal =
        format!("instance lab is running (pid {}); stop it first: `caffeine -n lab --stop`", server.pid());
    sandbox.caffeine(&["--forget", "lab"]).fails(1, &refusal);
    assert_eq!(names_in(server.folder().dir()), files);
    server.stop();
}

#[test]
fn forget_removes_only_instance_directories() {
    let sandbox = Sandbox::new();
    let file = sandbox.write(".local/state/caffeine/mine/file", "");
    sandbox.caffeine(&["--forget", "mine"]).fails(1, "there is no instance mine");
    sandbox.write("target/pid", "");
    symlink(sandbox.path("target"), sandbox.state_dir().join("link")).unwrap();
    assert_ne!(sandbox.caffeine(&["--forget", "link"]).code, Some(0));
    sandbox.caffeine(&["--forget", "../caffeine"]).fails(2, "is not an instance name");
    assert!(file.exists() && sandbox.path("target/pid").exists());
}

#[test]
fn concurrent_start_and_forget_do_not_interfere() {
    let sandbox = Sandbox::new();
    for _ in 0..10 {
        sandbox.start(&["-n", "lab", "-w", "1"]).stop();
        let port = std::thread::scope(|scope| {
            let forgetting = scope.spawn(|| sandbox.caffeine(&["--forget", "lab"]));
            let port = sandbox.start_daemon("lab", &["-w", "1"]);
            let forgot = forgetting.join().unwrap();
            assert!(forgot.code == Some(0) || forgot.stderr.contains("is running"), "{forgot:?}");
            port
        });
        let list = sandbox.caffeine(&["-L"]).succeeds().stdout;
        assert!(list.contains(&format!(":{port} ")), "{list}");
        sandbox.caffeine(&["-n", "lab", "--stop"]).succeeds();
    }
    assert_eq!(names_in(&sandbox.state_dir()), ["lab"]);
}

#[test]
fn root_forgets_with_the_permissions_of_the_owner() {
    if !is_root("root_forgets_with_the_permissions_of_the_owner") {
        return;
    }
    let sandbox = open_home();
    let user = NOBODY.to_string();
    let dir = {
        let server = start_as(&sandbox, &user, &[]);
        let dir = server.folder().dir().to_owned();
        server.stop();
        dir
    };
    let state = sandbox.path("state");
    assert_eq!((dir.metadata().unwrap().uid(), state.metadata().unwrap().uid()), (NOBODY, 0));
    // Files of root stay, even behind a link.
    let treasure = sandbox.write("treasure/of-root", "");
    symlink(treasure.parent().unwrap(), dir.join("link")).unwrap();
    sandbox.caffeine(&["--state-dir", state.to_str().unwrap(), "--forget", "lab"]).succeeds();
    assert!(names_in(&state).is_empty() && treasure.exists());
}
