//! `--handler-limit cpu=10s,memory=512M,processes=64,files=100`: resource limits of one handler, for setrlimit(2).
//! Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::resource::Resource;
use serde::{Serialize, Serializer};

use crate::dist::{format_duration, parse_duration, parse_size};
use crate::sys::spawn::Limit;

/// No program can be loaded with less.
const LEAST_MEMORY: u64 = 1 << 20;
/// Standard input, output and error.
const LEAST_FILES: u64 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerLimit {
    /// CPU time of each process, in whole seconds: SIGXCPU, and SIGKILL a second later.
    cpu_s: Option<u64>,
    /// Address space of each process, in bytes.
    memory: Option<u64>,
    /// Processes of the same user, all together; root is exempt.
    processes: Option<u64>,
    /// Open files of each process.
    files: Option<u64>,
}

impl HandlerLimit {
    /// The limits for setrlimit(2).
    pub fn limits(&self) -> Vec<Limit> {
        let same = |resource, most: Option<u64>| most.map(|most| Limit::new(resource, most, most));
        let cpu = self.cpu_s.map(|most| Limit::new(Resource::RLIMIT_CPU, most, most + 1));
        let others = [
            same(Resource::RLIMIT_AS, self.memory),
            same(Resource::RLIMIT_NPROC, self.processes),
            same(Resource::RLIMIT_NOFILE, self.files),
        ];
        cpu.into_iter().chain(others.into_iter().flatten()).collect()
    }

    /// The limit on open files, which must not exceed the server's own.
    pub fn files(&self) -> Option<u64> {
        self.files
    }
}

impl FromStr for HandlerLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limit = Self::default();
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(format!(
                    "'{part}' is not a limit; use cpu=10s,memory=512M,processes=64,files=100"
                ));
            };
            let (place, value) = match name.trim() {
                "cpu" => (&mut limit.cpu_s, seconds(value)?),
                "memory" => (&mut limit.memory, at_least(name, parse_size(value)?, LEAST_MEMORY)?),
                "processes" => (&mut limit.processes, at_least(name, number(name, value)?, 1)?),
                "files" => (&mut limit.files, at_least(name, number(name, value)?, LEAST_FILES)?),
                other => {
                    return Err(format!(
                        "unknown limit '{other}'; the limits are: cpu, memory, processes, files"
                    ));
                }
            };
            if place.replace(value).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        Ok(limit)
    }
}

fn seconds(value: &str) -> Result<u64, String> {
    match parse_duration(value)? {
        time if time.subsec_nanos() == 0 && !time.is_zero() => Ok(time.as_secs()),
        _ => Err(format!("cpu must be in whole seconds, such as 10s, not {value}")),
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value.trim().parse().map_err(|_| format!("{name} must be a number, not '{value}'"))
}

fn at_least(name: &str, value: u64, least: u64) -> Result<u64, String> {
    if value < least { Err(format!("{name} must be at least {least}, not {value}")) } else { Ok(value) }
}

impl fmt::Display for HandlerLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.cpu_s.map(|seconds| format!("cpu={}", format_duration(Duration::from_secs(seconds)))),
            self.memory.map(|bytes| format!("memory={bytes}")),
            self.processes.map(|most| format!("processes={most}")),
            self.files.map(|most| format!("files={most}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

impl Serialize for HandlerLimit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_written_the_same() {
        for text in ["cpu=10s", "memory=536870912", "cpu=1s,memory=1048576,processes=1,files=3"] {
            assert_eq!(text.parse::<HandlerLimit>().unwrap().to_string(), text);
        }
        let limit: HandlerLimit = "files=100, memory=512M".parse().unwrap();
        assert_eq!((limit.files(), limit.limits().len()), (Some(100), 2));
        assert_eq!("cpu=2m".parse::<HandlerLimit>().unwrap().cpu_s, Some(120));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "cpu",
            "cpu=",
            "cpu=1500ms",
            "memory=-1",
            "files=2",
            "processes=0",
            "disk=1G",
            "cpu=1s,cpu=1s",
        ] {
            assert!(text.parse::<HandlerLimit>().is_err(), "{text}");
        }
    }
}
