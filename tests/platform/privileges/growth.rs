//! Reloads to more workers after the instance dropped root: which user the new sockets belong to.

use super::{NOBODY, is_root, open_home, start_as};
use crate::harness::{Outcome, Sandbox, Server, privileged_port};

/// Starts a server as a user and reloads it with more workers.
fn grow_as(user: &str, listener: &str, more: &[&str]) -> (Sandbox, Server, Outcome) {
    let sandbox = open_home();
    sandbox.write("c.toml", "workers = 2\n");
    let config = sandbox.path("c.toml");
    let arguments = ["--listener", listener, "-c", config.to_str().unwrap()];
    let server = start_as(&sandbox, user, &[&arguments[..], more].concat());
    sandbox.write("c.toml", "workers = 16\n");
    let state = sandbox.path("state");
    let reloaded = sandbox.caffeine(&["-n", "lab", "--state-dir", state.to_str().unwrap(), "--reload"]);
    (sandbox, server, reloaded)
}

#[test]
fn after_setuid_a_reload_adds_sockets_but_not_on_a_privileged_port() {
    if !is_root("after_setuid_a_reload_adds_sockets_but_not_on_a_privileged_port") {
        return;
    }
    let user = NOBODY.to_string();
    for listener in ["reuseport", "reuseport-steal", "reuseport-cbpf", "reuseport:private"] {
        let (_sandbox, server, reloaded) = grow_as(&user, listener, &[]);
        reloaded.succeeds();
        assert_eq!(server.worker_pids().len(), 16, "{listener}");
        (0..50).for_each(|_| assert_eq!(server.get("/hello").status, 200));
        server.stop();
    }
    let port = privileged_port();
    let (_sandbox, server, reloaded) = grow_as(&user, "reuseport", &["-p", &port]);
    reloaded.fails(1, "");
    assert!(server.log().contains(&format!("port {port} is privileged")), "{}", server.log());
    assert_eq!(server.get("/hello").status, 200);
    let state = open_home();
    let place =
        ["--user", &user, "--group", &user, "-p", &port, "--listener", "reuseport:private", "-n", "other"];
    state
        .caffeine(&[&place[..], &["--bind", "127.0.0.2"]].concat())
        .fails(1, "is privileged, and with reuseport:private");
    server.stop();
}
