//! The linker script against the source: a pattern that names nothing would go unnoticed, since the program works without it.

use super::{none, sources};

const SCRIPT: &str = include_str!("../../src/bin/caffeine.ld");

/// The names in a pattern for a symbol: `8caffeine6server6keeper` in one form of Rust's symbol names, `caffeine..server..keeper` in
/// the other.
fn names(pattern: &str) -> Vec<String> {
    let begin = pattern.find("caffeine").unwrap();
    if pattern.contains("..") {
        return pattern[begin..].trim_end_matches(['*', ')']).split("..").map(str::to_owned).collect();
    }
    // The length of the first name is before it.
    let mut rest = &pattern[pattern[..begin].rfind('*').unwrap() + 1..];
    let mut names = Vec::new();
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()).filter(|&end| end > 0) {
        let length: usize = rest[..end].parse().unwrap();
        names.push(rest[end..end + length].to_owned());
        rest = &rest[end + length..];
    }
    names
}

/// Whether modules of these names exist, the last of which has what the other names say.
fn exist(names: &[String], sources: &[(String, String)]) -> bool {
    let mut place = String::from("src");
    let mut rest = names[1..].iter().peekable();
    let is_module = |place: &str| {
        sources
            .iter()
            .any(|(file, _)| *file == format!("{place}.rs") || file.starts_with(&format!("{place}/")))
    };
    while let Some(deeper) =
        rest.peek().map(|name| format!("{place}/{name}")).filter(|deeper| is_module(deeper))
    {
        place = deeper;
        rest.next();
    }
    let files = [format!("{place}.rs"), format!("{place}/mod.rs")];
    let text = sources.iter().find(|(file, _)| files.contains(file)).map_or("", |(_, text)| text);
    let declared = |name: &String| {
        ["fn", "struct", "enum", "trait", "impl"].iter().any(|word| text.contains(&format!("{word} {name}")))
            || text.contains(&format!("for {name}"))
    };
    place != "src" && rest.all(declared)
}

#[test]
fn each_pattern_of_the_linker_script_names_something_of_the_source() {
    let sources = sources(&["src"]);
    let patterns: Vec<&str> = SCRIPT.split_whitespace().filter(|word| word.contains("caffeine")).collect();
    let unknown = patterns.iter().filter(|pattern| !exist(&names(pattern), &sources));
    assert!(patterns.len() > 30, "{patterns:?}");
    none("patterns that name nothing", unknown.map(ToString::to_string).collect());
    let invented = "*(.text.*8caffeine6server6keeper7nothing*)";
    assert!(!exist(&names(invented), &sources), "{:?}", names(invented));
}
