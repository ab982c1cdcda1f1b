//! The text of `--status` at all screen sizes.

use super::*;

/// An instance with this many workers and large counters.
fn sight(workers: u64) -> Sight {
    let worker = |number| Counters {
        worker: number,
        pid: 4_194_304,
        state: 3,
        accepted: 9_999_999,
        launched: 9_999_999,
        open: 99_999,
        answered: [999_999; 5],
        empty_wakeups: 9_999_999,
        ..Counters::default()
    };
    let workers: Vec<_> = (0..workers).map(worker).collect();
    Sight { totals: worker(0), workers, ..Sight::made_up() }
}

#[test]
fn rows_of_large_numbers_fit_eighty_columns() {
    let text = Page::whole(&sight(1024));
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("4194304")).count(), 1024);
}

#[test]
fn a_screen_is_filled_and_no_more() {
    for size in [(80, 24), (200, 50), (40, 10), (20, 5), (9, 2), (1, 1)] {
        for workers in [1, 4, 30, 1024] {
            let lines = Page::default().fit(&sight(workers), size);
            assert_eq!(lines.len(), size.1, "{size:?}, {workers} workers: {lines:#?}");
            assert!(lines.iter().all(|line| line.chars().count() <= size.0), "{size:?}: {lines:#?}");
        }
    }
}

#[test]
fn all_workers_can_be_reached_and_the_head_stays() {
    let (sight, size) = (sight(30), (80, 24));
    let mut page = Page::default();
    let top = page.fit(&sight, size);
    assert!(top.iter().any(|line| line.starts_with(" 0  ")), "{top:#?}");
    assert!(top[23].ends_with("of 30: arrows, PgUp, PgDn   q leaves"), "{top:#?}");
    page.scroll(1000);
    let end = page.fit(&sight, size);
    assert!(end.iter().any(|line| line.starts_with("29  ")), "{end:#?}");
    assert_eq!(top[0], end[0]);
    page.scroll(-1000);
    assert_eq!(page.fit(&sight, size), top);
}

#[test]
fn all_that_fits_is_shown_without_a_word_on_moving() {
    let lines = Page::default().fit(&sight(4), (80, 24));
    assert_eq!(lines[23], "q leaves");
    assert_eq!(lines.iter().filter(|line| line.contains("4194304")).count(), 4, "{lines:#?}");
}

#[test]
fn a_narrow_screen_has_fewer_columns_and_whole_ones() {
    let lines = Page::default().fit(&sight(4), (40, 20));
    let heading = lines.iter().find(|line| line.contains("PID")).unwrap();
    assert!(heading.ends_with("ACCEPT") || heading.ends_with("LAUNCH"), "{lines:#?}");
}
