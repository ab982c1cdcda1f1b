//! Output of the three programs when the reader has gone or the output cannot be written.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

use crate::harness::Sandbox;

const PROGRAMS: [&str; 3] =
    [env!("CARGO_BIN_EXE_caffeine"), env!("CARGO_BIN_EXE_loadgen"), env!("CARGO_BIN_EXE_lab")];

/// Actions that only print.
fn printing(program: &str) -> Vec<Command> {
    let mut requests = vec![vec!["--help"], vec!["--version"], vec!["--man"], vec!["--completions", "bash"]];
    if program.ends_with("lab") {
        requests.push(vec!["list"]);
    }
    if program.ends_with("caffeine") {
        requests.extend([vec!["--listener", "help"], vec!["-L"]]);
    }
    let command = |arguments: Vec<&str>| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command
    };
    requests.into_iter().map(command).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_closed_reader_is_not_an_error() {
    let sandbox = Sandbox::new();
    for mut command in PROGRAMS.into_iter().flat_map(printing) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.env("HOME", sandbox.path("")).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn output_that_cannot_be_written_fails_with_one_line() {
    let sandbox = Sandbox::new();
    for mut command in PROGRAMS.into_iter().flat_map(printing) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.env("HOME", sandbox.path("")).stdout(full).output().unwrap();
        let line = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {line}");
        assert!(line.contains(": cannot write to standard output: No space left"), "{command:?}: {line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn an_error_that_cannot_be_printed_keeps_its_exit_code() {
    for program in PROGRAMS {
        for (arguments, code) in [(vec!["--no-such-option"], 2), (vec!["no", "such", "words"], 2)] {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let status = Command::new(program).args(&arguments).stderr(full).status().unwrap();
            assert_eq!(status.code(), Some(code), "{program} {arguments:?}");
        }
    }
}

#[test]
fn shell_completion_offers_the_experiments() {
    let lab = PROGRAMS[2];
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(lab).args(["--completions", shell]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("quick") && text.contains("losses"), "{shell}: {text}");
    }
}
