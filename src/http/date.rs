//! Formats and parses dates of header fields (RFC 9110, section 5.6.7). It has no clock.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, from seconds since the Unix epoch.
pub fn format(seconds: u64) -> String {
    let time = Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

/// Seconds since the Unix epoch, from a date in any of the three forms that a server must accept; `None` for others.
pub fn parse(date: &str) -> Option<i64> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let time = FORMS.iter().find_map(|form| strtime::parse(form, date).ok()?.to_datetime().ok())?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_is_that_of_the_rfc() {
        assert_eq!(super::format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn the_three_forms_of_a_date_are_read_and_no_other() {
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(super::parse(date), Some(784_111_777), "{date}");
        }
        for date in [
            "",
            "0",
            "now",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37",
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(super::parse(date), None, "{date}");
        }
    }
}
