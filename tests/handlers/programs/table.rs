//! One test for each thing that a CGI host must do. The six programs come first that people try first, then what responses,
//! requests and paths need. All lie unmodified in one folder, `cgi-bin`, as on other hosts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::git::{backend, git, repository, variables};
use super::{CGIT, FOSSIL, PHP, PYTHON, cgi_bin, files, has_cgi_pm, installed, mount, serving};
use crate::handlers::documents::{prints, text};
use crate::harness::{Response, Sandbox, Server, eventually};

/// A server with this script as `/cgi-bin/it`.
fn with(sandbox: &Sandbox, script: impl AsRef<[u8]>) -> Server {
    sandbox.program("cgi-bin/it", script);
    serving(sandbox, &cgi_bin(sandbox), &[])
}

/// Puts an installed program into the folder.
fn link(sandbox: &Sandbox, program: &Path) {
    fs::create_dir(sandbox.path("cgi-bin")).unwrap();
    symlink(program, sandbox.path("cgi-bin/it")).unwrap();
}

#[track_caller]
fn ask(server: &Server, request: impl AsRef<[u8]>) -> Response {
    Response::parse(&server.raw(request.as_ref()))
}

#[test]
fn perl_with_cgi_pm_answers_404() {
    if !has_cgi_pm() {
        return;
    }
    let sandbox = Sandbox::new();
    let server = with(
        &sandbox,
        "#!/usr/bin/perl\nuse CGI;\nmy $q = CGI->new;\nif ($q->param('to')) { print $q->redirect($q->param('to')); exit }\n\
         print $q->header(-status => '404 Not Here', -type => 'text/plain'), 'sent ', $q->param('a');\n",
    );
    let response = server.get("/cgi-bin/it?a=b");
    assert_eq!((response.status, text(&response).as_str()), (404, "sent b"));
    let form = "POST /cgi-bin/it HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=c";
    assert_eq!(text(&ask(&server, form)), "sent c");
    let moved = server.get("/cgi-bin/it?to=http://example.org/");
    assert_eq!((moved.status, moved.header("location")), (302, Some("http://example.org/")));
}

#[test]
fn python_with_wsgiref_answers_418() {
    if installed(PYTHON, "python3").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let server = with(
        &sandbox,
        "#!/usr/bin/env python3\nfrom wsgiref.handlers import CGIHandler\n\
         def app(environ, start):\n    start('418 I am a teapot', [('Content-Type', 'text/plain')])\n    \
         yield b'path ' + environ['PATH_INFO'].encode()\n    yield b' body ' + environ['wsgi.input'].read()\n\
         CGIHandler().run(app)\n",
    );
    let response = server.post("/cgi-bin/it/x", b"hello");
    assert_eq!((response.status, text(&response).as_str()), (418, "path /x body hello"), "{response:?}");
}

#[test]
fn a_script_of_php_cgi_answers_201_with_a_redirect_status_that_others_do_not_get() {
    let Some(php) = installed(PHP, "php-cgi") else { return };
    let sandbox = Sandbox::new();
    let page = sandbox.program(
        "cgi-bin/page.php",
        format!(
            "#!{}\n<?php http_response_code(201); header('Content-Type: text/plain'); \
             echo 'path ', $_SERVER['PATH_INFO'] ?? '', ' length ', strlen(file_get_contents('php://input'));\n",
            php.display()
        ),
    );
    let other = r#"printf 'A: b\n\n%s' "${REDIRECT_STATUS-unset}""#;
    sandbox.program("cgi-bin/other", format!("#!/bin/sh\n{other}\n"));
    let mounts = cgi_bin(&sandbox) + &mount("/cgi-bin/page.php", &page, &[("REDIRECT_STATUS", "200")]);
    let server = serving(&sandbox, &mounts, &[]);
    let response = server.get("/cgi-bin/page.php/more");
    assert_eq!((response.status, text(&response).as_str()), (201, "path /more length 0"), "{response:?}");
    let response = server.post("/cgi-bin/page.php", &vec![b'x'; 3_000_000]);
    assert_eq!((response.status, text(&response).as_str()), (201, "path  length 3000000"), "{response:?}");
    assert_eq!(text(&server.get("/cgi-bin/other")), "unset");
}

