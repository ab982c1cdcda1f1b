//! Settings: command line before environment before file before default, and errors that say where.

use std::ffi::OsString;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use caffeine::server::cli::{Parsed, parse};
use caffeine::server::config::{Settings, Sources, recorded};

use crate::harness::{Outcome, Sandbox};

fn sources(arguments: &[&str], environment: &[(&str, &str)]) -> Sources {
    let arguments = std::iter::once(&"caffeine").chain(arguments).map(OsString::from);
    let variable = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    match parse(arguments, variable).unwrap() {
        Parsed::Act(_, layers) => Sources::new(*layers),
        Parsed::Print(text) => panic!("{text}"),
    }
}

fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Settings {
    sources(arguments, environment).resolve().unwrap()
}

#[test]
fn the_command_line_overrides_the_environment_overrides_the_file() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("c.toml", "port = 1001\nworkers = 11\nbacklog = 111\n");
    let file = file.to_str().unwrap();
    let environment = [("CAFFEINE_PORT", "1002"), ("CAFFEINE_WORKERS", "12")];

    let settings = resolve(&["-c", file, "--port", "1003"], &environment);
    assert_eq!((settings.port, settings.workers, settings.backlog), (1003, 12, 111));
    assert_eq!(settings.grace, Duration::from_secs(30), "the default");
}

#[test]
fn the_configuration_file_can_be_named_in_the_environment() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("c.toml", "port = 1001\n");
    assert_eq!(resolve(&[], &[("CAFFEINE_CONFIG", file.to_str().unwrap())]).port, 1001);
}

#[test]
fn empty_and_overridden_variables_are_ignored() {
    assert_eq!(resolve(&[], &[("CAFFEINE_PORT", "")]).port, 8080);
    assert_eq!(resolve(&["-p", "1"], &[("CAFFEINE_PORT", "no number")]).port, 1);
}

#[test]
fn an_invalid_variable_is_named_with_a_remedy() {
    let sandbox = Sandbox::new();
    let start = |name: &str, value: &str| {
        let mut command = sandbox.command(&[]);
        command.env(name, value);
        sandbox.run(command)
    };
    start("CAFFEINE_LOG_LEVEL", "loud").fails(2, "CAFFEINE_LOG_LEVEL: invalid value 'loud'");
    let orchestrated = start("CAFFEINE_PORT", "tcp://10.0.0.1:8080");
    let orchestrated = orchestrated.fails(2, "; unset it, or give --port (Kubernetes sets it");
    assert!(orchestrated.stderr.contains("CAFFEINE_PORT"), "{orchestrated:?}");
}

/// An invalid value for every setting that can have one.
const BAD: [(&str, &str); 12] = [
    ("CAFFEINE_PORT", "tcp://10.0.0.1:8080"),
    ("CAFFEINE_WORKERS", "many"),
    ("CAFFEINE_BIND", "localhost"),
    ("CAFFEINE_LISTENER", "lifo"),
    ("CAFFEINE_RESPOND", "coffee"),
    ("CAFFEINE_LOG_LEVEL", "loud"),
    ("CAFFEINE_GRACE", "soon"),
    ("CAFFEINE_MAX_BODY", "lots"),
    ("CAFFEINE_PIN", "perhaps"),
    ("CAFFEINE_HANDLER_LIMIT", "none"),
    ("CAFFEINE_USER", "no such user"),
    ("CAFFEINE_BACKLOG", "-1"),
];

#[test]
fn an_action_ignores_variables_it_does_not_use() {
    let sandbox = Sandbox::new();
    let _server = sandbox.start(&["-n", "lab"]);
    let file = sandbox.program("hello", "#!/bin/sh\n");
    let act = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.envs(BAD);
        sandbox.run(command)
    };
    for arguments in
        ["-L", "-n lab --status", "-n lab --log", "-n lab --reset-logs", "-n lab --reload", "--man", "--help"]
    {
        act(&arguments.split(' ').collect::<Vec<_>>()).succeeds();
    }
    act(&["--deploy", file.to_str().unwrap()]).succeeds();
    act(&["-n", "lab", "--stop"]).succeeds();
    for (name, value) in [("CAFFEINE_NAME", "no name"), ("CAFFEINE_PATH", "missing")] {
        let mut command = sandbox.command(&["-L"]);
        command.env(name, value);
        sandbox.run(command).succeeds();
    }
}

