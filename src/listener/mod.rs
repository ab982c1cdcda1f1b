//! The listener layer.

/// A strategy as the user names it: `NAME[:ARG]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name in the table.
    pub name: &'static str,
    /// What stands after the colon.
    pub argument: Option<String>,
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = ["inherited", "reuseport", "round-robin"];
        let (name, argument) =
            text.split_once(':').map_or((text, None), |(name, arg)| (name, Some(arg.to_owned())));
        match names.iter().find(|known| **known == name) {
            Some(name) => Ok(Self { name, argument }),
            None => Err(format!("unknown strategy {name:?}; known are {}", names.join(", "))),
        }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        self.argument.iter().try_for_each(|argument| write!(f, ":{argument}"))
    }
}
