//! Faults of workers, servers and load generators during a run; the other runs continue.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::lab::experiments::{Bench, text};
use crate::lab::peers::{experiment, made, runs};

#[test]
fn faults_happen_on_time_and_are_recorded() {
    let factors = "respond = [\"sleep:const(1ms)\"]\nfault = [\"none\", \"kill@50ms\", \"exit@50ms\", \"reload@50ms\", \"stop@50ms+60ms\", \"stall@50ms+80ms\"]";
    let bench = Bench::new(&experiment("", factors, "closed = 4\ntimeout_s = 5.0"));
    let output = made(&bench, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let runs = runs(&bench);
    let fault = |name: &str| -> &Value { &runs[&format!("inherited {name}")]["fault"] };
    let time = |fault: &Value, key: &str| fault[key].as_f64().unwrap();
    for (name, kind) in [("kill@50ms", "kill"), ("stop@50ms+60ms", "stop"), ("stall@50ms+80ms", "stall")] {
        let fault = fault(name);
        assert_eq!(fault["kind"], kind, "{fault}");
        // On the generator's clock, which starts later by the time the generator takes to start.
        assert!((-1.0..2.0).contains(&time(fault, "at_s")), "{fault}");
        assert!(fault["worker"].as_u64().unwrap() < 2, "{fault}");
        assert!(fault["pid"].as_u64().unwrap() > 1, "{fault}");
    }
    for (name, kind) in [("exit@50ms", "exit"), ("reload@50ms", "reload")] {
        let fault = fault(name);
        assert_eq!(fault["kind"], kind, "{fault}");
        assert!(fault["note"].as_str().unwrap().contains("replaced"), "{fault}");
        assert!(runs[&format!("inherited {name}")]["record"]["errors"].as_object().unwrap().is_empty());
    }
    let (kill, stop, stall) = (fault("kill@50ms"), fault("stop@50ms+60ms"), fault("stall@50ms+80ms"));
    assert!(
        kill["until_s"].is_null() && kill["note"].as_str().unwrap().starts_with("replaced by process "),
        "{kill}"
    );
    assert!(kill["held"].is_u64() && stop["held"].is_u64() && stall["held"].is_null(), "{kill} {stop}");
    assert!(time(stop, "until_s") >= time(stop, "at_s") + 0.06, "{stop}");
    assert!(time(stall, "until_s") >= time(stall, "at_s") + 0.08, "{stall}");
}

#[test]
fn several_faults_in_a_run_strike_the_workers_in_turn() {
    let factors = "respond = [\"sleep:const(1ms)\"]\nfault = [\"none\", \"kill@50ms*4/650ms\"]";
    // Requests of a closed loop are never late, however busy the machine.
    let text_of = experiment("after_fault_s = 0.2", factors, "closed = 2\ntimeout_s = 5.0");
    let bench = Bench::new(&text_of.replace("baseline =", "twin = false\nbaseline ="));
    let output = made(&bench, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let runs = runs(&bench);
    let run = &runs["inherited kill@50ms*4/650ms"];
    let faults = run["faults"].as_array().unwrap();
    // A busy machine may delay the last ones beyond the end of the load.
    assert!(faults.len() >= 2 && run["fault"].is_null(), "{faults:?}");
    for pair in faults.windows(2) {
        assert_ne!(pair[0]["worker"], pair[1]["worker"], "{faults:?}");
    }
    for three in faults.windows(3) {
        let at = |fault: &Value| fault["at_s"].as_f64().unwrap();
        assert_eq!(three[0]["worker"], three[2]["worker"], "{faults:?}");
        assert!(at(&three[2]) - at(&three[0]) >= 1.19, "{faults:?}");
    }
    assert_eq!(run["record"]["plan"]["slow_s"], 0.2);
    let report = std::fs::read_to_string(bench.results().join("report.md")).unwrap();
    let row = report.lines().find(|line| line.starts_with("| `inherited` |")).unwrap();
    assert!(row.contains(&format!(" in {}", faults.len())), "{row}");
}

#[test]
fn resizes_and_a_server_stop_lose_nothing_and_are_reported() {
    let factors =
        "respond = [\"sleep:const(1ms)\"]\nfault = [\"none\", \"shrink@50ms\", \"grow@50ms\", \"end@50ms\"]";
    let more = "twin = false\nafter_fault_s = 0.2\n[rules]\ninvalid_errors = 1.0";
    let bench = Bench::new(&experiment(more, factors, "open = 200.0\ntimeout_s = 5.0"));
    let output = made(&bench, &[]);
    // On a busy machine requests may be sent too late to count.
    assert!(output.status.code().is_some_and(|code| code <= 1), "{}", text(&output.stderr));
    let runs = runs(&bench);
    for (name, workers) in [("shrink@50ms", ", now 1"), ("grow@50ms", ", now 4")] {
        let run = &runs[&format!("inherited {name}")];
        let note = run["fault"]["note"].as_str().unwrap();
        assert!(note.starts_with("all workers replaced within ") && note.ends_with(workers), "{note}");
        assert_eq!(run["record"]["errors"], serde_json::json!({}), "{note}");
    }
    let end = &runs["inherited end@50ms"];
    assert!(end["fault"]["note"].as_str().unwrap().starts_with("ended within "), "{end}");
    let kinds: Vec<&String> = end["record"]["errors"].as_object().unwrap().keys().collect();
    assert!(kinds.iter().all(|kind| *kind == "connect-refused"), "{kinds:?}");
    let report = std::fs::read_to_string(bench.results().join("report.md")).unwrap();
    let row = report.lines().find(|line| line.starts_with("| `inherited` |")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).skip(2).take(3).collect();
    // A busy machine may delay a request; none is lost.
    assert!(cells.iter().all(|cell| !cell.contains("reset") && !cell.contains("lost")), "{row}");
}

#[test]
fn a_soak_injects_faults_mixes_traffic_and_reports_server_resources() {
    let more =
        "twin = false\n[soak]\nfaults = [\"kill\", \"stop\", \"reload\"]\nevery_s = 0.5\nslow_clients = 2";
    let load = "closed = 2\nthink = \"exp(5ms)\"\n[[beside]]\nname = \"bodies\"\nclosed = 1\nthink = \"exp(20ms)\"\n\
                path = \"/count\"\nbody_bytes = 5000";
    let bench = Bench::new(&experiment(more, "respond = [\"cgi\"]", load));
    // It fails when something grew, which one second on a busy machine cannot rule out; so only its output is
    // checked.
    let output = made(&bench, &["--duration-s", "2"]);
    assert!(output.status.code().is_some_and(|code| code <= 1), "{}", text(&output.stderr));
    let run = &runs(&bench)["inherited"];
    let faults = run["faults"].as_array().unwrap();
    assert!(!faults.is_empty() && run["fault"].is_null(), "{faults:?}");
    assert!(faults.iter().all(|fault| fault["pid"].as_u64().is_some()), "{faults:?}");
    let bodies = &run["beside"]["bodies"];
    assert!(bodies["statuses"]["200"].as_u64().unwrap() > 0, "{bodies}");
    let last = run["series"]["samples"].as_array().unwrap().last().unwrap();
    assert!(last["tree"]["processes"].as_u64().unwrap() >= 3, "{last}");
    let report = std::fs::read_to_string(bench.results().join("report.md")).unwrap();
    for shown in ["## When faults came", "plots/faults.svg", "plots/slopes.svg"] {
        assert!(report.contains(shown), "{shown}: {report}");
    }
}

#[test]
fn a_worker_of_another_server_is_killed_and_replaced() {
    let factors = "respond = [\"fixed\"]\npeers = [\"nginx:exclusive\", \"haproxy\"]\nfault = [\"none\", \"kill@50ms\"]";
    let bench = Bench::new(&experiment("", factors, "closed = 4"));
    let said = text(&made(&bench, &[]).stderr);
    let runs = runs(&bench);
    let nginx = &runs["nginx:exclusive kill@50ms"];
    if nginx["skipped"].is_null() {
        assert_eq!(nginx["fault"]["kind"], "kill", "{nginx}");
        assert!(nginx["fault"]["pid"].as_u64().unwrap() > 1, "{nginx}");
    }
    let why = runs["haproxy kill@50ms"]["skipped"].as_str().unwrap();
    assert!(why.contains("haproxy has no worker processes") && said.contains(why), "{said}");
}

/// The valid runs and the reasons of the void ones, with these scripts as the programs; `$1` and so on are
/// their arguments, and `$real` is the real program.
fn with_stand_ins(text_of: &str, server: &str, generator: &str) -> (usize, Vec<String>) {
    let bench = Bench::new(text_of);
    for (name, real, script) in [
        ("caffeine", env!("CARGO_BIN_EXE_caffeine"), server),
        ("loadgen", env!("CARGO_BIN_EXE_loadgen"), generator),
    ] {
        bench.stand_in(name, env!("CARGO_PKG_VERSION"), &format!("real={real}\n{script}\nexec $real \"$@\""));
    }
    let output = made(&bench, &["--programs", "bin", "--patience", "2.5"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let directory = bench.results();
    assert!(directory.join("report.html").is_file());
    let lines = std::fs::read_to_string(directory.join("runs.jsonl")).unwrap();
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["void"].take());
    let (void, good): (Vec<_>, Vec<_>) = all.partition(Value::is_object);
    let reason = |void: Value| {
        let part = |key: &str| void[key].as_str().unwrap().to_owned();
        let reason = part("reason");
        assert!(said.contains(&format!("{reason}\n    | ")), "{reason} is not shown: {said}");
        format!("{reason} | {}", part("stderr"))
    };
    let mut reasons: Vec<_> = void.into_iter().map(reason).collect();
    reasons.sort();
    (good.len(), reasons)
}

#[test]
fn a_server_that_never_gets_ready_or_dies_under_load_voids_its_run_only() {
    let listeners = "listener = [\"inherited\", \"reuseport\", \"round-robin\"]";
    let text_of = experiment("", "respond = [\"fixed\"]", "closed = 2")
        .replace("listener = [\"inherited\"]", listeners);
    let server = "case \"$*\" in\n*reuseport*) echo still thinking >&2; exec sleep 60;;\n\
                  *round-robin*) rm -f begun; $real \"$@\" & until [ -e begun ]; do sleep 0.02; done\n\
                  echo that was it >&2; kill -9 $!; exit 7;; esac";
    let (good, reasons) = with_stand_ins(&text_of, server, "touch begun");
    assert_eq!(good, 2, "{reasons:?}");
    let expected = [
        "caffeine did not get ready within 2.5 s | still thinking",
        "caffeine died under load (exit status: 7) | that was it",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn an_unavailable_strategy_is_skipped_with_a_notice() {
    let text_of = experiment("", "respond = [\"fixed\"]", "closed = 2")
        .replace("listener = [\"inherited\"]", "listener = [\"inherited\", \"reuseport\"]");
    let bench = Bench::new(&text_of);
    let script = format!(
        "case \"$*\" in *reuseport*) echo 'caffeine: reuseport: not with this kernel' >&2; exit 1;; esac\nexec {} \"$@\"",
        env!("CARGO_BIN_EXE_caffeine")
    );
    bench.stand_in("caffeine", env!("CARGO_PKG_VERSION"), &script);
    symlink(env!("CARGO_BIN_EXE_loadgen"), bench.path("bin/loadgen")).unwrap();
    let output = made(&bench, &["--programs", "bin"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let why =
        "caffeine: reuseport: not with this kernel (caffeine ended before it was ready (exit status: 1))";
    assert!(said.contains(&format!("is unavailable here, so its runs are skipped: {why}")), "{said}");
    assert_eq!(runs(&bench)["reuseport"]["skipped"], why);
    let report = std::fs::read_to_string(bench.results().join("report.md")).unwrap();
    assert!(report.contains(&format!("reuseport was not run: {why}.")), "{report}");
}

#[test]
fn connections_before_the_load_are_recorded_in_order() {
    let text_of =
        experiment("[sequence]\nconnections = 6\nhold = true", "respond = [\"fixed\"]", "closed = 1");
    let bench = Bench::new(&text_of);
    let output = made(&bench, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let runs = runs(&bench);
    let sequence = &runs["inherited"]["sequence"];
    assert_eq!(sequence["failed"], "", "{sequence}");
    let [workers, burst] = ["workers", "burst_us"].map(|key| sequence[key].as_array().unwrap());
    assert!(workers.iter().all(|worker| ["0", "1"].contains(&worker.as_str().unwrap())), "{sequence}");
    assert_eq!([workers.len(), burst.len()], [6, 6], "{sequence}");
}

#[test]
fn sysctls_are_set_in_a_private_network_namespace_or_skipped() {
    let factors =
        "respond = [\"fixed\"]\nsysctl = [\"net.ipv4.tcp_migrate_req=1\", \"net.ipv4.no_such_thing=1\"]";
    let bench = Bench::new(&experiment("", factors, "closed = 2"));
    let before = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap();
    let said = text(&made(&bench, &[]).stderr);
    assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap(), before);
    let runs = runs(&bench);
    let lacking = &runs["inherited no_such_thing=1"]["skipped"];
    assert!(said.contains(lacking.as_str().unwrap()), "{said}");
    let run = &runs["inherited tcp_migrate_req=1"];
    if run["skipped"].is_null() {
        assert!(run["record"]["completed"].as_u64().unwrap() > 0, "{run}");
    } else {
        assert!(run["skipped"].as_str().unwrap().contains("it takes root"), "{run}");
    }
}

#[test]
fn a_load_generator_that_hangs_voids_its_run_and_the_rest_continues() {
    let text_of = experiment("", "respond = [\"fixed\"]", "closed = 2");
    // Not in the rehearsal.
    let generator = "case \"$*\" in *\" -d 0.05s \"*) ;; *) if mkdir hung 2>/dev/null; then echo no hurry >&2; exec sleep 60; fi;; esac";
    let (good, reasons) = with_stand_ins(&text_of, "", generator);
    assert_eq!(reasons, ["loadgen did not end within 2.8 s | no hurry"]);
    assert_eq!(good, 1);
}

#[test]
fn a_peer_that_dies_at_once_voids_its_run_and_shows_its_output() {
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
