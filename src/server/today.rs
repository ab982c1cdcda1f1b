//! The time of day for `Date` in the server's own answers. No timeout depends on it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::date;

/// The current time as a `Date` header.
pub fn now() -> String {
    date::format(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
