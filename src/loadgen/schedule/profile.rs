//! The rate of an open loop over time: constant, in steps, in ramps. Pure.
//!
//! A [`RateSpec`] is what was typed. With the times of the run it becomes a [`Profile`], which maps times to the number of
//! arrivals planned before (the integral of the rate), and back.

use std::sync::Arc;

use super::parse::duration_ns;

/// Highest accepted rate, per second.
const MAX_RATE: f64 = 1e6;

/// One part of the text: `RATE` or `RATE..RATE`, optionally with `@TIME`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    from: f64,
    to: f64,
    length_ns: Option<u64>,
}

/// A rate as typed: consecutive parts.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSpec {
    text: String,
    parts: Vec<Part>,
}

impl RateSpec {
    /// Parses `500`, `100..2000`, `100,200,400`, `100@10s,200..400@20s`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(parse_part).collect::<Result<Vec<_>, _>>()?;
        if parts.iter().any(|part| part.length_ns.is_some() != parts[0].length_ns.is_some()) {
            return Err("give all parts a length, or none: 100@10s,200@20s".into());
        }
        if parts.iter().all(|part| part.from + part.to == 0.0) {
            return Err("the rate must be above 0 at some point".into());
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    pub fn constant(rate: f64) -> Self {
        Self { text: rate.to_string(), parts: vec![Part { from: rate, to: rate, length_ns: None }] }
    }

    /// The sum of the given lengths, in ns.
    pub fn length_ns(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.length_ns).sum()
    }

    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| part.from == self.parts[0].from && part.to == part.from)
    }

    /// The profile of a run: the warm-up at the first rate, then the parts; parts without a length share `duration_ns`
    /// equally. Only a constant rate may lack a duration.
    pub fn profile(&self, warmup_ns: u64, duration_ns: Option<u64>) -> Profile {
        let first = self.parts[0].from;
        let last = self.parts[self.parts.len() - 1].to;
        let mut segments: Vec<Segment> = Vec::new();
        let mut push = |from: f64, to: f64, length_s: f64| {
            let end = |last: &Segment| (last.begin_s + last.length_s, last.after);
            let (begin_s, before) = segments.last().map_or((0.0, 0.0), end);
            let mean = f64::midpoint(from, to);
            if length_s > 0.0 {
                let after = before + if mean > 0.0 { mean * length_s } else { 0.0 };
                segments.push(Segment { begin_s, length_s, from, to, before, after });
            }
        };
        if !self.is_constant() {
            push(first, first, warmup_ns as f64 / 1e9);
            let share_s = duration_ns.unwrap_or(0) as f64 / 1e9 / self.parts.len() as f64;
            for Part { from, to, length_ns } in &self.parts {
                push(*from, *to, length_ns.map_or(share_s, |length| length as f64 / 1e9));
            }
        }
        push(last, last, f64::INFINITY);
        Profile { text: self.text.as_str().into(), segments: segments.into() }
    }
}

fn parse_part(text: &str) -> Result<Part, String> {
    let (rates, length) = match text.split_once('@') {
        Some((rates, length)) => (rates, Some(duration_ns(length)?)),
        None => (text, None),
    };
    if length == Some(0) {
        return Err("a part needs a length above 0".into());
    }
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    let rate = |text: &str| match text.trim().parse::<f64>() {
        Ok(rate) if (0.0..=MAX_RATE).contains(&rate) => Ok(rate),
        Ok(_) => Err("a rate is from 0 to 1000000 per second".to_owned()),
        Err(_) => Err("write 500, 100..2000, 100,200,400 or 100@10s,200..400@20s".to_owned()),
    };
    Ok(Part { from: rate(from)?, to: rate(to)?, length_ns: length })
}

/// A segment in which the rate changes linearly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    begin_s: f64,
    length_s: f64,
    from: f64,
    to: f64,
    /// Arrivals planned before its begin and before its end.
    before: f64,
    after: f64,
}

impl Segment {
    /// Arrivals planned in its first `elapsed_s`.
    fn arrivals(&self, elapsed_s: f64) -> f64 {
        let slope = if self.from == self.to { 0.0 } else { (self.to - self.from) / self.length_s };
        (self.from + slope * elapsed_s / 2.0) * elapsed_s
    }

    /// When this many of its arrivals have been planned, from its begin.
    fn elapsed_s(&self, arrivals: f64) -> f64 {
        if self.from == self.to {
            return (arrivals / self.from).min(self.length_s);
        }
        let slope = (self.to - self.from) / self.length_s;
        // The root of arrivals = from t + slope t^2 / 2, in the numerically stable form.
        let root = (self.from * self.from + 2.0 * slope * arrivals).max(0.0).sqrt();
        let divisor = self.from + root;
        if divisor == 0.0 { 0.0 } else { (2.0 * arrivals / divisor).min(self.length_s) }
    }
}

/// The rate over the time of a run, counted from its origin, the warm-up included.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    text: Arc<str>,
    /// The last one is endless.
    segments: Arc<[Segment]>,
}

