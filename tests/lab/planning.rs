//! `lab` around its runs: checks, parts of experiments, resuming, suites, comparisons.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::lab::experiments::{Bench, text};

/// Two listeners under two short loads.
const TINY: &str = r#"
question = "Does it work?"
rounds = 2
warmup_s = 0.05
duration_s = 0.1
seed = 1
baseline = "inherited"
[factors]
listener = ["inherited", "reuseport"]
workers = [2]
respond = ["fixed"]
[[load]]
name = "one"
closed = 1
[[load]]
name = "four"
closed = 4
"#;

const CLAIM: &str = r#"
[[expect]]
claim = "C1"
text = "It answers"
source = "public"
published = "1 error"
metric = "errors"
of = "inherited"
load = "one"
same_size = "<= 0"
"#;

fn run(bench: &Bench, arguments: &[&str]) -> Output {
    bench.run(&[&["run", "--allow-debug", "--allow-short"], arguments].concat())
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

fn fails(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}{said}", text(&output.stdout));
    said
}

fn text_of(output: &Output) -> String {
    text(&output.stdout)
}

fn lines(directory: &Path) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("runs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_lines(directory: &Path, lines: &[Value], rest: &str) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(directory.join("runs.jsonl"), text + rest).unwrap();
}

/// Changes the recorded environment of a results folder.
fn change(directory: &Path, key: &[&str], to: &str) {
    let path = directory.join("machine.json");
    let mut facts: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    key.iter().fold(&mut facts, |at, key| &mut at[*key]).clone_from(&to.into());
    fs::write(path, facts.to_string()).unwrap();
}

fn orders(directory: &Path) -> Vec<u64> {
    let mut orders: Vec<_> = lines(directory).iter().map(|run| run["order"].as_u64().unwrap()).collect();
    orders.sort_unstable();
    orders
}

#[test]
fn a_check_explains_its_arithmetic_and_runs_nothing() {
    let bench = Bench::new(TINY);
    let said = succeeds(&bench.run(&["check", "tiny.toml", "--allow-short"]));
    for part in [
        "tiny: 12 runs (3 cells x 2 loads x 2 rounds), about",
        "4 connections at once from one address: 1 x ",
        "4 connections + 64 = 68 of ",
        "reuseport with --respond fixed starts",
        "2 workers x ",
        "12 runs x ",
    ] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert!(!bench.path("results").exists() && !said.contains("refused"), "{said}");
    assert_eq!(bench.running(), Vec::<String>::new());
}

#[test]
fn impossible_plans_are_refused_before_the_first_run() {
    for (from, to, arguments, expected) in [
        ("\"reuseport\"", "\"lifo\"", &[][..], "lifo with --respond fixed: "),
        ("\"fixed\"", "\"sleep:often\"", &[], "inherited with --respond sleep:often: "),
        (
            "workers = [2]",
            "workers = [2]\nbacklog = [4000000]",
            &[],
            "a backlog of 4000000, net.core.somaxconn is ",
        ),
        ("closed = 4", "closed = 400000000", &[], "400000000 connections at once from one address"),
        (
            "workers = [2]",
            "workers = [2]\nsources = [\"192.0.2.1\"]",
            &[],
            "no connection can come from 192.0.2.1",
        ),
        (
            "workers = [2]",
            "workers = [2]\nfault = [\"kill@10ms\"]",
            &[],
            "the factor `fault` has no level `none`",
        ),
        (
            "seed = 1",
            "seed = 1\nclient_prefix = \"nosuchprog\"",
            &[],
            "loadgen cannot be started (nosuchprog)",
        ),
        ("\"fixed\"", "\"sleep:const(1h)\"", &[], "one: a request takes 3600.0 s, and a run measures 0.1 s"),
        (
            "closed = 4",
            "open = 50.0\narrivals = \"poison\"",
            &[],
            "`four` with --respond fixed: all runs would be void: ",
        ),
        (
            "rounds = 2",
            "rounds = 9",
            &["--max-time", "0.01"],
            "--max-time is 0.01 min; not even one round fits",
        ),
    ] {
        let bench = Bench::new(&TINY.replace(from, to));
        let said = fails(&run(&bench, &[&["tiny.toml"], arguments].concat()), 1);
        assert!(said.contains(expected), "{said}");
        assert!(!bench.path("results").exists(), "{expected}");
        let check = bench.run(&[&["check", "tiny.toml", "--allow-short"], arguments].concat());
        let listed = text(&check.stdout);
        let refused = listed.lines().any(|line| line.contains("refused") && line.contains(expected));
        assert!(refused && check.status.code() == Some(1), "{listed}");
    }
}

