//! The columns of the overview. The table is columns.toml, the one place for what is shown and which experiments fill it.

use std::sync::LazyLock;

use serde::Deserialize;

use super::default_strategy;
use crate::lab::spec::FaultKind;

/// A property of strategies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub key: String,
    pub title: String,
    /// What is measured, in words.
    pub about: String,
    pub unit: String,
    #[serde(default)]
    pub digits: usize,
    pub metric: String,
    /// The preferred one first.
    pub sources: Vec<Source>,
    /// The experiment to run where nothing was measured.
    pub filled_by: String,
    /// Whether the default has to be asked for, since that experiment has another baseline.
    #[serde(default)]
    pub without_default: bool,
    /// Kinds of work, the preferred one first: a column shows one. None: all together.
    #[serde(default)]
    pub works: Vec<String>,
    #[serde(default)]
    pub more_is_better: bool,
    pub scale: Form,
    #[serde(default)]
    pub shown: Shown,
}

/// Where the figures come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub experiment: String,
    /// Part of the name of the load.
    #[serde(default)]
    pub load: String,
    pub fault: Option<FaultKind>,
}

/// How values lie on the scale of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Equal steps from this value on.
    From(i32),
    /// Equal steps for equal factors.
    Factors,
    /// Shares, from 0 to 1.
    Share,
}

/// Where a column is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    #[default]
    Always,
    /// In the matrix if there is a figure.
    IfMeasured,
    /// On the sheets of the strategies only.
    OnSheets,
}

/// In the order in which they are shown.
pub static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table {
        column: Vec<Column>,
    }
    toml::from_str::<Table>(include_str!("columns.toml")).expect("columns.toml is well-formed").column
});

impl Column {
    /// The command that measures a strategy beside the default.
    pub fn command(&self, strategy: &str) -> String {
        let default = default_strategy();
        let other = self.without_default && default != strategy;
        let beside = if other { format!(" --only listener={default}") } else { String::new() };
        format!("lab run {}{beside} --only listener={strategy}", self.filled_by)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::{DELAYED, LOST};
    use super::super::questions::Question;
    use super::*;
    use crate::lab::spec::{Metric, Spec, catalogue};

    /// The experiment of this name.
    fn spec(name: &str) -> Spec {
        let found = catalogue::find(name).unwrap();
        Spec::parse(&found.text, name).unwrap()
    }

    #[test]
    fn every_source_is_an_experiment_with_such_a_load_and_fault() {
        for column in COLUMNS.iter() {
            assert!(
                column.sources.iter().any(|source| source.experiment == column.filled_by),
                "{}",
                column.key
            );
            assert!(
                Metric::named(&column.metric).is_some() || [DELAYED, LOST].contains(&column.metric.as_str())
            );
            for source in &column.sources {
                let spec = spec(&source.experiment);
                assert!(spec.load.iter().any(|load| load.name.contains(&source.load)), "{source:?}");
                let kinds: Vec<Option<FaultKind>> =
                    spec.factors.fault.iter().map(|fault| fault.map(|fault| fault.kind)).collect();
                assert!(kinds.contains(&source.fault), "{source:?}: {kinds:?}");
                let shown = |work: &String| column.works.iter().any(|shown| work.starts_with(shown));
                assert!(column.works.is_empty() || spec.factors.respond.iter().any(shown), "{source:?}");
            }
        }
    }

    #[test]
    fn every_question_has_its_columns() {
        let keys = Question::ALL.iter().flat_map(|question| question.columns());
        keys.for_each(|key| assert!(COLUMNS.iter().any(|column| column.key == *key), "{key}"));
    }

    #[test]
    fn the_command_adds_a_strategy_to_the_experiment() {
        for column in COLUMNS.iter() {
            let mut spec = spec(&column.filled_by);
            let command = column.command("reuseport-cbpf:turn");
            let words = command.split(" --only ").skip(1).filter_map(|word| word.split_once('='));
            let only: Vec<(String, String)> =
                words.map(|(name, level)| (name.into(), level.into())).collect();
            spec.narrow(&only).unwrap();
            let mut listeners = spec.factors.listener;
            listeners.sort();
            assert_eq!(listeners, ["inherited", "reuseport-cbpf:turn"], "{command}");
        }
        assert_eq!(COLUMNS[0].command("uring"), "lab run tail --only listener=uring");
    }
}
