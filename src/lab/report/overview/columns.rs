//! The columns of the overview: what each shows, and which experiments fill it. This table is the one place for both.

use super::cells::{DELAYED, LOST};
use super::default_strategy;
use crate::lab::spec::FaultKind;

/// A property of strategies.
#[derive(Debug)]
pub struct Column {
    pub key: &'static str,
    pub title: &'static str,
    /// What is measured, in words.
    pub about: &'static str,
    pub unit: &'static str,
    pub digits: usize,
    pub metric: &'static str,
    /// The preferred one first.
    pub sources: &'static [Source],
    /// The experiment to run where nothing was measured.
    pub filled_by: &'static str,
    /// Whether the default has to be asked for, since that experiment has another baseline.
    pub without_default: bool,
    /// Kinds of work, the preferred one first: a column shows one. None: all together.
    pub works: &'static [&'static str],
    pub more_is_better: bool,
    pub scale: Form,
    pub shown: Shown,
}

/// Where the figures come from.
#[derive(Debug)]
pub struct Source {
    pub experiment: &'static str,
    /// Part of the name of the load.
    pub load: &'static str,
    pub fault: Option<FaultKind>,
}

/// How values lie on the scale of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Equal steps from this value on.
    From(i32),
    /// Equal steps for equal factors.
    Factors,
    /// Shares, from 0 to 1.
    Share,
}

/// Where a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Always,
    /// In the matrix if there is a figure.
    IfMeasured,
    /// On the sheets of the strategies only.
    OnSheets,
}

const fn calm(experiment: &'static str, load: &'static str) -> Source {
    Source { experiment, load, fault: None }
}

const fn fault(experiment: &'static str, kind: FaultKind) -> Source {
    Source { experiment, load: "", fault: Some(kind) }
}

const TAIL: Column = Column {
    key: "tail",
    title: "Tail at 80 % load",
    about: "p99 of the response times, some requests ten times longer",
    unit: "ms",
    digits: 1,
    metric: "response_p99_ms",
    sources: &[calm("tail", "80 %")],
    filled_by: "tail",
    without_default: false,
    works: &["sleep", "spin"],
    more_is_better: false,
    scale: Form::Factors,
    shown: Shown::Always,
};

const LOST_PER_KILL: Column = Column {
    key: "kill",
    title: "Lost per kill",
    about: "Share of killed workers with a lost connection, beside what the worker held",
    unit: "of kills",
    digits: 0,
    metric: LOST,
    sources: &[
        fault("losses-full", FaultKind::Kill),
        fault("losses", FaultKind::Kill),
        fault("reload", FaultKind::Kill),
        fault("crash", FaultKind::Kill),
    ],
    filled_by: "losses",
    without_default: false,
    works: &[],
    more_is_better: false,
    scale: Form::Share,
    shown: Shown::Always,
};

/// In the order in which they are shown.
pub const COLUMNS: &[Column] = &[
    TAIL,
    Column {
        key: "handlers",
        title: "Tail, handlers",
        about: "p99 of the response times at 60 % load, one process per request, some ten times longer",
        sources: &[calm("tail-cgi", "60 %")],
        filled_by: "tail-cgi",
        works: &["cgi"],
        shown: Shown::IfMeasured,
        ..TAIL
    },
    Column {
        key: "hang",
        title: "Delayed per hang",
        about: "Requests late when one worker hangs, more than without it",
        unit: "late",
        digits: 1,
        metric: DELAYED,
        sources: &[
            fault("stuck", FaultKind::Stall),
            fault("stuck", FaultKind::Stop),
            fault("crash", FaultKind::Stall),
            fault("crash", FaultKind::Stop),
            fault("losses-full", FaultKind::Stop),
            fault("losses", FaultKind::Stop),
        ],
        filled_by: "stuck",
        works: &["sleep", "spin", "cgi"],
        scale: Form::From(0),
        ..TAIL
    },
    LOST_PER_KILL,
    Column {
        key: "reload",
        title: "Lost per reload",
        about: "Share of reloads with a lost connection",
        unit: "of reloads",
        sources: &[
            fault("losses-full", FaultKind::Reload),
            fault("losses", FaultKind::Reload),
            fault("reload", FaultKind::Reload),
        ],
        shown: Shown::OnSheets,
        ..LOST_PER_KILL
    },
    Column {
        key: "stop",
        title: "Lost per stop",
        about: "Share of graceful stops with a lost connection",
        unit: "of stops",
        sources: &[fault("losses-full", FaultKind::End), fault("losses", FaultKind::End)],
        shown: Shown::OnSheets,
        ..LOST_PER_KILL
    },
    Column {
        key: "rate",
        title: "Throughput",
        about: "Responses per second of a closed loop under full load",
        unit: "/s",
        digits: 0,
        metric: "rate",
        sources: &[calm("strategies", "full load"), calm("quick", "full load")],
        filled_by: "strategies",
        works: &["cgi", "spin", "fixed"],
        more_is_better: true,
        scale: Form::From(0),
        ..TAIL
    },
    Column {
        key: "cpu",
        title: "CPU per request",
        about: "Time of supervisor and workers on a processor",
        unit: "\u{b5}s",
        digits: 0,
        metric: "server_cpu_us",
        sources: &[calm("overhead", ""), calm("strategies", "full load"), calm("quick", "full load")],
        filled_by: "overhead",
        without_default: true,
        works: &["fixed", "cgi", "spin"],
        scale: Form::From(0),
        ..TAIL
    },
    Column {
        key: "busiest",
        title: "Busiest worker",
        about: "Connections of the busiest worker at half load, in times of its fair share",
        unit: "times",
        digits: 2,
        metric: "max_over_mean",
        sources: &[calm("balance", "half load"), calm("strategies", "half load"), calm("quick", "half load")],
        filled_by: "balance",
        works: &["fixed", "cgi", "spin"],
        scale: Form::From(1),
        ..TAIL
    },
];

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
    use super::*;
    use crate::lab::spec::{Metric, Spec, catalogue};

    /// The experiment of this name.
    fn spec(name: &str) -> Spec {
        let found = catalogue::find(name).unwrap();
        Spec::parse(&found.text, name).unwrap()
    }

    #[test]
    fn every_source_is_an_experiment_with_such_a_load_and_fault() {
        for column in COLUMNS {
            assert!(
                column.sources.iter().any(|source| source.experiment == column.filled_by),
                "{}",
                column.key
            );
            assert!(Metric::named(column.metric).is_some() || [DELAYED, LOST].contains(&column.metric));
            for source in column.sources {
                let spec = spec(source.experiment);
                assert!(spec.load.iter().any(|load| load.name.contains(source.load)), "{source:?}");
                let kinds: Vec<Option<FaultKind>> =
                    spec.factors.fault.iter().map(|fault| fault.map(|fault| fault.kind)).collect();
                assert!(kinds.contains(&source.fault), "{source:?}: {kinds:?}");
            }
        }
    }

    #[test]
    fn the_command_adds_a_strategy_to_the_experiment() {
        for column in COLUMNS {
            let mut spec = spec(column.filled_by);
            let command = column.command("reuseport-cbpf:turn");
            let words = command.split(" --only ").skip(1).filter_map(|word| word.split_once('='));
            let only: Vec<(String, String)> =
                words.map(|(name, level)| (name.into(), level.into())).collect();
            spec.narrow(&only).unwrap();
            let mut listeners = spec.factors.listener;
            listeners.sort();
            assert_eq!(listeners, ["inherited", "reuseport-cbpf:turn"], "{command}");
        }
        assert_eq!(TAIL.command("uring"), "lab run tail --only listener=uring");
    }
}
