//! The first steps: `--try` says what is wrong with a handler, and an empty server how to deploy one.

use crate::harness::{Response, Sandbox, says};

/// Tries a file with these contents and expects exactly these problems, by a part of each.
#[track_caller]
fn trial(contents: &str, problems: &[&str]) -> String {
    trial_with(&[], contents, problems)
}

/// Like [`trial`], with other settings.
#[track_caller]
fn trial_with(settings: &[&str], contents: &str, problems: &[&str]) -> String {
    let sandbox = Sandbox::new();
    sandbox.program("odd name", contents);
    let outcome = sandbox.caffeine(&[&["--try", "odd name"], settings].concat());
    let found: Vec<&str> = outcome.stdout.lines().filter(|line| line.starts_with("problem: ")).collect();
    assert_eq!(found.len(), problems.len(), "{outcome:#?}");
    for (line, part) in found.iter().zip(problems) {
        assert!(line.contains(part), "{line}, not {part}");
    }
    let stdout = outcome.stdout.clone();
    match problems.len() {
        0 => assert!(outcome.succeeds().stdout.ends_with("odd name is fine\n")),
        1 => drop(outcome.fails(1, "odd name has 1 problem")),
        count => drop(outcome.fails(1, &format!("odd name has {count} problems"))),
    }
    stdout
}

const HEAD: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n";

#[test]
fn a_good_handler_is_fine_and_its_stderr_is_shown() {
    let text = trial(&format!("{}echo \"$REQUEST_URI\" >&2\nprintf 'a\\033b' >&2\n", says("hello")), &[]);
    assert!(text.starts_with("GET /odd%20name: HTTP/1.1 200 OK, 5 bytes of body, exit code 0, "), "{text}");
    assert!(text.contains("stderr: /odd%20name\n") && text.contains("stderr: a\u{fffd}b\n"), "{text}");
}

#[test]
fn a_wrong_response_is_explained() {
    trial("#!/bin/sh\n", &["it wrote nothing"]);
    trial(
        "#!/bin/sh\necho hello\n",
        &["does not begin with a status line such as HTTP/1.1 200 OK, but with \"hello\""],
    );
    let cgi = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhello'\n";
    trial(cgi, &["it begins with a CGI header field, Content-Type: text/plain, but a native handler"]);
    trial(&format!("{HEAD}'\n"), &["the head of its response does not end"]);
    trial(&format!("{HEAD}Content-Length: 9\\r\\n\\r\\nhello'\n"), &["is 9, but only 5 bytes follow"]);
    trial(&format!("{HEAD}Content-Length: 2\\r\\n\\r\\nhello'\n"), &["is 2, but 5 bytes follow"]);
    let no_body = "#!/bin/sh\nprintf 'HTTP/1.1 204 No Content\\r\\n\\r\\nhello'\n";
    trial(no_body, &["status 204 has no body, but 5 bytes"]);
}

#[test]
fn a_document_response_is_judged_as_one() {
    let document = "#!/bin/sh\nprintf 'Status: 404 Gone\\nContent-Length: 5\\n\\nhello'\n";
    for kind in ["document", "auto"] {
        let text = trial_with(&["--response", kind], document, &[]);
        assert!(
            text.starts_with("GET /odd%20name: HTTP/1.1 404 Gone, 5 bytes of body, exit code 0, "),
            "{text}"
        );
    }
    trial_with(&["--response", "auto"], &says("hello"), &[]);
    trial_with(&["--response", "document"], &says("hello"), &["is broken: it begins with a status line"]);
    trial_with(&["--response", "document"], "#!/bin/sh\necho A: b\n", &["the output ends within the head"]);
    trial(document, &["CGI programs need --response document"]);
}

#[test]
fn a_wrong_end_is_explained() {
    trial(&format!("{}exit 3\n", says("x")), &["its exit code is 3, not 0"]);
    trial(&format!("{}kill -9 $$\n", says("x")), &["it did not exit: killed by SIGKILL"]);
    trial("#!/bin/sh\nexit 4\n", &["it wrote nothing", "its exit code is 4"]);
    trial(&format!("{}sleep 60 &\n", says("x")), &["it left a process behind"]);
}

