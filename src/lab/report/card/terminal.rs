//! A card on a terminal.

use super::{Card, Standing};

/// Lines that follow the first of a paragraph begin with this.
const INDENT: &str = "  ";
/// No line is narrower, however narrow the terminal is.
const NARROWEST: usize = 20;

impl Card {
    /// Wrapped to `width` columns where there is a width, with colours if `coloured`.
    pub fn for_terminal(&self, width: Option<usize>, coloured: bool) -> String {
        let paint = |code: &str, text: &str| match (coloured, text.is_empty()) {
            (true, false) => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        };
        let lines = |text: &str, code: Option<&str>| -> String {
            let wrapped = wrap(text, width);
            wrapped
                .iter()
                .map(|line| code.map_or_else(|| line.clone(), |code| paint(code, line)) + "\n")
                .collect()
        };
        let mut out = lines(&self.advice, Some("1"));
        self.effects.iter().for_each(|effect| out += &lines(effect, None));
        for (name, text) in self.parts() {
            let code = if name == "Standing" { self.standing.colour() } else { "2" };
            let text = lines(&format!("{name}: {text}"), None);
            out += &text.replacen(&format!("{name}:"), &paint(code, &format!("{name}:")), 1);
        }
        out
    }
}

impl Standing {
    /// A code of ECMA-48: green, or yellow.
    fn colour(self) -> &'static str {
        if self.class() == "good" { "32" } else { "33" }
    }
}

/// Breaks between words; a word that is too long stands alone.
fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.map(|width| width.max(NARROWEST)) else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line");
        let used = line.chars().count();
        if !line.trim().is_empty() && used + 1 + word.chars().count() > width {
            lines.push(format!("{INDENT}{word}"));
        } else {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> Card {
        Card {
            advice: "Do not take reuseport: its p99 is 1.5 times inherited's at load 30 %.".into(),
            standing: Standing::Supported,
            stands: "supported (all 4 comparisons judged)".into(),
            evidence: "12 rounds, noise \u{b1}4 %".into(),
            ..Card::default()
        }
    }

    #[test]
    fn without_a_terminal_each_part_is_a_line_without_colours() {
        let text = card().for_terminal(None, false);
        assert_eq!(
            text,
            "Do not take reuseport: its p99 is 1.5 times inherited's at load 30 %.\n\
             Standing: supported (all 4 comparisons judged)\nEvidence: 12 rounds, noise \u{b1}4 %\n"
        );
    }

    #[test]
    fn a_narrow_terminal_wraps_and_loses_no_word() {
        for width in [1, 20, 40, 80, 200] {
            let text = card().for_terminal(Some(width), false);
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width.max(NARROWEST + 2), "{width}: {text}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&text), words(&card().for_terminal(None, false)), "{width}");
        }
    }

    #[test]
    fn colours_mark_the_advice_and_the_standing_on_every_line() {
        let text = card().for_terminal(Some(30), true);
        assert!(text.starts_with("\x1b[1mDo not take"), "{text:?}");
        assert!(text.contains("\x1b[32mStanding:\x1b[0m supported"), "{text:?}");
        let open = Card { standing: Standing::FirstLook, ..card() }.for_terminal(None, true);
        assert!(open.contains("\x1b[33mStanding:"), "{open:?}");
        assert_eq!(text.matches("\x1b[0m").count(), text.matches("\x1b[").count() / 2);
    }
}
