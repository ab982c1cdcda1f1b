//! Times as text. Pure.

use crate::dist::parse_duration;

/// Longest duration, and farthest start, in ns: a week.
pub const WEEK_NS: u64 = 7 * 24 * 3_600_000_000_000;

/// Parses `10s`, `500ms`, `250us`, `2m`, `1h30m`, or seconds without a unit, as nanoseconds.
/// Errors: the expected form.
pub fn duration_ns(text: &str) -> Result<u64, String> {
    let ns = match seconds_ns(text.trim()) {
        Some(ns) => ns.into(),
        None => parse_duration(text)?.as_nanos(),
    };
    if ns > WEEK_NS.into() { Err("longer than a week".into()) } else { Ok(ns as u64) }
}

/// Parses decimal seconds exactly; digits beyond the ninth are dropped.
pub fn seconds_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9.9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn durations_have_a_number_and_perhaps_a_unit() {
        assert_eq!(duration_ns("10s"), Ok(10 * S));
        assert_eq!(duration_ns("1.5ms"), Ok(1_500_000));
        assert_eq!(duration_ns("0s"), Ok(0));
        assert_eq!(duration_ns("2m"), duration_ns("120s"));
        assert_eq!(duration_ns("1h30m"), duration_ns("90m"));
        assert_eq!((duration_ns("1"), duration_ns("0.25")), (Ok(S), Ok(S / 4)));
        for text in ["", "1.", "s", "1x", "-1s", "1.2.3s", "9999999h"] {
            assert!(duration_ns(text).is_err(), "{text}");
        }
    }
}
