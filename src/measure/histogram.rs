//! The one shape of histogram that the whole project uses, its codec, and what is read off it.
//!
//! Every histogram counts nanoseconds, with the same bounds and the same precision, so that any two can be merged
//! without loss. Percentiles are never merged. It does not know what was timed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Counter;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts of durations in nanoseconds.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// Smallest duration told apart, in ns.
pub const LOWEST_NS: u64 = 1;
/// Largest duration that a new histogram has room for, in ns: 120 s. A longer one makes it grow.
pub const HIGHEST_NS: u64 = 120_000_000_000;
/// Significant decimal digits: values are exact to 0.1 %.
pub const DIGITS: u8 = 3;

/// Percentiles of one phase in microseconds, from its histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub count: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub stdev_us: f64,
    pub p50_us: f64,
    pub p75_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
}

/// A text that is not a histogram of this project.
#[derive(Debug, thiserror::Error)]
#[error("not an HdrHistogram V2 in base64: {0}")]
pub struct NotAHistogram(String);

/// An empty histogram: about 220 kB, and 8 kB for each doubling of the longest duration beyond [`HIGHEST_NS`].
pub fn new() -> Histogram {
    let mut histogram =
        Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS).expect("constant bounds are valid");
    histogram.auto(true);
    histogram
}

/// A histogram to have many of: two significant digits, about 12 kB.
pub type Coarse = hdrhistogram::Histogram<u32>;

/// An empty one; it never grows, and counts what is beyond [`HIGHEST_NS`] as that.
pub fn coarse() -> Coarse {
    Coarse::new_with_bounds(1_000, HIGHEST_NS, 2).expect("constant bounds are valid")
}

/// Counts one duration, of any length.
pub fn record<C: Counter>(histogram: &mut hdrhistogram::Histogram<C>, duration_ns: u64) {
    if histogram.record(duration_ns.max(LOWEST_NS)).is_err() {
        // One that may not grow.
        histogram.saturating_record(duration_ns);
    }
}

pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Histogram>) -> Histogram {
    let mut whole = new();
    parts.into_iter().for_each(|part| add(&mut whole, part));
    whole
}

/// Adds the counts of `part` to `whole`.
pub fn add(whole: &mut Histogram, part: &Histogram) {
    // Fails only if a stranger has no room and may not grow.
    if !part.is_empty() && whole.add(part).is_err() {
        for step in part.iter_recorded() {
            whole.saturating_record_n(step.value_iterated_to(), step.count_at_value());
        }
    }
}

/// As HdrHistogram V2 + DEFLATE in base64, which the tools of that project read too.
pub fn encode(histogram: &Histogram) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("writing to memory");
    BASE64.encode(bytes)
}

/// The inverse of [`encode`].
/// Errors: when `text` is not base64 or what it holds is not a histogram.
pub fn decode(text: &str) -> Result<Histogram, NotAHistogram> {
    let bytes = BASE64.decode(text.trim()).map_err(|error| NotAHistogram(error.to_string()))?;
    Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| NotAHistogram(format!("{error:?}")))
}

/// Percentiles and moments in microseconds; all 0 when nothing was counted.
pub fn summary<C: Counter>(histogram: &hdrhistogram::Histogram<C>) -> Summary {
    if histogram.is_empty() {
        return Summary::default();
    }
    let at = |quantile: f64| us(histogram.value_at_quantile(quantile));
    Summary {
        count: histogram.len(),
        min_us: us(histogram.min()),
        mean_us: histogram.mean() / 1000.0,
        stdev_us: histogram.stdev() / 1000.0,
        p50_us: at(0.5),
        p75_us: at(0.75),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        p9999_us: at(0.9999),
        max_us: us(histogram.max()),
    }
}

/// Steps between a quantile and the one half as far from 1: how fine [`hgrm`] is.
const STEPS_PER_HALVING: u32 = 10;

/// The percentile curve in the `.hgrm` text form that HdrHistogram's plotters read, values in milliseconds.
pub fn hgrm(histogram: &Histogram) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for step in histogram.iter_quantiles(STEPS_PER_HALVING) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (us(step.value_iterated_to()) / 1000.0, step.quantile_iterated_to());
        text += &format!("{value:>12.6} {quantile:>14.12} {total:>10}");
        if quantile < 1.0 {
            text += &format!(" {:>14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let ms = [histogram.mean(), histogram.stdev(), histogram.max() as f64].map(|ns| ns / 1e6);
    let ([mean, deviation, max], count, buckets) = (ms, histogram.len(), histogram.buckets());
    text += &format!("#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]\n");
    text += &format!("#[Max     = {max:12.6}, Total count    = {count:12}]\n");
    text + &format!("#[Buckets = {buckets:12}, SubBuckets     = {:12}]\n", 2048)
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = new();
        values.into_iter().for_each(|value| record(&mut histogram, value));
        histogram
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(values in prop::collection::vec(0..HIGHEST_NS * 2, 0..200)) {
            let histogram = of(values);
            prop_assert_eq!(decode(&encode(&histogram)).unwrap(), histogram);
        }

        #[test]
        fn merging_equals_counting_together(
            left in prop::collection::vec(0..HIGHEST_NS * 3, 0..100),
            right in prop::collection::vec(0..HIGHEST_NS, 0..100),
        ) {
            prop_assert_eq!(merge(&[of(left.clone()), of(right.clone())]), of(left.into_iter().chain(right)));
        }
    }

    #[test]
    fn a_duration_beyond_the_first_bound_is_kept() {
        let hours = of([5_000_000, 150_000_000_000, 3 * 3_600_000_000_000]);
        assert!((summary(&hours).max_us / 10.8e9 - 1.0).abs() < 0.001, "{:?}", summary(&hours));
        assert_eq!(summary(&decode(&encode(&hours)).unwrap()), summary(&hours));
        assert_eq!(summary(&merge([&of([1]), &hours])).max_us, summary(&hours).max_us);
    }

    #[test]
    fn the_summary_of_nothing_is_zero() {
        assert_eq!(summary(&new()), Summary::default());
    }

    #[test]
    fn the_summary_reads_microseconds_off_nanoseconds() {
        let summary = summary(&of((1..=1000).map(|ms| ms * 1_000_000)));
        assert_eq!(summary.count, 1000);
        assert!((summary.p50_us / 500_000.0 - 1.0).abs() < 0.001, "{summary:?}");
        assert!((summary.p99_us / 990_000.0 - 1.0).abs() < 0.001, "{summary:?}");
        assert!((summary.max_us / 1_000_000.0 - 1.0).abs() < 0.001, "{summary:?}");
    }

    #[test]
    fn the_curve_rises_to_the_maximum_at_quantile_one() {
        let text = hgrm(&of((1..=10_000).map(|value| value * 1000)));
        let rows = text.lines().skip(2).take_while(|line| !line.starts_with('#'));
        let numbers = |row: &str| row.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let curve: Vec<Vec<f64>> = rows.map(numbers).collect();
        assert!(curve.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]));
        assert!(curve[curve.len() - 1].starts_with(&[10.002431, 1.0, 10_000.0]), "{text}");
        assert!(curve.len() > 50);
    }

    #[test]
    fn garbage_is_no_histogram() {
        assert!(decode("?").is_err());
        assert!(decode("aGVsbG8=").unwrap_err().to_string().starts_with("not an HdrHistogram"));
    }

    #[test]
    fn the_hgrm_text_ends_at_the_total_count() {
        let text = hgrm(&of([1_000_000, 2_000_000, 3_000_000]));
        assert!(text.contains("1.000000000000          3\n"), "{text}");
    }
}
