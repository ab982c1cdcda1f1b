//! The time of day for `Date` in answers of the server's own. It is told, and nothing waits by it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::date;

/// Now, as an answer says it.
pub fn now() -> String {
    date::format(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
