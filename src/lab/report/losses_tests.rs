//! What a report says of faults, from fixed data.

use super::tests::folder;
use super::*;
use crate::lab::fixture;
use crate::lab::fixture::rich::Rich;
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::measure::series::Incident;

/// A load under `none`, a kill and a stop; two connections are reset in each, one of them by the killed worker that had it.
fn struck(rounds: u32) -> Data {
    let faults = vec!["none", "kill@1s", "stop@1s+500ms"];
    Rich { rounds, faults, open: vec![400], ..Rich::default() }.data()
}

#[test]
fn where_workers_are_struck_a_table_says_what_became_of_connections() {
    let mut data = struck(2);
    let calm = |run: &&mut RunData| !run.cell.starts_with("reuseport kill");
    for record in data.runs.iter_mut().filter(calm).filter_map(|run| run.record.as_mut()) {
        record.errors.clear();
        record.incidents.retain(|one| one.kind == Incident::SLOW);
    }
    let analysis = judge::judge(&data);
    let table = view::losses::losses(&analysis).unwrap();
    let heads = [
        "Strategy",
        "A worker crashes\n(SIGKILL)",
        "A worker crashes\n(it was answering)",
        "A worker crashes\n(accepted, not read)",
        "A worker stuck 0.5 s\n(SIGSTOP)",
        "A worker stuck 0.5 s\n(it was answering)",
        "A worker stuck 0.5 s\n(accepted, not read)",
    ];
    assert_eq!(table.head, heads);
    let row = |name: &str| &table.rows.iter().find(|(other, _)| other == name).unwrap().1;
    // Four runs: two loads, two rounds; what the killed worker had is not among the losses, and never shown as good.
    let struck = &row("reuseport")[0];
    assert!(struck.text.starts_with("4 reset in 4\n(4 of 4 faults: 47.3 % to 100.0 %)"), "{struck:?}");
    assert_eq!(struck.class, "flag");
    assert_eq!(
        (row("reuseport")[1].text.as_str(), row("reuseport")[1].class),
        ("4 in 4\n(1.00 per fault)", "")
    );
    // The baseline runs twice, and counts once; four faults without a loss do not make it good.
    let base = &row("inherited")[0];
    assert_eq!((base.text.as_str(), base.class), ("none in 4\n(< 53 % of faults)", ""));
    assert!(view::losses::losses(&judge::judge(&fixture::quick(1))).is_none());
}

#[test]
fn a_stuck_worker_shows_in_connections_late_and_seconds_waited_per_fault() {
    let table = view::losses::losses(&judge::judge(&struck(3))).unwrap().delays;
    assert_eq!(table.head.last().unwrap(), "A worker stuck 0.5 s\n(SIGSTOP)");
    let cell = |name: &str| table.rows.iter().find(|row| row[0] == name).unwrap().last().unwrap().clone();
    let late = |name: &str| cell(name).split(' ').next().unwrap().replace(',', "").parse::<f64>().unwrap();
    assert!(cell("reuseport").ends_with("; n = 6)"), "{}", cell("reuseport"));
    assert!(late("reuseport") > 40.0 && late("inherited") < 5.0, "{table:?}");
}

#[test]
fn runs_that_do_not_count_are_named_and_counted_in_the_same_words() {
    let mut data = struck(2);
    let victim = data.runs.iter_mut().find(|run| run.cell == "inherited kill@1s").unwrap();
    victim.record.as_mut().unwrap().verdict = "INVALID".into();
    let (round, load) = (victim.round, victim.load.clone());
    // A round counts whole.
    let of_round = |run: &&RunData| run.round == round && run.load == load && !run.cell.ends_with("(A/A)");
    let void = data
        .runs
        .iter()
        .filter(of_round)
        .filter(|run| run.record.is_some() && !run.cell.ends_with("no fault"))
        .count();
    let (_base, directory) = folder(&data);
    redraw(&directory).unwrap();
    let markdown = fs::read_to_string(directory.join("report.md")).unwrap();
    let invalid =
        |line: &str| line.starts_with("- 1 of ") && line.contains("left out of medians; what failed");
    assert!(markdown.lines().any(invalid), "{markdown}");
    let says = markdown.lines().find(|line| line.contains("runs with a record")).unwrap();
    let figure = |before: &str| -> usize {
        says.split(before).nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(figure("Counted are all ") - figure("of which "), void, "{says}");
}

#[test]
fn results_of_an_earlier_layout_say_what_they_cannot_tell() {
    let mut data = struck(2);
    for record in data.runs.iter_mut().filter_map(|run| run.record.as_mut()) {
        record.plan.slow_s = None;
        record.incidents.clear();
        record.by_start.clear();
    }
    let table = view::losses::losses(&judge::judge(&data)).unwrap();
    assert!(table.rows[0].1[0].text.contains("method superseded: not told apart"), "{:?}", table.rows[0]);
    assert!(table.delays.rows.is_empty());
    let (_base, directory) = folder(&data);
    redraw(&directory).unwrap();
    let markdown = fs::read_to_string(directory.join("report.md")).unwrap();
    assert!(markdown.contains("Connections late and seconds waited per fault: method superseded"));
}
