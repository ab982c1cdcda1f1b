//! One run from start to stop.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::command::{self, ADDRESS, BACKLOG, INSTANCE};
use super::generator::Generator;
use super::{RunRequest, Runner, unwritable};
use crate::dist::mix;
use crate::lab::results::data::{Memory, RunData, SequenceRecord};
use crate::lab::run::child::{Process, Stop};
use crate::lab::run::fault_injector::{self, FaultInjector, Target};
use crate::lab::run::probe::Moment;
use crate::lab::run::probe::noise::Sleeper;
use crate::lab::run::probe::series::Sampler;
use crate::lab::run::processes::tree;
use crate::lab::run::server::{Server, free_port};
use crate::lab::run::workers::Workers;
use crate::lab::run::{sequence, soak};
use crate::lab::spec::peers::{self, Refused};
use crate::scoreboard::Scoreboard;

/// Time limit of a run that ends after a number of requests, relative to one that ends after a time.
const REQUESTS_MAY_TAKE: f64 = 10.0;

/// Interval of checking server and signals under load.
const POLL: Duration = Duration::from_millis(50);

impl Runner<'_> {
    pub(super) fn measure(
        &self,
        request: &RunRequest<'_>,
        folder: &Path,
        data: &mut RunData,
    ) -> Result<(), Stop> {
        let cell = request.cell;
        let seed = request.seed(self.spec);
        let mut server = self.start_server(request, folder, seed)?;
        let path = folder.join("state").join(INSTANCE).join("scoreboard");
        let scoreboard = || match Scoreboard::open(&path) {
            _ if cell.peer.is_some() => Ok(None),
            Ok(board) => Ok(Some(board)),
            // Behind a prefix the server may be on another machine, with its files.
            Err(_) if !self.server_prefix.is_empty() => Ok(None),
            Err(e) => Err(server.process.void(&format!("has no scoreboard: {e}"))),
        };
        let (read_now, sampled, of_workers) = (scoreboard()?, scoreboard()?, scoreboard()?);
        let supervisor = server.process.pid();
        data.sequence = self.sequence(request, &server);
        let at_rest = tree(supervisor);
        let before = Moment::read(read_now.as_ref(), supervisor);
        let mut generator = self.start_generator(request, &server, folder, seed, data)?;
        let begin = Instant::now() + Duration::from_secs_f64(self.spec.warmup_s);
        data.begin_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
            + self.spec.warmup_s;
        let interval = Duration::from_secs_f64(self.spec.interval_s);
        let watched = self.spec.soak.is_some().then_some(supervisor);
        let sampler = Sampler::start(self.probes, sampled, watched, server.address, begin, interval);
        let sleeper = Sleeper::start(self.probes);
        let beside = self.start_side_loads(request, &server, folder, seed)?;
        let injector = self.injector(request, of_workers, &server, folder, seed, begin)?;
        let ended = self.wait(&mut generator.process, request, &mut server, injector.as_ref());
        let faults = injector.map(FaultInjector::finish).unwrap_or_default();
        let several = self.spec.soak.is_some() || cell.levels.fault.is_some_and(|fault| fault.times > 1);
        if several {
            data.faults = faults;
        } else {
            data.fault = faults.into_iter().next();
        }
        data.series = sampler.finish();
        let after = Moment::read(read_now.as_ref(), supervisor);
        (data.workers, data.kernel, data.server) = after.since(&before);
        data.noise = sleeper.finish(&data.kernel);
        data.memory = Some(Memory { rest_kib: at_rest.pss_kib, loaded_kib: tree(supervisor).pss_kib });
        ended?;
        data.beside = beside.finish(self.timeouts.ready)?;
        let record = generator.record()?;
        data.set_begin(record.clock.start_unix_s + record.plan.warmup_s);
        data.record = Some(record);
        drop(generator);
        server.stop()
    }

    fn start_server(&self, request: &RunRequest<'_>, folder: &Path, seed: u64) -> Result<Server<'_>, Stop> {
        let cell = request.cell;
        if let Some(peer) = &cell.peer {
            return self.start_peer(peer, request, folder, seed);
        }
        if command::resizes(cell) {
            let (path, text) = (folder.join(command::CONFIG), fault_injector::config(cell.levels.workers));
            fs::write(&path, text).map_err(|e| unwritable(&path, &e))?;
        }
        self.serve(cell, folder, seed)
    }

    fn sequence(&self, request: &RunRequest<'_>, server: &Server<'_>) -> Option<SequenceRecord> {
        let sequence = self.spec.sequence.filter(|_| request.round > 0)?;
        let target = format!("/{}", command::path(self.spec, request.load));
        Some(sequence::make(server.address, &target, sequence, self.timeouts.ready))
    }

    fn start_peer(
        &self,
        name: &str,
        request: &RunRequest<'_>,
        folder: &Path,
        seed: u64,
    ) -> Result<Server<'_>, Stop> {
        let cell = request.cell;
        if cell.levels.fault.is_some() && !peers::has_worker_processes(name) {
            return Err(Stop::Skipped(format!(
                "{name} has no worker processes: a fault would hit all of it"
            )));
        }
        let port = free_port(ADDRESS, mix([seed, u64::from(request.order)]));
        let port = port.ok_or_else(|| Stop::void(format!("{name}: no free port on {ADDRESS}")))?;
        let handler = (cell.levels.respond == "cgi").then_some(self.spec.handler.as_deref()).flatten();
        let handler = handler.map(|name| self.scratch.path().join("handlers").join(name));
        let path = command::path(self.spec, request.load);
        let setup = peers::Setup {
            program: Path::new(""),
            mode: "",
            address: (ADDRESS, port).into(),
            workers: cell.levels.workers,
            backlog: cell.levels.backlog.unwrap_or(BACKLOG),
            handler: handler.as_deref(),
            respond: &cell.levels.respond,
            path,
            folder,
            root: nix::unistd::geteuid().is_root(),
            descriptors: peers::descriptors(),
        };
        let template = name.strip_prefix("command:").and_then(|name| self.spec.peer.get(name));
        let made = peers::command(name, template.map(|peer| peer.command.as_str()), setup);
        let made = made.map_err(|refused| match refused {
            Refused::Skipped(why) => Stop::Skipped(why),
            Refused::Void(why) => Stop::void(format!("{name}: {why}")),
        })?;
        let words: Vec<_> =
            std::iter::once(made.get_program()).chain(made.get_args()).map(Into::into).collect();
        let [share, _] = self.shares(cell);
        let mut command = command::command(&self.server_prefix, &words, share);
        let target = format!("/{path}");
        let target = template.is_none().then_some(target.as_str());
        Server::start_other(name, &mut command, setup.address, target, folder, self.watch())
    }

    fn start_generator(
        &self,
        request: &RunRequest<'_>,
        server: &Server<'_>,
        folder: &Path,
        seed: u64,
        data: &mut RunData,
    ) -> Result<Generator<'_>, Stop> {
        // Trial runs are not in the order.
        data.hlog = (request.round > 0).then(|| command::hlog(request.order));
        let hlog = data.hlog.as_ref().map(|name| request.results.join(name));
        if let Some(parent) = hlog.as_deref().and_then(Path::parent) {
            fs::create_dir_all(parent).map_err(|e| unwritable(parent, &e))?;
        }
        let ask = self.ask(request.cell, request.load, request.capacity, seed, hlog.as_deref());
        self.generate("loadgen", request.cell, server.address, &ask, folder)
    }

    /// Waits for the end of the load generator.
    fn wait(
        &self,
        generator: &mut Process<'_>,
        request: &RunRequest<'_>,
        server: &mut Server<'_>,
        injector: Option<&FaultInjector>,
    ) -> Result<ExitStatus, Stop> {
        let factor = if request.load.requests.is_some() { REQUESTS_MAY_TAKE } else { 1.0 };
        let measured_s = self.spec.measured_s(request.load, request.cell.levels.fault);
        let load = Duration::from_secs_f64(self.spec.warmup_s + measured_s * factor);
        let limit = load + self.timeouts.ready;
        let deadline = Instant::now() + limit;
        loop {
            let ended = generator.ended();
            if ended.is_some_and(|status| !status.success()) {
                // It may have failed because the server died, which the kernel reports a moment later.
                server.process.wait(POLL);
            }
            let meant = injector.is_some_and(FaultInjector::ends_server);
            if let Some(status) = server.process.ended().filter(|status| !(meant && status.success())) {
                return Err(server.process.void(&format!("died under load ({status})")));
            }
            if let Some(status) = ended {
                return Ok(status);
            }
            if self.interrupt.requested() {
                return Err(Stop::Interrupted);
            }
            if Instant::now() > deadline {
                return Err(generator.void(&format!("did not end within {:.1} s", limit.as_secs_f64())));
            }
            // Returns at once when the load generator ends.
            generator.wait(POLL);
        }
    }

    /// For the fault of the cell, or for faults at random times.
    fn injector(
        &self,
        request: &RunRequest<'_>,
        board: Option<Scoreboard>,
        server: &Server<'_>,
        folder: &Path,
        seed: u64,
        begin: Instant,
    ) -> Result<Option<FaultInjector>, Stop> {
        let cell = request.cell;
        let soak = self.spec.soak.as_ref().filter(|_| request.round > 0);
        let faults: Vec<_> = match (cell.levels.fault, soak) {
            (Some(fault), _) => fault.occurrences().collect(),
            (None, Some(soak)) => soak::schedule(soak, seed, self.spec.duration_s),
            (None, None) => Vec::new(),
        };
        if faults.is_empty() {
            return Ok(None);
        }
        let workers = match (board, &cell.peer) {
            (Some(board), _) => Workers::Board(board),
            (None, Some(_)) => Workers::ChildrenOf { pid: server.process.pid(), count: cell.levels.workers },
            (None, None) => {
                return Err(Stop::void("a server elsewhere has no workers that could be hit".into()));
            }
        };
        let target = Target {
            supervisor: server.process.pid(),
            workers,
            address: server.address,
            config: folder.join(command::CONFIG),
            count: cell.levels.workers,
        };
        let injector = FaultInjector::start(faults, target, seed, begin);
        injector
            .map(Some)
            .map_err(|e| Stop::void(format!("no thread can be started that injects faults: {e}")))
    }
}