#[test]
fn the_working_directory_matters_only_for_relative_paths() {
    let sandbox = Sandbox::new();
    let gone = |arguments: &[&str]| {
        std::fs::create_dir(sandbox.path("gone")).unwrap();
        let mut command = sandbox.command(&[]);
        let (program, arguments) = (command.get_program().to_owned(), arguments.join(" "));
        crate::harness::executed_by(&mut command, &["sh", "-c", "rmdir ../gone; exec \"$@\"", "sh"]);
        command.args(arguments.split(' ')).current_dir(sandbox.path("gone"));
        assert!(command.get_args().any(|argument| argument == program));
        sandbox.run(command)
    };
    gone(&["-n lab -D -p 0 --bind 127.0.0.1"]).succeeds();
    for arguments in ["-n lab --status", "-L", "-n lab --reload", "--check-config", "-n lab --stop"] {
        gone(&[arguments]).succeeds();
    }
    let needs = "the current directory no longer exists, so the relative path handlers cannot be resolved; give an absolute path";
    gone(&["--check-config --path handlers"]).fails(1, needs);
}

#[test]
fn every_error_in_a_file_names_file_line_and_key() {
    let sandbox = Sandbox::new();
    for (contents, text) in [
        ("\n\nprot = 1", ":3: unknown key `prot`; did you mean `port`?"),
        ("max_body = 1", ":1: unknown key `max_body`; did you mean `max-body`?"),
        ("threads = 1", ":1: unknown key `threads`; the keys are the settings of `caffeine --help`"),
        ("config = \"d.toml\"", ":1: config: a file cannot name another"),
        ("port =", ":1: port: the value is missing"),
        (
            "trusted-proxy = [\"::1\", \"::1/64\"]",
            ":1: trusted-proxy: \"::1/64\": ::1 has bits beyond the prefix /64",
        ),
        (
            "trusted-proxy = \"localhost\"",
            ":1: trusted-proxy: \"localhost\": it is not an address or a network",
        ),
        (
            "trusted-proxy = \"::1\"\nremote-user-header = \"X_User\"",
            ":2: remote-user-header: \"X_User\": the name of a header",
        ),
        ("port = [1]", ":1: port: expected one value, not a list"),
        ("port = # none", ":1: port: the value is missing"),
        ("workers = 2\nport = \nname = \"lab\"", ":2: port: the value is missing"),
        ("name = lab", ":1: name: put the value in quotes: name = \"lab\""),
        ("a\ngrace = \"30s\"", ":1: a: write a setting as `key = value`"),
        ("port = \"x\"", ":1: port: \"x\": a port is a whole number from 0 to 65535"),
        ("port = 99999", ":1: port: \"99999\": a port is"),
        ("workers = -1", ":1: workers: \"-1\": it must not be below 0"),
        ("workers = 1.5", ":1: workers: \"1.5\": it is not a whole number"),
        ("workers = [1]", ":1: workers: expected one value, not a list"),
        ("bind = \"localhost\"", ":1: bind: \"localhost\": it is not an IP address"),
        ("pin = \"perhaps\"", ":1: pin: \"perhaps\": it must be true or false"),
        ("workers = 4\nworkers = 5", ":2: workers: duplicate key"),
        ("grace = 30", ":1: grace: '30' has no unit"),
        ("name = \"no name\"", ":1: name: \"no name\" is not an instance name"),
        ("listener = \"lifo\"", ":1: listener: "),
        ("max-body = \"5 elephants\"", ":1: max-body: "),
        ("max-body = -1", ":1: max-body: "),
        ("[server]\nport = 1", ":1: unknown table [server]; the tables are [env], [[mount]] and [[static]]"),
        ("env = 1", ":1: env: must be a table"),
        ("[env]\nA = \"1\"\nB = [2]", ":3: [env] B: expected one value"),
        ("[env]\nport = 8080", ":2: [env] port: settings go above the line [env]"),
        (
            "[env]\nHTTP_PROXY = \"http://p:3128\"",
            ":2: [env] HTTP_PROXY is set by the server for each request",
        ),
        ("[env]\n\nREMOTE_USER = \"me\"", ":3: [env] REMOTE_USER is set by the server"),
        ("[env]\nA = \"a\\u0000b\"", ":2: [env] the value of A contains a NUL"),
        ("[env]\n\"A=B\" = \"\"", ":2: [env] \"A=B\""),
        ("workers = 0", "workers must be 1 to 1024, not 0"),
    ] {
        let file = sandbox.write("c.toml", contents);
        let outcome = sandbox.caffeine(&["--check-config", "--config", "c.toml"]).fails(2, text);
        if text.starts_with(':') {
            assert!(outcome.stderr.contains(&format!("{}:", file.display())), "{outcome:?}");
        }
        for word in ["u16", "usize", "u64", "expected a"] {
            assert!(!outcome.stderr.contains(word), "{outcome:?}");
        }
    }
}

