//! HdrHistogram's interval log, version 1.3: text in which every line is the histogram of one interval, with a tag.
//! HistogramLogProcessor and the other tools of that project read it. It does not know what was timed.
//!
//! Values are nanoseconds; the column of the maximum, which is for people, is in milliseconds. Times are seconds since
//! the first request was due, which is StartTime and BaseTime.

use std::fmt::Write as _;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::histogram::{self, Histogram, NotAHistogram};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What was timed; without a tag, the response.
    pub tag: Option<String>,
    /// Begin of the interval in seconds.
    pub begin_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// The durations, in ns.
    pub histogram: Histogram,
}

/// A log as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// When it began, in seconds since 1970.
    pub start_unix_s: Option<f64>,
    /// What else it says, one comment each.
    pub comments: Vec<String>,
    /// The histograms, in their order.
    pub lines: Vec<Line>,
}

/// A text that is not such a log.
#[derive(Debug, thiserror::Error)]
pub enum NotALog {
    /// Neither a comment nor a legend nor a histogram.
    #[error("not an HdrHistogram interval log: the entry number {0} cannot be read")]
    Entry(usize),
    /// A line whose histogram cannot be decoded.
    #[error("the entry number {0} of the interval log: {1}")]
    Histogram(usize, NotAHistogram),
}

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

/// Reads a log, of this program or another.
/// Errors: the first entry that cannot be read.
pub fn parse(text: &str) -> Result<Log, NotALog> {
    let mut log = Log::default();
    for (number, entry) in (1..).zip(IntervalLogIterator::new(text.as_bytes())) {
        match entry.map_err(|_| NotALog::Entry(number))? {
            LogEntry::StartTime(start) => log.start_unix_s = Some(start.as_secs_f64()),
            LogEntry::BaseTime(_) => {}
            LogEntry::Interval(interval) => log.lines.push(Line {
                tag: interval.tag().map(|tag| tag.as_str().to_owned()),
                begin_s: interval.start_timestamp().as_secs_f64(),
                length_s: interval.duration().as_secs_f64(),
                histogram: histogram::decode(interval.encoded_histogram())
                    .map_err(|error| NotALog::Histogram(number, error))?,
            }),
        }
    }
    let comments = text.lines().filter_map(|line| line.strip_prefix("#[")?.strip_suffix(']'));
    let others = comments.filter(|text| !text.starts_with("StartTime:") && !text.starts_with("BaseTime:"));
    log.comments = others.map(str::to_owned).collect();
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let log = parse(&text).unwrap();
            prop_assert_eq!(log.start_unix_s, Some(f64::from(start)));
            prop_assert_eq!(log.comments.last().map(String::as_str), Some("the end"));
            let ms = |seconds: f64| (seconds * 1e3).round() as u32;
            let read: Vec<_> = log
                .lines
                .into_iter()
                .map(|line| (line.tag, ms(line.begin_s), ms(line.length_s), line.histogram))
                .collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[#\\[\\]A-Za-z0-9=,.\n\"]{0,80}") {
            let _ = parse(&text);
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

    #[test]
    fn what_is_no_log_is_refused_with_its_place() {
        assert!(matches!(parse("nonsense"), Err(NotALog::Entry(1))));
        let broken = header("x", 0.0) + "0.1,1.0,2.0,aGVsbG8=\n";
        assert!(parse(&broken).unwrap_err().to_string().contains("not an HdrHistogram"));
    }
}
