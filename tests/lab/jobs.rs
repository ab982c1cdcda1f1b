//! Which jobs the strategies get: the same in a round, others in each round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Sandbox;
use crate::lab::experiments::{Bench, text};

/// Two listeners, one of them twice (A/A), with random work.
const TINY: &str = r#"
question = "The same jobs?"
rounds = 2
warmup_s = 0.05
duration_s = 0.1
seed = 5
baseline = "inherited"
[factors]
listener = ["inherited", "reuseport"]
workers = [2]
respond = ["sleep:exp(0.2ms)"]
[[load]]
name = "closed"
closed = 2
[[load]]
name = "open"
open = 100.0
arrivals = "poisson"
"#;

/// Runs `experiment` with programs that note how they are called: the words of each server and load generator, by run.
fn calls(bench: &Bench) -> Vec<[Vec<String>; 2]> {
    for (name, program) in
        [("caffeine", env!("CARGO_BIN_EXE_caffeine")), ("loadgen", env!("CARGO_BIN_EXE_loadgen"))]
    {
        let notes = bench.path(name);
        let script = format!("echo \"\" \"$@\" >>{}; exec {program} \"$@\"", notes.display());
        bench.stand_in(name, env!("CARGO_PKG_VERSION"), &script);
    }
    let ended = bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short", "--programs", "bin"]);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let noted = |name| -> Vec<Vec<String>> {
        let notes = fs::read_to_string(bench.path(name)).unwrap();
        notes.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    };
    // The checks before the first run start both programs too.
    let made = runs(&bench.results()).len();
    let of_runs = |calls: Vec<Vec<String>>| calls.into_iter().rev().take(made).rev().collect::<Vec<_>>();
    let (servers, loads) = (of_runs(noted("caffeine")), of_runs(noted("loadgen")));
    servers.into_iter().zip(loads).map(|(server, load)| [server, load]).collect()
}

fn after<'w>(words: &'w [String], option: &str) -> &'w str {
    let place = words.iter().position(|word| word == option).unwrap_or_else(|| panic!("{option}: {words:?}"));
    &words[place + 1]
}

fn runs(directory: &Path) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("runs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn strategies_of_a_round_get_the_same_jobs_and_rounds_do_not() {
    let bench = Bench::new(TINY);
    let calls = calls(&bench);
    let runs = runs(&bench.results());
    // 2 rounds of 3 cells under 2 loads, and one more for a load in which a busy machine voids a run.
    assert!(runs.len() == calls.len() && [12, 15, 18].contains(&runs.len()), "{}", runs.len());
    let mut seeds: BTreeMap<(u64, &str), BTreeSet<[&str; 2]>> = BTreeMap::new();
    for (run, [server, load]) in runs.iter().zip(&calls) {
        assert_eq!(after(load, "--occupy"), "exp(200us)");
        assert_eq!(run["record"]["plan"]["occupy"], "exp(200us)");
        let place = (run["round"].as_u64().unwrap(), run["load"].as_str().unwrap());
        seeds.entry(place).or_default().insert([after(server, "--seed"), after(load, "--seed")]);
    }
    assert_eq!(seeds.len() * 3, runs.len());
    assert!(seeds.values().all(|seeds| seeds.len() == 1), "one for all strategies of a round: {seeds:?}");
    for program in 0..2 {
        let all: BTreeSet<&str> = seeds.values().flatten().map(|pair| pair[program]).collect();
        assert_eq!(all.len(), seeds.len(), "another one for each round and load: {seeds:?}");
    }
    let report = fs::read_to_string(bench.results().join("report.md")).unwrap();
    assert!(report.contains("the same jobs for every strategy of a round"), "{report}");
    assert!(!report.contains("not independent"), "{report}");
}

