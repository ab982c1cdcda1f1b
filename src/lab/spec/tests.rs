//! Parsing experiments, and the messages for mistakes.

use super::*;

const QUICK: &str = include_str!("../../../experiments/quick.toml");

fn complaint(from: &str, to: &str) -> String {
    let text = QUICK.replacen(from, to, 1);
    assert_ne!(text, QUICK, "{from} is not in the file");
    Spec::parse(&text, "x.toml").expect_err("accepted").to_string()
}

#[test]
fn the_quick_experiment_is_sound() {
    let spec = Spec::parse(QUICK, "quick.toml").unwrap();
    assert_eq!(spec.factors.listener, ["inherited", "reuseport", "round-robin"]);
    assert_eq!(spec.load.len(), 2);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let message = complaint("duration_s = 1.2", "duration = 1.2");
    assert!(message.starts_with("x.toml:8: unknown field `duration`"), "{message}");
    let message = complaint("closed = 16", "clients = 16");
    assert!(message.starts_with("x.toml:21: unknown field `clients`"), "{message}");
}

#[test]
fn values_that_make_no_experiment_are_named_with_their_line() {
    for (from, to, expected) in [
        ("which of three", "whether, if so, of", "x.toml:4: decision: after the comma says for whom"),
        ("for short handlers\"", "for short handlers.\"", "x.toml:4: decision: is a phrase, not a sentence"),
        ("rounds = 4", "rounds = 0", "x.toml:6: rounds: at least 1"),
        ("rounds = 4", "rounds = -1", "x.toml:6: invalid value"),
        ("rounds = 4", "rounds = 4294967295", "x.toml:6: rounds: at most 10000 rounds"),
        ("workers = [4]", "workers = [4000000000]", "x.toml:16: workers: 4000000000 is more than 10000"),
        ("closed = 16", "open = 1e12", "x.toml:21: open: the rate must be above 0, and at most 1000000"),
        ("closed = 16", "closed = 16\nduration_s = 0.0", "x.toml:22: duration_s: not within 0.1 to 3600"),
        ("closed = 16", "closed = 16\npath = \"/é\"", "x.toml:22: path: must not contain"),
        (
            "rounds = 4",
            "rounds = 4\ncpus = \"own\"",
            "x.toml:7: unknown variant `own`, expected one of `shared`, `apart`, `preempt`",
        ),
        (
            "rounds = 4",
            "rounds = 4\ncpus = \"preempt\"",
            "x.toml:7: cpus: `preempt` is for open loops; a load is closed",
        ),
        ("baseline = \"inherited\"", "baseline = \"nginx\"", "x.toml:12: baseline: `nginx` is not one of"),
        ("workers = [4]", "workers = [0]", "x.toml:16: workers: at least 1 worker"),
        ("duration_s = 1.2", "duration_s = 0.0", "x.toml:8: duration_s: 0 is not"),
        ("closed = 16", "closed = 16\nopen = 5.0", "x.toml:19: load: `full load` needs exactly one"),
        ("handler = \"hello\"", "", "x.toml:17: respond: `cgi` needs"),
        ("open_of_capacity = 0.5", "open_of_capacity = 50.0", "x.toml:25: open_of_capacity: the share"),
        ("name = \"half load\"", "name = \"full load\"", "x.toml:24: name: two loads are named `full load`"),
        ("\"reuseport\"", "\"inherited\"", "x.toml:15: listener: `inherited` is named twice"),
    ] {
        let message = complaint(from, to);
        assert!(message.contains(expected), "{message} instead of {expected}");
    }
}

#[test]
fn broken_toml_is_named_with_its_line() {
    let message = complaint("rounds = 4", "rounds = ");
    assert!(message.starts_with("x.toml:6: "), "{message}");
}

/// Every key of an experiment.
const ALL: &str = r#"
question = "Everything?"
source = "none"
rounds = 10
warmup_s = 0.5
duration_s = 2.0
interval_s = 0.1
seed = 7
handler = "hello"
baseline = "inherited"
server_prefix = "taskset -c 0"
client_prefix = "taskset -c 1"
decision = "which one, at all"
[rules]
noisy_steal = 0.05
invalid_errors = 1.0

