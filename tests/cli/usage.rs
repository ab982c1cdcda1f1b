//! The command line: help, and one clear line for every usage error.

use crate::harness::Sandbox;

#[test]
fn every_usage_error_is_one_line_that_names_the_object() {
    let sandbox = Sandbox::new();
    for (arguments, text) in [
        ("--stop", "--stop needs the name of an instance: `caffeine --name NAME --stop`"),
        ("-s", "--stop needs the name"),
        ("--log", "`caffeine --name NAME --log`"),
        ("--log --follow", "--log needs the name"),
        ("--reset-logs", "`caffeine --name NAME --reset-logs`"),
        ("--status", "`caffeine --name NAME --status`"),
        ("--reload", "`caffeine --name NAME --reload`"),
        ("-D", "`caffeine --name NAME --daemon`"),
        ("--follow -n lab", "--follow requires --log"),
        ("--access -n lab", "--access requires --log"),
        ("--json -n lab", "--json requires --list-instances or --status"),
        ("--deploy-builtin shop", "'shop' is not one of metrics, live"),
        ("--metrics", "`caffeine --name NAME --metrics`"),
        ("--log-to disk", "'disk' is not one of file, stderr, both"),
        ("--access-log common", "'common' is not one of off, combined, json"),
        ("-n lab --stop --log", "'--stop' cannot be used with '--log'"),
        ("-n lab --stop --daemon", "'--stop' cannot be used with '--daemon'"),
        ("-L --deploy x", "'--list-instances' cannot be used with '--deploy"),
        ("-n lab --path . --deploy x", "takes --name or --path, not both"),
        ("--prt 1", "'--port'"),
        ("hello", "unexpected argument 'hello'"),
        ("--port 65536", "a port is a whole number from 0 to 65535"),
        ("--port http", "'http' for '--port"),
        ("--workers 0", "workers must be 1 to 1024, not 0"),
        ("--workers -1", "'-1' for '--workers"),
        ("--workers 100000", "workers must be 1 to 1024, not 100000"),
        ("--bind localhost", "'localhost' for '--bind"),
        ("--trusted-proxy 10.0.0.1/8", "10.0.0.1 has bits beyond the prefix /8: give the address alone"),
        ("--trusted-proxy localhost", "it is not an address or a network, such as 192.0.2.1"),
        ("--trusted-proxy=", "--trusted-proxy"),
        ("--remote-user-header X-User", "remote-user-header is read from trusted proxies only"),
        ("--trusted-proxy unix --remote-user-header X_User", "has letters, digits and hyphens"),
        ("--listener lifo", "inherited, inherited-herd, "),
        ("--listener inherited-rearm:0", "'inherited-rearm' takes a number from 1 to 1000000"),
        ("--listener reuseport-cbpf:weights=0", "takes random, turn, cpu, or weights=4,2,1"),
        (
            "--accept-batch 2",
            "the workers of inherited accept one connection at a time; the strategies that accept several are inherited-herd",
        ),
        ("--accept-batch 0", "accept-batch must be 1 to 1024, not 0"),
        ("--defer-accept 1500ms", "defer-accept must be 0s to 120s, in whole seconds"),
        ("--pin=perhaps", "'perhaps'"),
        ("--respond coffee", "'coffee'"),
        ("--log-level TRACE", "choose DEBUG, INFO, WARN or ERROR"),
        ("--log-format xml", "choose text or json"),
        ("--max-body lots", "'lots'"),
        ("--header-timeout 10", "'10'"),
        ("--header-timeout 0s", "header-timeout must be longer than 0s"),
        ("--handler-timeout 1500ms", "whole seconds"),
        ("--send-timeout 500us", "send-timeout must be 1ms to 2147483647ms, or 0s for no limit"),
        ("--send-timeout 720h", "send-timeout must be 1ms to 2147483647ms, or 0s for no limit"),
        ("--backlog 0", "backlog must be 1 to"),
        ("--name ../etc", "\"../etc\" is not an instance name"),
        ("--name=-x", "\"-x\" is not an instance name"),
        ("--name=", "it is empty"),
        ("--completions cobol", "'cobol'"),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        sandbox.caffeine(&arguments).fails(2, text);
    }
}

