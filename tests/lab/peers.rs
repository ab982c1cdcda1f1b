//! Other servers, command prefixes and probes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::traffic::{children, state};
use crate::harness::{eventually, is_alive, skipped};
use crate::lab::experiments::{Bench, text};

/// An experiment with short runs; `more` are top-level keys, `factors` and `load` go into these tables.
pub fn experiment(more: &str, factors: &str, load: &str) -> String {
    format!(
        "question = \"?\"\nrounds = 1\nwarmup_s = 0.05\nduration_s = 0.2\ninterval_s = 0.05\nseed = 1\n\
         handler = \"hello\"\nbaseline = \"inherited\"\n{more}\n[factors]\nlistener = [\"inherited\"]\n\
         workers = [2]\n{factors}\n[[load]]\nname = \"load\"\n{load}\n"
    )
}

/// The runs of the only results folder, by cell.
pub fn runs(bench: &Bench) -> BTreeMap<String, Value> {
    let lines = fs::read_to_string(bench.results().join("runs.jsonl")).unwrap();
    let run = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    lines.lines().map(run).map(|run| (run["cell"].as_str().unwrap().to_owned(), run)).collect()
}

/// Makes the runs of an experiment. Servers that refuse to run as root can enter the directory.
pub fn made(bench: &Bench, arguments: &[&str]) -> Output {
    for folder in [bench.path(""), bench.path("tmp")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    }
    let output = bench.run(&[&["run", "tiny.toml", "--allow-debug", "--allow-short"], arguments].concat());
    assert_eq!(bench.running(), Vec::<String>::new(), "{}", text(&output.stderr));
    output
}

/// Checks that a peer served or was skipped with a displayed reason.
fn served(name: &str, run: &Value, said: &str) -> bool {
    if let Some(why) = run["skipped"].as_str() {
        assert!(said.contains(&format!("SKIPPED: {why}")), "{name}: {said}");
        skipped(format!("{name}: {why}"));
        assert!(why.contains("is not installed (package ") || name == "nginx:herd", "{name}: {why}");
        return false;
    }
    assert!(run["void"].is_null(), "{name}: {}", run["void"]);
    let record = &run["record"];
    let completed = record["completed"].as_u64().unwrap();
    assert!(completed > 0 && record["statuses"]["200"] == completed, "{name}: {record}");
    assert!(run["server"]["cpu_s"].as_f64().unwrap() > 0.0, "{name}");
    true
}

