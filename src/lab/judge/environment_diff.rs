//! Differences between the circumstances of two results folders: machine, programs, settings. Pure.

use std::fmt;

use serde_json::Value;

use crate::lab::results::data::Environment;
use crate::lab::results::store::Data;
use crate::lab::spec::Spec;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: String,
    pub first: String,
    pub second: String,
    /// Whether it concerns the measured programs rather than the machine.
    pub program: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "different {}: {}, then {}", self.what, self.first, self.second)
    }
}

/// Machine facts that concern programs.
const PROGRAMS: [&str; 3] = ["version", "profile", "git"];

/// Differences of environment and settings that affect the results.
pub fn circumstances(first: &Data, second: &Data) -> Vec<Difference> {
    let mut found = differences(&first.environment, &second.environment);
    let (first, theirs) = (settings(&first.spec), settings(&second.spec));
    for (what, first) in first {
        if let Some((_, second)) = theirs.iter().find(|(other, _)| *other == what) {
            note(&mut found, &what, &first, second);
        }
    }
    found
}

fn settings(spec: &Spec) -> Vec<(String, String)> {
    let none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
    let mut list = vec![
        ("warmup_s".to_owned(), spec.warmup_s.to_string()),
        ("duration_s".to_owned(), spec.duration_s.to_string()),
        ("cpus".to_owned(), format!("{:?}", spec.cpus)),
        ("server_prefix".to_owned(), none(&spec.server_prefix)),
        ("client_prefix".to_owned(), none(&spec.client_prefix)),
    ];
    list.extend(spec.load.iter().map(|load| (format!("load `{}`", load.name), format!("{load:?}"))));
    list
}

pub fn differences(first: &Environment, second: &Environment) -> Vec<Difference> {
    let facts = |environment: &Environment| serde_json::to_value(&environment.machine).unwrap_or_default();
    let mut found = Vec::new();
    walk(&facts(first), &facts(second), "", &mut found);
    let handler = |environment: &Environment| environment.handler.clone().unwrap_or_else(|| "none".into());
    note(&mut found, "handler", &handler(first), &handler(second));
    for (group, first, second) in
        [("program", &first.programs, &second.programs), ("peer", &first.peers, &second.peers)]
    {
        for name in first.keys().filter(|name| second.contains_key(*name)) {
            note(&mut found, &format!("{group} {name}"), &first[name], &second[name]);
        }
    }
    for difference in &mut found {
        let what = difference.what.split('.').next().unwrap_or_default();
        difference.program = PROGRAMS.contains(&what) || what.starts_with("program ");
    }
    found
}

fn note(found: &mut Vec<Difference>, what: &str, first: &str, second: &str) {
    if first != second {
        let (what, first, second) = (what.to_owned(), first.to_owned(), second.to_owned());
        found.push(Difference { what, first, second, program: false });
    }
}

/// Compares leaf by leaf. A fact that one side lacks, as in older data, is ignored.
fn walk(first: &Value, second: &Value, path: &str, found: &mut Vec<Difference>) {
    match (first, second) {
        (Value::Object(first), Value::Object(second)) => {
            for (key, value) in first {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(value, second.get(key).unwrap_or(&Value::Null), &path, found);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (first, second) => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            note(found, path, &text(first), &text(second));
        }
    }
}

pub fn list(differences: &[Difference]) -> String {
    let one = |d: &Difference| format!("{} was {} and is {}", d.what, d.first, d.second);
    differences.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;

    #[test]
    fn the_same_machine_and_programs_are_alike() {
        let environment = fixture::quick(1).environment;
        assert_eq!(differences(&environment, &environment), []);
    }

    #[test]
    fn machines_and_programs_are_told_apart_and_what_is_unknown_is_no_difference() {
        let first = fixture::quick(1).environment;
        let mut second = first.clone();
        second.machine.kernel = "Linux 7.0".into();
        second.machine.sysctls.insert("net.core.somaxconn".into(), "128".into());
        second.machine.sysctls.insert("net.ipv4.new".into(), "1".into());
        second.machine.governor = Some("powersave".into());
        second.machine.git.as_mut().unwrap().commit = "ffff".into();
        second.programs.insert("caffeine".into(), "0.1.0 00".into());
        let found = differences(&first, &second);
        let names: Vec<_> = found.iter().map(|d| (d.what.as_str(), d.program)).collect();
        assert_eq!(names, [("git.commit", true), ("kernel", false), ("sysctls.net.core.somaxconn", false)]);
        assert!(list(&found).contains("kernel was Linux 6.18.44 and is Linux 7.0"));
    }

    #[test]
    fn other_settings_are_a_difference_and_other_rounds_are_none() {
        let (first, mut second) = (fixture::quick(4), fixture::quick(9));
        assert_eq!(circumstances(&first, &second), []);
        second.spec.duration_s = 5.0;
        second.spec.load[0].closed = Some(99);
        let names: Vec<_> = circumstances(&first, &second).into_iter().map(|d| d.what).collect();
        assert_eq!(names, ["duration_s", "load `full load`"]);
    }
}