[factors]
listener = ["inherited", "reuseport"]
peers = ["nginx:exclusive", "command:mine"]
workers = [2, 4]
respond = ["sleep:const(1ms)"]
backlog = [128, 4096]
sources = ["127.0.0.1", "127.0.0.2-127.0.0.33"]
pin = ["none", "split"]
fault = ["none", "kill@1s", "stop@500ms+1s", "stall@0.5s+400ms"]

[peer.mine]
command = "serve --port {port} --workers {workers} {root}"

[[load]]
name = "closed"
closed = 8
think = "exp(10ms)"
requests = 100
timeout_s = 3.0
keep_alive = true
path = "/x"

[[load]]
name = "open"
open = 100.0
arrivals = "poisson"

[[expect]]
claim = "X1"
text = "It is slower"
source = "Doe 2020"
published = "2.0"
metric = "response_p99_ms"
of = "reuseport"
over = "inherited"
load = "open"
where = { workers = 4, fault = "kill@1s", backlog = 128 }
over_where = { backlog = 4096 }
same_direction = ">= 1.5"
same_size = "1.5..2.5"
own = true
not_testable = "many cores"
differs = "fewer cores"
reason = "few cores"
"#;

#[test]
fn every_key_is_read_and_written_the_same() {
    let spec = Spec::parse(ALL, "all.toml").unwrap();
    assert_eq!(spec.rules.noisy_steal, 0.05);
    assert_eq!(spec.rules.invalid_status, Rules::default().invalid_status);
    assert_eq!(spec.factors.sources[1].unwrap().count(), 32);
    let faults = spec.factors.levels("fault").unwrap();
    assert_eq!(faults, ["none", "kill@1s", "stop@500ms+1s", "stall@500ms+400ms"]);
    assert_eq!(spec.expect[0].pick["workers"], "4");
    let text = toml::to_string(&spec).unwrap();
    assert_eq!(Spec::parse(&text, "again.toml").unwrap(), spec, "{text}");
}

#[test]
fn mistakes_in_any_key_are_named_with_their_line() {
    for (from, to, expected) in [
        ("interval_s = 0.1", "interval_s = 0.0", "7: interval_s: 0 is not within 0.01"),
        ("client_prefix = \"taskset -c 1\"", "client_prefix = \" \"", "12: client_prefix: is empty"),
        ("noisy_steal = 0.05", "noisy_steal = 5", "15: noisy_steal: 5 is not a share"),
        ("noisy_steal = 0.05", "noisy = 5", "15: unknown field `noisy`"),
        (
            "\"nginx:exclusive\", \"command:mine\"",
            "\"nginx:lifo\"",
            "20: peers: no peer `nginx:lifo`; there are: nginx:exclusive",
        ),
        ("\"command:mine\"", "\"command:yours\"", "20: peers: `command:yours` needs a table [peer.yours]"),
        (", \"command:mine\"", "", "28: peer.mine: [peer.mine] is not used by the factor peers"),
        ("{port}", "8080", "29: command: [peer.mine] lacks `{port}`"),
        ("backlog = [128, 4096]", "backlog = [128, 128]", "23: backlog: `128` is named twice"),
        ("127.0.0.2-127.0.0.33", "127.0.0.33-127.0.0.2", "24: `127.0.0.33-127.0.0.2` is not a range"),
        ("\"split\"", "\"half\"", "25: `half` is neither"),
        ("kill@1s", "kill@1s+1s", "26: `kill@1s+1s` is not a fault: kill has no duration"),
        (
            "kill@1s",
            "burn@1s",
            "26: `burn@1s` is not a fault: there are kill, exit, reload, shrink, grow, end, stop and stall",
        ),
        ("kill@1s", "kill@2s", "26: fault: `kill@2s` is after the end of the measured 2 s"),
        ("kill@1s", "kill@1s*2", "26: `kill@1s*2` is not a fault: `*` needs a number and an interval"),
        ("kill@1s", "kill@1s*1/1s", "26: `kill@1s*1/1s` is not a fault: `*` needs a number from 2"),
        (
            "kill@1s",
            "kill@100ms*2/500ms",
            "26: fault: `kill@100ms*2/500ms`: a worker would be struck again after 1000 ms; it needs 1200 ms",
        ),
        (
            "stop@500ms+1s",
            "stop@100ms+600ms*2/600ms",
            "26: fault: `stop@100ms+600ms*2/600ms`: the next one comes after",
        ),
        ("kill@1s", "end@100ms*2/1300ms", "26: fault: `end@100ms*2/1300ms`: a server ends once"),
        (
            "sleep:const(1ms)",
            "fixed",
            "26: fault: `stall@500ms+400ms` needs workers that a request can occupy",
        ),
        ("closed = 8", "closed = 8\narrivals = \"poisson\"", "34: arrivals: a closed loop has no arrivals"),
        ("open = 100.0", "open = 100.0\nthink = \"1s\"", "43: think: only available in a closed loop"),
        ("path = \"/x\"", "path = \"/x y\"", "38: path: must not contain spaces"),
        (
            "metric = \"response_p99_ms\"",
            "metric = \"p99\"",
            "50: metric: no metric `p99`; there are: rate, ",
        ),
        ("of = \"reuseport\"", "of = \"nginx\"", "51: of: `nginx` is not a listener or peer here"),
        ("load = \"open\"", "load = \"half\"", "53: load: no load `half`; there are: closed, open"),
        (
            "where = { workers = 4",
            "where = { workers = 5",
            "54: where: `workers` has no level `5`; it has: 2, 4",
        ),
        ("where = { workers", "where = { cells", "54: where: `cells` does not make groups"),
        ("over = \"inherited\"\n", "", "54: over_where: needs `over`"),
        ("\">= 1.5\"", "\"about 2\"", "56: `about 2` is not a range of figures"),
        ("claim = \"X1\"", "claims = \"X1\"", "46: unknown field `claims`"),
    ] {
        let text = ALL.replacen(from, to, 1);
        assert_ne!(text, ALL, "{from} is not in the file");
        let message = Spec::parse(&text, "x.toml").expect_err(from).to_string();
        assert!(message.starts_with(&format!("x.toml:{expected}")), "{message} instead of {expected}");
    }
}

