//! Service-time and arrival distributions: parsed from text, drawn from a seed. Pure: it never waits.
//!
//! | text | drawn | mean |
//! | --- | --- | --- |
//! | `const(1ms)` | always 1 ms | 1 ms |
//! | `exp(1ms)` | exponential | 1 ms |
//! | `bimodal(0.995,0.1ms,10ms)` | 0.1 ms with probability 0.995, else 10 ms | 0.1495 ms |
//! | `lognormal(1ms,2.0)` | exp of a normal variable with standard deviation 2.0 | 1 ms |
//!
//! The first time of `lognormal` is its *mean*, as that of `const` and `exp` is, so that the three put the same load on
//! a server; the median is the mean times exp(-sigma²/2). Times are written with `us`, `ms` or `s`.
//!
//! The generator is ChaCha with 8 rounds, by name, so that a seed means the same sequence in years to come. A [`Sampler`]
//! draws one time after the other; [`Numbered`] times belong to numbers and can be drawn in any order.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution as _, Exp1, StandardNormal, StandardUniform};

/// Bound on draws: the far tail of a distribution must not occupy a worker for days.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// The largest `sigma` of `lognormal`; at 5 the mean is already 268,000 times the median.
const MAX_SIGMA: f64 = 5.0;

/// A distribution of times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant(Duration),
    /// Exponential: no memory.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// Two values: most are short, some are long.
    Bimodal {
        /// The probability of `first`, 0 to 1.
        probability: f64,
        first: Duration,
        /// The other value.
        second: Duration,
    },
    /// Log-normal: a heavy tail.
    LogNormal {
        /// The mean of the times, not of their logarithms.
        mean: Duration,
        /// The standard deviation of the logarithms, 0 to 5.
        sigma: f64,
    },
}

impl Distribution {
    /// A sequence of draws. The same seed gives the same sequence.
    pub fn sampler(&self, seed: u64) -> Sampler {
        Sampler { distribution: *self, generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A draw for each number, in any order. The same seed and number give the same draw.
    pub fn numbered(&self, seed: u64) -> Numbered {
        Numbered { distribution: *self, generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Whether all draws are the same.
    pub fn is_constant(&self) -> bool {
        match *self {
            Self::Constant(_) => true,
            Self::Exponential { mean } => mean.is_zero(),
            Self::LogNormal { mean, sigma } => mean.is_zero() || sigma == 0.0,
            Self::Bimodal { probability, first, second } => {
                probability == 0.0 || probability == 1.0 || first == second
            }
        }
    }

    /// The next draw, at most [`LONGEST`].
    fn draw(&self, generator: &mut ChaCha8Rng) -> Duration {
        match *self {
            Self::Constant(time) => time,
            Self::Exponential { mean } => {
                let unit: f64 = Exp1.sample(generator);
                seconds(mean.as_secs_f64() * unit)
            }
            Self::Bimodal { probability, first, second } => {
                let uniform: f64 = StandardUniform.sample(generator);
                if uniform < probability { first } else { second }
            }
            Self::LogNormal { mean, sigma } => {
                let normal: f64 = StandardNormal.sample(generator);
                seconds(mean.as_secs_f64() * (sigma * normal - sigma * sigma / 2.0).exp())
            }
        }
    }

    /// The expected value, before draws are cut to [`LONGEST`].
    pub fn mean(&self) -> Duration {
        match *self {
            Self::Constant(time) => time,
            Self::Exponential { mean } | Self::LogNormal { mean, .. } => mean,
            Self::Bimodal { probability, first, second } => {
                seconds(probability * first.as_secs_f64() + (1.0 - probability) * second.as_secs_f64())
            }
        }
    }
}

/// Draws from a [`Distribution`].
#[derive(Clone, Debug)]
pub struct Sampler {
    distribution: Distribution,
    generator: ChaCha8Rng,
}

impl Sampler {
    /// The next draw, at most [`LONGEST`].
    #[expect(clippy::should_implement_trait, reason = "the sequence is endless")]
    pub fn next(&mut self) -> Duration {
        self.distribution.draw(&mut self.generator)
    }
}

/// Draws from a [`Distribution`] by number: each number has a stream of the generator for itself.
#[derive(Clone, Debug)]
pub struct Numbered {
    distribution: Distribution,
    generator: ChaCha8Rng,
}

impl Numbered {
    /// The draw that belongs to `number`, at most [`LONGEST`].
    pub fn at(&mut self, number: u64) -> Duration {
        self.generator.set_stream(number);
        self.generator.set_word_pos(0);
        self.distribution.draw(&mut self.generator)
    }
}

/// A seed from several numbers: each bit depends on every bit of them, and on their order.
pub fn mix(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, |hash, number| finalise(hash ^ number))
}

/// The finaliser of splitmix64.
fn finalise(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = |why: String| {
            format!(
                "'{text}' is not a distribution: {why}; use const(1ms), exp(1ms), bimodal(0.995,0.1ms,10ms) or lognormal(1ms,2.0)"
            )
        };
        let (name, rest) = text.trim().split_once('(').ok_or_else(|| invalid("there is no '('".into()))?;
        let inside = rest.strip_suffix(')').ok_or_else(|| invalid("there is no ')' at the end".into()))?;
        let arguments: Vec<&str> = inside.split(',').map(str::trim).collect();
        let parsed = match (name.trim(), arguments.as_slice()) {
            ("const", [value]) => time(value).map(Self::Constant),
            ("exp", [mean]) => time(mean).map(|mean| Self::Exponential { mean }),
            ("bimodal", &[probability, first, second]) => bimodal(probability, first, second),
            ("lognormal", [mean, sigma]) => time(mean).and_then(|mean| {
                number(sigma, "sigma", MAX_SIGMA).map(|sigma| Self::LogNormal { mean, sigma })
            }),
            (name @ ("const" | "exp" | "bimodal" | "lognormal"), given) => {
                Err(format!("{name} does not take {} value(s)", given.len()))
            }
            (name, _) => Err(format!("unknown distribution '{name}'")),
        };
        parsed.map_err(invalid)
    }
}

fn bimodal(probability: &str, first: &str, second: &str) -> Result<Distribution, String> {
    let probability = number(probability, "the probability", 1.0)?;
    Ok(Distribution::Bimodal { probability, first: time(first)?, second: time(second)? })
}

fn time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        time if time > LONGEST => Err(format!("{text} is longer than an hour")),
        time => Ok(time),
    }
}

