//! The style of a column in all figures: a colour and a mark.
//!
//! The baseline has the colour of the text. Up to four others have colours of their own; more share them and differ in marks. A
//! figure with more columns colours those that stand apart ([`super::curves`]). Columns of one report keep their styles in all of
//! its figures, and well-known strategies have the same colour in all reports.

use itertools::Itertools;
use plotters::style::RGBColor;

use super::canvas::INK;

/// Marks errors in all figures; no column has it.
pub const ALARM: RGBColor = RGBColor(202, 17, 41);
/// Of columns. A test demands distances and contrasts.
pub const PALETTE: [RGBColor; 4] =
    [RGBColor(58, 89, 242), RGBColor(193, 132, 1), RGBColor(21, 153, 87), RGBColor(191, 54, 167)];

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

const MARKS: [Mark; 6] = [Mark::Square, Mark::Up, Mark::Diamond, Mark::Down, Mark::Star, Mark::Bow];

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
    /// For the second run of a column: marks are hollow and lines thin.
    pub hollow: bool,
}

impl Style {
    pub const BASELINE: Self = Self { colour: INK, mark: Mark::Disc, hollow: false };

    /// Of a column that does not stand apart.
    pub const OTHER: Self = Self { colour: RGBColor(150, 150, 150), mark: Mark::Disc, hollow: false };

    pub fn is_baseline(self) -> bool {
        self == Self::BASELINE
    }
}

impl Default for Style {
    fn default() -> Self {
        Self::BASELINE
    }
}

/// Colours that strategies prefer; others take what is left.
const PREFERRED: [(&str, usize); 6] = [
    ("reuseport", 0),
    ("round-robin", 1),
    ("inherited-exclusive", 2),
    ("inherited-herd", 3),
    ("nginx:exclusive", 2),
    ("nginx:reuseport", 3),
];

/// The styles of columns, the baseline first, each a name and whether it is the second run of the column before it with that name.
/// The same columns always have the same styles.
pub fn styles(columns: &[(&str, bool)]) -> Vec<Style> {
    let mut known: Vec<(&str, Style)> = Vec::new();
    for (name, _) in columns {
        let own = known.iter().find(|(other, _)| other == name).map(|(_, style)| *style);
        known.push((name, own.unwrap_or_else(|| next(name, &known))));
    }
    columns.iter().zip(known).map(|((_, twin), (_, style))| Style { hollow: *twin, ..style }).collect()
}

/// A style that no known column has: a colour that is free, or else a mark.
fn next(name: &str, known: &[(&str, Style)]) -> Style {
    if known.is_empty() {
        return Style::BASELINE;
    }
    let preferred = PREFERRED.iter().find(|(other, _)| *other == name).map(|(_, colour)| *colour);
    let wanted = preferred.unwrap_or_else(|| hash(name));
    let colours = (0..PALETTE.len()).map(|step| PALETTE[(wanted + step) % PALETTE.len()]);
    let all = MARKS.into_iter().cartesian_product(colours);
    let mut all = all.map(|(mark, colour)| Style { colour, mark, hollow: false });
    let has_own_colour = |style: &Style| known.iter().all(|(_, other)| other.colour != style.colour);
    let is_new = |style: &Style| known.iter().all(|(_, other)| other != style);
    let free = all.clone().find(has_own_colour).or_else(|| all.find(is_new));
    free.unwrap_or(Style { colour: PALETTE[0], ..Style::BASELINE })
}

/// A stable number for a name (FNV-1a).
fn hash(name: &str) -> usize {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    name.bytes().fold(2_166_136_261, step) as usize
}

