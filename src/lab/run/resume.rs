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
            return Err(Error::Failed(format!(
                "{} differs from the experiment in {}; resume without naming it",
                found.origin,
                directory.display()
            )));
        }
        let began = &data.environment;
        if !began.spec.is_empty() && began.spec != fingerprint(text.as_bytes()) {
            return Err(Error::Failed(format!(
                "{} was edited after its runs had begun, and they would no longer be those of one experiment; restore it, or \
                 run the edited file as a new experiment",
                path.display()
            )));
        }
        let runner = self.runner(&data.spec)?;
        let now = settings::environment(self, &data.environment.experiment, &data.spec, &text, &runner);
        let others = environment_diff::differences(&data.environment, &now);
        if !others.is_empty() && !self.wanted.force {
            return Err(Error::Failed(format!(
                "{} was measured in another environment: {}; start a new run, or use --force",
                directory.display(),
                environment_diff::list(&others)
            )));
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
