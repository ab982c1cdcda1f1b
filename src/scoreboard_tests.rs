//! What a reader may rely on: the version, and counters that do not wrap.

use super::*;
use std::mem::offset_of;

#[test]
fn a_changed_layout_has_another_version() {
    let row = [
        offset_of!(Row, accepted),
        offset_of!(Row, answered),
        offset_of!(Row, open),
        offset_of!(Row, busy_ns),
    ];
    let header =
        [offset_of!(Header, closing), offset_of!(Header, refused), offset_of!(Header, handlers_client_gone)];
    assert_eq!((MAGIC & 0xffff, row, header), (10, [40, 88, 136, 200], [40, 72, 464]));
}

#[test]
fn another_version_is_refused_and_not_misread() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scoreboard");
    let board = Scoreboard::create(&path, 3).unwrap();
    assert!(Scoreboard::open(&path).is_ok());
    board.header().magic.store(MAGIC - 1, SeqCst);
    let refused = Scoreboard::open(&path).unwrap_err();
    assert!(refused.to_string().contains("this program reads version"), "{refused}");
    std::fs::write(&path, b"something else").unwrap();
    assert!(Scoreboard::open(&path).is_err());
}

#[test]
fn a_counter_does_not_fall_below_zero() {
    let counter = AtomicU64::new(1);
    subtract(&counter, 1);
    subtract(&counter, 1);
    assert_eq!(counter.load(Relaxed), 0);
}
