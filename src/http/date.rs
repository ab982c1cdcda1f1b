//! Formats the `Date` header (RFC 9110, section 5.6.7). It has no clock.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, from seconds since the Unix epoch.
pub fn format(seconds: u64) -> String {
    let time = Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_is_that_of_the_rfc() {
        assert_eq!(super::format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
