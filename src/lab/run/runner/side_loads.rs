//! Traffic beside the measured load: other load generators, and slow clients.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::generator::Generator;
use super::{RunRequest, Runner};
use crate::dist::mix;
use crate::lab::run::background::Background;
use crate::lab::run::child::Stop;
use crate::lab::run::server::Server;
use crate::lab::run::slow;
use crate::measure::record::RunRecord;

/// Ends when dropped.
#[derive(Debug)]
pub struct SideLoads<'a> {
    /// By the names of their loads.
    generators: Vec<(String, Generator<'a>)>,
    _slow: Option<Background<()>>,
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
            let ask = self.ask(request.cell, load, None, mix([seed, index as u64 + 1]), None);
            let name = format!("loadgen-beside-{index}");
            let generator = self.generate(&name, request.cell, server.address, &ask, folder)?;
            generators.push((load.name.clone(), generator));
        }
        let slow = self.spec.soak.as_ref().filter(|_| request.round > 0);
        let slow = slow::start(slow.map_or(0, |soak| soak.slow_clients), server.address);
        Ok(SideLoads { generators, _slow: slow })
    }
}

impl SideLoads<'_> {
    /// Waits for their end and returns their records by load. Only the histogram of response times is kept.
    pub fn finish(self, patience: Duration) -> Result<BTreeMap<String, RunRecord>, Stop> {
        let deadline = Instant::now() + patience;
        let mut records = BTreeMap::new();
        for (name, mut generator) in self.generators {
            if generator.process.end_by(deadline).is_none() {
                return Err(generator.process.void("did not end with the others"));
            }
            let mut record = generator.record()?;
            record.intervals.clear();
            record.histograms.retain(|phase, _| phase == "response");
            records.insert(name, record);
        }
        Ok(records)
    }
}
