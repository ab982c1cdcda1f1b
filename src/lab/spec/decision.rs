//! What the result of an experiment is to decide: a phrase, and after its first comma a clause that says for whom.

/// Words that begin the clause.
const FOR_WHOM: [&str; 8] = ["when", "where", "while", "for", "with", "without", "at", "under"];
/// In characters.
const LONGEST: usize = 120;

/// Why a text is not a decision. An empty one is allowed: results of before have none.
pub fn problem(text: &str) -> Option<String> {
    let first = clause(text).map(|clause| clause.split(' ').next().unwrap_or_default());
    match first {
        _ if text.chars().count() > LONGEST => Some(format!("is longer than {LONGEST} characters")),
        _ if text.ends_with(['.', ',', ' ']) => {
            Some("is a phrase, not a sentence: it ends with a word".into())
        }
        Some(first) if !FOR_WHOM.contains(&first) => {
            Some(format!("after the comma says for whom, and begins with one of: {}", FOR_WHOM.join(", ")))
        }
        _ => None,
    }
}

/// For whom the result is.
pub fn clause(text: &str) -> Option<&str> {
    text.split_once(", ").map(|(_, clause)| clause)
}