#[test]
fn a_part_of_an_experiment_can_be_run() {
    let bench = Bench::new(&TINY.replace("\"reuseport\"", "\"reuseport\", \"round-robin\""));
    let only = ["tiny.toml", "--rounds", "1", "--only", "listener=round-robin", "--only", "load=four"];
    succeeds(&run(&bench, &only));
    let mut cells: Vec<String> =
        lines(&bench.results()).iter().map(|run| format!("{}/{}", run["cell"], run["load"])).collect();
    cells.sort();
    assert_eq!(cells, ["\"inherited (A/A)\"/\"four\"", "\"inherited\"/\"four\"", "\"round-robin\"/\"four\""]);
    let said = fails(&run(&bench, &["tiny.toml", "--only", "workers=3"]), 2);
    assert!(said.contains("no such level here; `workers` has: 2"), "{said}");
    let said = fails(&run(&bench, &["tiny.toml", "--only", "worker=2"]), 2);
    assert!(said.contains("no factor `worker`; there are: listener"), "{said}");
    fails(&run(&bench, &["tiny.toml", "--only", "workers"]), 2);
}

#[test]
fn a_round_with_a_void_run_is_repeated_whole_and_resuming_goes_on_within_it() {
    let bench = Bench::new(TINY);
    succeeds(&run(&bench, &["tiny.toml"]));
    let directory = bench.results();
    let name = directory.to_str().unwrap();
    let mut runs = lines(&directory);
    runs.truncate(9);
    runs[4]["void"] = serde_json::json!({ "reason": "struck by lightning", "stderr": "" });
    let (kept, load) = (runs[..4].to_vec(), runs[4]["load"].clone());
    write_lines(&directory, &runs, "{\"schema\":2,\"round\":1,\"ord");

    let said = succeeds(&run(&bench, &["--resume", name]));
    assert!(
        said.contains("3 runs, about") && said.contains("round 3: repeats rounds in which a run is void"),
        "{said}"
    );
    assert_eq!(orders(&directory), (1..=15).collect::<Vec<_>>());
    assert_eq!(lines(&directory)[..4], kept);
    assert!(said.contains("1 repeated") && said.contains("1 of 15 runs void"), "{said}");
    let again = |runs: &[Value]| {
        let mut cells: Vec<String> = runs[12..].iter().map(|run| run["cell"].to_string()).collect();
        assert!(runs[12..].iter().all(|run| run["round"] == 3 && run["load"] == load), "{runs:?}");
        cells.sort();
        assert_eq!(cells, ["\"inherited (A/A)\"", "\"inherited\"", "\"reuseport\""]);
    };
    again(&lines(&directory));

    let rows = fs::read_to_string(directory.join("runs.csv")).unwrap();
    let column = rows.lines().next().unwrap().split(',').position(|name| name == "counts").unwrap();
    let counting = rows.lines().filter(|row| row.split(',').nth(column) == Some("true")).count();
    assert_eq!(counting, 12, "the three runs of the void round stay, and count for nothing: {rows}");

    write_lines(&directory, &lines(&directory)[..13], "");
    succeeds(&run(&bench, &["--resume", name]));
    again(&lines(&directory));
    assert_eq!(lines(&directory).len(), 15);
    let facts: Value = serde_json::from_slice(&fs::read(directory.join("machine.json")).unwrap()).unwrap();
    assert_eq!(facts["resumed"].as_array().unwrap().len(), 2);
    assert_eq!(facts["fingerprint"].as_str().unwrap().len(), 16);

    fs::write(directory.join("spec.toml"), TINY.replace("duration_s = 0.1", "duration_s = 0.2")).unwrap();
    let said = fails(&run(&bench, &["--resume", name, "--force"]), 1);
    assert!(said.contains("spec.toml was edited after its runs had begun"), "{said}");
}