#[test]
fn missing_files_fail_with_exit_code_1() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("file", "");
    for (arguments, text) in [
        (["--path", "missing"], "missing: No such file"),
        (["--path", file.to_str().unwrap()], "is not a directory"),
        (["--config", "missing.toml"], "missing.toml: No such file"),
        (["--state-dir", "file/state"], "choose another with --state-dir"),
    ] {
        sandbox.caffeine(&arguments).fails(1, text);
    }
}

#[test]
fn help_and_version_fit_eighty_columns() {
    let sandbox = Sandbox::new();
    let help = sandbox.caffeine(&["--help"]).succeeds().stdout;
    let brief = sandbox.caffeine(&["-h"]).succeeds().stdout;
    for text in [&help, &brief] {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    // On one screen, and nothing that --help does not have.
    assert!(brief.lines().count() <= 72, "{brief}");
    let options = |text: &str| -> Vec<String> {
        let options = text.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        options.map(|line| line.split("  ").next().unwrap().to_owned()).collect()
    };
    let all = options(&help);
    assert!(options(&brief).iter().all(|option| all.contains(option)), "{brief}");
    let defined = caffeine::server::cli::command();
    for option in defined.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(all.iter().any(|line| line.contains(&format!("--{option}"))), "{option}");
    }
    assert!(brief.contains("`caffeine --help` prints all options"), "{brief}");
    for option in
        ["-n, --name", "-D, --daemon", "-s, --stop", "-L, --list-instances", "-p, --port", "-w, --workers"]
            .iter()
            .chain(&["-d, --deploy", "-l, --log", "--log-level", "--reset-logs", "-c, --config", "--path"])
    {
        assert!(help.contains(option) && brief.contains(option), "{option} is not in {help}");
    }
    assert!(sandbox.caffeine(&["--version"]).succeeds().stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_strategies_are_explained() {
    let sandbox = Sandbox::new();
    let text = sandbox.caffeine(&["--listener", "help"]).succeeds().stdout;
    assert_eq!(text, sandbox.caffeine(&["--listener=help"]).succeeds().stdout);
    assert!(text.contains("\ninherited-rearm[:N]\n") && text.contains("exact turn"), "{text}");
}

#[test]
fn shell_completion_offers_instances_and_strategies() {
    let sandbox = Sandbox::new();
    for name in ["web", "lab"] {
        std::fs::create_dir_all(sandbox.state_dir().join(name)).unwrap();
    }
    let script = sandbox.caffeine(&["--completions", "bash"]).succeeds().stdout;
    sandbox.write("completions", script);
    let offered = |words: &[&str]| {
        let last = words.len() - 1;
        let typed = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let call = format!(
            "source ./completions; COMP_WORDS=({typed}); COMP_CWORD={last}; _caffeine caffeine '{}' '{}'; \
             echo \"${{COMPREPLY[@]}}\"",
            words[last],
            words[last - 1]
        );
        let mut command = std::process::Command::new("bash");
        command.args(["--norc", "-c", &call]).env("HOME", sandbox.path("")).env_remove("XDG_STATE_HOME");
        let output = command.current_dir(sandbox.path("")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for option in ["-n", "--name", "--forget"] {
        assert_eq!(offered(&["caffeine", option, ""]), "lab web", "{option}");
    }
    assert_eq!(offered(&["caffeine", "-n", "w"]), "web");
    let strategies = offered(&["caffeine", "--listener", "reuse"]);
    assert_eq!(strategies, "reuseport reuseport-cbpf reuseport-steal");
    for (shell, words) in [("zsh", "caffeine 2>/dev/null"), ("fish", "(ls (set -q XDG_STATE_HOME;")] {
        let script = sandbox.caffeine(&["--completions", shell]).succeeds().stdout;
        assert!(script.contains(words) && script.contains("reuseport-steal"), "{shell}");
    }
    let other = sandbox.caffeine(&["--completions", "elvish"]).succeeds().stdout;
    assert!(!other.contains("INSTANCES"), "{other}");
}

#[test]
fn completions_and_manual_page_can_be_generated() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let completions = sandbox.caffeine(&["--completions", shell]).succeeds().stdout;
        assert!(completions.contains("list-instances"), "{shell}");
    }
    assert!(sandbox.caffeine(&["--man"]).succeeds().stdout.contains(".TH CAFFEINE"));
}