#[test]
fn what_prevents_a_start_is_explained() {
    trial("#!/no/such/interpreter\n", &["its interpreter /no/such/interpreter does not exist"]);
    trial("#!/bin/sh\r\necho\r\n", &["carriage return (CR LF line ends)"]);
    trial("echo hello\n", &["neither an ELF program nor a script that begins with #!"]);
    let sandbox = Sandbox::new();
    sandbox.write("plain", says("x"));
    let outcome = sandbox.caffeine(&["--try", "plain"]);
    assert!(
        outcome.stdout.contains("problem: the handler is not executable: make it executable"),
        "{outcome:?}"
    );
    outcome.fails(1, "plain has 1 problem");
    sandbox.caffeine(&["--try", "missing"]).fails(1, "cannot try missing: No such file");
    sandbox.caffeine(&["--try", "."]).fails(1, "it is a directory");
    sandbox.program(".hidden", says("x"));
    sandbox.caffeine(&["--try", ".hidden"]).fails(1, "is never served");
}

#[test]
fn it_runs_under_the_settings() {
    let sandbox = Sandbox::new();
    sandbox.write("c.toml", "handler-limit = \"files=17\"\n[env]\nSHOP = \"open\"\n");
    sandbox.program("show", format!("{}echo $SHOP $(ulimit -n) >&2\n", says("x")));
    let text = sandbox.caffeine(&["-c", "c.toml", "--try", "show"]).succeeds().stdout;
    assert!(text.contains("stderr: open 17\n"), "{text}");
}

#[test]
fn an_error_of_the_program_is_a_problem() {
    trial("#!/bin/sh\nprintf 'HTTP/1.1 500 No\\r\\n\\r\\nno'\n", &["its status is 500"]);
    let document = "#!/bin/sh\nprintf 'Status: 503 Later\\n\\nno'\n";
    trial_with(&["--response", "document"], document, &["its status is 503"]);
}

#[test]
fn a_program_of_a_mount_is_tried_with_the_settings_of_the_mount() {
    let sandbox = Sandbox::new();
    let program =
        sandbox.program("tool", "#!/bin/sh\nprintf 'A: b\\n\\n%s' \"$SHOP$TILL\"\necho $(ulimit -n) >&2\n");
    sandbox.write(
        "c.toml",
        format!(
            "[env]\nSHOP = \"closed\"\nTILL = \"1\"\n[[mount]]\nat = \"/t\"\nrun = [\"{}\"]\nresponse = \"document\"\n\
             handler-limit = \"files=17\"\nenv = {{ SHOP = \"open\" }}\n",
            program.display()
        ),
    );
    let text = sandbox.caffeine(&["-c", "c.toml", "--try", "tool"]).succeeds().stdout;
    assert!(text.contains("200 OK, 5 bytes of body") && text.contains("stderr: 17\n"), "{text}");
}

#[test]
fn its_time_is_from_the_start_to_the_end() {
    let text = trial(&format!("{}exec >&- 2>&-\nsleep 0.1\n", says("x")), &[]);
    let took = text
        .lines()
        .next()
        .and_then(|line| line.strip_suffix(" ms")?.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(took.unwrap() >= 100.0, "{text}");
}

#[test]
fn an_empty_server_says_how_to_deploy_the_first_handler() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/caffeine/.hidden", "");
    let server = sandbox.start(&[]);
    let answer = server.get("/");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("caffeine --deploy ./hello"), "{}", answer.text());
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
    let head = Response::parse(&server.raw(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!((head.header("content-length"), head.body.len()), (answer.header("content-length"), 0));
    assert!(!server.get("/other").text().contains("--deploy"));
    // Its own words work.
    let script = answer.text().lines().find(|line| line.contains("printf")).unwrap().trim().to_owned();
    let shell = std::process::Command::new("sh").args(["-c", &script]).current_dir(sandbox.path("")).status();
    assert!(shell.unwrap().success());
    sandbox.caffeine(&["--deploy", "./hello"]).succeeds();
    sandbox.caffeine(&["--try", ".config/caffeine/hello"]).succeeds();
    assert_eq!(server.get("/hello").text(), "hello\n");
    assert!(!server.get("/").text().contains("--deploy"), "it has a handler now");
}
