//! What a worker does with a request.

/// `--respond`.
#[derive(Clone, Debug, PartialEq)]
pub enum Respond {
    /// Launch a handler.
    Cgi,
    /// A small 200 at once.
    Fixed,
}
