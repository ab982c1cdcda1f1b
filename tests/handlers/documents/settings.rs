//! The kind of response as a setting of mounts, and document responses in the access log.

use super::{prints, serving, text};
use crate::harness::{Sandbox, eventually, says};

#[test]
fn a_mount_has_a_kind_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.handler("page", says("native"));
    sandbox.program("cgi/page", prints(r"Status: 203\n\ndocument"));
    let run = sandbox.program("programs/one", prints(r"A: b\n\none")).display().to_string();
    let config = format!(
        "workers = 1\n\n[[mount]]\nat = \"/cgi\"\ndir = {:?}\nresponse = \"document\"\n\n\
         [[mount]]\nat = \"/one\"\nrun = [{run:?}]\nresponse = \"auto\"\n",
        sandbox.path("cgi").display().to_string()
    );
    let config = sandbox.write("c.toml", config);
    let server = sandbox.start(&["-c", config.to_str().unwrap()]);
    assert_eq!(server.get("/page").text(), "native");
    let page = server.get("/cgi/page");
    assert_eq!((page.status, text(&page).as_str()), (203, "document"));
    assert_eq!(text(&server.get("/one/info")), "one");
    let written = std::fs::read_to_string(server.folder().config()).unwrap();
    assert!(
        written.contains("response = \"native\"") && written.contains("response = \"auto\""),
        "{written}"
    );
}

#[test]
fn an_unknown_kind_in_a_mount_is_an_error() {
    let sandbox = Sandbox::new();
    let config = sandbox.write("c.toml", "[[mount]]\nat = \"/a\"\ndir = \"/\"\nresponse = \"cgi\"\n");
    let outcome = sandbox.caffeine(&["-c", config.to_str().unwrap(), "--check-config"]);
    outcome.fails(2, "'cgi' is not one of native, document, auto");
}

#[test]
fn the_access_log_has_status_and_bytes() {
    let sandbox = Sandbox::new();
    sandbox.handler("page", prints(r"Status: 404 Gone\n\nhello"));
    sandbox.handler("here", prints(r"Location: /page?a\n\n"));
    sandbox.handler("broken", prints(r"hello\n"));
    let server = serving(&sandbox, &["--access-log", "combined"]);
    for target in ["/page", "/here", "/broken"] {
        let fields = "Host: a\r\nCookie: c\r\nReferer: /from\r\nUser-Agent: test\r\nConnection: close\r\n";
        server.raw(format!("GET {target} HTTP/1.1\r\n{fields}\r\n").as_bytes());
    }
    let log = || std::fs::read_to_string(server.folder().access_log()).unwrap_or_default();
    eventually("all are logged", || log().lines().count() == 3);
    for part in
        ["\"GET /page HTTP/1.1\" 404 5 ", "\"GET /page?a HTTP/1.1\" 404 5 ", "\"GET /broken HTTP/1.1\" 502 "]
    {
        assert!(log().contains(part), "{}", log());
    }
    assert_eq!(log().matches(" \"/from\" \"test\"").count(), 3, "{}", log());
}