/// The same styles, but each with a colour of its own while there are enough: for columns that share a panel.
pub fn apart(styles: &mut [Style]) {
    for index in 0..styles.len() {
        let (before, rest) = styles.split_at_mut(index);
        let used = |colour: RGBColor| before.iter().any(|style| style.colour == colour);
        if used(rest[0].colour)
            && let Some(free) = PALETTE.into_iter().find(|colour| !used(*colour))
        {
            rest[0].colour = free;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] =
        ["inherited", "reuseport", "round-robin", "inherited-herd", "toy", "dispatch", "uring"];

    fn plain(names: &[&'static str]) -> Vec<Style> {
        styles(&names.iter().map(|name| (*name, false)).collect::<Vec<_>>())
    }

    #[test]
    fn the_baseline_has_the_colour_of_the_text_and_its_second_run_is_hollow() {
        let all = styles(&[("reuseport", false), ("reuseport", true), ("inherited", false)]);
        assert!(all[0].is_baseline() && all[1] == Style { hollow: true, ..Style::BASELINE });
        assert!(PALETTE.contains(&all[2].colour));
    }

    #[test]
    fn up_to_four_columns_have_colours_of_their_own_and_no_two_have_the_same_style() {
        let all = plain(&NAMES);
        let colours =
            |styles: &[Style]| styles.iter().map(|s| (s.colour.0, s.colour.1, s.colour.2)).collect();
        let distinct: std::collections::BTreeSet<_> = colours(&all[..5]);
        assert_eq!(distinct.len(), 5);
        assert!((1..7).all(|index| !all[..index].contains(&all[index])), "{all:?}");
        assert_eq!(all[1].colour, plain(&["dispatch", "reuseport"])[1].colour, "the same in all reports");
    }

    #[test]
    fn columns_that_share_a_panel_are_given_colours_of_their_own() {
        let one = Style { colour: PALETTE[1], mark: Mark::Up, hollow: false };
        let mut shared = [one, Style { mark: Mark::Star, ..one }, one];
        apart(&mut shared);
        assert!(shared[0] == one && shared[1].colour != shared[2].colour && shared[1].colour != one.colour);
    }

    /// Linear RGB.
    type Light = [f64; 3];

    /// Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE
    /// Transactions on Visualization and Computer Graphics 15 (6), 2009, severity 1.0: protanopia, deuteranopia, tritanopia.
    const BLINDNESS: [[Light; 3]; 3] = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ];
    const SIGHT: [Light; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    /// The grounds of the pages, light and dark, and the text on them.
    const PAGES: [[RGBColor; 2]; 2] =
        [[RGBColor(255, 255, 255), RGBColor(27, 31, 36)], [RGBColor(21, 24, 27), RGBColor(228, 230, 232)]];

    fn light(RGBColor(r, g, b): RGBColor) -> Light {
        [r, g, b].map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn seen(colour: RGBColor, sight: &[Light; 3]) -> Light {
        let from = light(colour);
        sight.map(|row| row.iter().zip(from).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
    }

    /// CIE L*a*b* under D65.
    fn lab([r, g, b]: Light) -> [f64; 3] {
        let x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505;
        let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089;
        let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        [116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))]
    }

    fn distance(a: RGBColor, b: RGBColor, sight: &[Light; 3]) -> f64 {
        let (a, b) = (lab(seen(a, sight)), lab(seen(b, sight)));
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    /// A panel has the baseline, at most four columns in colour, alarms, and neutral grey. 2.3 is just noticeable side by side
    /// (CIE 1976); apart and in thin lines it takes several times as much.
    #[test]
    fn colours_that_share_a_panel_are_told_apart_by_the_colour_blind() {
        const LEAST: f64 = 23.0;
        for sight in BLINDNESS.iter().chain([&SIGHT]) {
            for [_, text] in PAGES {
                let all: Vec<RGBColor> =
                    PALETTE.into_iter().chain([ALARM, text, Style::OTHER.colour]).collect();
                for (index, one) in all.iter().enumerate() {
                    for other in &all[..index] {
                        let apart = distance(*one, *other, sight);
                        assert!(
                            apart >= LEAST,
                            "{one:?} and {other:?} are {apart:.1} apart, seen with {sight:?}"
                        );
                    }
                }
            }
        }
    }

    /// 3:1, as WCAG 2.2 demands of graphics (1.4.11).
    #[test]
    fn colours_stand_out_from_a_light_and_a_dark_ground() {
        let luminance = |colour| {
            let [r, g, b] = light(colour);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        for colour in PALETTE.into_iter().chain([ALARM]) {
            for [ground, _] in PAGES {
                let (a, b) = (luminance(colour), luminance(ground));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 3.0, "{colour:?} on {ground:?}: {contrast:.2}");
            }
        }
    }
}