#[test]
fn the_metric_that_is_judged_is_that_of_the_load_of_the_file_or_the_usual_one() {
    let spec = |before: &str, within: &str| {
        let text = format!("{before}{}", ALL.replacen("open = 100.0", &format!("open = 100.0\n{within}"), 1));
        Spec::parse(&text, "x.toml")
    };
    let judged = |spec: &Spec| spec.load.iter().map(|load| spec.judged(load, None)[0]).collect::<Vec<_>>();
    let usual = spec("", "").unwrap();
    assert_eq!(judged(&usual), [Metric::Rate, Metric::ResponseP99Ms]);
    assert_eq!([Metric::Rate, Metric::ResponseP99Ms].map(|metric| usual.least_effect(metric)), [0.05, 0.1]);
    let named =
        spec("primary = \"server_cpu_us\"\nleast_effect = 0.02", "primary = \"response_p50_ms\"").unwrap();
    assert_eq!(judged(&named), [Metric::ServerCpuUs, Metric::ResponseP50Ms]);
    assert_eq!(named.least_effect(Metric::ResponseP99Ms), 0.02);
    let text = toml::to_string(&named).unwrap();
    assert_eq!(Spec::parse(&text, "again.toml").unwrap(), named, "{text}");
    let struck = |spec: &Spec, fault: &str| spec.judged(&spec.load[1], Some(fault.parse().unwrap()));
    let (late, lost) = (Metric::DelayedPerFault, Metric::FailedPerFault);
    assert_eq!((struck(&usual, "kill@1s"), struck(&usual, "stop@1s+1s")), (vec![late, lost], vec![late]));
    assert_eq!(struck(&named, "kill@1s"), [Metric::ResponseP50Ms], "what the file names");
    assert_eq!((named.least_effect(late), named.least_effect(lost)), (1.0, 0.1), "connections, not shares");
    let faults = spec("primary = \"failed_per_fault\"", "").unwrap();
    assert_eq!((struck(&faults, "stop@1s+1s"), judged(&faults)), (vec![lost], judged(&usual)));
    let text = ALL.replacen("\"none\", \"kill@1s\", \"stop@500ms+1s\", \"stall@0.5s+400ms\"", "\"none\"", 1);
    let text = text.split("[[expect]]").next().unwrap();
    let message = Spec::parse(&format!("primary = \"{late}\"\n{text}"), "x.toml").unwrap_err().to_string();
    assert!(
        message.contains("`delayed_per_fault` cannot be judged; use one of (per fault: with a fault) "),
        "{message}"
    );
    for (before, within, expected) in [
        ("least_effect = 5.0", "", "x.toml:1: least_effect: 5 is not a share within 0.001 and 1"),
        (
            "primary = \"errors\"",
            "",
            "x.toml:1: primary: `errors` cannot be judged; use one of (per fault: with a fault) rate, ",
        ),
        ("primary = \"p99\"", "", "x.toml:1: primary: `p99` cannot be judged"),
        ("primary = \"rate\"", "", "x.toml:1: primary: the rate of the open load `open` is its schedule"),
        ("", "primary = \"rate\"", "x.toml:43: primary: the rate of the open load `open` is its schedule"),
    ] {
        let message = spec(before, within).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message} instead of {expected}");
    }
}

