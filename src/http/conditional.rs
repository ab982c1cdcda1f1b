//! Conditional requests (RFC 9110, section 13) for a representation with a strong entity tag and a date. Pure.

use super::date;

/// What identifies a version of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// A strong entity tag, in its quotes.
    pub tag: String,
    /// When it was last modified, in seconds since the Unix epoch.
    pub modified: i64,
}

/// The conditions of a request; an absent field is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub if_modified_since: Option<&'a str>,
    pub if_unmodified_since: Option<&'a str>,
    pub if_range: Option<&'a str>,
}

/// What to answer to GET or HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Serve,
    /// 304: the client has this version.
    NotModified,
    /// 412.
    Failed,
}

impl Version {
    /// Checks the conditions in the order of RFC 9110, section 13.2.2.
    pub fn judge(&self, conditions: &Conditions) -> Verdict {
        let failed = match (conditions.if_match, conditions.if_unmodified_since) {
            (Some(tags), _) => !self.matches(tags, false),
            (None, Some(date)) => date::parse(date).is_some_and(|date| self.modified > date),
            (None, None) => false,
        };
        if failed {
            return Verdict::Failed;
        }
        let known = match (conditions.if_none_match, conditions.if_modified_since) {
            (Some(tags), _) => self.matches(tags, true),
            (None, Some(date)) => date::parse(date).is_some_and(|date| self.modified <= date),
            (None, None) => false,
        };
        if known { Verdict::NotModified } else { Verdict::Serve }
    }

    /// Whether a range may be served: the client has the rest of this version.
    pub fn allows_range(&self, conditions: &Conditions) -> bool {
        match conditions.if_range.map(str::trim) {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.tag,
            Some(date) => date::parse(date) == Some(self.modified),
        }
    }

    /// Whether a list of entity tags has ours; weak ones count only where `weak`.
    fn matches(&self, tags: &str, weak: bool) -> bool {
        if tags.trim() == "*" {
            return true;
        }
        // Ours has no comma, so one inside another tag does no harm.
        tags.split(',').map(str::trim).any(|tag| {
            let strong = tag.strip_prefix("W/").filter(|_| weak).unwrap_or(tag);
            strong == self.tag
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn version() -> Version {
        Version { tag: "\"5-a\"".to_owned(), modified: 784_111_777 }
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_the_rfc() {
        let none = Conditions::default();
        let if_match = |tags| Conditions { if_match: Some(tags), ..none };
        let if_none_match = |tags| Conditions { if_none_match: Some(tags), ..none };
        let since = |date| Conditions { if_modified_since: Some(date), ..none };
        let unmodified = |date| Conditions { if_unmodified_since: Some(date), ..none };
        for (conditions, verdict) in [
            (none, Verdict::Serve),
            (if_none_match("\"5-a\""), Verdict::NotModified),
            (if_none_match("W/\"5-a\""), Verdict::NotModified),
            (if_none_match("\"x\" , \"5-a\""), Verdict::NotModified),
            (if_none_match("*"), Verdict::NotModified),
            (if_none_match("\"x\""), Verdict::Serve),
            (if_none_match("5-a"), Verdict::Serve),
            (since(BEFORE), Verdict::Serve),
            (since(THEN), Verdict::NotModified),
            (since(AFTER), Verdict::NotModified),
            (since("yesterday"), Verdict::Serve),
            (Conditions { if_modified_since: Some(AFTER), ..if_none_match("\"x\"") }, Verdict::Serve),
            (if_match("\"5-a\""), Verdict::Serve),
            (if_match("*"), Verdict::Serve),
            (if_match("W/\"5-a\""), Verdict::Failed),
            (if_match("\"x\""), Verdict::Failed),
            (unmodified(BEFORE), Verdict::Failed),
            (unmodified(THEN), Verdict::Serve),
            (unmodified("soon"), Verdict::Serve),
            (Conditions { if_unmodified_since: Some(BEFORE), ..if_match("\"5-a\"") }, Verdict::Serve),
            (Conditions { if_none_match: Some("*"), ..if_match("\"x\"") }, Verdict::Failed),
        ] {
            assert_eq!(version().judge(&conditions), verdict, "{conditions:?}");
        }
    }

    #[test]
    fn a_range_needs_the_same_version() {
        for (if_range, allowed) in [
            (None, true),
            (Some("\"5-a\""), true),
            (Some("W/\"5-a\""), false),
            (Some("\"x\""), false),
            (Some(THEN), true),
            (Some(BEFORE), false),
            (Some(AFTER), false),
            (Some("x"), false),
        ] {
            let conditions = Conditions { if_range, ..Conditions::default() };
            assert_eq!(version().allows_range(&conditions), allowed, "{if_range:?}");
        }
    }
}
