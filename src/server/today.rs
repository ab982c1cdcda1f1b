//! The time of day for `Date` in the server's own answers. No timeout depends on it.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::date;

/// The current time as a `Date` header.
pub fn now() -> String {
    thread_local! {
        /// The last second for which a date was asked, and that date.
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second {
            (*last, *text) = (second, date::format(second));
        }
        text.clone()
    })
}