fn only(levels: &[(&str, &str)]) -> Result<Spec> {
    let mut spec = Spec::parse(ALL, "all.toml").unwrap();
    let levels: Vec<_> = levels.iter().map(|(factor, level)| ((*factor).into(), (*level).into())).collect();
    spec.narrow(&levels).map(|()| spec)
}

#[test]
fn only_some_levels_leave_the_baseline_and_what_can_still_be_expected() {
    let spec = only(&[("listener", "reuseport"), ("fault", "kill@1s")]).unwrap();
    assert_eq!(spec.factors.listener, ["inherited", "reuseport"]);
    assert!(spec.factors.peers.is_empty() && spec.peer.is_empty());
    assert_eq!((spec.factors.workers.len(), spec.factors.fault.len(), spec.expect.len()), (2, 2, 1));
    assert_eq!(spec.factors.levels("fault").unwrap(), ["none", "kill@1s"]);
    let spec = only(&[("peers", "command:mine"), ("workers", "2"), ("load", "open")]).unwrap();
    assert_eq!(spec.factors.listener, ["inherited"]);
    assert_eq!(spec.factors.peers, ["command:mine"]);
    assert!(spec.load.len() == 1 && spec.expect.is_empty());
    let text = toml::to_string(&spec).unwrap();
    assert_eq!(Spec::parse(&text, "again.toml").unwrap(), spec);
    assert_eq!(only(&[("listener", "uring")]).unwrap().factors.listener, ["inherited", "uring"]);
    assert_eq!(only(&[("workers", "2"), ("workers", "4")]).unwrap().factors.workers, [2, 4]);
}

#[test]
fn only_what_there_is() {
    let message = |factor, level| only(&[(factor, level)]).unwrap_err().to_string();
    assert!(message("worker", "2").contains("no factor `worker`; there are: listener, peers, workers"));
    assert!(message("listener", "lifo").contains("`listener` has: inherited, reuseport"));
    assert!(message("workers", "3").contains("no such level here; `workers` has: 2, 4"));
    assert!(message("load", "full").contains("`load` has: closed, open"));
}

proptest::proptest! {
    #[test]
    fn a_fault_is_read_as_it_is_written(kind in 0..8_usize, at_ms in 0..3_600_000_u64, lasts_ms in 1..3_600_000_u64) {
        let kind = FaultKind::ALL[kind];
        let every_ms = lasts_ms;
        let lasts_ms = if kind.lasts() { lasts_ms } else { 0 };
        for (times, every_ms) in [(1, 0), (2, every_ms), (300, 1250)] {
            let fault = Fault { kind, at_ms, lasts_ms, times, every_ms };
            proptest::prop_assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn any_text_as_an_experiment_is_an_error_with_its_line(text in "[a-z\\[\\]={}\"0-9.,\n ]{0,200}") {
        let message = Spec::parse(&text, "x.toml").unwrap_err().to_string();
        proptest::prop_assert!(message.starts_with("x.toml:"), "{}", message);
    }
}
