//! Tests of the distributions: their text, their moments, their seeds.

use proptest::prelude::*;

use super::*;

const DRAWS: usize = 200_000;

fn draws(text: &str) -> Vec<f64> {
    let mut sampler = text.parse::<Distribution>().unwrap().sampler(42);
    (0..DRAWS).map(|_| sampler.next().as_secs_f64() * 1e3).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    mean(&values.iter().map(|value| (value - centre).powi(2)).collect::<Vec<_>>()).sqrt()
}

#[track_caller]
fn near(value: f64, expected: f64, share: f64) {
    assert!((value / expected - 1.0).abs() < share, "{value} is not near {expected}");
}

#[test]
fn const_is_always_the_same() {
    assert!(draws("const(1.5ms)").iter().all(|&ms| ms == 1.5));
}

#[test]
fn exp_has_its_mean_as_its_deviation_too() {
    let ms = draws("exp(2ms)");
    near(mean(&ms), 2.0, 0.01);
    near(deviation(&ms), 2.0, 0.02);
}

#[test]
fn bimodal_draws_the_first_with_its_probability() {
    let ms = draws("bimodal(0.9,0.1ms,10ms)");
    near(ms.iter().filter(|&&ms| ms == 0.1).count() as f64, 0.9 * DRAWS as f64, 0.005);
    assert!(ms.iter().all(|&ms| ms == 0.1 || ms == 10.0));
    assert!(draws("bimodal(1,1ms,2ms)").iter().all(|&ms| ms == 1.0));
    assert!(draws("bimodal(0,1ms,2ms)").iter().all(|&ms| ms == 2.0));
}

#[test]
fn lognormal_has_the_mean_it_says_and_the_deviation_of_its_logarithms() {
    let ms = draws("lognormal(1ms,0.5)");
    near(mean(&ms), 1.0, 0.01);
    let logarithms: Vec<f64> = draws("lognormal(1ms,2.0)").iter().map(|ms| ms.ln()).collect();
    near(mean(&logarithms), -2.0, 0.01);
    near(deviation(&logarithms), 2.0, 0.01);
}

#[test]
fn the_mean_is_known_without_drawing() {
    let mean = |text: &str| text.parse::<Distribution>().unwrap().mean();
    assert_eq!(mean("bimodal(0.995,0.1ms,10ms)"), Duration::from_nanos(149_500));
    for text in ["const(1ms)", "exp(1ms)", "lognormal(1ms,2.0)"] {
        assert_eq!(mean(text), Duration::from_millis(1), "{text}");
    }
}

#[test]
fn a_seed_means_the_same_sequence_in_every_version() {
    let first = |text: &str, seed| {
        let mut sampler = text.parse::<Distribution>().unwrap().sampler(seed);
        [sampler.next(), sampler.next(), sampler.next()].map(|time| time.as_nanos())
    };
    assert_eq!(first("exp(1ms)", 1), first("exp(1ms)", 1));
    assert_ne!(first("exp(1ms)", 1), first("exp(1ms)", 2));
    assert_eq!(first("exp(1ms)", 1), [446_903, 156_701, 1_214_798]);
    assert_eq!(first("lognormal(1ms,2.0)", 1), [84_611, 8_054, 263_437]);
}

#[test]
fn no_draw_is_longer_than_the_longest() {
    let mut sampler = Distribution::Exponential { mean: LONGEST }.sampler(7);
    assert!((0..1000).all(|_| sampler.next() <= LONGEST));
    let mut sampler = Distribution::LogNormal { mean: LONGEST, sigma: 5.0 }.sampler(7);
    assert!((0..1000).all(|_| sampler.next() <= LONGEST));
}

#[test]
fn blanks_do_not_matter_and_errors_show_the_way() {
    assert_eq!(" bimodal( 0.5 , 1ms,2 ms ) ".parse::<Distribution>(), "bimodal(0.5,1ms,2ms)".parse());
    for (text, why) in [
        ("", "no '('"),
        ("exp", "no '('"),
        ("exp(1ms", "no ')'"),
        ("exp(1)", "has no unit"),
        ("exp()", "not a time"),
        ("exp(1ms,2ms)", "exp does not take 2 value(s)"),
        ("gauss(1ms)", "unknown distribution 'gauss'"),
        ("bimodal(1.5,1ms,2ms)", "from 0 to 1"),
        ("bimodal(nan,1ms,2ms)", "from 0 to 1"),
        ("lognormal(1ms,-1)", "from 0 to 5"),
        ("lognormal(1ms,inf)", "from 0 to 5"),
        ("const(2h)", "longer than an hour"),
        ("const(-1ms)", "not a time"),
    ] {
        let error = text.parse::<Distribution>().unwrap_err();
        assert!(error.contains(why) && error.contains("lognormal(1ms,2.0)"), "{text}: {error}");
    }
}