#[test]
fn a_report_says_when_rounds_repeat_the_same_jobs() {
    let bench = Bench::new(TINY);
    let ended = bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short"]);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let directory = bench.results();
    let genuine = runs(&directory);
    let report_of = |change: &dyn Fn(&mut Value)| {
        let mut planted = genuine.clone();
        planted.iter_mut().for_each(change);
        let lines: String = planted.iter().map(|run| format!("{run}\n")).collect();
        fs::write(directory.join("runs.jsonl"), lines).unwrap();
        let ended = bench.run(&["report", directory.to_str().unwrap()]);
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        fs::read_to_string(directory.join("report.md")).unwrap()
    };
    let shared = report_of(&|run| run["record"]["plan"]["seed"] = 7.into());
    assert!(shared.contains("Rounds 1 and 2 of"), "{shared}");
    assert!(shared.contains("repeat the same arrivals and jobs: rounds are not independent"), "{shared}");
    let unlike = report_of(&|run| run["record"]["plan"]["seed"] = run["order"].clone());
    assert!(unlike.contains("strategies had different seeds"), "{unlike}");
    let own = report_of(&|run| drop(run["record"]["plan"].as_object_mut().unwrap().remove("occupy")));
    assert!(own.contains("Workers drew the times of sleep:exp(0.2ms) by themselves"), "{own}");
}

#[test]
fn a_check_counts_the_seeds_and_refuses_one_for_all_rounds() {
    let bench = Bench::new(TINY);
    let said = text(&bench.run(&["check", "tiny.toml"]).stdout);
    let counted =
        "2 rounds x 2 loads = 4 seeds, each the same for all strategies; requests ask for exp(200us)";
    assert!(said.contains(counted), "{said}");
    let bench = Bench::new(&TINY.replace("\"reuseport\"", "\"inherited --seed 1\""));
    let ended = bench.run(&["check", "tiny.toml"]);
    let said = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("refused  strategies   inherited --seed 1 with") && said.contains("--seed"),
        "{said}"
    );
}

#[test]
fn a_handler_takes_the_time_that_is_sent_with_the_request() {
    let experiment = TINY
        .replace("respond = [\"sleep:exp(0.2ms)\"]", "respond = [\"cgi\"]\noccupy = [\"const(3ms)\"]")
        .replace("seed = 5", "seed = 5\nhandler = \"burn\"")
        .replace("rounds = 2", "rounds = 1")
        .replace("open = 100.0", "path = \"burn?sleep\"\nopen_of_capacity = 0.3");
    let bench = Bench::new(&experiment);
    let ended = bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short"]);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    for run in runs(&bench.results()) {
        let fastest = run["record"]["latency"]["service"]["min_us"].as_f64().unwrap();
        assert!(fastest >= 3000.0, "{run}");
        let url = run["record"]["plan"]["url"].as_str().unwrap();
        assert_eq!(url.ends_with("/burn?sleep"), run["load"] != "closed", "also in the trial run: {url}");
    }
    for (from, to, why) in [
        ("respond = [\"cgi\"]", "respond = [\"fixed\"]", "`const(3ms)` needs work that takes time"),
        ("\"burn\"", "\"hello\"", "`const(3ms)` needs `handler = \"burn\"`"),
        ("const(3ms)", "often", "'often' is not a distribution"),
    ] {
        let ended = Bench::new(&experiment.replace(from, to)).run(&["check", "tiny.toml"]);
        assert!(text(&ended.stderr).contains(why), "{}", text(&ended.stderr));
    }
}

#[test]
fn a_machine_without_a_compiler_has_the_same_handler_as_a_script() {
    let sandbox = Sandbox::new();
    sandbox.handler("burn", include_str!("../../experiments/handlers/burn"));
    let server = sandbox.start(&["-w", "1"]);
    for (target, ms) in [
        ("/burn?sleep&occupy=60000000ns", 60),
        ("/burn?x&occupy=60ms", 60),
        ("/burn?sleep&occupy=0.06s&x", 60),
        ("/burn?occupy=60000us", 60),
        ("/burn?occupy=long", 0),
        ("/burn", 0),
    ] {
        let begun = Instant::now();
        let response = server.get(target);
        assert_eq!((response.status, response.text().as_str()), (200, "burn\n"), "{target}");
        assert!(begun.elapsed() >= Duration::from_millis(ms), "{target}: {:?}", begun.elapsed());
    }
}
