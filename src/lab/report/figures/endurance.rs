//! Resources and speed of the server over a long run, one figure per strategy, from its first run that
//! counts.

use super::runs::Runs;
use super::{about, shown, style_of};
use crate::lab::judge::endurance::{descriptors, memory, processes, rate};
use crate::lab::judge::timeline::{Track, responses};
use crate::lab::judge::{CellResult, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::endurance::{Endurance, Measure};
use crate::lab::results::data::RunData;

/// None if the processes of the server were not watched.
pub fn endurance(scene: &Scene, runs: &Runs) -> Vec<Endurance> {
    let watched = |result: &CellResult| {
        let run = *runs.get(&result.cell, scene).first()?;
        (!memory(run).is_empty()).then(|| figure(result, run, scene))
    };
    shown(scene).filter_map(watched).collect()
}

fn figure(result: &CellResult, run: &RunData, scene: &Scene) -> Endurance {
    let one = |track: Track| vec![(String::new(), track)];
    let response = vec![
        ("p99".into(), responses(run, |summary| summary.p99_us)),
        ("p50".into(), responses(run, |summary| summary.p50_us)),
    ];
    let measure =
        |name: &str, unit: &str, log, tracks| Measure { name: name.into(), unit: unit.into(), log, tracks };
    Endurance {
        caption: Caption::new(
            format!("{} over time, {}", result.cell.name(), about(scene)),
            "Memory, descriptors and processes of the server and all its descendants, including handlers; rate and response \
             times per interval of the measured load.",
        ),
        style: style_of(&result.cell),
        measures: vec![
            measure("Memory (PSS)", "MiB", false, one(memory(run))),
            measure("Open descriptors", "descriptors", false, one(descriptors(run))),
            measure("Processes", "processes", false, one(processes(run))),
            measure("Responses", "per second", false, one(rate(run))),
            measure("Response times", "ms", true, response),
        ],
        faults_s: run.faults().map(|fault| fault.at_s).collect(),
    }
}
