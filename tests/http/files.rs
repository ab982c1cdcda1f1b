//! `[[static]]`: files with type, entity tag, conditions and ranges, and nothing outside of their root.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use crate::harness::{Response, Sandbox, Server, eventually};

/// A server with files at `/s`, one file at `/one.css`, and a program at `/`.
fn start(sandbox: &Sandbox, arguments: &[&str]) -> Server {
    sandbox.write("root/a.css", "body { color: red }\n");
    sandbox.write("root/b", "0123456789");
    sandbox.write("root/caf\u{e9} 1.html", "<p>");
    sandbox.write("root/sub/index.html", "<h1>");
    sandbox.write("root/bare/x.txt", "x");
    sandbox.write("root/.secret/key", "key");
    sandbox.write("root/.htaccess", "secret");
    sandbox.write("outside", "outside");
    let root = sandbox.path("root");
    symlink(sandbox.path("outside"), root.join("out")).unwrap();
    symlink("../outside", root.join("up")).unwrap();
    symlink("/", root.join("all")).unwrap();
    symlink("sub/index.html", root.join("inside.html")).unwrap();
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let root = root.display();
    sandbox.handler("own", crate::harness::says("own"));
    sandbox.write(
        "c.toml",
        format!(
            "[[static]]\nat = \"/s\"\nroot = \"{root}\"\n[[static]]\nat = \"/one.css\"\nroot = \"{root}/a.css\"\n"
        ),
    );
    sandbox.start(&[&["-c", "c.toml"], arguments].concat())
}

fn ask(server: &Server, method: &str, target: &str, fields: &str) -> Response {
    Response::parse(&server.raw(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()))
}

#[test]
fn files_come_with_type_length_tag_and_date() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    for (target, kind, body) in [
        ("/s/a.css", "text/css; charset=utf-8", "body { color: red }\n"),
        ("/one.css?v=1", "text/css; charset=utf-8", "body { color: red }\n"),
        ("/s/b", "application/octet-stream", "0123456789"),
        ("/s/caf%c3%a9%201.html", "text/html; charset=utf-8", "<p>"),
        ("/s/sub/", "text/html; charset=utf-8", "<h1>"),
        ("/s/sub/index.html", "text/html; charset=utf-8", "<h1>"),
        ("/s/inside.html", "text/html; charset=utf-8", "<h1>"),
    ] {
        let response = server.get(target);
        assert_eq!((response.status, response.text()), (200, body.to_owned()), "{target}");
        assert_eq!(response.header("content-type"), Some(kind), "{target}");
        assert_eq!(response.header("content-length"), Some(&*body.len().to_string()), "{target}");
        assert!(
            ["etag", "last-modified", "date"].iter().all(|name| response.header(name).is_some()),
            "{response:?}"
        );
        let head = ask(&server, "HEAD", target, "");
        assert_eq!((head.status, head.text()), (200, String::new()), "{target}");
        let kept = |response: &Response| {
            response.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>()
        };
        assert_eq!(kept(&head), kept(&response), "{target}");
    }
    assert_eq!(server.get("/own").text(), "own");
}