#[test]
fn runs_too_short_for_what_is_said_about_them_are_refused() {
    let text = TINY.replace("\"fixed\"", "\"sleep:const(2ms)\"").replace("rounds = 2", "rounds = 12");
    let bench = Bench::new(&text.replace("closed = 4", "open = 800.0"));
    let check = bench.run(&["check", "tiny.toml"]);
    let said = fails(&check, 1) + &text_of(&check);
    let short = "four: at 86 % use and an assumed 2.15 ms per request the queue forgets in 407.5 ms, x 100 = 40.75 s; a run measures 0.1 s: \
                 too short; duration_s = 41 would do";
    assert!(said.contains(short), "{said}");
    let few = "four: about 80 requests x 12 rounds x 1.0 % = 10 beyond p99, of 100: too short; duration_s = 1.1 would do";
    assert!(said.contains(few), "{said}");
    let said = fails(&bench.run(&["run", "tiny.toml", "--allow-debug"]), 1);
    assert!(
        said.contains("too short; duration_s = 41 would do") && !bench.path("results").exists(),
        "{said}"
    );
    let said = fails(&bench.run(&["check", "tiny.toml", "--rounds", "4"]), 1)
        + &text_of(&bench.run(&["check", "tiny.toml", "--rounds", "4"]));
    assert!(said.contains("a judgement needs 10 complete ones: plan 12"), "{said}");
}

#[test]
fn an_experiment_in_which_no_run_counts_fails() {
    let text = TINY
        .replace("closed = 4", "open = 0.0001\narrivals = \"poisson\"")
        .replace("rounds = 2", "rounds = 1");
    let bench = Bench::new(&text);
    let said = fails(&run(&bench, &["tiny.toml", "--only", "load=four"]), 1);
    assert!(said.contains("no run counts; results/tiny/"), "{said}");
}

#[test]
fn resuming_on_another_machine_or_experiment_is_refused() {
    let bench = Bench::new(&TINY.replace("rounds = 2", "rounds = 1"));
    succeeds(&run(&bench, &["tiny.toml"]));
    let directory = bench.results();
    let name = directory.to_str().unwrap();
    change(&directory, &["programs", "caffeine"], "0.1.0 0123");
    change(&directory, &["machine", "kernel"], "Linux 2.4");
    let said = fails(&run(&bench, &["--resume", name]), 1);
    assert!(
        said.contains("kernel was Linux 2.4 and is ") && said.contains("program caffeine was 0.1.0 0123"),
        "{said}"
    );
    succeeds(&run(&bench, &["--resume", name, "--force"]));
    fs::write(bench.path("tiny.toml"), TINY).unwrap();
    let said = fails(&run(&bench, &["tiny.toml", "--resume", name]), 1);
    assert!(said.contains("tiny.toml differs from "), "{said}");
    fails(&run(&bench, &["--resume", name, "--rounds", "3"]), 2);
    let said = fails(&run(&bench, &["--resume", "nowhere"]), 1);
    assert!(said.contains("nowhere is not a results folder"), "{said}");
}

