//! Settings from the command line and from `CAFFEINE_*` variables, in layers. Only the settings that an action uses are
//! read, so that an invalid variable that only a start would use does not prevent a stop.

use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::options::Options;
use crate::server::error::Error;

/// Settings from the command line and the environment, kept so that a reload can merge them with a new version of the
/// file.
#[derive(Clone, Debug)]
pub struct Layers {
    typed: ArgMatches,
    environment: ArgMatches,
    uses: Uses,
}

/// The settings that an action uses, by field name of [`Options`].
#[derive(Clone, Copy, Debug)]
pub enum Uses {
    All,
    Only(&'static [&'static str]),
}

impl Uses {
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

    /// Merges the file's options with the environment, and both with the command line, which wins.
    ///
    /// # Errors
    /// None for layers made by [`new`](Self::new).
    pub fn over(&self, mut file: Options) -> Result<Options, Error> {
        for layer in [&self.environment, &self.typed] {
            file.update_from_arg_matches(layer).map_err(|error| Error::Usage(one_line(&error)))?;
        }
        Ok(file)
    }

    /// The settings to read from the file; `None` if the other layers give all that is used.
    pub fn uses_of_file(&self) -> Option<Uses> {
        // Only the file can have tables.
        let is_given = |setting: &&str| {
            !["env", "mount"].contains(setting)
                && (*setting == "config"
                    || self.typed.contains_id(setting)
                    || self.environment.contains_id(setting))
        };
        match self.uses {
            Uses::Only(settings) if settings.iter().all(is_given) => None,
            uses => Some(uses),
        }
    }

    /// Whether an option was given on the command line.
    pub fn is_typed(&self, option: &str) -> bool {
        self.typed.value_source(option) == Some(ValueSource::CommandLine)
    }
}

/// Reads the settings in the environment, parsed like the command line. Variables that the action does not use, or that
/// the command line overrides, are ignored.
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

/// A hint at what sets the variable.
fn orchestrated(name: &str, value: &OsStr) -> &'static str {
    if name == "CAFFEINE_PORT" && value.as_encoded_bytes().starts_with(b"tcp://") {
        " (Kubernetes sets it in every pod beside a service named \"caffeine\", unless enableServiceLinks is false)"
    } else {
        ""
    }
}

/// clap's message in one line, without usage and advice.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let message = text.trim_start_matches("error: ").split("\n\nUsage").next().unwrap_or_default();
    let message = message.split("\n\nFor more").next().unwrap_or_default();
    let lines: Vec<_> = message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
