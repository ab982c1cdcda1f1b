//! Rust source as tokens: enough to distinguish code from comments and strings.
//!
//! It knows no grammar. Raw strings, nested comments and lifetimes are recognised; numbers come out as
//! words, which no rule uses.

/// A piece of source. Whitespace and the contents of literals are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// An identifier, a keyword or a number.
    Word(&'a str),
    /// One character of punctuation.
    Mark(char),
    /// A string, byte or character literal.
    Literal,
    /// A comment with its slashes.
    Comment(&'a str),
}

/// The tokens of a file in order with their line numbers, from 1.
pub fn tokens(source: &str) -> Vec<(usize, Token<'_>)> {
    let (mut rest, mut line, mut found) = (source, 1, Vec::new());
    while let Some(first) = rest.chars().next() {
        let (length, token) = match first {
            _ if first.is_whitespace() => (first.len_utf8(), None),
            '/' if rest.starts_with("//") => {
                let length = rest.find('\n').unwrap_or(rest.len());
                (length, Some(Token::Comment(&rest[..length])))
            }
            '/' if rest.starts_with("/*") => {
                let length = block_comment(rest);
                (length, Some(Token::Comment(&rest[..length])))
            }
            '"' => (quoted(rest, '"'), Some(Token::Literal)),
            '\'' => match character(rest) {
                Some(length) => (length, Some(Token::Literal)),
                None => (1, Some(Token::Mark('\''))), // a lifetime: the word follows
            },
            _ if is_word(first) => word_or_prefixed_literal(rest),
            _ => (first.len_utf8(), Some(Token::Mark(first))),
        };
        found.extend(token.map(|token| (line, token)));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Length of a quoted literal from its opening quote to its closing one.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inside = text[1..].chars();
    let first = inside.next()?;
    (first == '\\' || inside.next() == Some('\'')).then(|| quoted(text, '\''))
}

/// Length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// A word, or a literal such as `b"..."` or `r#"..."#` that begins like one.
fn word_or_prefixed_literal(text: &str) -> (usize, Option<Token<'_>>) {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    let hashes = after.len() - after.trim_start_matches('#').len();
    match word {
        "r" | "br" | "cr" if after[hashes..].starts_with('"') => {
            let close = format!("\"{}", "#".repeat(hashes));
            let opened = end + hashes + 1;
            let length = text[opened..].find(&close).map_or(text.len(), |at| opened + at + close.len());
            (length, Some(Token::Literal))
        }
        "b" | "c" if after.starts_with('"') => (end + quoted(after, '"'), Some(Token::Literal)),
        "b" if after.starts_with('\'') => (end + quoted(after, '\''), Some(Token::Literal)),
        _ => (end, Some(Token::Word(word))),
    }
}

#[test]
fn code_inside_strings_characters_and_comments_is_ignored() {
    let source = r####"a "b \" c" 'd' '\'' &'e r#"f " g"# b"h" b'i' // j
        /* k /* l */ m */ n"####;
    let words: Vec<_> = tokens(source)
        .into_iter()
        .filter_map(|(_, token)| if let Token::Word(word) = token { Some(word) } else { None })
        .collect();
    assert_eq!(words, ["a", "e", "n"]);
}

#[test]
fn tokens_carry_their_lines() {
    let found = tokens("a\n\"b\nc\"\nd");
    assert_eq!(found, [(1, Token::Word("a")), (2, Token::Literal), (4, Token::Word("d"))]);
}
