//! Levels of the factor `listener` that expand: `all` is every strategy, `-NAME` excludes one.

use serde::{Deserialize, Deserializer};

use crate::listener::STRATEGIES;

const ALL: &str = "all";

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    written_out(Vec::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// Replaces `all` with all strategies in the order of their table, without those excluded as `-NAME`. Levels
/// named beside `all` follow their strategy.
fn written_out(levels: Vec<String>) -> Result<Vec<String>, String> {
    let (out, mut named): (Vec<String>, Vec<String>) =
        levels.into_iter().partition(|level| level.starts_with('-'));
    let Some(place) = named.iter().position(|level| level == ALL) else {
        let without =
            |name: &String| Err(format!("`{name}` leaves a strategy out of `{ALL}`, which is not here"));
        return out.first().map_or(Ok(named), without);
    };
    named.remove(place);
    let mut levels: Vec<String> = STRATEGIES.iter().map(|entry| entry.name.to_owned()).collect();
    for name in out {
        let place = levels.iter().position(|level| name[1..] == **level);
        levels.remove(place.ok_or_else(|| format!("`{name}` leaves out what is not a strategy"))?);
    }
    for level in named {
        let strategy = strategy(&level);
        let place = levels.iter().rposition(|other| self::strategy(other) == strategy);
        levels.insert(place.map_or(levels.len(), |place| place + 1), level);
    }
    Ok(levels)
}

/// Without argument and options.
fn strategy(level: &str) -> &str {
    level.split([':', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(levels: &[&str]) -> Result<Vec<String>, String> {
        written_out(levels.iter().map(|level| (*level).to_owned()).collect())
    }

    #[test]
    fn all_is_every_strategy_in_the_order_of_the_table() {
        let names: Vec<&str> = STRATEGIES.iter().map(|entry| entry.name).collect();
        assert_eq!(of(&["all"]).unwrap(), names);
        assert_eq!(of(&["uring", "inherited"]).unwrap(), ["uring", "inherited"]);
    }

    #[test]
    fn strategies_are_left_out_and_variants_follow_their_strategy() {
        let levels = of(&["all", "-uring", "reuseport:private", "inherited --pin"]).unwrap();
        assert_eq!(levels.len(), STRATEGIES.len() + 1);
        assert!(!levels.contains(&"uring".to_owned()));
        let follows =
            |level: &str| levels[levels.iter().position(|other| other == level).unwrap() - 1].as_str();
        assert_eq!((follows("reuseport:private"), follows("inherited --pin")), ("reuseport", "inherited"));
    }

    #[test]
    fn only_strategies_can_be_left_out_and_only_of_all() {
        assert!(of(&["all", "-nginx"]).unwrap_err().contains("`-nginx` leaves out what is not a strategy"));
        assert!(of(&["inherited", "-uring"]).unwrap_err().contains("`all`, which is not here"));
    }
}
