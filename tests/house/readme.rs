//! The pages that people read first, against the repository: links lead somewhere, commands work, generated tables are current.

use std::net::TcpListener;
use std::process::Command;

use super::root;
use crate::harness::{Sandbox, executed_by, skipped};

const PAGES: &[&str] = &[
    "README.md",
    "src/listener/README.md",
    "experiments/README.md",
    "experiments/claims.md",
    "results/README.md",
];
/// The most lines of README.md.
const LANDING_PAGE: usize = 185;
/// The most lines of results/README.md.
const RESULTS_PAGE: usize = 125;

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The words in backticks.
pub fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The lines of a Markdown table, found by how its first line begins.
pub fn table_in<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    text.lines().skip_while(|line| !line.starts_with(head)).take_while(|line| line.starts_with('|')).collect()
}

/// Compares a table of a page with a generated one. With `INSTA_UPDATE=always` in the environment the page is rewritten.
pub fn has_table(path: &str, head: &str, generated: &str) {
    let text = page(path);
    let written = table_in(&text, head).join("\n");
    assert!(!written.is_empty(), "no table in {path} begins with `{head}`");
    let generated = generated.trim_end();
    if written != generated && std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        return std::fs::write(root().join(path), text.replace(&written, generated)).unwrap();
    }
    assert!(
        written == generated,
        "{path} is out of date; `INSTA_UPDATE=always cargo test house::` rewrites it:\n\n{generated}"
    );
}

/// Where the links and pictures of a page lead, other than to the web.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("http"))
}

/// The anchors of a page: its headings, as GitHub writes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    for path in PAGES {
        let text = page(path);
        let folder = root().join(path).parent().unwrap().to_owned();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(path) } else { folder.join(file) };
            assert!(target.exists(), "{path}: {link} does not exist");
            let known = || anchors(&std::fs::read_to_string(&target).unwrap());
            assert!(anchor.is_empty() || known().iter().any(|known| known == anchor), "{path}: {link}");
        }
    }
}

#[test]
fn the_landing_page_stays_short() {
    let lines = page("README.md").lines().count();
    assert!(
        lines <= LANDING_PAGE,
        "README.md has {lines} lines; details belong in the pages that it links to"
    );
}

#[test]
fn the_page_of_results_stays_short_and_has_the_drawn_part() {
    // The archive of the package has no results.
    let Ok(text) = std::fs::read_to_string(root().join("results/README.md")) else { return };
    let lines = text.lines().count();
    assert!(lines <= RESULTS_PAGE, "results/README.md has {lines} lines; details belong in the reports");
    let drawn = text.split("<!-- drawn by `lab report --all` -->").nth(1).unwrap_or_default();
    let rows = table_in(drawn, "| strategy |");
    for entry in caffeine::listener::STRATEGIES {
        let row = format!("| `{}` |", entry.name);
        assert!(rows.iter().any(|line| line.starts_with(&row)), "{row} is missing: lab report --all");
    }
}

/// The first sh block after `before`.
fn block<'a>(text: &'a str, before: &str) -> &'a str {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("README.md lacks {before:?}"));
    rest.split("\n```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

/// The advice at the head of a report.
fn advice(report: &str) -> String {
    let text = page(report);
    let line = text.lines().find_map(|line| line.strip_prefix("> **"));
    line.unwrap_or_else(|| panic!("{report} has no advice")).trim_end_matches("**").to_owned()
}

#[test]
fn the_caption_of_the_figure_is_the_advice_of_its_report() {
    let text = page("README.md");
    let figure = text.find("![").unwrap();
    let caption =
        text[..figure].lines().rfind(|line| line.starts_with("> ")).expect("a caption above the figure");
    let rest = &text[figure..];
    let folder = rest.split("](").nth(1).and_then(|rest| rest.split("/plots/").next()).unwrap();
    let wanted = format!("> {}", advice(&format!("{folder}/report.md")));
    if caption != wanted && std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        return std::fs::write(root().join("README.md"), text.replace(caption, &wanted)).unwrap();
    }
    assert!(
        caption == wanted,
        "`INSTA_UPDATE=always cargo test house::` rewrites the caption in README.md: {wanted}"
    );
}

