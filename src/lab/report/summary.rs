//! What the index says of a results folder: a small file beside its report, so that listing many stays quick.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::save;
use crate::lab::error::{Error, Result};
use crate::lab::judge::Analysis;
use crate::lab::results::store::Data;

/// Name of the file.
pub const FILE: &str = "summary.json";
/// Sentences of the answer that are kept.
const SENTENCES: usize = 2;

/// A report in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What it wants to know.
    pub question: String,
    /// When it began, UTC, as in the folder's name.
    pub started: String,
    /// The host's name, or what `--label` said.
    pub label: String,
    /// The first sentences of the answer.
    pub answer: Vec<String>,
    pub verdicts: BTreeMap<String, u64>,
    /// Experiments of a suite.
    #[serde(default)]
    pub members: Vec<String>,
}

impl Summary {
    pub fn of(data: &Data, analysis: &Analysis, answer: &[String]) -> Self {
        let mut verdicts = BTreeMap::new();
        for row in &analysis.rows {
            *verdicts.entry(row.verdict.name().to_owned()).or_insert(0) += 1;
        }
        Self {
            question: data.spec.question.clone(),
            started: data.environment.started.clone(),
            label: data.environment.label.clone(),
            answer: answer.iter().take(SENTENCES).cloned().collect(),
            verdicts,
            members: Vec::new(),
        }
    }

    /// Writes it beside the report.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Failed(format!("summary of a report: {e}")))?;
        save(&directory.join(FILE), &json)
    }

    /// The one in a folder; `None` where there is none that can be read.
    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }
}
