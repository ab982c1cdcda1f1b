//! What a trusted proxy says of its client reaches handlers and logs, also through the keeper; what others say does not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::harness::{DEADLINE, Response, Sandbox, Server, eventually};

/// Prints what is known of the client.
const SHOWS: &str = "echo \"${REMOTE_ADDR-unset}|${REMOTE_PORT+port}|$SERVER_PORT|${REQUEST_SCHEME-}|${HTTPS-}|${REMOTE_USER-}|${AUTH_TYPE-}|\
    ${HTTP_X_FORWARDED_FOR-}|${HTTP_X_USER-}\"\n";
const CLAIMS: &str = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-User: ann\r\nX-Forwarded-Host: evil\r\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.handler("env", format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n{SHOWS}"));
    sandbox.handler("cgi", format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n{SHOWS}"));
    sandbox.handler("moved", "#!/bin/sh\nprintf 'Location: /cgi\\n\\n'\n");
    sandbox
}

/// A request over HTTP/1.0, so that no response comes in chunks.
fn request(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.0\r\nHost: example.org\r\n{fields}\r\n")
}

fn ask(server: &Server, target: &str, fields: &str) -> String {
    Response::parse(&server.raw(request(target, fields).as_bytes())).text().trim_end().to_owned()
}

/// The clients and users of the access log, once it has this many lines.
fn logged(server: &Server, count: usize) -> Vec<(String, String)> {
    let read = || std::fs::read_to_string(server.folder().access_log()).unwrap_or_default();
    eventually("the lines of the access log", || read().lines().count() >= count);
    let objects = read().lines().map(|line| serde_json::from_str(line).expect(line)).collect::<Vec<Value>>();
    let text = |object: &Value, key: &str| object[key].as_str().unwrap_or("-").to_owned();
    objects.iter().map(|object| (text(object, "peer"), text(object, "user"))).collect()
}

const TRUSTING: [&str; 6] =
    ["--trusted-proxy", "127.0.0.1", "--remote-user-header", "x-user", "--access-log", "json"];

#[test]
fn a_trusted_proxy_names_the_client_for_handlers_and_logs() {
    let sandbox = sandbox();
    let more = ["-w", "1", "--response", "auto"];
    let server = sandbox.start(&[&TRUSTING[..], &more].concat());
    let told = "192.0.2.7||443|https|on|ann|Proxy|6.6.6.6, 192.0.2.7|";
    for target in ["/env", "/cgi", "/moved"] {
        assert_eq!(ask(&server, target, CLAIMS), told, "{target}");
    }
    assert!(ask(&server, "/missing", CLAIMS).contains("404"));
    let own = format!("127.0.0.1|port|{}|||||what?|", server.port());
    assert_eq!(ask(&server, "/env", "X-Forwarded-For: what?\r\nX-User: a\r\nX-User: b\r\n"), own);
    let named = ("192.0.2.7".to_owned(), "ann".to_owned());
    let mut expected = vec![named; 4];
    expected.push(("127.0.0.1".to_owned(), "-".to_owned()));
    let mut found = logged(&server, 5);
    found.sort_by(|a, b| b.cmp(a));
    assert_eq!(found, expected);
    for line in ["192.0.2.7 method=GET target=/env", "192.0.2.7 method=GET target=/missing", "127.0.0.1:"] {
        eventually(line, || server.log().contains(&format!(" peer={line}")));
    }
}

#[test]
fn a_stranger_changes_nothing() {
    let sandbox = sandbox();
    let stranger = "--trusted-proxy=10.0.0.0/8,unix,127.0.0.2";
    let more = ["--remote-user-header", "X-User", "--access-log", "json", "--response", "auto"];
    let server = sandbox.start(&[&[stranger], &more[..]].concat());
    let own = format!("127.0.0.1|port|{}||||||", server.port());
    for target in ["/env", "/cgi", "/moved"] {
        assert_eq!(ask(&server, target, CLAIMS), own, "{target}");
    }
    assert!(logged(&server, 3).iter().all(|(peer, user)| (&**peer, &**user) == ("127.0.0.1", "-")));
    server.stop();
    let server = sandbox.start(&["--access-log", "json"]);
    let own = format!("127.0.0.1|port|{}|||||6.6.6.6, 192.0.2.7|ann", server.port());
    assert_eq!(ask(&server, "/env", CLAIMS), own, "without proxies fields are fields");
}

#[test]
fn peers_of_a_unix_socket_are_trusted_by_name() {
    for (trusted, told) in [
        ("unix", "192.0.2.7||443|https|on|||6.6.6.6, 192.0.2.7|ann\n"),
        ("0.0.0.0/0,::/0", "||80||||||ann\n"),
    ] {
        let sandbox = sandbox();
        let bind = format!("unix:{}", sandbox.path("socket").display());
        let _server = sandbox.start(&["--bind", &bind, "--trusted-proxy", trusted]);
        let mut stream = UnixStream::connect(sandbox.path("socket")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(request("/env", CLAIMS).as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(Response::parse(&answer).text(), told, "{trusted}");
    }
}

#[test]
fn a_reload_changes_who_is_trusted() {
    let sandbox = sandbox();
    sandbox.write("c.toml", "trusted-proxy = [\"::1\"]\n");
    let server = sandbox.start(&["-c", "c.toml"]);
    assert!(ask(&server, "/env", CLAIMS).starts_with("127.0.0.1|port|"));
    sandbox.write("c.toml", "trusted-proxy = [\"::1\", \"127.0.0.0/8\"]\n");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("it is trusted", || ask(&server, "/env", CLAIMS).starts_with("192.0.2.7||443|"));
}
