//! Rules for the source that the compiler does not check: module edges, where `unsafe` is allowed, module
//! comments, file lengths, the top-level entries, plain English. They read source text only.

mod edges;
mod language;
mod layout;
mod lexer;
mod listener;
mod manual;
mod readme;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::skipped;
use lexer::{Token, tokens};

/// Longest source file, in lines.
const LONGEST: usize = 400;
/// Everything allowed at the top level.
const TOP: &str = ".ci .gitignore CHANGELOG.md CITATION.cff Cargo.lock Cargo.toml LICENSE README.md bench build.rs \
                   build.sh deny.toml experiments results rustfmt.toml src tests";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below some folders: its path from the root and its text.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Fails with one line per finding.
fn none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n{}", findings.join("\n"));
}

#[test]
fn modules_use_only_the_modules_they_may() {
    let files = sources(&["src"]).into_iter().filter(|(path, _)| !path.starts_with("src/bin/"));
    let found = files.flat_map(|(path, text)| edges::violations(&path, &text)).collect();
    none("the edges stand in tests/house/edges.rs:", found);
}

#[test]
fn the_module_map_in_lib_rs_matches_the_table_of_edges() {
    let head = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let written: Vec<(&str, Vec<&str>)> = head
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(" <"))
        .map(|(left, uses)| (left.split(' ').next().unwrap(), uses.split_whitespace().collect()))
        .collect();
    let real: Vec<_> = edges::EDGES.iter().map(|(module, uses)| (*module, uses.to_vec())).collect();
    assert_eq!(written, real, "src/lib.rs, then tests/house/edges.rs");
}

#[test]
fn a_program_is_three_lines_that_call_its_module() {
    for (path, text) in sources(&["src/bin"]) {
        let program = path.trim_start_matches("src/bin/").trim_end_matches(".rs");
        let module = if program == "caffeine" { "server" } else { program };
        let code: Vec<_> = text.lines().filter(|line| !line.starts_with("//!") && !line.is_empty()).collect();
        assert_eq!(code.len(), 3, "{path} is more than a main");
        assert_eq!(code[1].trim(), format!("caffeine::{module}::main()"), "{path}");
    }
}

/// Lines with `unsafe` in code.
fn unsafe_lines(text: &str) -> Vec<usize> {
    tokens(text)
        .into_iter()
        .filter(|(_, token)| *token == Token::Word("unsafe"))
        .map(|(line, _)| line)
        .collect()
}

#[test]
fn unsafe_is_used_in_sys_only() {
    assert_eq!(unsafe_lines("// unsafe\nlet a = \"unsafe\"; unsafe_op();\nunsafe { b() }"), [3]);
    let allowed = ["src/sys/", "tests/harness/sys/"];
    let files = sources(&["src", "bench", "tests"]).into_iter();
    let files = files.filter(|(path, _)| !allowed.iter().any(|folder| path.starts_with(folder)));
    let found = files.flat_map(|(path, text)| {
        unsafe_lines(&text).into_iter().map(move |line| format!("{path}:{line}")).collect::<Vec<_>>()
    });
    none("unsafe outside src/sys and tests/harness/sys: put a wrapper there", found.collect());
}

#[test]
fn every_file_opens_with_a_module_comment() {
    let files = sources(&["src", "bench", "tests"]).into_iter();
    let found = files.filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path);
    none("these open without `//! `:", found.collect());
}

#[test]
fn files_stay_short() {
    let files = sources(&["src", "bench", "tests"]).into_iter();
    let found = files
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, path)| format!("{path}: {lines} lines"));
    none(&format!("over {LONGEST} lines: is there a second idea in it?"), found.collect());
}

/// Files that show the time of day to people; nothing waits for it.
const TIME_OF_DAY: &[&str] = &[
    "src/cgi/file_server.rs",
    "src/server/logging/clock.rs",
    "src/server/supervisor/start.rs",
    "src/server/actions/status/sight.rs",
    "src/server/today.rs",
    "src/server/actions/table.rs",
    "src/sys/clock.rs",
    "src/instance/deploy/tree.rs",
];

#[test]
fn server_deadlines_use_the_monotonic_clock() {
    let measures = ["src/lab/", "src/loadgen/", "src/measure/"];
    let files = sources(&["src"])
        .into_iter()
        .filter(|(path, _)| !measures.iter().any(|folder| path.starts_with(folder)));
    let told = |path: &String| !TIME_OF_DAY.contains(&path.as_str());
    let found = files.filter(|(path, _)| told(path)).flat_map(|(path, text)| {
        let of_day = |token: &Token| {
            matches!(token, Token::Word("SystemTime" | "CLOCK_REALTIME" | "realtime_ns" | "UNIX_EPOCH"))
        };
        let lines: Vec<usize> =
            tokens(&text).into_iter().filter(|(_, token)| of_day(token)).map(|(line, _)| line).collect();
        lines.into_iter().map(move |line| format!("{path}:{line}")).collect::<Vec<_>>()
    });
    none("the time of day can jump; wait on Instant or CLOCK_MONOTONIC:", found.collect());
}

