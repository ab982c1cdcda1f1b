//! Numbers as text: short, with their unit. Pure.

/// A time with three or four digits.
pub fn time(value_us: f64) -> String {
    let (value, unit) = match value_us {
        us if us < 1000.0 => (us, "us"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// `1 thread`, `2 threads`.
pub fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Three significant digits.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// A rate per second; below 10 with a decimal digit.
pub fn rate(per_second: f64) -> String {
    let digits = usize::from(per_second < 10.0 && per_second > 0.0);
    format!("{per_second:.digits$}")
}

/// Seconds, or minutes and seconds.
pub fn clock(ns: u64) -> String {
    let s = ns / 1_000_000_000;
    match s {
        0..10 => format!("{:.1} s", (ns / 100_000_000) as f64 / 10.0),
        10..100 => format!("{s} s"),
        100..3600 => format!("{}:{:02} min", s / 60, s % 60),
        _ => format!("{}:{:02}:{:02} h", s / 3600, s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_name_their_unit() {
        assert_eq!(
            [0.0, 9.876, 12.34, 999.9, 1000.0, 56_780.0, 1e6, 59.9e6].map(time),
            ["0.00 us", "9.88 us", "12.3 us", "1000 us", "1.00 ms", "56.8 ms", "1.00 s", "59.9 s"]
        );
        assert_eq!([0.0, 0.5, 12.3, 45_678.9].map(rate), ["0", "0.5", "12", "45679"]);
        assert_eq!(
            [5, 99, 125, 3723].map(|s| clock(s * 1_000_000_000)),
            ["5.0 s", "99 s", "2:05 min", "1:02:03 h"]
        );
    }
}