#[test]
fn handler_variables_may_be_numbers_and_must_fit_into_an_environment() {
    let sandbox = Sandbox::new();
    sandbox.handler(
        "env",
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\necho \"$PORT $RATE $LIVE ${#LONG}\"\n",
    );
    let long = 131_072 - "LONG=".len() - 1;
    let with = |more: &str| {
        let numbers = "[env]\nPORT = 8080\nRATE = 0.50\nLIVE = true\n";
        sandbox.write("c.toml", format!("{numbers}{more}\n"));
        sandbox.caffeine(&["--check-config", "-c", "c.toml"])
    };
    with(&format!("LONG = \"{}\"", "x".repeat(long + 1))).fails(2, ":5: [env] LONG: the value is too long");
    let many: String = (0..64).map(|n| format!("V{n} = \"{}\"\n", "x".repeat(100_000))).collect();
    with(&many).fails(2, "c.toml:1: [env]: ");
    with(&format!("LONG = \"{}\"", "x".repeat(long))).succeeds();
    let server = sandbox.start(&["-c", "c.toml"]);
    assert_eq!(server.get("/env").text(), format!("8080 0.50 true {long}\n"));
}

#[test]
fn a_broken_file_affects_only_actions_that_read_it() {
    let sandbox = Sandbox::new();
    sandbox.write("c.toml", "name = \"lab\"\nstate-dir = \"state\"\n");
    let mut server = sandbox.start(&["-c", "c.toml"]);
    // No longer TOML, but these actions do not read it.
    sandbox.write("c.toml", "name = \"lab\"\nstate-dir = \"state\"\nport = \n");
    sandbox.caffeine(&["-c", "c.toml", "--stop"]).fails(2, ":3: port: the value is missing");
    let state = sandbox.path("state");
    sandbox
        .caffeine(&["-c", "c.toml", "-n", "lab", "--state-dir", state.to_str().unwrap(), "--status"])
        .succeeds();
    // Settings that only a start uses.
    sandbox.write(
        "c.toml",
        "name = \"lab\"\nstate-dir = \"state\"\nport = \"x\"\nprot = 1\n[env]\nHTTP_A = \"\"\n",
    );
    for action in ["--status", "--log", "-L", "--stop"] {
        sandbox.caffeine(&["-c", "c.toml", action]).succeeds();
    }
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn settings_can_be_checked_without_starting() {
    let sandbox = Sandbox::new();
    sandbox.write("c.toml", "name = \"lab\"\nworkers = 3\nport = 1234\nbind = \"127.0.0.1\"\n");
    let said = sandbox.caffeine(&["--check-config", "-c", "c.toml"]).succeeds().stdout;
    assert_eq!(said, "the settings are valid: lab on 127.0.0.1:1234, 3 workers, inherited\n");
    assert!(!sandbox.state_dir().exists(), "nothing is made");
    sandbox.write("c.toml", "\nworkers = 0\n");
    sandbox.caffeine(&["--check-config", "-c", "c.toml"]).fails(2, "workers must be 1 to");
    sandbox.caffeine(&["--check-config", "--path", "missing"]).fails(1, "missing");
    sandbox.caffeine(&["--check-config", "--user", "no-such-user"]).fails(2, "no-such-user");
}

#[test]
fn recorded_settings_can_be_read_back() {
    let sandbox = Sandbox::new();
    let source = "name = \"lab\"\npath = \".\"\nmax-handlers = 7\nhandler-timeout = \"9s\"\nheader-timeout = \"1500ms\"\n\
                  max-body = \"64KiB\"\nlistener = \"round-robin:wait\"\nrespond = \"sleep:const(1ms)\"\nseed = 9223372036854775807\n\
                  handler-limit = \"cpu=3s,files=9\"\nmax-connections = 5\nmax-per-client = 6\nmax-body-memory = \"64MiB\"\nlog-size = \"1MiB\"\nmin-rate = \"1k\"\nsend-timeout = \"0s\"\n\
                  allow-setuid = true\ndumpable = true\nidle-timeout = \"1s\"\nlog-level = \"WARN\"\nlog-format = \"json\"\nbind = \"::1\"\n\
                  trusted-proxy = [\"10.0.0.0/8\", \"unix\"]\nremote-user-header = \"X-User\"\n[env]\nGREETING = \"good \\\"day\\\"\"\n";
    let file = sandbox.write("c.toml", source);
    let settings = resolve(&["-c", file.to_str().unwrap()], &[]);
    let copy = sandbox.path("copy.toml");
    settings.save(&copy).unwrap();
    let again = resolve(&["-c", copy.to_str().unwrap()], &[]);
    assert_eq!(format!("{settings:?}"), format!("{again:?}"));
    assert_eq!(again.env["GREETING"], "good \"day\"");
    assert_eq!(recorded(&copy).unwrap().path.unwrap(), settings.path);
}

#[test]
fn trusted_proxies_are_one_setting_wherever_they_are_listed() {
    let sandbox = Sandbox::new();
    let shown =
        |settings: &Settings| settings.trusted_proxy.iter().map(ToString::to_string).collect::<Vec<_>>();
    let list = sandbox.write("list.toml", "trusted-proxy = [\"10.0.0.0/8\", \"unix\"]\n");
    let text = sandbox.write("text.toml", "trusted-proxy = \"10.0.0.0/8,unix\"\n");
    let variable = [("CAFFEINE_TRUSTED_PROXY", "10.0.0.0/8,unix")];
    let typed = ["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy=unix"];
    for (arguments, environment) in [
        (&["-c", list.to_str().unwrap()][..], &[][..]),
        (&["-c", text.to_str().unwrap()], &[]),
        (&[], &variable),
        (&typed, &[]),
    ] {
        assert_eq!(shown(&resolve(arguments, environment)), ["10.0.0.0/8", "unix"], "{arguments:?}");
    }
    let file = ["-c", list.to_str().unwrap(), "--trusted-proxy", "::1"];
    assert_eq!(shown(&resolve(&file, &variable)), ["::1"], "a source replaces those below it");
    assert_eq!(shown(&resolve(&[], &[])), [""; 0]);
}

#[test]
fn relative_paths_are_resolved_where_they_were_written() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("etc/handlers")).unwrap();
    let file = sandbox.write("etc/c.toml", "path = \"handlers\"\nstate-dir = \"state\"\n");
    let settings = resolve(&["-c", file.to_str().unwrap()], &[]);
    assert_eq!(settings.path, sandbox.path("etc/handlers"));
    assert_eq!(settings.state_dir, sandbox.path("etc/state"));
    let here = std::env::current_dir().unwrap();
    assert_eq!(resolve(&["--path", "."], &[]).path, here.join("."));
}