/// Lines with a print macro, which panics when it cannot write.
fn panicking_prints(text: &str) -> Vec<usize> {
    let program = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let found = tokens(program);
    let prints = |at: &usize| {
        matches!(found[*at].1, Token::Word("print" | "println" | "eprint" | "eprintln"))
            && found.get(at + 1).is_some_and(|(_, next)| *next == Token::Mark('!'))
    };
    (0..found.len()).filter(prints).map(|at| found[at].0).collect()
}

#[test]
fn programs_print_with_functions_that_cannot_panic() {
    assert_eq!(panicking_prints("fn print() {}\nprintln!(\"a\");\n// print!\neprint!()"), [2, 4]);
    let files = sources(&["src"]).into_iter().filter(|(path, _)| !path.ends_with("tests.rs"));
    let found = files.flat_map(|(path, text)| {
        panicking_prints(&text).into_iter().map(move |line| format!("{path}:{line}")).collect::<Vec<_>>()
    });
    none("use sys::stdio, or the program's own print:", found.collect());
}

/// Lines that report a skip without [`crate::harness::skipped`]; libtest would hide them.
fn silent_skips(text: &str) -> Vec<usize> {
    let numbered = text.lines().enumerate();
    let silent =
        numbered.filter(|(_, line)| line.contains("println!") && line.to_lowercase().contains("skip"));
    silent.map(|(at, _)| at + 1).collect()
}

#[test]
fn a_skipped_test_reports_it() {
    assert_eq!(silent_skips("skipped(\"no root\");\neprintln!(\"SKIPPED: no root\");"), [2]);
    let found = sources(&["tests"]).into_iter().filter(|(path, _)| path != "tests/house/mod.rs");
    let found = found.flat_map(|(path, text)| {
        silent_skips(&text).into_iter().map(move |line| format!("{path}:{line}")).collect::<Vec<_>>()
    });
    none("libtest keeps this to itself; use harness::skipped:", found.collect());
}

/// Lines with unfinished work or a disabled test.
fn leftovers(text: &str) -> Vec<usize> {
    let found = tokens(text);
    let unfinished = |at: usize| match &found[at].1 {
        Token::Comment(words) => {
            words.split(|c: char| !c.is_alphanumeric()).any(|word| ["TODO", "FIXME", "XXX"].contains(&word))
        }
        Token::Word("todo" | "unimplemented") => {
            found.get(at + 1).is_some_and(|(_, next)| *next == Token::Mark('!'))
        }
        Token::Word("ignore") => at > 0 && found[at - 1].1 == Token::Mark('['),
        _ => false,
    };
    (0..found.len()).filter(|at| unfinished(*at)).map(|at| found[at].0).collect()
}

#[test]
fn no_todo_and_no_ignored_test() {
    let made_up =
        "// TODO: x\nfn todo() { todo!() }\n#[ignore]\nlet a = \"FIXME\"; /* FIXME */\n#[ignore = \"x\"]";
    assert_eq!(leftovers(made_up), [1, 2, 3, 4, 5]);
    let files = sources(&["src", "bench", "tests"]).into_iter();
    let found = files.flat_map(|(path, text)| {
        leftovers(&text).into_iter().map(move |line| format!("{path}:{line}")).collect::<Vec<_>>()
    });
    none("left for later:", found.collect());
}

#[test]
fn the_top_level_holds_only_listed_entries() {
    // Only tracked files: untracked ones are the developer's own.
    let Ok(listed) = Command::new("git").arg("ls-files").current_dir(root()).output() else { return };
    let paths = String::from_utf8(listed.stdout).unwrap();
    let tops = paths.lines().filter_map(|path| path.split('/').next());
    let strange: BTreeSet<_> = tops.filter(|top| !TOP.split_whitespace().any(|name| name == *top)).collect();
    none("not in the design's top level:", strange.into_iter().map(String::from).collect());
}

#[test]
fn the_fuzz_targets_lock_what_the_package_depends_on() {
    let Ok(lock) = fs::read_to_string(root().join("tests/fuzz/Cargo.lock")) else {
        return skipped("the published package has no fuzz targets");
    };
    let table = |text: &str| text.parse::<toml::Table>().unwrap();
    let (package, lock) = (table(&fs::read_to_string(root().join("Cargo.toml")).unwrap()), table(&lock));
    let locked = lock["package"].as_array().unwrap().iter();
    let own = locked
        .map(|entry| entry.as_table().unwrap())
        .find(|entry| entry["name"] == package["package"]["name"]);
    let names: BTreeSet<_> =
        own.unwrap()["dependencies"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let needed = package["dependencies"].as_table().unwrap().iter();
    let missing = needed.filter(|(name, of)| of.get("optional").is_none() && !names.contains(name.as_str()));
    none(
        "run cargo update --workspace --manifest-path tests/fuzz/Cargo.toml:",
        missing.map(|(name, _)| name.clone()).collect(),
    );
}
