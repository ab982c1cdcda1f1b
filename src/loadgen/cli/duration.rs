//! Durations as people type them. Pure.

/// Reads `10s`, `500ms`, `250us`, `2m`, `1h` as nanoseconds.
///
/// # Errors
/// What should have been written.
pub fn duration_ns(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ns = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return Err("write a number and a unit: 500ms, 10s, 2m".into()),
    };
    let number: f64 = number.parse().map_err(|_| "write a number and a unit: 500ms, 10s, 2m".to_owned())?;
    let ns = number * unit_ns;
    if ns > 7.0 * 24.0 * 3600e9 { Err("longer than a week".into()) } else { Ok(ns as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(duration_ns("10s"), Ok(10_000_000_000));
        assert_eq!(duration_ns("1.5ms"), Ok(1_500_000));
        assert_eq!(duration_ns("0s"), Ok(0));
        assert_eq!(duration_ns("2m"), duration_ns("120s"));
        for text in ["", "10", "s", "1x", "-1s", "1.2.3s", "9999999h"] {
            assert!(duration_ns(text).is_err(), "{text}");
        }
    }
}