#[test]
fn other_servers_run_as_columns_or_are_skipped_with_a_notice() {
    let names =
        ["nginx:exclusive", "nginx:reuseport", "nginx:mutex", "nginx:herd", "lighttpd", "apache", "haproxy"];
    let factors = format!("respond = [\"fixed\"]\npeers = {names:?}\nbacklog = [128]");
    let bench = Bench::new(&experiment("", &factors, "closed = 4"));
    let output = made(&bench, &["--duration-s", "0.1"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let runs = runs(&bench);
    for name in names {
        let run = &runs[name];
        if !served(name, run, &said) {
            continue;
        }
        let workers = run["record"]["workers"].as_object().unwrap().len();
        assert!(if name == "lighttpd" { workers == 0 } else { (1..=2).contains(&workers) }, "{name}: {run}");
        let sockets = if name == "nginx:reuseport" { 2 } else { 1 };
        let sample = &run["series"]["samples"][0];
        assert_eq!(sample["queue"].as_array().unwrap().len(), sockets, "{name}: {sample}");
    }
    let machine: Value =
        serde_json::from_slice(&fs::read(bench.results().join("machine.json")).unwrap()).unwrap();
    for (server, version) in machine["peers"].as_object().unwrap() {
        let version = version.as_str().unwrap().to_lowercase();
        assert!(version.contains(server.as_str()) || version == "not installed", "{server}: {version}");
    }
    let commands = &machine["commands"]["inherited / load"];
    assert!(commands[0].as_str().unwrap().starts_with("caffeine -n lab --bind 127.0.0.1"), "{commands}");
    assert!(commands[1].as_str().unwrap().starts_with("loadgen http://127.0.0.1:PORT/hello"), "{commands}");
}

#[test]
fn peers_that_can_run_handlers_run_the_same_one() {
    let names = ["lighttpd", "apache"];
    let factors = format!("respond = [\"cgi\"]\npeers = {:?}", ["lighttpd", "apache", "nginx:mutex"]);
    let bench = Bench::new(&experiment("", &factors, "closed = 2"));
    let output = made(&bench, &[]);
    let said = text(&output.stderr);
    let runs = runs(&bench);
    assert!(!runs.contains_key("nginx:mutex"), "nginx runs no handlers");
    for name in names {
        served(name, &runs[name], &said);
    }
}

#[test]
fn any_command_can_be_the_server_and_a_missing_one_is_skipped() {
    let factors = "respond = [\"fixed\"]\npeers = [\"command:own\", \"command:gone\"]\n[peer.own]\n";
    let own = env!("CARGO_BIN_EXE_caffeine");
    let command = format!(
        "command = \"{own} -n x --bind {{address}} -p {{port}} -w {{workers}} --backlog {{backlog}} --path {{root}} \
         --respond fixed --state-dir '{{folder}}/a state'\"\n[peer.gone]\ncommand = \"/nonexistent/server {{port}}\"\n"
    );
    let bench = Bench::new(&experiment("", &format!("{factors}{command}"), "closed = 2"));
    let said = text(&made(&bench, &[]).stderr);
    let runs = runs(&bench);
    assert!(runs["command:own"]["record"]["completed"].as_u64().unwrap() > 0, "{said}");
    assert!(said.contains("SKIPPED: /nonexistent/server is not installed"), "{said}");
}

#[test]
fn command_prefixes_are_run_with_their_commands() {
    let mark = |what: &str| {
        let script =
            format!("grep Cpus_allowed_list /proc/self/status | sed s/^/{what}/ >> marks; exec \\\"$@\\\"");
        format!("{what}_prefix = \"sh -c '{script}' x\"\n")
    };
    let more = mark("server") + &mark("client");
    let bench =
        Bench::new(&experiment(&(more + "cpus = \"apart\"\n"), "respond = [\"fixed\"]", "closed = 2"));
    let output = made(&bench, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let marks = fs::read_to_string(bench.path("marks")).unwrap();
    let of = |what: &str| -> Vec<&str> {
        marks.lines().filter_map(|line| line.strip_prefix(what)?.split_whitespace().nth(1)).collect()
    };
    let (servers, clients) = (of("server"), of("client"));
    // Two servers more, because start and load are tried beforehand.
    assert!(servers.len() == 4 && clients.len() == 3, "{marks}");
    if std::thread::available_parallelism().unwrap().get() > 1 {
        let machine = fs::read(bench.results().join("machine.json")).unwrap();
        let machine: Value = serde_json::from_slice(&machine).unwrap();
        let cpus = machine["cpus"].as_str().unwrap();
        assert!(cpus.starts_with("apart: ") && cpus.ends_with(&format!(" has {}", clients[0])), "{cpus}");
        assert!(servers[1] != clients[0] && !clients[0].contains(['-', ',']), "{marks}");
    }
}

fn samples(run: &Value) -> &Vec<Value> {
    run["series"]["samples"].as_array().unwrap()
}

#[test]
fn counters_queues_and_hiccups_are_recorded_over_time_unless_disabled() {
    // One sleeping worker: seven of eight connections wait in its queue.
    let text_of = experiment("", "respond = [\"sleep:const(20ms)\"]", "closed = 8").replace("[2]", "[1]");
    let bench = Bench::new(&text_of);
    assert!(made(&bench, &[]).status.success());
    let run = &runs(&bench)["inherited"];
    let seen = samples(run);
    assert!(seen.len() >= 4 && seen[0]["at_s"].as_f64().unwrap() < 0.0, "{seen:?}");
    assert!(seen.iter().any(|sample| sample["queue"][0].as_u64().unwrap() > 0), "{seen:?}");
    let accepted: Vec<_> = seen.iter().map(|sample| sample["accepted"][0].as_u64().unwrap()).collect();
    assert!(accepted.is_sorted() && *accepted.last().unwrap() > 0, "{accepted:?}");
    assert!(run["noise"]["hiccup_max_us"].as_f64().unwrap() > 0.0);
    assert!(run["begin_unix_s"].as_f64().unwrap() > 1.7e9);

    let bench = Bench::new(&text_of);
    assert!(made(&bench, &["--no-probes"]).status.success());
    let run = &runs(&bench)["inherited"];
    assert!(samples(run).is_empty() && run["noise"]["hiccup_max_us"] == 0.0, "{run}");
}

#[test]
fn killing_or_interrupting_lab_ends_all_workers_of_a_peer_even_suspended_ones() {
    if !Path::new("/usr/sbin/nginx").exists() {
        skipped("nginx is not installed");
        return;
    }
    let factors = "respond = [\"fixed\"]\npeers = [\"nginx:exclusive\"]\nfault = [\"none\", \"stop@0s+60s\"]";
    // A run with the fault takes a minute.
    let long = experiment("after_fault_s = 0.1\n", factors, "closed = 1");
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let bench = Bench::new(&long);
        // Runs of our own server end at once.
        bench.stand_in("caffeine", env!("CARGO_PKG_VERSION"), "exit 1");
        symlink(env!("CARGO_BIN_EXE_loadgen"), bench.path("bin/loadgen")).unwrap();
        let mut lab = bench.lab(&["run", "tiny.toml", "--allow-debug", "--allow-short", "--programs", "bin"]);
        let mut lab = lab.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let workers = || children(lab.id()).into_iter().flat_map(children).collect::<Vec<_>>();
        bench.wait_until("no worker was stopped", |_| workers().iter().any(|pid| state(*pid) == 'T'));
        let workers = workers();
        assert_eq!(workers.len(), 2, "{signal}");
        kill(Pid::from_raw(lab.id().cast_signed()), signal).unwrap();
        lab.wait().unwrap();
        bench.wait_until("something outlived the lab", <[String]>::is_empty);
        eventually("its workers are gone", || workers.iter().all(|pid| !is_alive(*pid)));
    }
}
