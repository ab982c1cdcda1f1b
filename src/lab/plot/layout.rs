//! Where things go: estimated widths of texts, line breaks, labels kept apart, panels in rows. Pure.

/// A point in px, from the upper left corner.
pub type Px = (f64, f64);

/// Width of a character relative to the size of the font, in DejaVu Sans or a little more. The usual sans serif fonts are
/// narrower, so what fits here fits there.
fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | 'I' | '\'' => 0.3,
        ' ' | '.' | ',' | ':' | ';' | '/' | '-' | '·' => 0.36,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' => 0.41,
        'w' | '+' | '=' | '±' | '×' | '<' | '>' | '≤' | '≥' | '←' | '→' => 0.84,
        'm' | 'M' | 'W' | '%' | '@' | '…' | '—' => 1.0,
        'A'..='Z' => 0.72,
        _ => 0.64,
    }
}

/// Estimated width of a text in px.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The largest estimated width.
pub fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64) -> f64 {
    texts.into_iter().map(|text| text_width(text, size)).fold(0.0, f64::max)
}

/// Breaks a text at spaces into lines of at most `width` px.
pub fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// The text, shortened to `width` px by an ellipsis in the middle: names differ at their ends.
pub fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.into();
    }
    let characters: Vec<char> = text.chars().collect();
    let shortened = |kept: usize| -> String {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let end = &characters[characters.len() - tail..];
        characters[..head].iter().chain(&['…']).chain(end).collect()
    };
    let kept = (2..characters.len()).rev().find(|&kept| text_width(&shortened(kept), size) <= width);
    shortened(kept.unwrap_or(2).min(characters.len()))
}

/// Moves positions apart to a distance of `gap`, between `low` and `high` and in the same order. If they do not fit, the
/// gap shrinks.
pub fn spread_out(positions: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let gap = gap.min((high - low) / positions.len().saturating_sub(1).max(1) as f64);
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_by(|&a, &b| positions[a].total_cmp(&positions[b]));
    let mut moved = positions.to_vec();
    let mut least = low;
    for &index in &order {
        moved[index] = moved[index].max(least);
        least = moved[index] + gap;
    }
    let mut most = high;
    for &index in order.iter().rev() {
        moved[index] = moved[index].min(most);
        most = moved[index] - gap;
    }
    moved
}

/// Items of these widths in rows of at most `width` px: the row and the left end of each.
pub fn flow(widths: &[f64], gap: f64, width: f64) -> Vec<(usize, f64)> {
    let (mut row, mut left) = (0, 0.0);
    let mut placed = Vec::with_capacity(widths.len());
    for item in widths {
        if left > 0.0 && left + item > width {
            (row, left) = (row + 1, 0.0);
        }
        placed.push((row, left));
        left += item + gap;
    }
    placed
}

/// How many rows [`flow`] has filled.
pub fn rows(placed: &[(usize, f64)]) -> f64 {
    placed.last().map_or(0, |(row, _)| row + 1) as f64
}

/// Small multiples in rows.
#[derive(Clone, Copy, Debug)]
pub struct Panels {
    pub columns: usize,
    pub rows: usize,
    pub width: f64,
    count: usize,
    gap: f64,
}

impl Panels {
    /// `count` panels of at least `least` px, as even as possible in rows of at most `most`.
    pub fn new(count: usize, width: f64, least: f64, gap: f64, most: usize) -> Self {
        let fit = (((width + gap) / (least + gap)).floor() as usize).clamp(1, most.max(1));
        let rows = count.max(1).div_ceil(fit);
        let columns = count.max(1).div_ceil(rows);
        let width = (width - gap * (columns - 1) as f64) / columns as f64;
        Self { columns, rows, width, count, gap }
    }

    /// The upper left corner of a panel, when rows are `height` px high and begin at `top`.
    pub fn corner(&self, index: usize, top: f64, height: f64) -> Px {
        let (row, column) = (index / self.columns, index % self.columns);
        (column as f64 * (self.width + self.gap), top + row as f64 * height)
    }

    /// Whether this panel is the lowest of its column.
    pub fn lowest(&self, index: usize) -> bool {
        index + self.columns >= self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_are_moved_apart_stay_within_and_keep_their_order(
            positions in prop::collection::vec(-50.0..450.0_f64, 1..20),
        ) {
            let moved = spread_out(&positions, 18.0, 0.0, 400.0);
            let mut sorted = moved.clone();
            sorted.sort_by(f64::total_cmp);
            prop_assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 17.9));
            prop_assert!(sorted[0] >= -1e-6 && sorted[sorted.len() - 1] <= 400.0 + 1e-6);
            for (i, a) in positions.iter().enumerate() {
                for (j, b) in positions.iter().enumerate() {
                    prop_assert!(a >= b || moved[i] < moved[j] + 1e-6);
                }
            }
        }

        #[test]
        fn wrapped_lines_fit_and_lose_no_word(words in prop::collection::vec("[a-z]{1,12}", 0..40)) {
            let lines = wrap(&words.join(" "), 12.0, 150.0);
            prop_assert!(lines.iter().all(|line| text_width(line, 12.0) <= 150.0));
            prop_assert_eq!(lines.join(" "), words.join(" "));
        }

        #[test]
        fn panels_fill_the_width_and_never_less_than_one(count in 0..40_usize, width in 300.0..900.0_f64) {
            let panels = Panels::new(count, width, 170.0, 20.0, 4);
            prop_assert!(panels.columns * panels.rows >= count && panels.columns <= 4);
            let last = panels.corner(panels.columns - 1, 0.0, 1.0).0 + panels.width;
            prop_assert!((last - width).abs() < 1e-6);
        }
    }

    #[test]
    fn a_shortened_name_keeps_both_ends() {
        assert_eq!(shorten("inherited", 12.0, 100.0), "inherited");
        assert_eq!(shorten("inherited-exclusive:every", 12.0, 72.0), "inher…very");
        assert_eq!(shorten("mmmm", 12.0, 1.0), "m…m");
        assert_eq!(shorten("m", 12.0, 1.0), "m…");
    }

    #[test]
    fn wide_letters_take_more_room() {
        assert!(text_width("command", 12.0) > text_width("fillers", 12.0));
    }

    #[test]
    fn what_does_not_fit_flows_into_the_next_row() {
        assert_eq!(flow(&[50.0, 40.0, 30.0], 10.0, 100.0), [(0, 0.0), (0, 60.0), (1, 0.0)]);
    }
}