#[test]
fn a_reload_rereads_the_file_and_keeps_other_settings() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("c.toml", "port = 1\nworkers = 1\n");
    let sources = sources(&["-c", file.to_str().unwrap(), "-p", "9"], &[]);
    assert_eq!(sources.resolve().unwrap().workers, 1);
    sandbox.write("c.toml", "port = 2\nworkers = 2\n");
    let settings = sources.resolve().unwrap();
    assert_eq!((settings.port, settings.workers), (9, 2));
}

#[test]
fn a_configuration_from_a_pipe_or_fifo_is_refused() {
    let sandbox = Sandbox::new();
    let end = |from: Stdio| {
        let output = sandbox.command(&["--check-config", "-c", "/dev/stdin"]).stdin(from).output().unwrap();
        Outcome::of("the settings on standard input", output)
    };
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"workers = 3\n").unwrap();
    drop(writer);
    end(reader.into()).fails(2, "the configuration /dev/stdin: it is not a regular file");
    let file = std::fs::File::open(sandbox.write("c.toml", "workers = 3\n")).unwrap();
    assert!(end(file.into()).succeeds().stdout.contains(" 3 workers"), "a file by another name");
    nix::unistd::mkfifo(&sandbox.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    sandbox.caffeine(&["--check-config", "-c", "fifo"]).fails(2, "fifo: it is not a regular file");
}

