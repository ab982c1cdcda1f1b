//! The entry of a results folder in the index: a small file beside its report, so that listing is fast.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::save;
use crate::lab::error::{Error, Result};
use crate::lab::judge::Analysis;
use crate::lab::results::store::Data;

pub const FILE: &str = "summary.json";
/// Sentences of the answer to keep.
const SENTENCES: usize = 2;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub question: String,
    /// UTC, as in the name of the folder.
    pub started: String,
    /// The host name, or `--label`.
    pub label: String,
    /// The first sentences.
    pub answer: Vec<String>,
    pub verdicts: BTreeMap<String, u64>,
    /// Of a suite.
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

    pub fn write(&self, directory: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Failed(format!("summary of a report: {e}")))?;
        save(&directory.join(FILE), &json)
    }

    /// `None` if it is missing or unreadable.
    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }
}
