//! What an experiment varies: the full matrix of these levels is run.
//!
//! The table below is all that the lab needs to know about a factor in order to read, vary, name and select its levels.
//! A new factor is a row here, a type with [`Level`] in a file beside this one if it needs its own, and the place in
//! `run` where it takes effect.

mod fault;
mod level;
mod listeners;
mod pin;
mod sources;
mod sysctl;

use serde::{Deserialize, Serialize};

pub use self::fault::{Fault, FaultKind, REST_MS};
pub use self::level::{Level, Written};
pub use self::pin::Pin;
pub use self::sources::Sources;
pub use self::sysctl::Sysctl;
use crate::dist::Distribution;

/// Generates [`Factors`] and [`Levels`] from the table of factors. Each row has the name and the type of its levels, the
/// default, and two texts about a level: in the title of a group, and in the description of a group. Both may be empty.
macro_rules! factors {
    ($($(#[$about:meta])* $name:ident: $level:ty = $default:expr, $title:expr, $description:expr;)*) => {
        /// The factors. Listeners and peers are the columns of the tables; the other factors make groups, and columns are
        /// compared within a group.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Factors {
            /// Listener strategies, `NAME[:ARG]`, optionally followed by server options, as in `inherited --pin`; `all` is
            /// every strategy, `-NAME` beside it excludes one. A column with options is compared with the same strategy
            /// without them, if there is one.
            #[serde(deserialize_with = "listeners::deserialize")]
            pub listener: Vec<String>,
            /// Other servers beside the listeners: `nginx:exclusive`, `lighttpd`, `command:NAME`.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub peers: Vec<String>,
            $($(#[$about])* #[serde(with = "level::list")] pub $name: Vec<$level>,)*
        }

        /// One level of each factor but the columns.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Levels {
            $($(#[$about])* pub $name: $level,)*
        }

        impl Default for Factors {
            fn default() -> Self {
                Self { listener: Vec::new(), peers: Vec::new(), $($name: vec![$default],)* }
            }
        }

        impl Factors {
            /// The names of the factors that make groups.
            pub const GROUPING: &[&str] = &[$(stringify!($name),)*];

            /// The levels of a factor as text; `None` for an unknown factor.
            pub fn levels(&self, factor: &str) -> Option<Vec<String>> {
                match factor {
                    "listener" => Some(self.listener.clone()),
                    "peers" => Some(self.peers.clone()),
                    $(stringify!($name) => Some(self.$name.iter().map(Level::text).collect()),)*
                    _ => None,
                }
            }

            /// Removes the levels, except listeners and peers, for which `keep` is false.
            pub fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
                $(self.$name.retain(|level| keep(stringify!($name), &level.text()));)*
            }

            /// Every combination of levels; the first factor of the table varies slowest.
            pub fn combinations(&self) -> Vec<Levels> {
                let mut all = vec![Levels::default()];
                $(all = all
                    .iter()
                    .flat_map(|levels| {
                        self.$name.iter().map(|level| Levels { $name: level.clone(), ..levels.clone() })
                    })
                    .collect();)*
                all
            }

            /// What distinguishes a combination from the others: the levels of the factors that have several.
            pub fn title(&self, levels: &Levels) -> String {
                let title = |several: bool, text: String| if several { text } else { String::new() };
                join(&[$(title(self.$name.len() > 1, $title(&levels.$name)),)*], " ")
            }
        }

        impl Levels {
            /// The level of each factor as text, in the order of [`Factors::GROUPING`].
            pub fn texts(&self) -> Vec<String> {
                vec![$(self.$name.text(),)*]
            }

            /// All levels, for the description of a group.
            pub fn description(&self) -> String {
                join(&[$($description(&self.$name),)*], ", ")
            }
        }
    };
}

factors! {
    /// Numbers of worker processes.
    workers: usize = 4, |n| format!("w={n}"), |n| format!("{n} workers");
    /// What a worker does with a request, as for `caffeine --respond`.
    respond: String = "cgi".into(), String::clone, |respond| format!("--respond {respond}");
    /// Times that requests ask the server to take, drawn by the load generator; `none`: those of `respond`, if they are random.
    occupy: Option<Distribution> = None, |jobs| if_some(jobs, "jobs "), |jobs| if_some(jobs, "jobs ");
    /// Lengths of the accept queue; `none` is the default of the server.
    backlog: Option<u32> = None, |n| if_some(n, "backlog="), |n| if_some(n, "backlog ");
    /// Addresses that connections come from, `ADDRESS` or `FIRST-LAST`; `none` leaves the choice to the kernel.
    sources: Option<Sources> = None, |range| if_some(range, "from "), |range| if_some(range, "from ");
    /// Which processors the programs may use.
    pin: Option<Pin> = None, |pin: &Option<Pin>| format!("pin={}", pin.text()), |pin| if_some(pin, "pin ");
    /// Network settings of the kernel, each in a network namespace of its own; `none` runs in the network of the system.
    sysctl: Option<Sysctl> = None, |set: &Option<Sysctl>| if_some(&set.as_ref().map(Sysctl::short), ""), |set| if_some(set, "");
    /// What is done to the server during the measurement.
    fault: Option<Fault> = None, fault::title, fault::description;
}

fn if_some(value: &Option<impl ToString>, prefix: &str) -> String {
    value.as_ref().map(|value| format!("{prefix}{}", value.to_string())).unwrap_or_default()
}

fn join(parts: &[String], between: &str) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(between)
}

impl Factors {
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["listener", "peers"].into_iter().chain(Self::GROUPING.iter().copied())
    }
}

impl Levels {
    /// Whether these are the levels that `wanted` names.
    pub fn has<'a>(&self, wanted: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        let texts = self.texts();
        let place = |factor: &str| Factors::GROUPING.iter().position(|name| *name == factor);
        wanted.into_iter().all(|(factor, level)| place(factor).is_some_and(|place| texts[place] == *level))
    }
    /// What the load generator draws and sends: `occupy`, or else the times of `respond` if they are random. Workers that
    /// drew for themselves would not give each strategy the same jobs.
    pub fn jobs(&self) -> Option<Distribution> {
        let (work, times) = self.respond.split_once(':').unwrap_or_default();
        let own = times.parse().ok().filter(|times: &Distribution| !times.is_constant());
        self.occupy.or(own.filter(|_| ["sleep", "spin"].contains(&work)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_work_is_drawn_by_the_load_generator() {
        let jobs = |respond: &str, occupy: Option<&str>| {
            let occupy = occupy.map(|text| text.parse().unwrap());
            Levels { respond: respond.into(), occupy, ..Levels::default() }
                .jobs()
                .map(|jobs| jobs.to_string())
        };
        assert_eq!(jobs("sleep:exp(2ms)", None).as_deref(), Some("exp(2ms)"));
        assert_eq!(jobs("spin:bimodal(0.9,1ms,5ms)", None).as_deref(), Some("bimodal(0.9,1ms,5ms)"));
        for constant in ["fixed", "cgi", "sleep:const(2ms)", "sleep:bimodal(1,1ms,5ms)", "sleep:often"] {
            assert_eq!(jobs(constant, None), None, "{constant}");
        }
        assert_eq!(jobs("cgi", Some("const(1ms)")).as_deref(), Some("const(1ms)"));
        assert_eq!(jobs("sleep:exp(2ms)", Some("exp(1ms)")).as_deref(), Some("exp(1ms)"));
    }
}
