//! What is settled before the first run: the experiment with the changes of the command line, the name of the
//! folder, and the facts kept with the results.

use std::collections::BTreeMap;
use std::fs;

use super::Session;
use super::options::Scope;
use super::runner::Runner;
use crate::lab::error::{Error, Result};
use crate::lab::results::data::{Environment, SCHEMA};
use crate::lab::spec::catalogue::Found;
use crate::lab::spec::plan::{self, Cell};
use crate::lab::spec::{Load, Spec, peers};
use crate::measure::machine::{Facts, fingerprint};

/// UTC, as in the name of a folder.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The experiment with the changes of the command line, and its text.
pub fn adjusted(mut spec: Spec, found: &Found, wanted: &Scope) -> Result<(Spec, String)> {
    if wanted.rounds.is_none() && wanted.duration_s.is_none() && wanted.only.is_empty() {
        return Ok((spec, found.text.clone()));
    }
    spec.rounds = wanted.rounds.unwrap_or(spec.rounds);
    if let Some(duration_s) = wanted.duration_s {
        spec.duration_s = duration_s;
        spec.load.iter_mut().for_each(|load| load.duration_s = None);
    }
    spec.narrow(&wanted.only)?;
    let body = toml::to_string(&spec).map_err(|e| Error::Failed(format!("{}: {e}", found.origin)))?;
    let text = format!("# {} with changes from the command line\n{body}", found.origin);
    Ok((Spec::parse(&text, "command line")?, text))
}

/// The last part of the name of the folder.
pub fn label(wanted: Option<&str>) -> Result<String> {
    let host = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let label = wanted.map_or_else(|| host().unwrap_or_else(|_| "host".into()), str::to_owned);
    let fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match wanted {
        Some(wanted) if wanted.is_empty() || !wanted.chars().all(fit) => Err(Error::Usage(format!(
            "label `{wanted}` does not fit into a folder's name: use letters, digits, dots, dashes"
        ))),
        _ => Ok(label.chars().map(|c| if fit(c) { c } else { '-' }).collect()),
    }
}

pub fn environment(session: &Session, name: &str, spec: &Spec, text: &str, runner: &Runner) -> Environment {
    let machine = Facts::collect(&session.programs.folder);
    let programs = programs(session);
    let whole = format!("{}\n{programs:?}\n{text}", machine.fingerprint());
    Environment {
        schema: SCHEMA,
        experiment: name.to_owned(),
        label: session.label.clone(),
        started: session.started.clone(),
        handler: runner.handler.clone(),
        fingerprint: fingerprint(whole.as_bytes()),
        programs,
        peers: peers::versions(spec.factors.peers.iter().map(String::as_str)),
        commands: commands(spec, runner),
        cpus: runner.cpus(),
        spec: fingerprint(text.as_bytes()),
        seeds: ["order", "load"].map(|what| (what.to_owned(), spec.seed)).into(),
        machine,
        resumed: Vec::new(),
    }
}

fn programs(session: &Session) -> BTreeMap<String, String> {
    let files = [("caffeine", &session.programs.caffeine), ("loadgen", &session.programs.loadgen)];
    let print = |(name, path): (&str, &std::path::PathBuf)| {
        let hash = fs::read(path).map_or_else(|_| "unreadable".into(), |bytes| fingerprint(&bytes));
        (name.to_owned(), format!("{} {hash}", env!("CARGO_PKG_VERSION")))
    };
    files.map(print).into()
}

/// The commands for each cell and load, without rates that depend on the capacity.
fn commands(spec: &Spec, runner: &Runner) -> BTreeMap<String, Vec<String>> {
    let of = |cell: &Cell, load: &Load| runner.commands(cell, load, None).to_vec();
    let loads = |cell: Cell| {
        spec.load.iter().map(move |load| (format!("{} / {}", cell.id, load.name), of(&cell, load)))
    };
    plan::cells(spec).into_iter().flat_map(loads).collect()
}