#[test]
fn two_result_folders_are_compared_unless_they_differ_too_much() {
    let bench = Bench::new(&TINY.replace("rounds = 2", "rounds = 1"));
    for label in ["a", "b"] {
        succeeds(&run(&bench, &["tiny.toml", "--label", label]));
    }
    let mut folders: Vec<PathBuf> =
        fs::read_dir(bench.path("results/tiny")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort_by_key(|path| path.to_str().unwrap().chars().last());
    let names: Vec<&str> = folders.iter().map(|path| path.to_str().unwrap()).collect();
    let said = succeeds(&bench.run(&["compare", names[0], names[1]]));
    assert!(said.starts_with(&format!("# {} against {}", names[1], names[0])), "{said}");
    assert!(
        said.contains("Too few runs to judge") && said.contains("| reuseport | four | Rate (requests/s) |"),
        "{said}"
    );

    change(&folders[1], &["programs", "caffeine"], "0.2.0 0123");
    let said = succeeds(&bench.run(&["compare", names[0], names[1]]));
    assert!(said.contains("- different program caffeine: 0.1.0 "), "{said}");
    change(&folders[1], &["machine", "kernel"], "Linux 2.4");
    let said = fails(&bench.run(&["compare", names[0], names[1]]), 1);
    assert!(said.contains("not comparable: kernel was ") && said.contains("--force"), "{said}");
    let said = succeeds(&bench.run(&["compare", names[0], names[1], "--force"]));
    assert!(said.contains("- different kernel: "), "{said}");
}

/// A folder with two experiments and a suite of them.
fn suite() -> Bench {
    let bench = Bench::new("");
    let short = TINY.replace("rounds = 2", "rounds = 1");
    fs::create_dir(bench.path("experiments")).unwrap();
    for (name, text) in [
        ("first", short.clone() + CLAIM),
        ("second", short.clone()),
        ("both", "question = \"Which?\"\nsuite = [\"first\", \"second\"]\n".into()),
    ] {
        fs::write(bench.path("experiments").join(format!("{name}.toml")), text).unwrap();
    }
    bench
}

#[test]
fn a_suite_runs_its_experiments_and_writes_one_table() {
    let bench = suite();
    let said = succeeds(&run(&bench, &["both", "--label", "x"]));
    assert!(
        said.starts_with(
            "Not judged, because there are too few rounds to judge (1 of 10): \u{201c}It answers\u{201d} (C1; "
        ),
        "{said}"
    );
    let folder = fs::read_dir(bench.path("results/both")).unwrap().next().unwrap().unwrap().path();
    for file in ["suite.toml", "report.md", "first/report.html", "second/runs.jsonl"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let report = fs::read(folder.join("report.md")).unwrap();
    let row = "| **C1** It answers | public | 1 error | 0.00 requests (0.00 to 0.00); errors of inherited, one: same size <= 0 |  | \
               undecided: too few rounds to judge (1 of 10) |";
    assert!(text(&report).contains(row), "{}", text(&report));
    assert!(
        text(&report).starts_with("# Which?\n") && text(&report).contains("- [second](second/report.md)")
    );

    // A missing member and a missing run are made later.
    fs::remove_dir_all(folder.join("second")).unwrap();
    write_lines(&folder.join("first"), &lines(&folder.join("first"))[..5], "");
    let name = folder.to_str().unwrap();
    succeeds(&run(&bench, &["--resume", name]));
    assert_eq!((orders(&folder.join("first")).len(), orders(&folder.join("second")).len()), (6, 6));

    fs::remove_file(folder.join("report.md")).unwrap();
    succeeds(&bench.run(&["report", name]));
    assert!(folder.join("report.md").is_file());
    let listed = succeeds(&bench.run(&["list"]));
    assert!(listed.contains("both ") && listed.contains("Which?"), "{listed}");
}

#[test]
fn a_suite_that_takes_too_long_or_has_an_invalid_member_is_refused() {
    let bench = suite();
    let said = fails(&run(&bench, &["both", "--max-time", "0.01"]), 1);
    assert!(said.contains("the suite takes about ") && said.contains("--max-time is 0.01 min"), "{said}");
    fails(&bench.run(&["check", "both", "--allow-short", "--max-time", "0.01"]), 1);
    fs::write(bench.path("experiments/second.toml"), TINY.replace("rounds", "round")).unwrap();
    let said = fails(&run(&bench, &["both"]), 2);
    assert!(said.contains("experiments/second.toml:3: unknown field `round`"), "{said}");
    assert!(!bench.path("results").exists());
}
