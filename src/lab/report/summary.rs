//! The entry of a results folder in the index: a small file beside its report, so that listing is fast.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use itertools::Itertools;
use serde::{Deserialize, Serialize};

use super::card::Card;
use super::overview::{self, Basis, Cell};
use super::save;
use crate::lab::error::{Error, Result};
use crate::lab::judge::Analysis;
use crate::lab::results::store::Data;

pub const FILE: &str = "summary.json";
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub question: String,
    /// UTC, as in the name of the folder.
    pub started: String,
    /// The host name, or `--label`.
    pub label: String,
    #[serde(default)]
    pub card: Card,
    pub verdicts: BTreeMap<String, u64>,
    /// Of a suite.
    #[serde(default)]
    pub members: Vec<String>,
    /// Absent in suites, and in summaries of before the overview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// For the overview.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
}

impl Summary {
    pub fn of(data: &Data, analysis: &Analysis, card: Card) -> Self {
        let verdicts = analysis.rows.iter().map(|row| row.verdict.name()).counts();
        Self {
            question: data.spec.question.clone(),
            started: data.environment.started.clone(),
            label: data.environment.label.clone(),
            card,
            verdicts: verdicts.into_iter().map(|(verdict, n)| (verdict.to_owned(), n as u64)).collect(),
            members: Vec::new(),
            basis: Some(Basis::of(data, analysis.rounds)),
            cells: overview::cells::of(analysis),
        }
    }

    /// `2 NOISY, 30 OK`
    pub fn counts(&self) -> String {
        self.verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).join(", ")
    }

    /// Whether it has what the list and the overview need. A suite needs nothing: its members have summaries of their own.
    pub fn is_current(&self) -> bool {
        !self.card.advice.is_empty() && (self.basis.is_some() || !self.members.is_empty())
    }

    pub fn write(&self, directory: &Path) -> Result<()> {
        let json =
            serde_json::to_vec(self).map_err(|e| Error::Failed(format!("summary of a report: {e}")))?;
        save(&directory.join(FILE), &json)
    }

    /// `None` if it is missing or unreadable.
    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }
}