#[test]
fn nothing_outside_the_root_and_nothing_hidden_is_served() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    for target in [
        "/s/missing",
        "/s/a.css/",
        "/s/a.css/x",
        "/s/bare/",
        "/s/.htaccess",
        "/s/%2ehtaccess",
        "/s/.secret/key",
        "/s/out",
        "/s/up",
        "/s/all/etc/passwd",
        "/s/fifo",
        "/s/../outside",
        "/s/%2e%2e/outside",
        "/s/..%2foutside",
        "/s/sub/../../outside",
        "/s//etc/passwd",
        "/s/%2fetc/passwd",
        "/s/sub%2findex.html",
        "/s/sub\\index.html",
        "/s/b%00.css",
        "/s/./b",
        "/one.css/",
        "/one.css/x",
        "/sx",
    ] {
        assert_eq!(server.get(target).status, 404, "{target}");
    }
    for (target, location) in [("/s", "/s/"), ("/s/sub", "/s/sub/"), ("/s/bare?a=b", "/s/bare/?a=b")] {
        let response = server.get(target);
        assert_eq!((response.status, response.header("location")), (301, Some(location)), "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let response = ask(&server, method, "/s/b", "Content-Length: 1\r\n\r\nx");
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    if !nix::unistd::geteuid().is_root() {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(sandbox.path("root/b"), std::fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(server.get("/s/b").status, 403);
    }
}

#[test]
fn a_client_that_has_the_version_gets_304() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let first = server.get("/s/b");
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (fields, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"x\"\r\nIf-None-Match: W/{tag}\r\n"), 304),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        (format!("If-Modified-Since: {old}\r\n"), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        (format!("If-Unmodified-Since: {old}\r\n"), 412),
    ] {
        for method in ["GET", "HEAD"] {
            let response = ask(&server, method, "/s/b", &fields);
            assert_eq!(response.status, status, "{method} {fields}");
            let empty = status == 304 || method == "HEAD";
            assert_eq!(response.body.is_empty(), empty, "{method} {fields}");
            if status == 304 {
                assert_eq!(response.header("etag"), Some(tag));
            }
        }
    }
    sandbox.write("root/b", "other");
    assert_eq!(ask(&server, "GET", "/s/b", &format!("If-None-Match: {tag}\r\n")).text(), "other");
}

#[test]
fn one_range_is_sent_and_one_beyond_the_end_refused() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let tag = server.get("/s/b").header("etag").unwrap().to_owned();
    for (fields, status, body, range) in [
        ("Range: bytes=2-4\r\n".to_owned(), 206, "234", Some("bytes 2-4/10")),
        ("Range: bytes=7-\r\n".to_owned(), 206, "789", Some("bytes 7-9/10")),
        ("Range: bytes=-2\r\n".to_owned(), 206, "89", Some("bytes 8-9/10")),
        (format!("Range: bytes=0-0\r\nIf-Range: {tag}\r\n"), 206, "0", Some("bytes 0-0/10")),
        ("Range: bytes=0-0\r\nIf-Range: \"x\"\r\n".to_owned(), 200, "0123456789", None),
        ("Range: bytes=0-0,2-3\r\n".to_owned(), 200, "0123456789", None),
        ("Range: bytes=10-\r\n".to_owned(), 416, "", Some("bytes */10")),
        (format!("Range: bytes=2-4\r\nIf-None-Match: {tag}\r\n"), 304, "", None),
    ] {
        let response = ask(&server, "GET", "/s/b", &fields);
        assert_eq!((response.status, &*response.text()), (status, body), "{fields}");
        assert_eq!(response.header("content-range"), range, "{fields}");
        if status != 304 {
            assert_eq!(response.header("content-length"), Some(&*body.len().to_string()), "{fields}");
        }
    }
    assert_eq!(ask(&server, "HEAD", "/s/b", "Range: bytes=2-4\r\n").status, 200);
}

#[test]
fn slow_clients_of_large_files_delay_no_one_and_are_cut_off() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--workers", "1", "--send-timeout", "1s", "--max-handlers", "9"]);
    let large: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    sandbox.write("root/large", &large);
    let slow: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /s/large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream
        })
        .collect();
    eventually("all are being sent", || server.scoreboard().handlers() == 5);
    let whole = server.get("/s/large");
    assert!(whole.status == 200 && whole.body == large);
    let part = ask(&server, "GET", "/s/large", "Range: bytes=19999990-\r\n");
    assert_eq!(part.body, large[19_999_990..]);
    eventually("those that read nothing are cut off", || server.scoreboard().handlers() == 0);
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < large.len());
    }
}

#[test]
fn a_file_that_becomes_shorter_is_told() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, &[]);
    let file = std::fs::File::create(sandbox.path("root/large")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut stream = server.connect();
    stream.write_all(b"GET /s/large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut begin = [0; 100];
    stream.read_exact(&mut begin).unwrap();
    file.set_len(10).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 1 << 30);
    eventually("the log tells", || server.log().contains("a file became shorter while it was sent"));
}