fn number(text: &str, what: &str, max: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=max).contains(&number) => Ok(number),
        _ => Err(format!("{what} must be a number from 0 to {max}, not '{text}'")),
    }
}

impl fmt::Display for Distribution {
    /// Writes the text that parses to the same distribution.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant(time) => write!(f, "const({})", format_duration(time)),
            Self::Exponential { mean } => write!(f, "exp({})", format_duration(mean)),
            Self::Bimodal { probability, first, second } => {
                write!(f, "bimodal({probability},{},{})", format_duration(first), format_duration(second))
            }
            Self::LogNormal { mean, sigma } => write!(f, "lognormal({},{sigma:?})", format_duration(mean)),
        }
    }
}

/// Units of time, in nanoseconds.
const TIME_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a time such as `10s`, `500ms`, `1.5s`, `250us`, `2m`, `1h30m`, exactly: what is finer than a nanosecond is refused.
///
/// # Errors
/// What is wrong with it, with an example.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let wrong = || format!("'{text}' is not a time: write it as 10s, 500ms, 1.5s, 250us, 2m or 1h30m");
    let (mut rest, mut sum, mut last) = (text, 0_u64, u64::MAX);
    while last == u64::MAX || !rest.is_empty() {
        let (digits, after) =
            rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len()));
        let (name, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        if name.is_empty() && !text.is_empty() && digits.len() == text.len() {
            return Err(format!("'{text}' has no unit: write a time as 10s, 500ms, 250us or 2m"));
        }
        let unit = TIME_UNITS.iter().find(|&&(known, _)| known == name).map(|&(_, nanos)| nanos);
        // Each unit is smaller than the one before it.
        let unit = unit.filter(|unit| *unit < last).ok_or_else(wrong)?;
        sum = scaled(digits.trim(), unit).and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
        (rest, last) = (after.trim_start(), unit);
    }
    Ok(Duration::from_nanos(sum))
}

/// A decimal number times `unit`, when that is a whole number that fits.
fn scaled(digits: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction.trim_end_matches('0')),
        Some(_) => return None,
        None => (digits, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = u128::from(parts) * u128::from(unit);
    let below = u64::try_from(product.is_multiple_of(scale).then_some(product / scale)?).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(below)
}

/// Writes a time so that [`parse_duration`] reads the same: `1.5s`, `250us`.
pub fn format_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (unit, size, places) = match nanos {
        0 => return "0s".into(),
        1_000_000_000.. => ("s", 1_000_000_000, 9),
        1_000_000.. => ("ms", 1_000_000, 6),
        _ => ("us", 1_000, 3),
    };
    let decimal = format!("{}.{:0places$}", nanos / size, nanos % size);
    format!("{}{unit}", decimal.trim_end_matches('0').trim_end_matches('.'))
}

/// Parses a size in bytes: `4096`, `512M`, `1GiB`. As GNU tools have it, `K`, `KiB` and so on are powers of 1024, and
/// `KB` and so on are powers of 1000; case does not matter.
///
/// # Errors
/// What is wrong with it, with an example.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    unit.and_then(|unit| scaled(digits.trim(), unit))
        .ok_or_else(|| format!("'{text}' is not a size in bytes: write it as 4096, 512M or 1GiB"))
}

#[cfg(test)]
#[path = "dist_tests.rs"]
mod tests;
