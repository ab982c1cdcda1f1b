//! `--only FACTOR=VALUE`: an experiment with fewer levels.

use super::{Factors, Spec, problems};
use crate::lab::error::{Error, Result};
use crate::listener::Choice;

impl Spec {
    /// Keeps only the named levels; a factor named several times keeps all of them. The baseline stays, as do the runs without
    /// a fault, and a strategy that the experiment lacks is added. Listeners and peers are columns of one table: naming some
    /// removes the others of both. Expectations about removed levels are removed.
    pub fn narrow(&mut self, only: &[(String, String)]) -> Result<()> {
        for (factor, level) in only {
            let levels = self.levels(factor).ok_or_else(|| {
                Error::Usage(format!(
                    "--only {factor}={level}: no factor `{factor}`; there are: {}, load",
                    Factors::names().collect::<Vec<_>>().join(", ")
                ))
            })?;
            if factor == "listener" && !levels.contains(level) && is_strategy(level) {
                self.factors.listener.push(level.clone());
            } else if !levels.contains(level) {
                let list = if levels.is_empty() { "none".into() } else { levels.join(", ") };
                return Err(Error::Usage(format!(
                    "--only {factor}={level}: no such level here; `{factor}` has: {list}"
                )));
            }
        }
        let named = |factor: &str| only.iter().any(|(name, _)| name == factor);
        let kept = |factor: &str, level: &str| only.iter().any(|(f, l)| f == factor && l == level);
        let columns = named("listener") || named("peers");
        let calm = |factor: &str, level: &str| factor == "fault" && level == "none";
        let stays = |factor: &str, level: &str| !named(factor) || kept(factor, level) || calm(factor, level);
        let baseline = self.baseline.clone();
        let factors = &mut self.factors;
        if columns {
            factors.listener.retain(|level| *level == baseline || kept("listener", level));
            factors.peers.retain(|level| *level == baseline || kept("peers", level));
            let peers = factors.peers.clone();
            self.peer.retain(|name, _| peers.contains(&format!("command:{name}")));
        }
        factors.retain(stays);
        let (listener, peers) = (&factors.listener, &factors.peers);
        let is_column = |name: &String| listener.contains(name) || peers.contains(name);
        self.against.retain(|column, other| is_column(column) && is_column(other));
        self.load.retain(|load| stays("load", &load.name));
        let expectations = std::mem::take(&mut self.expect);
        let fits = |expect: &super::Expect| problems::expect(self, expect).is_ok();
        let left = expectations.into_iter().filter(fits).collect();
        self.expect = left;
        Ok(())
    }

    /// The levels of a factor, or the names of the loads.
    fn levels(&self, factor: &str) -> Option<Vec<String>> {
        if factor == "load" {
            return Some(self.load.iter().map(|load| load.name.clone()).collect());
        }
        self.factors.levels(factor)
    }
}

/// Whether a level is a strategy of the server, with or without an argument and options.
fn is_strategy(level: &str) -> bool {
    level.split(' ').next().is_some_and(|strategy| strategy.parse::<Choice>().is_ok())
}