impl Profile {
    /// As typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Arrivals planned before `at_s`: the integral of the rate.
    pub fn arrivals_before(&self, at_s: f64) -> f64 {
        let after = self.segments.partition_point(|segment| segment.begin_s <= at_s);
        self.segments[..after]
            .last()
            .map_or(0.0, |segment| segment.before + segment.arrivals(at_s - segment.begin_s))
    }

    /// When this many arrivals have been planned, in seconds, if ever.
    pub fn time_of_s(&self, arrivals: f64) -> Option<f64> {
        let segment =
            self.segments.get(self.segments.partition_point(|segment| segment.after <= arrivals))?;
        Some(segment.begin_s + segment.elapsed_s(arrivals - segment.before))
    }

    pub fn peak(&self) -> f64 {
        self.segments.iter().map(|segment| segment.from.max(segment.to)).fold(0.0, f64::max)
    }

    /// The mean rate from `begin_s` to `end_s`, per second; the final rate if there is no end.
    pub fn mean(&self, begin_s: f64, end_s: f64) -> f64 {
        if end_s.is_finite() && end_s > begin_s {
            (self.arrivals_before(end_s) - self.arrivals_before(begin_s)) / (end_s - begin_s)
        } else {
            self.segments.last().map_or(0.0, |segment| segment.to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn profile(text: &str, warmup_s: u64, duration_s: u64) -> Profile {
        RateSpec::parse(text).unwrap().profile(warmup_s * S, Some(duration_s * S))
    }

    #[test]
    fn a_ramp_counts_the_area_below_it() {
        let ramp = profile("100..300", 2, 10);
        assert_eq!(ramp.arrivals_before(2.0), 200.0, "the warm-up is at the first rate");
        assert_eq!(ramp.arrivals_before(12.0), 200.0 + 2000.0);
        assert_eq!(ramp.arrivals_before(7.0), 200.0 + 750.0);
        assert_eq!((ramp.mean(2.0, 12.0), ramp.peak()), (200.0, 300.0));
        assert_eq!(ramp.time_of_s(200.0 + 2000.0 + 300.0), Some(13.0), "it goes on at the last rate");
    }

    #[test]
    fn steps_share_the_duration_or_have_their_own() {
        let equal = profile("100,200,400", 0, 30);
        assert_eq!([5.0, 15.0, 30.0].map(|at_s| equal.arrivals_before(at_s)), [500.0, 2000.0, 7000.0]);
        let own = RateSpec::parse("100@10s,0@5s,200..400@20s").unwrap();
        assert_eq!(own.length_ns(), Some(35 * S));
        let own = own.profile(0, own.length_ns());
        assert_eq!([10.0, 15.0, 35.0].map(|at_s| own.arrivals_before(at_s)), [1000.0, 1000.0, 7000.0]);
        assert_eq!(own.time_of_s(1000.0), Some(15.0), "nothing is due in a pause");
    }

    #[test]
    fn a_rate_that_ends_at_zero_has_a_last_arrival() {
        let fading = profile("100..0", 0, 10);
        assert!(fading.time_of_s(499.9).is_some_and(|at_s| at_s < 10.0));
        assert_eq!(fading.time_of_s(500.0), None);
    }

    #[test]
    fn an_invalid_rate_is_refused() {
        for text in
            ["", "x", "-1", "nan", "0", "0..0", "1e7", "1,", "1..", "1@", "1@0s", "1@x", "1@1s,2", "inf"]
        {
            assert!(RateSpec::parse(text).is_err(), "{text}");
        }
        assert!(RateSpec::parse("100@10s,200").unwrap_err().contains("all parts"));
    }

    prop_compose! {
        fn specs()(parts in prop::collection::vec((0u32..2000, 0u32..2000, 1u32..20), 1..5)) -> String {
            let parts = parts.iter().map(|(from, to, length)| format!("{from}..{}@{length}s", to + 1));
            parts.collect::<Vec<_>>().join(",")
        }
    }

    proptest! {
        #[test]
        fn time_and_count_are_inverse(spec in specs(), warmup_s in 0u64..5, share in 0.0f64..1.0) {
            let spec = RateSpec::parse(&spec).unwrap();
            let profile = spec.profile(warmup_s * S, spec.length_ns());
            let arrivals = share * profile.arrivals_before(100.0);
            let at_s = profile.time_of_s(arrivals).unwrap();
            prop_assert!((profile.arrivals_before(at_s) - arrivals).abs() < 1e-6 * (1.0 + arrivals));
        }

        #[test]
        fn the_count_never_falls(spec in specs(), from_s in 0.0f64..100.0, more_s in 0.0f64..10.0) {
            let spec = RateSpec::parse(&spec).unwrap();
            let profile = spec.profile(S, spec.length_ns());
            let (low, high) = (profile.arrivals_before(from_s), profile.arrivals_before(from_s + more_s));
            prop_assert!(high >= low - 1e-9);
            prop_assert!(high - low <= profile.peak() * more_s + 1e-6);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[0-9.,@smx-]{0,20}") {
            let _ = RateSpec::parse(&text);
        }
    }
}