#[test]
fn the_texts_of_the_manual_round_trip() {
    for text in [
        "const(1ms)",
        "exp(250us)",
        "bimodal(0.995,100us,10ms)",
        "lognormal(1.5ms,2.0)",
        "const(0s)",
        "const(0.001us)",
    ] {
        assert_eq!(text.parse::<Distribution>().unwrap().to_string(), text);
    }
}

#[test]
fn times_are_read_exactly() {
    for (text, nanos) in [
        ("10s", 10_000_000_000),
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("250us", 250_000),
        ("2m", 120_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("0.1ms", 100_000),
        ("1.000s", 1_000_000_000),
        ("7ns", 7),
        ("0s", 0),
        (" 3 s ", 3_000_000_000),
        ("0.000000001s", 1),
        ("1.25m", 75_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1m 2.5s", 62_500_000_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
    for text in [
        "",
        "s",
        "10",
        "1.s",
        ".5s",
        "-1s",
        "+1s",
        "1e3s",
        "1 0s",
        "1sec",
        "1S",
        "0.5ns",
        "1.2.3s",
        "30m1h",
        "1s1s",
        "1h30",
        "99999999999999999999s",
        "18446744074s",
        "\u{661}s",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert!(parse_duration("10").unwrap_err().contains("has no unit"));
}

#[test]
fn sizes_are_read_as_gnu_tools_do() {
    for (text, bytes) in [
        ("4096", 4096),
        ("0", 0),
        ("512M", 512 << 20),
        ("1GiB", 1 << 30),
        ("1g", 1 << 30),
        ("1KB", 1000),
        ("2kib", 2048),
        ("1.5K", 1536),
        ("1.25K", 1280),
        ("1TB", 1_000_000_000_000),
        ("7 b", 7),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "M", "-1", "1.5", "0.3K", "1X", "1 M B", "99999999999T", "18446744073709551616"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}

#[test]
fn a_numbered_draw_depends_on_seed_and_number_alone() {
    let exponential: Distribution = "exp(2ms)".parse().unwrap();
    let (mut one, mut other) = (exponential.numbered(1), exponential.numbered(1));
    let forwards: Vec<Duration> = (0..100).map(|number| one.at(number)).collect();
    let mut backwards: Vec<Duration> = (0..100).rev().map(|number| other.at(number)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    let mut seeded = exponential.numbered(2);
    assert!((0..100).all(|number| seeded.at(number) != forwards[number as usize]));
    let ms: Vec<f64> = (0..DRAWS as u64).map(|number| one.at(number).as_secs_f64() * 1e3).collect();
    near(mean(&ms), 2.0, 0.01);
    near(deviation(&ms), 2.0, 0.02);
    let neighbours = ms.windows(2).map(|pair| (pair[0] - 2.0) * (pair[1] - 2.0)).sum::<f64>() / DRAWS as f64;
    assert!(neighbours.abs() < 0.05, "numbers side by side are not correlated: {neighbours}");
}

#[test]
fn what_does_not_vary_is_constant() {
    for (text, constant) in [
        ("const(1ms)", true),
        ("exp(1ms)", false),
        ("exp(0s)", true),
        ("lognormal(1ms,0)", true),
        ("lognormal(1ms,1)", false),
        ("bimodal(0.5,1ms,1ms)", true),
        ("bimodal(1,1ms,2ms)", true),
        ("bimodal(0.5,1ms,2ms)", false),
    ] {
        assert_eq!(text.parse::<Distribution>().unwrap().is_constant(), constant, "{text}");
    }
}

#[test]
fn a_mixed_seed_depends_on_every_number_and_on_their_order() {
    let seeds = [mix([1, 2]), mix([2, 1]), mix([1, 3]), mix([1]), mix([1, 2, 0]), mix([0, 1, 2])];
    for (index, seed) in seeds.iter().enumerate() {
        assert!(!seeds[..index].contains(seed), "{seeds:?}");
    }
    assert_eq!(mix([1, 2]), mix([1, 2]));
}

proptest! {
    #[test]
    fn every_time_round_trips(nanos: u64) {
        let time = Duration::from_nanos(nanos);
        prop_assert_eq!(parse_duration(&format_duration(time)), Ok(time));
    }

    #[test]
    fn every_distribution_round_trips(a in 0..=3_600_000_000_000_u64, b in 0..=3_600_000_000_000_u64, share in 0.0..=1.0_f64) {
        let (a, b) = (Duration::from_nanos(a), Duration::from_nanos(b));
        for distribution in [
            Distribution::Constant(a),
            Distribution::Exponential { mean: a },
            Distribution::Bimodal { probability: share, first: a, second: b },
            Distribution::LogNormal { mean: a, sigma: share * 5.0 },
        ] {
            prop_assert_eq!(distribution.to_string().parse(), Ok(distribution));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,30}") {
        let _ = (text.parse::<Distribution>(), parse_duration(&text), parse_size(&text));
    }
}
