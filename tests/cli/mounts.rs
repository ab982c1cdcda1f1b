//! `[[mount]]` and `[[static]]` in the configuration file: what is refused, with file, line and key; what is recorded.

use caffeine::server::cli::{Parsed, parse};
use caffeine::server::config::Sources;

use crate::harness::Sandbox;

#[test]
fn every_error_in_a_mount_names_file_line_and_key() {
    let sandbox = Sandbox::new();
    sandbox.write("plain", "");
    let plain = sandbox.path("plain").display().to_string();
    let dir = sandbox.handlers().display().to_string();
    let many = "x".repeat(200_000);
    for (contents, text) in [
        ("mount = 1", ":1: mount: must be a list of tables: a line [[mount]]"),
        ("[mount]\nat = \"/a\"", ":1: mount: must be a list of tables"),
        ("static = [1]", ":1: static: must be a list of tables: a line [[static]]"),
        ("[[mounts]]\nat = \"/a\"", ":1: unknown key `mounts`; did you mean `mount`?"),
        ("\n[[mount]]\nrun = [\"/bin/sh\"]", ":2: [[mount]] at is missing"),
        ("[[mount]]\nat = \"a\"", ":2: [[mount]] at: \"a\": it must begin with /"),
        ("[[mount]]\nat = \"/a/\"", ":2: [[mount]] at: \"/a/\": it must not end with /"),
        ("[[mount]]\nat = \"/a/../b\"", ":2: [[mount]] at: \"/a/../b\": it has a dot segment"),
        ("[[mount]]\nat = \"/a//b\"", ":2: [[mount]] at: \"/a//b\": it has an empty segment"),
        ("[[mount]]\nat = \"/a%20b\"", ":2: [[mount]] at: \"/a%20b\": write it without escapes"),
        ("[[mount]]\nat = [\"/a\"]", ":2: [[mount]] at: expected one value, not a list"),
        ("[[mount]]\nat = \"/a\"", ":1: [[mount]] run or dir is missing"),
        ("[[mount]]\nat = \"/a\"\nrun = \"/bin/sh\"", ":3: [[mount]] run: must be a list"),
        ("[[mount]]\nat = \"/a\"\nrun = []", ":3: [[mount]] run: must be a list"),
        ("[[mount]]\nat = \"/a\"\nrun = [\"sh\"]", ":3: [[mount]] run: \"sh\" must be an absolute path"),
        ("[[mount]]\nat = \"/a\"\nrun = [\"/nowhere/x\"]", ":3: [[mount]] run: /nowhere/x: No such file"),
        ("[[mount]]\nat = \"/a\"\nrun = [\"PLAIN\"]", ":3: [[mount]] run: PLAIN is not an executable file"),
        ("[[mount]]\nat = \"/a\"\nrun = [\"/bin\"]", ":3: [[mount]] run: /bin is not an executable file"),
        (
            "[[mount]]\nat = \"/a\"\nrun = [\"/bin/sh\", \"a\\u0000b\"]",
            ":3: [[mount]] run: an argument contains a NUL",
        ),
        (
            "[[mount]]\nat = \"/a\"\ndir = \"handlers\"",
            ":3: [[mount]] dir: \"handlers\" must be an absolute path",
        ),
        ("[[mount]]\nat = \"/a\"\ndir = \"PLAIN\"", ":3: [[mount]] dir: PLAIN is not a directory"),
        ("[[mount]]\nat = \"/a\"\ndir = \"/nowhere\"", ":3: [[mount]] dir: /nowhere: No such file"),
        (
            "[[mount]]\nat = \"/a\"\ndir = \"DIR\"\nrun = [\"/bin/sh\"]",
            ":1: [[mount]] run and dir exclude each other",
        ),
        (
            "[[mount]]\nat = \"/a\"\ndir = \"DIR\"\n[[mount]]\nat = \"/a\"",
            ":5: [[mount]] at: \"/a\" is mounted twice",
        ),
        (
            "[[mount]]\nat = \"/a\"\ndir = \"DIR\"\n[[static]]\nat = \"/a\"",
            ":5: [[static]] at: \"/a\" is mounted twice",
        ),
        ("[[mount]]\nat = \"/a\"\nport = 1", ":3: [[mount]] unknown key `port`; settings go above"),
        (
            "[[mount]]\nat = \"/a\"\ntimeout = \"1s\"",
            ":3: [[mount]] unknown key `timeout`; the keys are at, run",
        ),
        ("[[mount]]\nat = \"/a\"\nhandler-timeout = 30", ":3: [[mount]] handler-timeout: '30' has no unit"),
        (
            "[[mount]]\nat = \"/a\"\nhandler-timeout = \"1500ms\"",
            ":3: [[mount]] handler-timeout must be in whole seconds",
        ),
        (
            "[[mount]]\nat = \"/a\"\nhandler-limit = \"disk=1\"",
            ":3: [[mount]] handler-limit: unknown limit 'disk'",
        ),
        ("[[mount]]\nat = \"/a\"\nmax-handlers = -1", ":3: [[mount]] max-handlers: it must not be below 0"),
        ("[[mount]]\nat = \"/a\"\nenv = 1", ":3: [[mount]] env: must be a table"),
        ("[[mount]]\nat = \"/a\"\nenv = { HTTP_A = \"\" }", ":3: [[mount]] env HTTP_A is set by the server"),
        (
            "[[mount]]\nat = \"/a\"\n[mount.env]\n\nPATH_INFO = \"\"",
            ":5: [[mount]] env PATH_INFO is set by the server",
        ),
        ("[[mount]]\nat = \"/a\"\nenv = { A = \"MANY\" }", ":3: [[mount]] env A: the value is too long"),
        ("[[static]]\nat = \"/a\"", ":1: [[static]] root is missing"),
        (
            "[[static]]\nat = \"/a\"\nroot = \"files\"",
            ":3: [[static]] root: \"files\" must be an absolute path",
        ),
        (
            "[[static]]\nat = \"/a\"\nroot = \"/dev/null\"",
            ":3: [[static]] root: /dev/null is neither a directory",
        ),
        ("[[static]]\nat = \"/a\"\ndir = \"/\"", ":3: [[static]] unknown key `dir`; the keys are at, root"),
    ] {
        let fill = |text: &str| text.replace("PLAIN", &plain).replace("DIR", &dir).replace("MANY", &many);
        sandbox.write("c.toml", fill(contents));
        let outcome = sandbox.caffeine(&["--check-config", "--config", "c.toml"]).fails(2, &fill(text));
        assert!(outcome.stderr.contains("/c.toml:"), "{outcome:?}");
        sandbox.caffeine(&["--config", "c.toml", "-p", "0"]).fails(2, &fill(text));
    }
}

