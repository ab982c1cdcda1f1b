//! Whether rounds will differ in their arrivals and jobs. Pure.

use std::collections::BTreeMap;

use super::Finding;
use crate::lab::spec::{Spec, plan};

pub fn jobs(spec: &Spec) -> Finding {
    let mut seen = BTreeMap::new();
    for load in &spec.load {
        for round in 1..=spec.rounds {
            let Some((other, name)) = seen.insert(plan::seed(spec, round, load), (round, &load.name)) else {
                continue;
            };
            let text = format!(
                "round {other} of `{name}` and round {round} of `{}` have the same seed and would repeat the same arrivals and jobs: change `seed`",
                load.name
            );
            return Finding::refused("jobs", text);
        }
    }
    let mut times: Vec<String> =
        spec.factors.combinations().iter().filter_map(|levels| Some(levels.jobs()?.to_string())).collect();
    times.dedup();
    let sent =
        if times.is_empty() { String::new() } else { format!("; requests ask for {}", times.join(", ")) };
    let text = format!(
        "{} rounds x {} loads = {} seeds, each the same for all strategies{sent}",
        spec.rounds,
        spec.load.len(),
        seen.len()
    );
    Finding::fine("jobs", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_jobs_of_its_own() {
        let tail = Spec::parse(include_str!("../../../../experiments/tail.toml"), "tail.toml").unwrap();
        let found = jobs(&tail);
        assert!(!found.refuses(), "{found}");
        assert!(found.text.ends_with("requests ask for bimodal(0.9,500us,5ms)"), "{found}");
        let mut twice = tail.clone();
        twice.load.push(tail.load[0].clone());
        let found = jobs(&twice);
        assert!(found.refuses() && found.text.contains("have the same seed"), "{found}");
    }
}
