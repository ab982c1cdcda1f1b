//! Settings from the command line and from `CAFFEINE_*` variables, in layers. Only the settings that an action uses are
//! read, so that an invalid variable that only a start would use does not prevent a stop.

use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::options::Options;
use crate::server::error::Error;

/// The settings that were typed, and those of the environment, kept so that a reload can lay them over a new
/// version of the file.
#[derive(Clone, Debug)]
pub struct Layers {
    typed: ArgMatches,
    environment: ArgMatches,
    uses: Uses,
}

/// The settings that an action uses, by their names in [`Options`].
#[derive(Clone, Copy, Debug)]
pub enum Uses {
    /// Every one.
    All,
    /// These.
    Only(&'static [&'static str]),
}

impl Uses {
    /// Whether a setting is one of them.
    pub fn includes(self, setting: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(settings) => settings.contains(&setting),
        }
    }
}

impl Layers {
    /// Adds the settings in the environment to those on the command line.
    ///
    /// # Errors
    /// A variable that is used has no valid value.
    pub fn new(
        typed: ArgMatches,
        variable: impl Fn(&str) -> Option<OsString>,
        uses: Uses,
    ) -> Result<Self, Error> {
        let environment = environment(&typed, variable, uses)?;
        Ok(Self { typed, environment, uses })
    }

    /// Lays the environment over the file's options, and the typed ones over both.
    ///
    /// # Errors
    /// None for what [`parse`] returned.
    pub fn over(&self, mut file: Options) -> Result<Options, Error> {
        for layer in [&self.environment, &self.typed] {
            file.update_from_arg_matches(layer).map_err(|error| Error::Usage(one_line(&error)))?;
        }
        Ok(file)
    }

    /// What of a configuration file counts: nothing where all that is used is known already.
    pub fn uses_of_file(&self) -> Option<Uses> {
        // Only a file can give `env`.
        let is_given = |setting: &&str| {
            *setting != "env"
                && (*setting == "config"
                    || self.typed.contains_id(setting)
                    || self.environment.contains_id(setting))
        };
        match self.uses {
            Uses::Only(settings) if settings.iter().all(is_given) => None,
            uses => Some(uses),
        }
    }

    /// Whether an option stood on the command line itself.
    pub fn is_typed(&self, option: &str) -> bool {
        self.typed.value_source(option) == Some(ValueSource::CommandLine)
    }
}

/// The settings in the environment, read by the definitions of the command line. One that was typed as well, or that the
/// action does not use, is not looked at.
fn environment(
    typed: &ArgMatches,
    variable: impl Fn(&str) -> Option<OsString>,
    uses: Uses,
) -> Result<ArgMatches, Error> {
    let settings = Options::augment_args(Command::new("environment").no_binary_name(true));
    let mut arguments = Vec::new();
    for setting in settings.get_arguments() {
        let Some(long) = setting.get_long() else { continue };
        let name = format!("CAFFEINE_{}", long.replace('-', "_").to_uppercase());
        let Some(value) = variable(&name).filter(|value| !value.is_empty()) else { continue };
        let id = setting.get_id().as_str();
        if typed.value_source(id).is_some() || !uses.includes(id) {
            continue;
        }
        let mut argument = OsString::from(format!("--{long}="));
        argument.push(&value);
        if let Err(error) = settings.clone().try_get_matches_from([&argument]) {
            return Err(Error::Usage(format!(
                "in the environment, {name}: {}; unset it, or give --{long}{}",
                one_line(&error),
                orchestrated(&name, &value)
            )));
        }
        arguments.push(argument);
    }
    settings.try_get_matches_from(arguments).map_err(|error| Error::Usage(one_line(&error)))
}

/// What sets the variable, where that is known.
fn orchestrated(name: &str, value: &OsStr) -> &'static str {
    if name == "CAFFEINE_PORT" && value.as_encoded_bytes().starts_with(b"tcp://") {
        " (Kubernetes sets it in every pod beside a service named \"caffeine\", unless enableServiceLinks is false)"
    } else {
        ""
    }
}

/// clap's message without its usage and advice to read the help.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let message = text.trim_start_matches("error: ").split("\n\nUsage").next().unwrap_or_default();
    let message = message.split("\n\nFor more").next().unwrap_or_default();
    let lines: Vec<_> = message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
