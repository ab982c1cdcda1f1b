//! Checks figures in tests: which texts overlap or leave the sheet, placed as a browser would place them.

use super::layout::text_width;
use super::style::styles;
use super::{Figure, NARROW, Style, WIDE};

/// Counts of strategies and widths at which every figure is tried.
pub const COUNTS: [(usize, i32); 8] =
    [(1, WIDE), (2, WIDE), (2, NARROW), (6, NARROW), (8, WIDE), (8, NARROW), (16, WIDE), (16, NARROW)];

/// Names and styles as in an experiment: the baseline, its twin, and others.
pub fn strategies(count: usize) -> Vec<(String, Style)> {
    const NAMES: [&str; 15] = [
        "reuseport",
        "round-robin",
        "inherited-exclusive",
        "inherited-herd",
        "inherited-rearm:16",
        "inherited-delay",
        "inherited-mutex",
        "uring-multishot",
        "dispatch",
        "least-loaded",
        "reuseport-cbpf",
        "reuseport-steal",
        "nginx:exclusive",
        "nginx:reuseport",
        "lighttpd",
    ];
    let columns: Vec<(&str, bool)> = [("inherited", false), ("inherited", true)]
        .into_iter()
        .chain(NAMES.map(|name| (name, false)))
        .collect();
    let name = |(name, twin): &(&str, bool)| if *twin { format!("{name} (A/A)") } else { (*name).to_owned() };
    let mut all: Vec<(String, Style)> = columns.iter().map(name).zip(styles(&columns)).collect();
    all.truncate(count);
    all
}

#[derive(Debug)]
#[allow(dead_code)] // what a failure shows
struct Label {
    text: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    element
        .split_once(&format!(" {name}=\""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(v, _)| v)
}

fn labels(svg: &str) -> Vec<Label> {
    let label = |element: &str| {
        let number = |name| attribute(element, name).parse::<f64>().unwrap() / 8.0;
        let (x, size) = (number("x"), number("font-size"));
        // The names below an axis hang from their point.
        let y = number("y") + if attribute(element, "dy") == "0.76em" { size * 0.4 } else { 0.0 };
        let text = element.split_once('>')?.1.split_once("</text>")?.0.to_owned();
        let width = text_width(&text, size);
        let left = match attribute(element, "text-anchor") {
            "start" => x,
            "middle" => x - width / 2.0,
            _ => x - width,
        };
        (!text.is_empty()).then_some(Label {
            text,
            left,
            right: left + width,
            top: y - size * 0.5,
            bottom: y + size * 0.5,
        })
    };
    svg.lines().filter(|line| line.starts_with("<text")).filter_map(label).collect()
}

/// A line per pair of texts that overlap, and per text that leaves the sheet; empty when all is well.
pub fn clashes(figure: &Figure) -> String {
    let svg = figure.inline();
    let size = |name| attribute(&svg, name).parse::<f64>().unwrap();
    let (width, height) = (size("width"), size("height"));
    let labels = labels(&svg);
    assert!(!labels.is_empty(), "{svg}");
    let mut found = Vec::new();
    for (index, one) in labels.iter().enumerate() {
        if one.left < -1.0 || one.right > width + 1.0 || one.top < -1.0 || one.bottom > height + 1.0 {
            found.push(format!("outside: {one:?}"));
        }
        for other in &labels[..index] {
            let across = one.left < other.right && other.left < one.right;
            if across && one.top + 1.0 < other.bottom && other.top + 1.0 < one.bottom {
                found.push(format!("overlap: {other:?} and {one:?}"));
            }
        }
    }
    found.join("\n")
}
