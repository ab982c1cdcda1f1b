//! What is judged under a load, and what counts as a difference.

use super::problem::{Checked, Problem, check};
use super::{Fault, Load, Metric, Spec};

impl Spec {
    /// The metrics that are judged under a load, the primary one first; the others are described. With a fault that is what the
    /// fault does: p99 of such a run depends on how long the run is.
    pub fn judged(&self, load: &Load, fault: Option<Fault>) -> Vec<Metric> {
        let named = load.primary.as_ref().or(self.primary.as_ref()).and_then(|name| Metric::named(name));
        match (named.filter(|metric| fault.is_some() || !metric.is_per_fault()), fault) {
            (Some(named), _) => vec![named],
            (None, Some(fault)) if fault.kind.ends_processes() => {
                vec![Metric::DelayedPerFault, Metric::FailedPerFault]
            }
            (None, Some(_)) => vec![Metric::DelayedPerFault],
            (None, None) if load.closed.is_some() => vec![Metric::Rate],
            (None, None) => vec![Metric::ResponseP99Ms],
        }
    }

    /// The least effect of interest in a metric: a share, or, per fault, a number of connections.
    pub fn least_effect(&self, metric: Metric) -> f64 {
        self.least_effect.filter(|_| !metric.is_per_fault()).unwrap_or_else(|| metric.least_effect())
    }
}

/// A metric that cannot be judged, or a limit that is none.
pub fn problem(spec: &Spec) -> Checked {
    let share = spec.least_effect.unwrap_or(1.0);
    let fine = (0.001..=1.0).contains(&share);
    check(fine, "least_effect", format!("{share} is not a share within 0.001 and 1"))?;
    let struck = spec.factors.fault.iter().any(Option::is_some);
    let one = |(index, load): (usize, &Load)| {
        let own = load.primary.as_ref();
        let name = own.or(spec.primary.as_ref())?;
        let what = match Metric::named(name) {
            Some(Metric::Rate) if load.closed.is_none() => {
                format!("the rate of the open load `{}` is its schedule; judge `response_p99_ms`", load.name)
            }
            Some(metric) if metric.is_quantity() || metric.is_per_fault() && struck => return None,
            _ => {
                let fits = |metric: &&Metric| metric.is_quantity() || metric.is_per_fault();
                let known: Vec<&str> = Metric::ALL.iter().filter(fits).map(|metric| metric.name()).collect();
                format!(
                    "`{name}` cannot be judged; use one of (per fault: with a fault) {}",
                    known.join(", ")
                )
            }
        };
        let problem = Problem::at("primary", what);
        Some(if own.is_some() { problem.within("load", index) } else { problem })
    };
    spec.load.iter().enumerate().find_map(one).map_or(Ok(()), Err)
}
