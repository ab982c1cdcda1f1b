//! Plain English: phrases that speak of things as persons, or name them by a relative clause.

use std::fs;
use std::path::PathBuf;

use super::root;

/// Findings in the whole project. Lower it whenever the number falls: the aim is 0.
const CEILING: usize = 12;

/// Words to avoid, `*` for any word, each with what to write instead.
const PHRASES: &[(&str, &str)] = &[
    ("nobody", "name the thing: \"no process\", \"no client\", \"not by the server\", `None`"),
    ("nobody's", "name the thing: \"no worker's\""),
    ("somebody", "name the thing: \"another process\", \"a client\""),
    ("somebody's", "name the thing: \"another user's\""),
    ("whoever", "name the thing: \"the caller\", \"any process that\""),
    ("is no *", "write \"is not a\""),
    ("are no *", "write \"are not\""),
    ("so many", "write \"this many\", or the number"),
    ("befell", "write \"happened to\""),
    ("who is to be", "write \"the user to\""),
    ("that there is", "use the noun: \"a missing file\", \"if a worker runs\""),
    ("that there are", "use the noun: \"the existing files\""),
];

/// Ordinary English that would match: the words around a phrase.
fn is_ordinary(phrase: &str, before: Option<&str>, last: &str) -> bool {
    phrase.ends_with('*') && (before == Some("there") || last == "longer") || before == Some("so")
}

/// Line numbers with the phrase and what to write instead. Names in capitals, such as constants, are not words.
fn findings(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\''));
        let words: Vec<String> = words
            .filter(|word| word.chars().any(char::is_lowercase) || matches!(*word, "A" | "I"))
            .map(str::to_lowercase)
            .collect();
        for (phrase, advice) in PHRASES {
            let wanted: Vec<&str> = phrase.split(' ').collect();
            let matching = |at: usize| {
                words[at..].iter().zip(&wanted).all(|(word, wanted)| *wanted == "*" || word == wanted)
            };
            for at in (0..(words.len() + 1).saturating_sub(wanted.len())).filter(|at| matching(*at)) {
                let before = at.checked_sub(1).map(|before| words[before].as_str());
                if !is_ordinary(phrase, before, &words[at + wanted.len() - 1]) {
                    found.push((number, *phrase, *advice));
                }
            }
        }
    }
    found
}

/// Every text that people read: sources, scripts, experiments and pages. Not this file, nor the data of results.
fn texts() -> Vec<(String, String)> {
    const SUFFIXES: &[&str] = &["rs", "md", "toml", "sh", "py", "html", "c", "service", "socket", "conf"];
    let tops = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let folders = ["src", "tests", "bench", "experiments", ".ci"].map(|folder| root().join(folder));
    let mut waiting: Vec<PathBuf> = tops.chain(folders).collect();
    waiting.push(root().join("results/README.md"));
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            waiting
                .extend(entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("target")));
            continue;
        }
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_read = path.extension().is_none_or(|suffix| SUFFIXES.iter().any(|one| suffix == *one));
        if is_read
            && name != "tests/house/language.rs"
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.push((name.to_owned(), text));
        }
    }
    found.sort();
    found
}

#[test]
fn texts_are_in_plain_english() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        let lines: Vec<&str> = text.lines().collect();
        found.extend(findings(&text).into_iter().map(|(line, phrase, advice)| {
            format!("{path}:{line}: `{phrase}`: {advice}\n    {}", lines[line - 1].trim())
        }));
    }
    let count = found.len();
    println!("{count} of at most {CEILING}:\n{}", found.join("\n"));
    assert!(
        count <= CEILING,
        "{count} phrases that are not plain English, {CEILING} are left:\n{}",
        found.join("\n")
    );
}

#[test]
fn phrases_are_found_as_words_and_ordinary_english_is_not() {
    let lines =
        |text: &str| findings(text).into_iter().map(|(line, phrase, _)| (line, phrase)).collect::<Vec<_>>();
    assert_eq!(
        lines("// Nobody waits.\nlet by_nobody = NOBODY;\n\"x is no file\"; // so many, befell"),
        [(1, "nobody"), (3, "is no *"), (3, "so many"), (3, "befell")]
    );
    assert_eq!(
        lines("There is no file. It is no longer there, so that there is room.\nThere are no files."),
        []
    );
}
