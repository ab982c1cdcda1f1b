//! `lab run --resume DIR`: the missing runs, on the same machine with the same programs.

use std::path::Path;

use super::{Ended, Session, check, rounds, settings};
use crate::lab::error::{self, Error, Result};
use crate::lab::judge::environment_diff;
use crate::lab::results::store::{self, Results};
use crate::lab::spec::catalogue::Found;
use crate::measure::machine::fingerprint;

impl Session<'_> {
    /// Makes the missing runs of an experiment, in repeated rounds too. `found` is the named experiment, if any.
    pub fn resume(&self, directory: &Path, found: Option<&Found>) -> Result<Ended> {
        let data = store::load(directory)?;
        let path = directory.join(store::SPEC);
        let text = error::read(&path)?;
        if let Some(found) = found.filter(|found| found.text != text) {
            let (origin, folder) = (&found.origin, directory.display());
            let why = format!("{origin} differs from the experiment in {folder}; resume without naming it");
            return Err(Error::Failed(why));
        }
        let began = &data.environment;
        if !began.spec.is_empty() && began.spec != fingerprint(text.as_bytes()) {
            let why = "was edited after its runs had begun, and they would no longer be those of one experiment; restore it, or run \
                       the edited file as a new experiment";
            return Err(Error::about(&path, why));
        }
        let runner = self.runner(&data.spec)?;
        let now = settings::environment(self, &data.environment.experiment, &data.spec, &text, &runner);
        let others = environment_diff::differences(&data.environment, &now);
        if !others.is_empty() && !self.wanted.force {
            let others = environment_diff::list(&others);
            let why =
                format!("was measured in another environment: {others}; start a new run, or use --force");
            return Err(Error::about(directory, why));
        }
        check::refuse(&check::findings(&data.spec, &runner, directory, &self.wanted.scope.means)?)?;
        let mut environment = data.environment;
        let forced = if others.is_empty() { "" } else { ", forced" };
        environment.resumed.push(format!("{}{forced}", self.started));
        let mut results = Results::reopen(directory, &environment)?;
        let how = rounds::make(&data.spec, &runner, &mut results, &data.runs, self.wanted.allow_debug);
        Ok(Ended { directory: results.directory, how })
    }
}