#[test]
fn mounts_are_recorded_as_they_were_read() {
    let sandbox = Sandbox::new();
    let root = sandbox.handlers().display().to_string();
    let file = sandbox.write(
        "c.toml",
        format!(
            "[env]\nA = \"1\"\n[[mount]]\nat = \"/\"\nrun = [\"/bin/sh\", \"-c\", \"a \\\"b\\\"\"]\nhandler-timeout = \"0s\"\n\
             handler-limit = \"cpu=3s\"\nmax-handlers = 4\nenv = {{ REDIRECT_STATUS = 200 }}\n[[mount]]\nat = \"/d\"\ndir = \"{root}\"\n\
             handler-timeout = \"2m\"\n[[static]]\nat = \"/s\"\nroot = \"{root}\"\n"
        ),
    );
    let resolve = |file: &std::path::Path| {
        let arguments = ["caffeine".into(), "-c".into(), file.into(), "--path".into(), root.clone().into()];
        match parse(arguments, |_| None).unwrap() {
            Parsed::Act(_, layers) => Sources::new(*layers).resolve().unwrap(),
            Parsed::Print(text) => panic!("{text}"),
        }
    };
    let settings = resolve(&file);
    let copy = sandbox.path("copy.toml");
    settings.save(&copy).unwrap();
    let again = resolve(&copy);
    assert_eq!(format!("{settings:?}"), format!("{again:?}"));
    assert_eq!((again.mount.len(), again.files.len()), (2, 1));
    assert_eq!(again.mount[0].env["REDIRECT_STATUS"], "200");
}
