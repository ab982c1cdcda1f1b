//! Recorded arrival times, parsed from text. Pure.

use std::sync::Arc;

use super::parse::seconds_ns;

/// Arrival times, in ns after the first one, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    times: Arc<[u64]>,
}

impl Trace {
    /// Parses one time per line in seconds (`12.5`), ascending; empty lines and comments after `#` are skipped. Times are
    /// relative to the first, so that any epoch will do. A `stretch` of 2 halves the rate.
    /// Errors: what is wrong, with the line number.
    pub fn parse(text: &str, stretch: f64) -> Result<Self, String> {
        if !(stretch > 0.0 && stretch.is_finite()) {
            return Err("--stretch must be above 0".into());
        }
        let mut times: Vec<u64> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let time = seconds_ns(line)
                .ok_or_else(|| format!("line {number}: {line:?} is not a time in seconds, such as 12.5"))?;
            if times.last().is_some_and(|last| *last > time) {
                return Err(format!("line {number}: {line} is before the previous time; sort the file"));
            }
            times.push(time);
        }
        let (Some(first), Some(last)) = (times.first().copied(), times.last()) else {
            return Err("it contains no times".into());
        };
        if *last == first {
            return Err("at least two different times are needed".into());
        }
        let times: Arc<[u64]> =
            times.iter().map(|time| ((time - first) as f64 * stretch).round() as u64).collect();
        if times[times.len() - 1] == 0 {
            return Err("--stretch leaves no time between the first and the last arrival".into());
        }
        Ok(Self { times })
    }

    pub fn times(&self) -> &[u64] {
        &self.times
    }

    /// Its length in ns, including one mean interval after the last arrival.
    pub fn length_ns(&self) -> u64 {
        let (last, count) = (self.times[self.times.len() - 1], self.times.len() as f64);
        (last as f64 * count / (count - 1.0)).ceil().max((last + 1) as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_count_from_the_first_whatever_its_clock() {
        let trace =
            Trace::parse("# a trace\n1700000000.25\n\n1700000000.250000001 # next\n1700000002\n", 1.0)
                .unwrap();
        assert_eq!(trace.times(), [0, 1, 1_750_000_000]);
        assert_eq!(trace.length_ns(), 2_625_000_000);
        assert_eq!(Trace::parse("0\n1", 0.5).unwrap().times(), [0, 500_000_000]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, why) in [
            ("1\nx\n", "line 2: \"x\" is not a time"),
            ("1\n\n0.5", "line 3: 0.5 is before"),
            ("-1", "line 1"),
            ("1.\n", "line 1"),
            ("# nothing", "no times"),
            ("5\n5", "two different"),
        ] {
            let error = Trace::parse(text, 1.0).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        for stretch in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Trace::parse("0\n1", stretch).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(mut times in prop::collection::vec(0u64..10_000_000_000, 2..50)) {
            times.sort_unstable();
            times.push(times[times.len() - 1] + 1);
            let lines = times.iter().map(|time| format!("{}.{:09}\n", time / 1_000_000_000, time % 1_000_000_000));
            let trace = Trace::parse(&lines.collect::<String>(), 1.0).unwrap();
            let expected: Vec<u64> = times.iter().map(|time| time - times[0]).collect();
            prop_assert_eq!(trace.times(), expected);
            prop_assert!(trace.length_ns() > trace.times()[times.len() - 1]);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[0-9.# x\n]{0,40}", stretch in 0.0f64..3.0) {
            let _ = Trace::parse(&text, stretch);
        }
    }
}
