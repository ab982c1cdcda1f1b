//! Where the settings come from. A reload reads the file again and merges it with the same command line and environment.

use std::path::{Path, PathBuf};

use super::file;
use super::layers::Layers;
use super::options::Options;
use super::resolve::resolve;
use super::settings::Settings;
use crate::server::error::Error;

/// Where the settings come from, to be read again at a reload.
#[derive(Clone, Debug)]
pub struct Sources {
    layers: Layers,
    /// The present directory at the start. It may be gone: that matters to relative paths only.
    started_in: Option<PathBuf>,
}

impl Sources {
    /// The layers as parsed now; relative paths in them count from the present directory.
    pub fn new(layers: Layers) -> Self {
        Self { layers, started_in: std::env::current_dir().ok() }
    }

    /// Whether the option stood on the command line itself.
    pub fn is_typed(&self, option: &str) -> bool {
        self.layers.is_typed(option)
    }

    /// What was asked for, in order of precedence, with absolute paths; nothing is filled in or checked.
    ///
    /// # Errors
    /// The file cannot be read, or is no good: then the message names file, line and key. A path is relative, and the
    /// directory that it counts from is gone.
    pub fn options(&self) -> Result<Options, Error> {
        let config = self.layers.over(Options::default())?.config;
        let file = match (config, self.layers.uses_of_file()) {
            (Some(path), Some(uses)) => file::read(&self.absolute(&path)?, 0, uses)?,
            _ => Options::default(),
        };
        let mut options = self.layers.over(file)?;
        for path in [&mut options.path, &mut options.state_dir, &mut options.config].into_iter().flatten() {
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
                "the present directory cannot be found, so {} leads nowhere; give an absolute path",
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
