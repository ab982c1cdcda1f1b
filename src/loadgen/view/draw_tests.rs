//! Snapshots of the live view at common terminal sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::loadgen::view::samples;

const SECOND_NS: u64 = 1_000_000_000;

fn terminal(
    width: u16,
    height: u16,
    timeline: &Timeline,
    seconds: u64,
    color: bool,
) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, timeline, seconds * SECOND_NS, color)).unwrap();
    terminal
}

fn picture(width: u16, height: u16, timeline: &Timeline, seconds: u64) -> String {
    terminal(width, height, timeline, seconds, true).backend().to_string()
}

#[test]
fn a_usual_terminal_has_room_for_everything() {
    insta::assert_snapshot!(picture(80, 24, &samples::timeline(20), 20));
}

#[test]
fn a_large_terminal_is_used() {
    insta::assert_snapshot!(picture(120, 40, &samples::timeline(31), 31));
}

#[test]
fn a_small_terminal_has_the_figures() {
    insta::assert_snapshot!(picture(40, 10, &samples::timeline(12), 12));
}

#[test]
fn three_lines_and_one_line_are_enough() {
    insta::assert_snapshot!(picture(80, 3, &samples::timeline(12), 12));
    insta::assert_snapshot!(picture(60, 1, &samples::timeline(12), 12));
}

#[test]
fn a_run_that_has_just_begun_and_one_of_a_search_say_what_they_are() {
    let mut timeline = samples::timeline(0);
    timeline.note = "search for p99<5ms, errors<1%: run 7 at 3200/s, holds at 1600/s".into();
    insta::assert_snapshot!(picture(80, 24, &timeline, 0));
}

#[test]
fn no_size_and_no_time_make_it_panic() {
    for seconds in [0, 1, 40] {
        let timeline = samples::timeline(seconds);
        for width in [1, 2, 13, 29, 30, 71, 72, 73, 130] {
            for height in [1, 2, 3, 5, 6, 15, 16, 17, 22, 49] {
                picture(width, height, &timeline, seconds);
            }
        }
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    let colored = |color| {
        let terminal = terminal(80, 24, &samples::timeline(20), 20, color);
        terminal.backend().buffer().content().iter().filter(|cell| cell.fg != Color::Reset).count()
    };
    assert_eq!(colored(false), 0);
    assert!(colored(true) > 0);
}
