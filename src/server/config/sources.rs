//! Where the settings come from. A reload reads the file again and merges it with the same command line and environment.

use std::path::{Path, PathBuf};

use super::file;
use super::layers::Layers;
use super::options::Options;
use super::resolve::resolve;
use super::settings::Settings;
use crate::listener::address::Bind;
use crate::server::error::Error;

/// The sources of the settings, for another read at a reload.
#[derive(Clone, Debug)]
pub struct Sources {
    layers: Layers,
    /// The working directory at the start, for relative paths; `None` if it does not exist.
    started_in: Option<PathBuf>,
}

impl Sources {
    /// Keeps the layers; relative paths in them count from the current directory.
    pub fn new(layers: Layers) -> Self {
        Self { layers, started_in: std::env::current_dir().ok() }
    }

    /// The working directory at the start.
    pub fn started_in(&self) -> Option<&Path> {
        self.started_in.as_deref()
    }

    /// Whether the option was given on the command line.
    pub fn is_typed(&self, option: &str) -> bool {
        self.layers.is_typed(option)
    }

    /// Merges the options in order of precedence and makes paths absolute; defaults are not filled in and nothing is
    /// checked.
    ///
    /// # Errors
    /// The file cannot be read or is invalid: then the message names file, line and key. Or a path is relative, and the
    /// working directory does not exist.
    pub fn options(&self) -> Result<Options, Error> {
        let config = self.layers.over(Options::default())?.config;
        let file = match (config, self.layers.uses_of_file()) {
            (Some(path), Some(uses)) => file::read(&self.absolute(&path)?, 0, uses)?,
            _ => Options::default(),
        };
        let mut options = self.layers.over(file)?;
        let Options { path, state_dir, config, access_log_file, .. } = &mut options;
        for path in [path, state_dir, config, access_log_file].into_iter().flatten() {
            *path = self.absolute(path)?;
        }
        if let Some(Bind::Unix(path)) = &mut options.bind {
            *path = self.absolute(path)?;
        }
        Ok(options)
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf, Error> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        self.started_in.as_ref().map(|directory| directory.join(path)).ok_or_else(|| {
            Error::Failed(format!(
                "the current directory no longer exists, so the relative path {} cannot be resolved; give an absolute path",
                path.display()
            ))
        })
    }

    /// Reads everything again and merges it: command line before `CAFFEINE_*`, before file, before default.
    ///
    /// # Errors
    /// Those of [`Self::options`]; a value is out of range; `--path` is not a directory.
    pub fn resolve(&self) -> Result<Settings, Error> {
        resolve(self.options()?)
    }
}
