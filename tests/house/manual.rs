//! The manual pages against the programs: options, statuses, signals, files and variables are those of the code, failures name
//! a test that provokes them, and neither groff nor mandoc has anything to say against a page.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use caffeine::http::refusal::phrase;
use caffeine::loadgen::cli::Args;
use caffeine::manual;
use caffeine::server::cli;
use caffeine::server::logging::NUMBERS;
use clap::CommandFactory as _;

use super::lexer::{Token, tokens};
use super::readme::quoted;
use super::{none, sources};
use crate::harness::{Sandbox, skipped};

const CAFFEINE: &str = include_str!("../../src/manual/caffeine.1");
const LOADGEN: &str = include_str!("../../src/manual/loadgen.1");
const LAB: &str = include_str!("../../src/manual/lab.1");

/// The text of one section of caffeine(1).
fn section(title: &str) -> &'static str {
    let text = CAFFEINE.split(&format!("\n.SH {title}\n")).nth(1);
    text.unwrap_or_else(|| panic!("caffeine(1) has no section {title}")).split("\n.SH ").next().unwrap()
}

/// The program's own source, in one text.
fn source() -> String {
    sources(&["src"]).into_iter().map(|(_, text)| text).collect()
}

/// What `lab --man` prints.
fn lab() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).arg("--man").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The rendered pages, by name.
fn pages() -> [(&'static str, String); 3] {
    [
        ("caffeine", manual::render(cli::command(), CAFFEINE).unwrap()),
        ("loadgen", manual::render(Args::command(), LOADGEN).unwrap()),
        ("lab", lab()),
    ]
}

/// What a program that reads a page from standard input says about it. `None` if it is not installed.
fn said_of(page: &str, program: &str, arguments: &[&str]) -> Option<String> {
    let sandbox = Sandbox::new();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(sandbox.path("")).stdin(Stdio::piped());
    let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        skipped(format!("{program} is not installed"));
        return None;
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// All long options that a text speaks of.
fn options_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

#[test]
fn pages_speak_of_options_that_are_there() {
    for ((name, rendered), written) in pages().into_iter().zip([CAFFEINE, LOADGEN, LAB]) {
        // What clap_mangen writes for an option is a bold line after `.TP`.
        let rendered = rendered.replace("\\-", "-");
        let entries = rendered.split(".TP\n\\fB").skip(1).filter_map(|rest| rest.lines().next());
        let defined: BTreeSet<_> = entries.flat_map(options_in).collect();
        let missing =
            options_in(written).difference(&defined).map(|option| format!("{name}(1): {option}")).collect();
        none("the program has no such option:", missing);
    }
}

#[test]
fn every_option_is_on_its_page() {
    let [(_, page), ..] = pages();
    for option in cli::command().get_arguments().filter_map(clap::Arg::get_long) {
        assert!(
            page.contains(&format!("\\-\\-{}\\fR", option.replace('-', "\\-"))),
            "caffeine(1): --{option}"
        );
    }
}

#[test]
fn failures_name_tests_that_are_there() {
    let section = section("WHEN SOMETHING GOES WRONG");
    let named: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix(".\\\" test ")).collect();
    assert_eq!(named.len(), section.matches("\n.TP\n").count(), "each failure has a test");
    let tests = sources(&["tests"]);
    for name in named {
        let (module, test) = name.rsplit_once("::").unwrap();
        let file = format!("tests/{}", module.replace("::", "/"));
        let is_file = |path: &str| path == format!("{file}.rs") || path == format!("{file}/mod.rs");
        let text = tests.iter().find(|(path, _)| is_file(path));
        let is_there = text.is_some_and(|(_, text)| text.contains(&format!("#[test]\nfn {test}()")));
        assert!(is_there, "there is no test {name}");
    }
}

#[test]
fn failures_quote_what_the_program_says() {
    let said = source();
    // Commands and fields of a log line, which are put together elsewhere, are not constants.
    let quotes = quoted(section("WHEN SOMETHING GOES WRONG")).filter(|words| {
        words.contains(' ') && !words.contains('=') && !words.contains("--") && !words.contains(" -")
    });
    for words in quotes {
        let constant = words.split(|c: char| c.is_ascii_digit()).next().unwrap();
        assert!(said.contains(constant), "the program never says {constant:?}");
    }
}

#[test]
fn statuses_are_those_that_the_server_sends() {
    let written: BTreeSet<String> = section("RESPONSES OF THE SERVER")
        .lines()
        .filter_map(|line| line.strip_prefix(".B "))
        .map(String::from)
        .collect();
    let sent = (200..600).filter(|status| phrase(*status) != "Error");
    assert_eq!(written, sent.map(|status| format!("{status} {}", phrase(status))).collect());
}

#[test]
fn signals_are_those_that_the_supervisor_handles() {
    let upper =
        |word: &&str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let headings = section("SIGNALS").lines().filter(|line| line.starts_with(".B"));
    let written: BTreeSet<&str> =
        headings.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric())).filter(upper).collect();
    let supervisor = include_str!("../../src/server/supervisor/start.rs");
    let list = supervisor.split("const SIGNALS").nth(1).and_then(|rest| rest.split("];").next()).unwrap();
    let held = list.split("Signal::SIG").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        &rest[..end]
    });
    let handled: BTreeSet<&str> = held.filter(|signal| *signal != "CHLD").collect();
    assert_eq!(written, handled, "caffeine(1), then the supervisor");
}

