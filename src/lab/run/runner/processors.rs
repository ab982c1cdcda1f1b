//! Which processors server and load generator have, and who preempts whom.

use std::process::Command;

use nix::sched::CpuSet;

use crate::lab::error::{Error, Result};
use crate::lab::spec::Cpus;
use crate::sys::tether;

/// The processors of the machine that this process may use.
#[derive(Debug)]
pub struct Processors {
    numbers: Vec<usize>,
    may_preempt: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Some of them only.
    of: Option<CpuSet>,
    /// Whether it preempts programs of the ordinary scheduling policy.
    preempts: bool,
}

impl Share {
    pub fn give(self, command: &mut Command) {
        if let Some(set) = self.of {
            tether::pin(command, set);
        }
        if self.preempts {
            tether::preempting(command);
        }
    }
}

impl Processors {
    pub fn of_this_process() -> Result<Self> {
        let numbers = tether::processors()
            .map_err(|e| Error::Failed(format!("cannot ask which processors there are: {e}")))?;
        Ok(Self { numbers, may_preempt: tether::may_preempt() })
    }

    /// Of server and load generator.
    pub fn shares(&self, cpus: Cpus) -> [Share; 2] {
        match cpus {
            Cpus::Shared => [Share::default(); 2],
            Cpus::Apart => self.split().map(|of| Share { of, preempts: false }),
            Cpus::Preempt => [Share::default(), Share { of: None, preempts: self.may_preempt }],
        }
    }

    /// All but the last, and the last. With a single one both share it.
    fn split(&self) -> [Option<CpuSet>; 2] {
        let Some((last, others)) = self.numbers.split_last() else { return [None, None] };
        let set = |numbers: &[usize]| {
            let mut set = CpuSet::new();
            numbers.iter().try_for_each(|number| set.set(*number)).ok().map(|()| set)
        };
        [set(if others.is_empty() { &self.numbers } else { others }), set(&[*last])]
    }

    pub fn describe(&self, cpus: Cpus) -> String {
        let list = |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let shared = format!("shared: server and load generator have {}", list(&self.numbers));
        match (cpus, self.numbers.split_last()) {
            (Cpus::Apart, Some((last, others))) if !others.is_empty() => {
                format!("apart: the server has {}, the load generator has {last}", list(others))
            }
            (Cpus::Preempt, _) if self.may_preempt => {
                format!("{shared}; the load generator preempts the server (SCHED_FIFO)")
            }
            (Cpus::Preempt, _) => {
                format!("{shared}; the system did not permit the load generator to preempt the server")
            }
            _ => shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processors(numbers: &[usize], may_preempt: bool) -> Processors {
        Processors { numbers: numbers.to_vec(), may_preempt }
    }

    fn set(numbers: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        numbers.iter().for_each(|number| set.set(*number).unwrap());
        set
    }

    #[test]
    fn apart_the_load_generator_has_the_last_processor() {
        let of = |numbers: &[usize]| processors(numbers, true).shares(Cpus::Apart).map(|share| share.of);
        assert_eq!(of(&[0, 2, 5]), [Some(set(&[0, 2])), Some(set(&[5]))]);
        assert_eq!(of(&[3]), [Some(set(&[3])), Some(set(&[3]))]);
        assert_eq!(of(&[]), [None, None]);
    }

    #[test]
    fn the_load_generator_alone_preempts_and_only_where_it_may() {
        for (may, cpus) in [(true, Cpus::Preempt), (false, Cpus::Preempt), (true, Cpus::Shared)] {
            let [server, generator] = processors(&[0, 1], may).shares(cpus);
            assert_eq!(server, Share::default());
            assert_eq!(generator, Share { of: None, preempts: may && cpus == Cpus::Preempt });
        }
        assert!(processors(&[0, 1], false).describe(Cpus::Preempt).contains("did not permit"));
        assert!(processors(&[0, 1], true).describe(Cpus::Preempt).ends_with("(SCHED_FIFO)"));
    }

    /// As root in most sandboxes; where it is refused, commands start without it.
    #[test]
    fn a_command_that_preempts_has_the_policy() {
        let processors = Processors::of_this_process().unwrap();
        let [_, share] = processors.shares(Cpus::Preempt);
        let mut command = Command::new("cat");
        share.give(command.arg("/proc/self/stat"));
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        // Field 41 of proc_pid_stat(5); the second one ends with the only bracket.
        let policy = text.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap();
        assert_eq!(policy, if share.preempts { "1" } else { "0" }, "{text}");
    }
}
