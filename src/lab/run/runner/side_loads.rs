//! Traffic beside the measured load: other load generators, and slow clients.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{RunRequest, Runner, command};
use crate::dist::mix;
use crate::lab::run::child::{Process, Stop};
use crate::lab::run::server::Server;
use crate::lab::run::slow::SlowClients;
use crate::measure::record::RunRecord;

const POLL: Duration = Duration::from_millis(50);

/// Ends when dropped.
#[derive(Debug)]
pub struct SideLoads<'a> {
    generators: Vec<(String, Process<'a>, PathBuf)>,
    _slow: SlowClients,
}

impl Runner<'_> {
    /// None in a trial run.
    pub fn start_side_loads(
        &self,
        request: &RunRequest<'_>,
        server: &Server<'_>,
        folder: &Path,
        seed: u64,
    ) -> Result<SideLoads<'_>, Stop> {
        let loads = if request.round > 0 { self.spec.beside.as_slice() } else { &[] };
        let mut generators = Vec::new();
        for (index, load) in loads.iter().enumerate() {
            let name = format!("loadgen-beside-{index}");
            let output = folder.join(format!("{name}.stdout"));
            let file = File::create(&output)
                .map_err(|e| Stop::void(format!("cannot write {}: {e}", output.display())))?;
            let seed = mix([seed, index as u64 + 1]);
            let ask = self.ask(request.cell, load, None, seed, None);
            let words = command::load(&self.programs.loadgen, &server.address.to_string(), &ask);
            let [_, share] = self.shares(request.cell);
            let mut command = command::command(&self.client_prefix, &words, share);
            let process = Process::start(&name, command.stdout(file), folder, &self.watch())?;
            generators.push((load.name.clone(), process, output));
        }
        let slow = self.spec.soak.as_ref().filter(|_| request.round > 0);
        let slow = SlowClients::start(slow.map_or(0, |soak| soak.slow_clients), server.address);
        Ok(SideLoads { generators, _slow: slow })
    }
}

impl SideLoads<'_> {
    /// Waits for their end and returns their records by load. Only the histogram of response times is kept.
    pub fn finish(self, patience: Duration) -> Result<BTreeMap<String, RunRecord>, Stop> {
        let deadline = Instant::now() + patience;
        let mut records = BTreeMap::new();
        for (name, mut process, output) in self.generators {
            while process.ended().is_none() {
                if Instant::now() > deadline {
                    return Err(process.void("did not end with the others"));
                }
                process.wait(POLL);
            }
            let text = fs::read(&output).unwrap_or_default();
            let mut record: RunRecord =
                serde_json::from_slice(&text).map_err(|e| process.void(&format!("gave no record: {e}")))?;
            record.intervals.clear();
            record.histograms.retain(|phase, _| phase == "response");
            records.insert(name, record);
        }
        Ok(records)
    }
}