#[test]
fn variables_and_files_are_on_the_page() {
    for (path, text) in sources(&["src/server", "src/instance", "src/cgi"]) {
        for call in ["var_os(\"", "variable(\"", "set(env, \"", "absolute(\""] {
            for name in text.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(CAFFEINE.contains(name), "caffeine(1) lacks {name}, which {path} uses");
            }
        }
    }
    let files = include_str!("../../src/instance/registry.rs");
    for name in files.split("self.files.join(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(section("FILES").contains(&format!(".I {name}\n")), "caffeine(1) lacks the file {name}");
    }
}

/// The keys of log lines in a source: the fields of tracing's macros.
fn logged(text: &str) -> BTreeSet<&str> {
    let found = tokens(text);
    let token = |at: usize| found.get(at).map(|(_, token)| token);
    let is = |at: usize, mark: char| token(at) == Some(&Token::Mark(mark));
    let mut keys = BTreeSet::new();
    for start in 0..found.len() {
        if token(start) != Some(&Token::Word("tracing")) || !is(start + 4, '!') {
            continue;
        }
        let (mut depth, mut at) = (1, start + 6);
        while depth > 0 && at < found.len() {
            let begins = depth == 1 && (is(at - 1, '(') || is(at - 1, ','));
            match &found[at].1 {
                Token::Literal if begins => break, // the message
                Token::Word(key) if begins && (is(at + 1, '=') || is(at + 1, ',') || is(at + 1, ')')) => {
                    keys.insert(*key);
                }
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')' | ']' | '}') => depth -= 1,
                _ => {}
            }
            at += 1;
        }
    }
    keys
}

#[test]
fn keys_of_the_log_are_on_the_page() {
    let made_up =
        "tracing::info!(peer = %a, method, target = f(x, y), \"{} and\", z); tracing::warn!(\"x\", y);";
    assert_eq!(logged(made_up), ["method", "peer", "target"].into());
    let written: BTreeSet<&str> = section("LOGS")
        .lines()
        .filter_map(|line| line.strip_prefix(".B "))
        .flat_map(str::split_whitespace)
        .collect();
    for (path, text) in sources(&["src/server", "src/instance", "src/listener", "src/cgi"]) {
        let missing = logged(&text).into_iter().filter(|key| !written.contains(key)).collect::<Vec<_>>();
        assert!(missing.is_empty(), "{path} logs {missing:?}, which caffeine(1), LOGS, does not explain");
    }
    assert!(NUMBERS.iter().all(|key| written.contains(key)), "{NUMBERS:?}");
}

#[test]
fn groff_renders_the_pages_without_a_warning() {
    for (name, page) in pages() {
        let Some(said) = said_of(&page, "groff", &["-man", "-Tutf8", "-ww", "-z"]) else { return };
        assert_eq!(said, "", "{name}(1)");
    }
}

#[test]
fn mandoc_has_nothing_against_the_pages() {
    for (name, page) in pages() {
        let Some(said) = said_of(&page, "mandoc", &["-T", "lint", "-W", "style"]) else { return };
        assert_eq!(said, "", "{name}(1)");
    }
}

#[test]
fn each_page_has_the_usual_sections() {
    let usual =
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SIGNALS", "FILES", "ENVIRONMENT", "EXIT STATUS"];
    for (name, page) in pages() {
        let missing = |section: &&str| page.matches(&format!("\n.SH {section}\n")).count() != 1;
        let missing: Vec<_> = usual.into_iter().filter(missing).collect();
        assert!(missing.is_empty(), "{name}(1): {missing:?}");
    }
}
