//! A load generator as a process, and its record.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::command::{self, Ask};
use super::{Runner, unwritable};
use crate::lab::run::child::{Process, Stop};
use crate::lab::spec::plan::Cell;
use crate::measure::record::RunRecord;

#[derive(Debug)]
pub struct Generator<'a> {
    pub process: Process<'a>,
    output: PathBuf,
}

impl Runner<'_> {
    /// Starts one against the server at `address`. Its output goes to `NAME.stdout` in `folder`.
    pub(super) fn generate(
        &self,
        name: &str,
        cell: &Cell,
        address: SocketAddr,
        ask: &Ask<'_>,
        folder: &Path,
    ) -> Result<Generator<'_>, Stop> {
        let output = folder.join(format!("{name}.stdout"));
        let file = File::create(&output).map_err(|e| unwritable(&output, &e))?;
        let words = command::load(&self.programs.loadgen, &address.to_string(), ask);
        let [_, share] = self.shares(cell);
        let mut command = command::command(&self.client_prefix, &words, share);
        let process = Process::start(name, command.stdout(file), folder, &self.watch())?;
        Ok(Generator { process, output })
    }
}

impl Generator<'_> {
    /// Call it when the process has ended.
    pub fn record(&mut self) -> Result<RunRecord, Stop> {
        let record = serde_json::from_slice(&fs::read(&self.output).unwrap_or_default());
        record.map_err(|error| {
            let status = self.process.ended().map_or("it runs".into(), |status| status.to_string());
            self.process.void(&format!("gave no record ({status}): {error}"))
        })
    }
}
