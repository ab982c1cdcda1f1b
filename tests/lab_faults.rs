//! What befalls workers, servers and load generators during a run, and that the rest goes on.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::lab::{Bench, text};
use crate::lab_runs::{experiment, made, runs};

#[test]
fn faults_come_at_their_time_and_are_recorded_as_they_came() {
    let factors =
        "respond = [\"sleep:const(1ms)\"]\nfault = [\"kill@50ms\", \"stop@50ms+60ms\", \"stall@50ms+80ms\"]";
    let bench = Bench::new(&experiment("", factors, "closed = 4\ntimeout_s = 5.0"));
    let output = made(&bench, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let runs = runs(&bench);
    let fault = |name: &str| -> &Value { &runs[&format!("inherited {name}")]["fault"] };
    let time = |fault: &Value, key: &str| fault[key].as_f64().unwrap();
    for (name, kind) in [("kill@50ms", "kill"), ("stop@50ms+60ms", "stop"), ("stall@50ms+80ms", "stall")] {
        let fault = fault(name);
        assert_eq!(fault["kind"], kind, "{fault}");
        assert!(time(fault, "at_s") >= 0.05 && fault["worker"].as_u64().unwrap() < 2, "{fault}");
        assert!(fault["pid"].as_u64().unwrap() > 1, "{fault}");
    }
    let (kill, stop, stall) = (fault("kill@50ms"), fault("stop@50ms+60ms"), fault("stall@50ms+80ms"));
    assert!(
        kill["until_s"].is_null() && kill["note"].as_str().unwrap().starts_with("replaced by process "),
        "{kill}"
    );
    assert!(time(stop, "until_s") >= time(stop, "at_s") + 0.06, "{stop}");
    assert!(time(stall, "until_s") >= time(stall, "at_s") + 0.08, "{stall}");
}

#[test]
fn a_worker_of_another_server_is_killed_and_replaced() {
    let factors =
        "respond = [\"fixed\"]\npeers = [\"nginx:exclusive\", \"haproxy\"]\nfault = [\"kill@50ms\"]";
    let bench = Bench::new(&experiment("", factors, "closed = 4"));
    let said = text(&made(&bench, &[]).stderr);
    let runs = runs(&bench);
    let nginx = &runs["nginx:exclusive"];
    if nginx["skipped"].is_null() {
        assert_eq!(nginx["fault"]["kind"], "kill", "{nginx}");
        assert!(nginx["fault"]["pid"].as_u64().unwrap() > 1, "{nginx}");
    }
    let why = runs["haproxy"]["skipped"].as_str().unwrap();
    assert!(why.contains("haproxy has no worker processes") && said.contains(why), "{said}");
}

#[test]
fn what_never_gets_ready_dies_or_hangs_voids_its_run_and_the_rest_goes_on() {
    let listeners = "listener = [\"inherited\", \"reuseport\", \"round-robin\"]";
    let load = "closed = 2\n[[load]]\nname = \"hangs\"\nclosed = 2\npath = \"/hang\"";
    let text_of =
        experiment("", "respond = [\"fixed\"]", load).replace("listener = [\"inherited\"]", listeners);
    let bench = Bench::new(&text_of);
    let (server, generator) = (env!("CARGO_BIN_EXE_caffeine"), env!("CARGO_BIN_EXE_loadgen"));
    // One never gets ready, and one dies a moment after it was.
    let script = format!(
        "case \"$*\" in\n*reuseport*) echo still thinking >&2; exec sleep 60;;\n\
         *round-robin*) {server} \"$@\" & sleep 0.15; echo that was it >&2; kill -9 $!; exit 7;;\n\
         *) exec {server} \"$@\";; esac"
    );
    bench.stand_in("caffeine", env!("CARGO_PKG_VERSION"), &script);
    let script = format!(
        "case \"$*\" in */hang*) echo no hurry >&2; exec sleep 60;; *) exec {generator} \"$@\";; esac"
    );
    bench.stand_in("loadgen", env!("CARGO_PKG_VERSION"), &script);
    let output = made(&bench, &["--programs", "bin", "--patience", "0.4"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for (reason, stderr) in [
        ("caffeine did not get ready within 0.4 s", "still thinking"),
        ("caffeine died under load (exit status: 7)", "that was it"),
        ("loadgen did not end within 0.7 s", "no hurry"),
    ] {
        let whole = format!("{reason}\n    | ");
        let shown = said.split(&whole).nth(1).unwrap_or_else(|| panic!("{reason}: {said}"));
        assert!(shown.split("\nround").next().unwrap().contains(stderr), "{reason}: {shown}");
    }
    let directory = bench.results();
    let lines = std::fs::read_to_string(directory.join("runs.jsonl")).unwrap();
    let all: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 8, "every run is in the data");
    let good = |run: &&Value| run["void"].is_null() && run["cell"].as_str().unwrap().starts_with("inherited");
    assert_eq!(all.iter().filter(good).count(), 2, "the others went on: {said}");
    assert!(directory.join("report.html").is_file());
}

#[test]
fn a_peer_that_dies_at_once_voids_its_run_with_its_words() {
    let factors = "respond = [\"fixed\"]\npeers = [\"command:sick\"]\n[peer.sick]\n\
                   command = \"sh -c 'echo cannot {port} >&2; exit 4'\"";
    let bench = Bench::new(&experiment("", factors, "closed = 2"));
    symlink(env!("CARGO_BIN_EXE_loadgen"), bench.path("loadgen")).unwrap();
    let said = text(&made(&bench, &[]).stderr);
    assert!(
        said.contains("command:sick ended before it was ready (exit status: 4)\n    | cannot "),
        "{said}"
    );
}
