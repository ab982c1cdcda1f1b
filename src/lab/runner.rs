//! Makes runs: a fresh server, a load generator, counters before and after. It draws and concludes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::child::{Server, Stop, drive};
use super::data::{RunData, SCHEMA, Void};
use super::error::{Error, Result};
use super::handlers;
use super::interrupt::Interrupt;
use super::plan::Cell;
use super::probe::{Moment, board};
use super::programs::Programs;
use super::spec::{Load, Spec};
use crate::measure::record::RunRecord;

/// Name of every measured instance; each has a state directory of its own.
const INSTANCE: &str = "lab";
/// What the load generator may take beyond the load itself.
const SLACK: Duration = Duration::from_secs(10);
/// Connections of the trial run where no load of the experiment is closed.
const TRIAL_CONNECTIONS: u64 = 16;

/// A folder of our own under the system's temporary one, removed in the end.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let template = std::env::temp_dir().join("caffeine-lab-XXXXXX");
        nix::unistd::mkdtemp(&template).map(Self).map_err(|e| Error::file("make a folder like", &template, e))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Everything that runs have in common.
#[derive(Debug)]
pub struct Runner<'a> {
    programs: &'a Programs,
    spec: &'a Spec,
    interrupt: &'a Interrupt,
    scratch: Scratch,
    /// What is served, in words.
    pub handler: Option<String>,
}

impl<'a> Runner<'a> {
    /// Prepares the folder to run in and the handler.
    ///
    /// # Errors
    /// See [`handlers::install`]; no folder can be made.
    pub fn new(programs: &'a Programs, spec: &'a Spec, interrupt: &'a Interrupt) -> Result<Self> {
        let scratch = Scratch::new()?;
        let folder = scratch.0.join("handlers");
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        let handler = spec.handler.as_deref().map(|name| handlers::install(name, &folder)).transpose()?;
        Ok(Self { programs, spec, interrupt, scratch, handler })
    }

    /// The trial run: requests per second of the baseline in a closed loop, which open loads may refer to.
    ///
    /// # Errors
    /// It fails: then so would all others.
    pub fn trial(&self, cell: &Cell) -> Result<RunData> {
        let connections = self.spec.load.iter().find_map(|load| load.closed).unwrap_or(TRIAL_CONNECTIONS);
        let load = Load { name: "trial".into(), closed: Some(connections), ..Load::default() };
        let run = self.run(cell, &load, None)?;
        match (&run.void, run.record.as_ref().map(|record| record.rate)) {
            (None, Some(rate)) if rate > 0.0 => Ok(run),
            (Some(void), _) => Err(Error::Failed(format!(
                "the trial run failed, so the others were not begun: {}\n{}",
                void.reason, void.stderr
            ))),
            _ => Err(Error::Failed(
                "no request was answered in the trial run, so the others were not begun".into(),
            )),
        }
    }

    /// One run. `capacity` is what the trial run found. A run that fails is not an error but a void run.
    ///
    /// # Errors
    /// The user stopped it.
    pub fn run(&self, cell: &Cell, load: &Load, capacity: Option<f64>) -> Result<RunData> {
        let mut data = RunData {
            schema: SCHEMA,
            cell: cell.id.clone(),
            load: load.name.clone(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ..RunData::default()
        };
        let folder = self.scratch.0.join("run");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| Error::file("make", &folder, e))?;
        match self.measure(cell, load, capacity, &folder, &mut data) {
            Ok(()) => {}
            Err(Stop::Void(void)) => data.void = Some(void),
            Err(Stop::Interrupted) => return Err(Error::Interrupted("interrupted".into())),
        }
        Ok(data)
    }

    fn measure(
        &self,
        cell: &Cell,
        load: &Load,
        capacity: Option<f64>,
        folder: &Path,
        data: &mut RunData,
    ) -> std::result::Result<(), Stop> {
        let state = folder.join("state");
        let mut server = Server::start(&mut self.server_command(cell, &state), folder, self.interrupt)?;
        let board =
            board(&state, INSTANCE).map_err(|e| server.process.void(&format!("has no scoreboard: {e}")))?;
        let before = Moment::read(&board, server.process.pid());
        let mut command = self.load_command(&server, load, capacity);
        let limit = Duration::from_secs_f64(self.spec.warmup_s + self.spec.duration_s) + SLACK;
        let (process, status, output) = drive(&mut command, limit, &mut server, folder, self.interrupt)?;
        let after = Moment::read(&board, server.process.pid());
        (data.workers, data.kernel, data.server) = after.since(&before);
        let record: RunRecord = serde_json::from_slice(&output)
            .map_err(|e| process.void(&format!("gave no record ({status}): {e}")))?;
        data.record = Some(record);
        server.stop()
    }

    fn server_command(&self, cell: &Cell, state: &Path) -> Command {
        let mut command = Command::new(&self.programs.caffeine);
        command.args(["-n", INSTANCE, "--bind", "127.0.0.1", "-p", "0"]);
        command.args([
            "-w",
            &cell.workers.to_string(),
            "--listener",
            &cell.listener,
            "--respond",
            &cell.respond,
        ]);
        command.arg("--state-dir").arg(state);
        command.arg("--path").arg(self.scratch.0.join("handlers"));
        command
    }

    fn load_command(&self, server: &Server, load: &Load, capacity: Option<f64>) -> Command {
        let mut command = Command::new(&self.programs.loadgen);
        let path = self.spec.handler.as_deref().unwrap_or_default();
        command.arg(format!("http://{}/{path}", server.address));
        if let Some(connections) = load.closed {
            command.args(["-c", &connections.to_string()]);
        }
        let share = |share: f64| capacity.map(|capacity| (capacity * share).round().max(1.0));
        if let Some(rate) = load.open.or_else(|| load.open_of_capacity.and_then(share)) {
            command.args(["-r", &rate.to_string()]);
        }
        command.args([
            "-d",
            &format!("{}s", self.spec.duration_s),
            "-w",
            &format!("{}s", self.spec.warmup_s),
        ]);
        command.args(["--json", "-", "-q"]);
        command
    }
}

/// Whether a record comes from a program that should not be measured.
pub fn debug_built(run: &RunData) -> bool {
    run.record.as_ref().is_some_and(|record| record.profile == "debug")
}

/// The text of a void run for the terminal.
pub fn explain(void: &Void) -> String {
    let stderr: String = void.stderr.lines().map(|line| format!("\n    | {line}")).collect();
    format!("{}{stderr}", void.reason)
}
