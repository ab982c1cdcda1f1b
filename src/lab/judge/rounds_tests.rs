//! Complete rounds, and what is left when there are too few.

use super::*;

/// A line per cell, a letter per round: `.` counts, `v` is void, `s` was skipped, a blank was not made.
fn rows(text: &[&str]) -> Vec<Row> {
    let row = |cell: usize, (round, letter): (usize, char)| {
        let verdict = match letter {
            '.' => Verdict::Ok,
            'v' => Verdict::Invalid,
            's' => Verdict::Skipped,
            _ => return None,
        };
        let reasons = if letter == 'v' { vec!["late".into()] } else { Vec::new() };
        Some(Row { cell: format!("c{cell}"), round: round as u32 + 1, verdict, reasons, ..Row::default() })
    };
    text.iter()
        .enumerate()
        .flat_map(|(cell, line)| line.chars().enumerate().filter_map(move |letter| row(cell, letter)))
        .collect()
}

fn spec(rounds: u32) -> Spec {
    let quick = include_str!("../../../experiments/quick.toml");
    Spec { rounds, ..Spec::parse(quick, "quick.toml").unwrap() }
}

fn of(planned: u32, text: &[&str]) -> Rounds {
    let rows = rows(text);
    Rounds::of(&rows.iter().collect::<Vec<_>>(), &spec(planned))
}

#[test]
fn a_void_run_voids_its_round_and_the_round_is_repeated() {
    let rounds = of(4, &["....", ".v..", "...."]);
    assert_eq!(rounds.complete, [1, 3, 4].into());
    assert!(rounds.lacking(&spec(4)) && rounds.not_judged.is_empty());
    let rounds = of(4, &[".....", ".v...", "....."]);
    assert!(rounds.complete.len() == 4 && !rounds.lacking(&spec(4)), "{rounds:?}");
}

#[test]
fn at_most_half_as_many_rounds_are_repeated() {
    let rounds = of(4, &["......", ".v.v..", "v....v"]);
    assert!(!rounds.lacking(&spec(4)) && rounds.not_judged.len() == 1, "{rounds:?}");
    assert!(of(4, &[".....", ".v.v.", "v...."]).lacking(&spec(4)));
    assert!(!of(1, &["v", "."]).lacking(&spec(1)));
}

#[test]
fn a_cell_with_more_void_runs_than_rounds_may_be_repeated_is_not_judged_and_the_others_are() {
    let rounds = of(4, &["....", "vvv.", "...."]);
    assert_eq!(rounds.complete.len(), 4);
    assert_eq!(rounds.not_judged["c1"], "3 of 4 runs are void; the first: late");
    assert!(!rounds.lacking(&spec(4)));
}

#[test]
fn when_no_more_rounds_may_come_the_worst_cells_are_left_out_until_enough_rounds_are_complete() {
    let worst = ".v.v.v.v.v.v......";
    let other = "v.v.v.............";
    let rounds = of(12, &["..................", worst, other]);
    assert_eq!((rounds.complete.len(), rounds.not_judged.len()), (15, 1));
    assert!(rounds.not_judged.contains_key("c1"));
    // Ten rounds are enough to judge all.
    let rounds = of(12, &["..................", ".v.v.v.v..........", "v.v.v............."]);
    assert_eq!((rounds.complete.len(), rounds.not_judged.len()), (11, 0));
}

#[test]
fn skipped_cells_and_rounds_that_were_cut_off() {
    let rounds = of(4, &["...", "sss", ".. "]);
    assert_eq!((rounds.complete, rounds.made), ([1, 2].into(), 3));
    assert_eq!(of(4, &["ss"]).complete.len(), 0);
}

#[test]
fn runs_of_an_incomplete_round_do_not_count() {
    let spec = spec(4);
    let cells = crate::lab::spec::plan::cells(&spec);
    let mut rows = rows(&["....", "..v."]);
    for row in &mut rows {
        let cell = usize::from(row.cell == "c1");
        (row.cell, row.load) = (cells[cell].id.clone(), spec.load[0].name.clone());
    }
    mark(&mut rows, &[Block { load: 0, cells: vec![0, 1] }], &cells, &spec);
    let counting: Vec<u32> = rows.iter().filter(|row| row.counts).map(|row| row.round).collect();
    assert_eq!(counting, [1, 2, 4, 1, 2, 4]);
}