#[test]
fn a_script_of_fossil_serves_its_repository() {
    let Some(fossil) = installed(FOSSIL, "fossil") else { return };
    let sandbox = Sandbox::new();
    let repository = sandbox.path("r.fossil");
    let mut init = Command::new(&fossil);
    init.args(["init", "--admin-user", "a"]).arg(&repository).env("HOME", sandbox.path("")).env("USER", "a");
    let output = init.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let script = format!("#!{}\nrepository: {}\n", fossil.display(), repository.display());
    sandbox.program("cgi-bin/it", script);
    let env = format!("[env]\nUSER = \"a\"\nHOME = {:?}\n\n", sandbox.path("").display().to_string());
    let server = serving(&sandbox, &(env + &cgi_bin(&sandbox)), &[]);
    let timeline = server.get("/cgi-bin/it/timeline");
    assert_eq!(timeline.status, 200, "{timeline:?}");
    assert!(text(&timeline).contains("initial empty check-in"), "{timeline:?}");
    let home = server.get("/cgi-bin/it");
    assert_eq!(home.status, 302, "{home:?}");
    assert!(home.header("location").is_some_and(|location| location.contains("/cgi-bin/it/")), "{home:?}");
}

#[test]
fn cgit_shows_a_repository_and_its_style_lies_beside() {
    let Some(program) = installed(CGIT, "cgit") else { return };
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let (settings, root) = (sandbox.path("cgitrc"), sandbox.path("repositories"));
    let virtual_root = "virtual-root=/cgi-bin/it\nenable-git-config=0\n";
    sandbox.write("cgitrc", format!("{virtual_root}scan-path={}\n", root.display()));
    link(&sandbox, &program);
    let env = format!("[env]\nCGIT_CONFIG = {:?}\n\n", settings.display().to_string());
    let mounts = env + &cgi_bin(&sandbox) + &files("/cgit.css", "/usr/share/cgit/cgit.css");
    let server = serving(&sandbox, &mounts, &[]);
    for (target, expected) in [
        ("/cgi-bin/it/", "href='/cgit.css'"),
        ("/cgi-bin/it/r.git/log/", "commit 2"),
        ("/cgi-bin/it/r.git/plain/file", "version 3"),
    ] {
        let response = server.get(target);
        assert_eq!(response.status, 200, "{response:?}");
        assert!(text(&response).contains(expected), "{target}: {response:?}");
    }
    assert_eq!(server.get("/cgi-bin/it/none/").status, 404);
    let style = server.get("/cgit.css");
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
}

#[test]
fn git_clones() {
    let Some(backend) = backend() else { return };
    let sandbox = Sandbox::new();
    repository(&sandbox);
    link(&sandbox, &backend);
    let server = serving(&sandbox, &(variables(&sandbox) + &cgi_bin(&sandbox)), &[]);
    let url = format!("http://127.0.0.1:{}/cgi-bin/it/r.git", server.port());
    git(&sandbox, &sandbox.path(""), &["clone", "-q", &url, "clone"]);
    assert_eq!(fs::read_to_string(sandbox.path("clone/file")).unwrap(), "version 3\n");
    assert_eq!(server.get("/cgi-bin/it/none.git/info/refs?service=git-upload-pack").status, 404);
}

#[test]
fn a_location_without_a_host_is_followed_by_the_server() {
    let sandbox = Sandbox::new();
    sandbox.program(
        "cgi-bin/local",
        r#"#!/bin/sh
printf 'A: b\n\n%s %s' "$REQUEST_METHOD" "$QUERY_STRING"
"#,
    );
    let server = with(&sandbox, prints(r"Location: /cgi-bin/local?a\n\n"));
    let response = server.post("/cgi-bin/it", b"body");
    assert_eq!((response.status, text(&response).as_str()), (200, "GET a"), "{response:?}");
    assert_eq!(response.header("location"), None);
}

