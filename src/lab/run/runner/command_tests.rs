//! The arguments of server and load generator.

use super::*;
use crate::lab::spec::Levels;

fn quick() -> Spec {
    Spec::parse(include_str!("../../../../experiments/quick.toml"), "quick.toml").unwrap()
}

fn ask<'a>(spec: &'a Spec, load: &'a Load) -> Ask<'a> {
    Ask {
        spec,
        load,
        path: path(spec, load),
        fault: None,
        capacity: Some(1000.4),
        sources: None,
        seed: 9,
        jobs: None,
        hlog: None,
        body: None,
    }
}

fn text(words: &[OsString]) -> String {
    shown(words, &[Path::new("/tmp/x")])
}

#[test]
fn the_server_is_told_the_levels_of_its_cell() {
    let cell = Cell {
        listener: "round-robin:wait".into(),
        levels: Levels {
            workers: 3,
            respond: "sleep:exp(1ms)".into(),
            backlog: Some(128),
            ..Levels::default()
        },
        ..Cell::default()
    };
    let words = server(Path::new("/tmp/x/caffeine"), &cell, Path::new("/tmp/x/s"), Path::new("/h"), 14);
    assert_eq!(
        text(&words),
        "DIR/caffeine -n lab --bind 127.0.0.1 -p 0 -w 3 --listener round-robin:wait --respond 'sleep:exp(1ms)' \
         --seed 7 --backlog 128 --state-dir DIR/s/state --path /h --log-to file --dumpable"
    );
    let cell = Cell { listener: "inherited-rearm --accept-batch 4 --pin".into(), ..cell };
    let words = server(Path::new("/tmp/x/caffeine"), &cell, Path::new("/tmp/x/s"), Path::new("/h"), 14);
    assert!(text(&words).contains(" --listener inherited-rearm --respond "), "{}", text(&words));
    assert!(
        text(&words).ends_with(" --path /h --log-to file --dumpable --accept-batch 4 --pin"),
        "{}",
        text(&words)
    );
    let fault = Some("shrink@1s".parse().unwrap());
    let cell = Cell { levels: Levels { fault, ..cell.levels }, ..cell };
    let words = server(Path::new("/tmp/x/caffeine"), &cell, Path::new("/tmp/x/s"), Path::new("/h"), 14);
    assert!(text(&words).contains(" -p 0 -c DIR/s/caffeine.toml --listener "), "{}", text(&words));
}

#[test]
fn the_load_generator_is_told_the_load() {
    let spec = quick();
    let words = load(Path::new("loadgen"), "127.0.0.1:1", &ask(&spec, &spec.load[1]));
    assert_eq!(
        text(&words),
        "loadgen http://127.0.0.1:1/hello -r 500 -d 1.2s -w 0.3s --seed 9 --interval 0.25s --json - -q"
    );
    let jobs = Some("exp(1ms)".parse().unwrap());
    let words = load(Path::new("loadgen"), "h:1", &Ask { jobs, ..ask(&spec, &spec.load[1]) });
    assert!(text(&words).contains(" --seed 9 --occupy 'exp(1ms)' "), "{}", text(&words));
    let rich = Load {
        closed: Some(4),
        requests: Some(70),
        think: Some("exp(1ms)".into()),
        timeout_s: Some(2.5),
        keep_alive: true,
        path: Some("/a/b".into()),
        ..Load::default()
    };
    let hlog = Some(Path::new("intervals/3.hlog"));
    let words = load(
        Path::new("loadgen"),
        "h:1",
        &Ask { sources: Some("127.0.0.2".parse().unwrap()), hlog, ..ask(&spec, &rich) },
    );
    assert_eq!(
        text(&words),
        "loadgen http://h:1/a/b -c 4 -n 70 -w 0.3s --seed 9 --think 'exp(1ms)' --timeout 2.5s --sources 127.0.0.2 \
         --interval 0.25s --hlog intervals/3.hlog --keep-alive --json - -q"
    );
}

#[test]
fn a_prefix_comes_first_and_an_open_quote_is_a_usage_error() {
    let words = prefix(Some("ip netns exec 'b c'"), "server_prefix").unwrap();
    let made = command(&words, &["caffeine".into(), "-w".into()], Share::default());
    assert_eq!(made.get_program(), "ip");
    assert!(made.get_args().eq(["netns", "exec", "b c", "caffeine", "-w"]));
    assert!(prefix(Some("a 'b"), "client_prefix").unwrap_err().to_string().starts_with("client_prefix: "));
    assert!(prefix(None, "x").unwrap().is_empty());
}
