//! What a worker does with a request.

/// `--respond`.
#[derive(Clone, Debug, PartialEq)]
pub enum Respond {
    /// Launch a handler.
    Cgi,
    /// A small 200 at once.
    Fixed,
}

impl std::str::FromStr for Respond {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cgi" => Ok(Self::Cgi),
            "fixed" => Ok(Self::Fixed),
            _ => Err(format!("unknown responder {text:?}; known are cgi, fixed")),
        }
    }
}

impl std::fmt::Display for Respond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cgi => "cgi",
            Self::Fixed => "fixed",
        })
    }
}
