//! Splits a command line into words like a shell, with quotes and backslashes but without expansion.

pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    let open = |mark: char| format!("`{text}`: the {mark} is not closed");
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = letters.next().ok_or_else(|| format!("`{text}`: a backslash at the end"))?;
                let word = word.get_or_insert_default();
                // Between double quotes a backslash only protects these.
                if quote.is_some() && !"\"\\$`".contains(next) {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    match quote {
        Some(mark) => Err(open(mark)),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("taskset -c 0", vec!["taskset", "-c", "0"]),
            ("  a\t b\n", vec!["a", "b"]),
            ("'a b' \"c d\"e f\\ g", vec!["a b", "c de", "f g"]),
            (r#""a\"b\n" '\'"#, vec!["a\"b\\n", "\\"]),
            ("'' \"\"", vec!["", ""]),
            ("", vec![]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert!(split("a 'b").unwrap_err().contains("the ' is not closed"));
        assert!(split("a \"b").is_err() && split("a \\").is_err());
    }

    proptest! {
        #[test]
        fn what_was_quoted_comes_back(words in proptest::collection::vec("[^']{0,8}", 0..6)) {
            let line: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(split(&line.join(" ")).unwrap(), words);
        }

        #[test]
        fn nothing_makes_it_panic(text in ".{0,40}") {
            let _ = split(&text);
        }
    }
}