#[test]
fn a_configuration_replaced_by_a_fifo_does_not_block_the_supervisor() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("c.toml", "workers = 2\n");
    let server = sandbox.start(&["-n", "lab", "-c", "c.toml"]);
    let before = server.worker_pids();
    std::fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "keeps its old configuration");
    assert!(server.log().contains("c.toml: it is not a regular file"), "{}", server.log());
    assert_eq!(server.worker_pids(), before);
    server.stop();
}

#[test]
fn an_unnamed_instance_is_named_after_its_port() {
    assert_eq!(resolve(&["-p", "8081"], &[]).name.as_str(), "port-8081");
    assert!(resolve(&["-p", "0"], &[]).name.as_str().starts_with("port-0-"));
}

#[test]
fn the_default_path_is_created_with_a_hint_to_deploy() {
    let sandbox = Sandbox::new();
    std::fs::remove_dir(sandbox.handlers()).unwrap();
    let server = sandbox.start(&[]);
    assert!(sandbox.handlers().is_dir());
    let stderr = server.stop();
    assert!(stderr.contains("`caffeine --deploy FILE`"), "{stderr}");
}

#[test]
fn accept_options_can_be_set_everywhere_and_are_recorded() {
    let sandbox = Sandbox::new();
    let usual = resolve(&[], &[]);
    assert_eq!((usual.accept_batch, usual.defer_accept_s, usual.pin), (1, 1, false));
    let file = sandbox.write(
        "c.toml",
        "listener = \"inherited-herd\"\naccept-batch = 2\ndefer-accept = \"3s\"\npin = true\n",
    );
    let settings = resolve(&["-c", file.to_str().unwrap()], &[]);
    assert_eq!((settings.accept_batch, settings.defer_accept_s, settings.pin), (2, 3, true));
    let settings =
        resolve(&["-c", file.to_str().unwrap(), "--defer-accept", "0s"], &[("CAFFEINE_PIN", "false")]);
    assert_eq!((settings.accept_batch, settings.defer_accept_s, settings.pin), (2, 0, false));
    // The recorded settings name the handlers' directory, so it must exist.
    let path = sandbox.handlers();
    let path = ["--path", path.to_str().unwrap()];
    let typed =
        resolve(&[&["--pin", "--listener", "inherited-herd", "--accept-batch=4"], &path[..]].concat(), &[]);
    let path = sandbox.path("saved.toml");
    typed.save(&path).unwrap();
    let again = resolve(&["-c", path.to_str().unwrap()], &[]);
    assert_eq!((again.accept_batch, again.defer_accept_s, again.pin), (4, 1, true));
}

#[test]
fn a_check_sees_that_the_directory_of_a_unix_socket_is_missing() {
    let sandbox = Sandbox::new();
    sandbox.write("c.toml", "bind = \"unix:run/web.sock\"\n");
    let check = ["-n", "lab", "-c", "c.toml", "--check-config"];
    sandbox.caffeine(&check).fails(1, "run/web.sock does not exist; make it");
    std::fs::create_dir(sandbox.path("run")).unwrap();
    sandbox.caffeine(&check).succeeds();
}
