//! HdrHistogram's interval log, version 1.3: text in which every line is the histogram of one interval, with a tag.
//! HistogramLogProcessor and the other tools of that project read it. It does not know what was timed.
//!
//! Values are nanoseconds; the column of the maximum, which is for people, is in milliseconds. Times are seconds since
//! the first request was due, which is StartTime and BaseTime.

use std::fmt::Write as _;

use super::histogram::{self, Histogram};

/// What a log begins with: `comment` (one line), when it began in seconds since 1970, and the legend.
pub fn header(comment: &str, start_unix_s: f64) -> String {
    format!(
        "#[{comment}]\n#[Histogram log format version 1.3]\n\
         #[StartTime: {start_unix_s:.3} (seconds since epoch)]\n\
         #[BaseTime: {start_unix_s:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    )
}

/// One line, with its line feed. A tag must not contain a comma, a blank or a line feed.
pub fn line(tag: Option<&str>, begin_s: f64, length_s: f64, histogram: &Histogram) -> String {
    let mut text = String::new();
    if let Some(tag) = tag {
        let _ = write!(text, "Tag={tag},");
    }
    let max_ms = if histogram.is_empty() { 0.0 } else { histogram.max() as f64 / 1e6 };
    let _ = writeln!(text, "{begin_s:.3},{length_s:.3},{max_ms:.3},{}", histogram::encode(histogram));
    text
}

/// A remark, with its line feed.
pub fn comment(text: &str) -> String {
    format!("#[{}]\n", text.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = histogram::new();
        values.iter().for_each(|value| histogram::record(&mut histogram, *value));
        histogram
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_was_written_is_read(
            lines in prop::collection::vec(
                (prop::option::of("[a-z_-]{1,12}"), 0u32..100_000, 1u32..5000, prop::collection::vec(1u64..1_000_000_000, 0..20)),
                0..8,
            ),
            start in 0u32..2_000_000_000,
        ) {
            let mut text = header("loadgen", f64::from(start));
            let mut expected = Vec::new();
            for (tag, begin_ms, length_ms, values) in lines {
                let (begin_s, length_s) = (f64::from(begin_ms) / 1e3, f64::from(length_ms) / 1e3);
                text += &line(tag.as_deref(), begin_s, length_s, &of(&values));
                expected.push((tag, begin_ms, length_ms, of(&values)));
            }
            text += &comment("the end");
            prop_assert!(text.ends_with("#[the end]\n"));
            let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e3).round() as u32;
            let interval = |entry| match entry {
                LogEntry::Interval(one) => Some((
                    one.tag().map(|tag| tag.as_str().to_owned()),
                    ms(one.start_timestamp()),
                    ms(one.duration()),
                    histogram::decode(one.encoded_histogram()).unwrap(),
                )),
                _ => None,
            };
            let read: Vec<_> =
                IntervalLogIterator::new(text.as_bytes()).filter_map(|entry| interval(entry.unwrap())).collect();
            prop_assert_eq!(read, expected);
        }
    }

    /// From the documentation of HdrHistogram's own log writer: an interval of 1.007 s with a tag.
    #[test]
    fn the_lines_have_the_columns_of_the_format() {
        let text = header("x", 1_441_812_279.474) + &line(Some("A"), 0.127, 1.007, &of(&[2_769_000]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "#[StartTime: 1441812279.474 (seconds since epoch)]");
        assert_eq!(
            lines[4],
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
        );
        assert!(lines[5].starts_with("Tag=A,0.127,1.007,2.7"), "{}", lines[5]);
        assert!(lines[5].split(',').next_back().unwrap().starts_with("HISTFA"), "{}", lines[5]);
    }
}
