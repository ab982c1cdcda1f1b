//! The listener layer.

/// A strategy as the user names it: `NAME[:ARG]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name in the table.
    pub name: &'static str,
    /// What stands after the colon.
    pub argument: Option<String>,
}
