//! The overview: which strategy to take, from the summaries of all reports.
//!
//! ```text
//! cells       the figures of a report, for its summary
//! columns     what the overview shows, and which experiments fill it
//! rules       the run that a figure is taken from, and when it has a colour     pure
//! questions   the strategies that a question rules out                          pure
//! words       the texts of a figure               strip   a figure as a drawing
//! matrix      strategies against columns          sheets  a strategy with every figure of it
//! ```

pub mod cells;
pub mod columns;
pub mod matrix;
pub mod questions;
pub mod rules;
mod sheets;
mod strip;
mod words;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use self::cells::Cell;
use super::summary::Summary;
use super::text::{commit, holding};
use crate::lab::judge::jobs;
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::listener::Choice;

/// The first schema whose method is today's: every column that others are compared with runs twice, rounds are repeated whole,
/// and requests that failed or were late are listed.
const METHOD: u32 = 3;

/// What the figures of a report rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Abbreviated; with `+` if files differed from it. Empty if it is not known.
    pub commit: String,
    /// Processor, cores and kernel.
    pub machine: String,
    /// Complete ones.
    pub rounds: usize,
    pub debug: bool,
    /// An earlier method, or rounds that do not count as independent.
    pub superseded: bool,
}

impl Basis {
    pub fn of(data: &Data, rounds: usize) -> Self {
        let machine = &data.environment.machine;
        Self {
            commit: commit(machine, "+").unwrap_or_default(),
            machine: format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.kernel),
            rounds,
            debug: machine.profile == "debug" || data.runs.iter().any(RunData::is_debug_build),
            superseded: data.environment.schema < METHOD || jobs::alarm(data).is_some(),
        }
    }
}

/// A results folder with its summary.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub experiment: String,
    /// The folder, below that of all results.
    pub place: String,
    /// Whether it is kept in the repository.
    pub kept: bool,
    pub summary: Summary,
}

impl Run {
    pub fn basis(&self) -> &Basis {
        static NONE: LazyLock<Basis> = LazyLock::new(Basis::default);
        self.summary.basis.as_ref().unwrap_or(&NONE)
    }

    /// Marks of what figures lack.
    pub fn tags(&self) -> Vec<&'static str> {
        let basis = self.basis();
        holding([(basis.superseded, "superseded"), (basis.debug, "debug build")]).collect()
    }

    /// Whether figures may be judged.
    fn is_usable(&self) -> bool {
        self.summary.basis.as_ref().is_some_and(|basis| !basis.debug && !basis.superseded)
    }
}

/// The name of the default strategy.
fn default_strategy() -> String {
    Choice::default().to_string()
}
