//! The style of a strategy in all figures: a colour and a mark.
//!
//! The colours are those of Okabe and Ito (2008): distinguishable for the colour-blind, and visible on light and dark.
//! Seven colours are too few for all strategies and servers, so each pair of colour and mark is used once. Names that
//! often appear in one experiment have different colours; another server has the colour of what it resembles.

use plotters::style::RGBColor;

/// Marks errors in all figures.
pub const ALARM: RGBColor = RGBColor(213, 94, 0);

const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const SKY: RGBColor = RGBColor(86, 180, 233);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const GREY: RGBColor = RGBColor(128, 128, 128);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Disc,
    Square,
    Up,
    Diamond,
    Down,
    Star,
    Bow,
}

const MARKS: [Mark; 7] =
    [Mark::Disc, Mark::Square, Mark::Up, Mark::Diamond, Mark::Down, Mark::Star, Mark::Bow];

impl Mark {
    /// The outline, for a radius of 1.
    pub fn corners(self) -> &'static [(f64, f64)] {
        match self {
            Self::Disc => &[],
            Self::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::Up => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            Self::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
            Self::Down => &[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
            Self::Star => &[
                (0.0, -1.4),
                (0.4, -0.4),
                (1.4, 0.0),
                (0.4, 0.4),
                (0.0, 1.4),
                (-0.4, 0.4),
                (-1.4, 0.0),
                (-0.4, -0.4),
            ],
            Self::Bow => &[(-1.1, -1.0), (1.1, 1.0), (1.1, -1.0), (-1.1, 1.0)],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colour: RGBColor,
    pub mark: Mark,
    /// For the second run of the baseline: marks are hollow and lines thin.
    pub hollow: bool,
}

/// Known names, with an argument where it needs a style of its own.
const STYLES: [(&str, RGBColor, Mark); 28] = [
    ("inherited", BLUE, Mark::Disc),
    ("reuseport", VERMILION, Mark::Square),
    ("round-robin", GREEN, Mark::Up),
    ("inherited-exclusive", PURPLE, Mark::Diamond),
    ("inherited-herd", ORANGE, Mark::Down),
    ("inherited-rearm", SKY, Mark::Star),
    ("inherited-delay", GREY, Mark::Disc),
    ("inherited-mutex", ORANGE, Mark::Square),
    ("uring", SKY, Mark::Disc),
    ("uring-multishot", PURPLE, Mark::Star),
    ("dispatch", GREEN, Mark::Square),
    ("least-loaded", GREY, Mark::Diamond),
    ("reuseport-cbpf", VERMILION, Mark::Up),
    ("reuseport-steal", BLUE, Mark::Diamond),
    ("reuseport:private", VERMILION, Mark::Diamond),
    ("round-robin:wait", GREEN, Mark::Diamond),
    ("nginx:exclusive", PURPLE, Mark::Square),
    ("nginx:reuseport", VERMILION, Mark::Down),
    ("nginx:mutex", ORANGE, Mark::Diamond),
    ("nginx:herd", ORANGE, Mark::Disc),
    ("lighttpd", SKY, Mark::Up),
    ("apache", GREEN, Mark::Down),
    ("haproxy", GREY, Mark::Square),
    ("inherited --defer-accept 0s", ORANGE, Mark::Up),
    ("inherited --pin", SKY, Mark::Square),
    ("reuseport --pin", PURPLE, Mark::Down),
    ("inherited-rearm --accept-batch 4", GREEN, Mark::Disc),
    ("inherited-rearm --accept-batch 16", GREY, Mark::Up),
];

/// The style of a strategy or server, `NAME[:ARG]` with or without options; `twin` is the second run of the baseline.
pub fn style(name: &str, twin: bool) -> Style {
    let known = |wanted: &str| STYLES.iter().find(|(name, ..)| *name == wanted);
    let plain = name.split([':', ' ']).next().unwrap_or_default();
    let (colour, mark) = match (known(name), known(plain)) {
        (Some((_, colour, mark)), _) => (*colour, *mark),
        // Another argument: a mark of its own in the colour of the strategy.
        (None, Some((_, colour, _))) => derived(name, &[*colour]),
        // A new strategy differs in colour from those that it will be compared with first.
        (None, None) => derived(name, &[SKY, PURPLE, ORANGE, GREY]),
    };
    Style { colour, mark, hollow: twin }
}

/// A pair for a name that is not in [`STYLES`]: always the same, in one of these colours, and not a known name's.
fn derived(name: &str, colours: &[RGBColor]) -> (RGBColor, Mark) {
    let pairs = colours.iter().flat_map(|colour| MARKS.map(|mark| (*colour, mark)));
    let free: Vec<_> =
        pairs.filter(|pair| !STYLES.iter().any(|(_, colour, mark)| *pair == (*colour, *mark))).collect();
    free[hash(name) % free.len()]
}

/// A stable number for a name (FNV-1a).
fn hash(name: &str) -> usize {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    name.bytes().fold(2_166_136_261, step) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_have_the_same_style() {
        for (index, (name, ..)) in STYLES.iter().enumerate() {
            for (other, ..) in &STYLES[..index] {
                assert_ne!(style(name, false), style(other, false), "{name} and {other}");
            }
        }
    }

    #[test]
    fn the_strategies_that_meet_first_differ_in_colour() {
        let colours: Vec<_> = STYLES[..7].iter().map(|(_, RGBColor(r, g, b), _)| (r, g, b)).collect();
        assert!((1..7).all(|index| !colours[..index].contains(&colours[index])));
    }

    #[test]
    fn a_new_strategy_needs_no_entry_here() {
        for name in ["toy", "inherited-lifo", "reuseport-x", "inherited:x", "inherited-rearm:16", "nginx:x"] {
            assert!(STYLES.iter().all(|(known, ..)| style(known, false) != style(name, false)), "{name}");
        }
        for name in ["toy", "inherited-lifo", "reuseport-x"] {
            assert!(STYLES[..3].iter().all(|(_, colour, _)| *colour != style(name, false).colour), "{name}");
        }
        let strategies = || crate::listener::STRATEGIES.iter().map(|entry| entry.name);
        for (index, name) in strategies().enumerate() {
            assert!(
                strategies().take(index).all(|other| style(other, false) != style(name, false)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_strategy_keeps_its_colour_with_an_argument_and_as_a_twin() {
        assert_eq!(style("inherited-rearm:16", false).colour, style("inherited-rearm", false).colour);
        let (one, twin) = (style("inherited", false), style("inherited", true));
        assert!(one.colour == twin.colour && one != twin);
    }

    #[test]
    fn colours_stand_out_from_a_light_and_a_dark_ground() {
        let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
        for (name, RGBColor(r, g, b), _) in STYLES {
            let light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
            let (on_white, on_black) = (1.05 / (light + 0.05), (light + 0.05) / 0.059);
            assert!(on_white > 2.0 && on_black > 3.0, "{name}: {on_white:.1} and {on_black:.1}");
        }
    }
}