#[test]
fn a_program_with_nph_in_its_name_writes_the_status_line() {
    let sandbox = Sandbox::new();
    let output = r"HTTP/1.1 299 Odd\r\nX:  y \r\n\r\nbody";
    sandbox.program("cgi-bin/nph-it", prints(output));
    let server = serving(&sandbox, &cgi_bin(&sandbox), &[]);
    let written = server.raw(b"GET /cgi-bin/nph-it HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(written, b"HTTP/1.1 299 Odd\r\nX:  y \r\n\r\nbody");
}

#[test]
fn a_content_length_and_lines_that_end_with_lf_alone_are_a_response() {
    let sandbox = Sandbox::new();
    let server = with(&sandbox, prints(r"Content-Length: 6\n\nhello\n"));
    let response = server.get("/cgi-bin/it");
    assert_eq!((response.status, response.text().as_str()), (200, "hello\n"), "{response:?}");
    assert_eq!(response.header("content-length"), Some("6"));
}

#[test]
fn a_program_that_exits_with_3_and_no_output_is_500_and_the_log_has_the_reason() {
    let sandbox = Sandbox::new();
    let server = with(&sandbox, "#!/bin/sh\nexit 3\n");
    let response = server.get("/cgi-bin/it");
    assert_eq!(response.status, 500, "{response:?}");
    eventually("the log has the reason", || server.log().contains("the handler ended without a response"));
    assert!(server.log().contains("handler=/cgi-bin/it"), "{}", server.log());
}

#[test]
fn the_body_that_a_script_writes_for_head_is_cut() {
    let sandbox = Sandbox::new();
    let server = with(&sandbox, prints(r"Content-Type: text/plain\n\nhello"));
    let response = ask(&server, "HEAD /cgi-bin/it HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((response.status, response.text().as_str()), (200, ""), "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/plain"));
    assert_eq!(text(&server.get("/cgi-bin/it")), "hello");
}

#[test]
fn a_chunked_post_of_2_mb_arrives_with_its_length() {
    let sandbox = Sandbox::new();
    let count = "#!/bin/sh\nprintf 'A: b\\n\\n%s %s' \"$CONTENT_LENGTH\" \"$(wc -c | tr -d ' ')\"\n";
    let server = with(&sandbox, count);
    let head = "POST /cgi-bin/it HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    let request = [head.as_bytes(), &chunk.repeat(32), b"0\r\n\r\n"].concat();
    assert_eq!(text(&ask(&server, request)), "2097152 2097152");
}

#[test]
fn authorization_reaches_a_program() {
    let sandbox = Sandbox::new();
    let server = with(&sandbox, "#!/bin/sh\nprintf 'A: b\\n\\n%s' \"$HTTP_AUTHORIZATION\"\n");
    let request = "GET /cgi-bin/it HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n\r\n";
    assert_eq!(text(&ask(&server, request)), "Basic YW5uOnNlY3JldA==");
}

#[test]
fn a_style_beside_the_programs_is_served_where_it_is_declared_and_nothing_else_is() {
    let sandbox = Sandbox::new();
    let style = sandbox.write("cgi-bin/it.css", "p { color: red }\n").display().to_string();
    sandbox.write("cgi-bin/secret.css", "secret");
    sandbox.program("cgi-bin/it", prints(r"A: b\n\nhello"));
    let server = serving(&sandbox, &(cgi_bin(&sandbox) + &files("/cgi-bin/it.css", &style)), &[]);
    let response = server.get("/cgi-bin/it.css");
    assert_eq!((response.status, response.text().as_str()), (200, "p { color: red }\n"));
    assert_eq!(response.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(server.get("/cgi-bin/secret.css").status, 403);
    assert_eq!(text(&server.get("/cgi-bin/it")), "hello");
}

/// Shows where a program is for its client.
const PLACE: &str = "#!/bin/sh\nprintf 'A: b\\n\\n%s|%s' \"$SCRIPT_NAME\" \"$PATH_INFO\"\n";

#[test]
fn a_folder_is_redirected_to_its_slash_and_its_index_has_all_below() {
    let sandbox = Sandbox::new();
    sandbox.program("cgi-bin/app/index", PLACE);
    let server = serving(&sandbox, &cgi_bin(&sandbox), &[]);
    let moved = server.get("/cgi-bin/app");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/cgi-bin/app/")));
    for (target, place) in [("/cgi-bin/app/", "/cgi-bin/app|/"), ("/cgi-bin/app/x/y", "/cgi-bin/app|/x/y")] {
        assert_eq!(text(&server.get(target)), place, "{target}");
    }
}

#[test]
fn a_program_may_have_all_paths() {
    let sandbox = Sandbox::new();
    let program = sandbox.program("program", PLACE);
    let server = serving(&sandbox, &mount("/", &program, &[]), &[]);
    for target in ["/", "/x", "/x/y/"] {
        assert_eq!(text(&server.get(target)), format!("|{target}"));
    }
}
