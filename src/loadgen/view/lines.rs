//! Progress as plain lines, one per interval.

use super::timeline::Timeline;
use crate::loadgen::figures::{clock, rate, time};

pub const HEAD: &str = "      time  offered/s   rate/s       p50       p99   failed     open";

/// The last interval, which ended at `elapsed_ns`. A partial one has no rates.
pub fn line(timeline: &Timeline, elapsed_ns: u64, failed: u64, (warmup, partial): (bool, bool)) -> String {
    let response = &timeline.last;
    let shown = |us| if response.count == 0 { "-".to_owned() } else { time(us) };
    let per_second = |known: bool, value| if known && !partial { rate(value) } else { "-".to_owned() };
    let offered = per_second(timeline.is_paced(), timeline.offered);
    format!(
        "{:>10} {offered:>10} {:>8} {:>9} {:>9} {failed:>8} {:>8}{}",
        clock(elapsed_ns),
        per_second(true, timeline.achieved),
        shown(response.p50_us),
        shown(response.p99_us),
        timeline.open,
        if warmup { "  warm-up" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::view::samples;

    #[test]
    fn a_line_fits_its_head() {
        let timeline = samples::timeline(30);
        let text = format!("{HEAD}\n{}", line(&timeline, 12_000_000_000, 3, (true, false)));
        insta::assert_snapshot!(text);
    }
}