/// What a reader sees first: all above the first heading, table or figure.
fn first_screen(report: &str) -> String {
    let text = page(report);
    let below = |line: &&str| !["## ", "|", "!["].iter().any(|begin| line.starts_with(begin));
    text.lines().take_while(below).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_screens_have_the_words_that_answer() {
    let text = page("results/README.md");
    let rows = table_in(&text, "| a reader asks |");
    assert_eq!(rows.len(), 2 + 5, "five questions");
    for row in &rows[2..] {
        let report = row.split("](").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
        let screen = first_screen(&format!("results/{report}"));
        let words: Vec<&str> = row.split('"').skip(1).step_by(2).collect();
        assert!(!words.is_empty(), "{row}");
        for words in words {
            assert!(
                screen.contains(words),
                "results/README.md quotes \"{words}\", and {report} begins with\n{screen}"
            );
        }
    }
}

#[test]
fn the_commands_of_the_readme_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("curl is not installed");
    }
    let text = page("README.md");
    let (build, first) = block(&text, "# Caffeine\n").split_once('\n').unwrap();
    assert!(build.starts_with("cargo build --release && export PATH="), "{build}");
    let sandbox = Sandbox::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = [first, block(&text, "\n## A first handler\n"), block(&text, "\n## Run it\n")].map(|block| {
        let script = format!(
            "PATH=${{0%/*}}:$PATH\n{}",
            block.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
        );
        let mut command = sandbox.command(&[]);
        executed_by(&mut command, &["sh", "-euc", &script]);
        command.env("CAFFEINE_PORT", port.to_string()).env("CAFFEINE_BIND", "127.0.0.1");
        sandbox.run(command).succeeds().stdout
    });
    assert!(said[0].contains("hello\n"), "{}", said[0]);
    assert!(said[1].contains("the query is 'a=1'"), "{}", said[1]);
    assert!(said[2].contains("8 workers") && said[2].contains("stopped shop"), "{}", said[2]);
}

#[test]
fn the_table_of_experiments_is_that_of_lab_list() {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).arg("list").output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let rows = list.lines().filter(|line| !line.starts_with("claim-r")).map(|line| {
        let (name, rest) = line.split_once(' ').unwrap();
        let (time, question) = rest.trim_start().split_once("  ").unwrap();
        format!("| `{name}` | {time} | {question} |\n")
    });
    let table =
        format!("| experiment | time | question |\n| --- | --- | --- |\n{}", rows.collect::<String>());
    has_table("experiments/README.md", "| experiment | time |", &table);
}

#[test]
fn the_table_of_claims_is_that_of_lab_list() {
    if !root().join("results/claim-r6/reference/spec.toml").is_file() {
        return skipped("this copy of the source lacks the kept results");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    let output = command.args(["list", "--claims"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    has_table("experiments/claims.md", "| Claim | Says |", &String::from_utf8(output.stdout).unwrap());
}

/// The value of a key at the top of CITATION.cff, which is YAML.
fn cited(key: &str) -> String {
    let text = page("CITATION.cff");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:")));
    line.unwrap_or_else(|| panic!("CITATION.cff has no {key}")).trim().trim_matches('"').to_owned()
}

#[test]
fn the_citation_names_the_program_and_its_version() {
    let cargo: toml::Table = page("Cargo.toml").parse().unwrap();
    let package = |key: &str| cargo["package"][key].as_str().unwrap().to_owned();
    assert_eq!(cited("cff-version"), "1.2.0");
    assert_eq!(cited("title").to_lowercase(), package("default-run"), "CITATION.cff: title");
    assert_eq!(cited("version"), package("version"), "CITATION.cff: version");
    assert_eq!(cited("abstract"), package("description"), "CITATION.cff: abstract");
    assert_eq!((cited("type").as_str(), cited("message").is_empty()), ("software", false));
    let licences: Vec<String> = package("license").split(" OR ").map(str::to_owned).collect();
    let text = page("CITATION.cff");
    let listed: Vec<String> = text
        .split("license:\n")
        .nth(1)
        .unwrap()
        .lines()
        .map_while(|line| line.strip_prefix("  - "))
        .map(Into::into)
        .collect();
    assert_eq!(listed, licences);
    assert!(text.contains("\nauthors:\n  - name: "), "the schema asks for authors");
}
