//! A card on a terminal.

use super::Card;

/// Lines that follow the first of a paragraph begin with this.
const INDENT: &str = "  ";
/// No line is narrower, however narrow the terminal is.
const NARROWEST: usize = 20;

impl Card {
    /// Wrapped to `width` columns where there is a width, with colours (ECMA-48) if `coloured`.
    pub fn for_terminal(&self, width: Option<usize>, coloured: bool) -> String {
        let paint = |code: &str, text: &str| match coloured && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        };
        let advice = wrap(&self.advice, width).into_iter().map(|line| paint("1", &line));
        let effects = self.effects.iter().flat_map(|effect| wrap(effect, width));
        let parts = self.parts().into_iter().flat_map(|(name, text)| {
            let code = match (name, self.standing.class()) {
                ("Standing", "good") => "32",
                ("Standing", _) => "33",
                _ => "2",
            };
            let name = format!("{name}:");
            let mut lines = wrap(&format!("{name} {text}"), width);
            lines[0] = lines[0].replacen(&name, &paint(code, &name), 1);
            lines
        });
        advice.chain(effects).chain(parts).map(|line| line + "\n").collect()
    }
}

/// Breaks between words; a word that is too long stands alone. There is always a line.
fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let width = width.map_or(usize::MAX, |width| width.max(NARROWEST));
    let mut words = text.split(' ');
    let mut line = words.next().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for word in words {
        if line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, format!("{INDENT}{word}")));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
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
