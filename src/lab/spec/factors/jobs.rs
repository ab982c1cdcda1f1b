//! The times that requests ask the server to take, as a distribution.

use std::fmt;
use std::str::FromStr;

use super::Levels;
use crate::dist::Distribution;

/// As for `loadgen --occupy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs(String);

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<Distribution>().map(|times| Self(times.to_string()))
    }
}

impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Levels {
    /// What the load generator draws and sends: `occupy`, or else the times of `respond` if they are random. Workers that
    /// drew for themselves would not give each strategy the same jobs.
    pub fn jobs(&self) -> Option<Jobs> {
        self.occupy.clone().or_else(|| {
            let (work, times) = self.respond.split_once(':')?;
            let times: Distribution =
                times.parse().ok().filter(|times: &Distribution| !times.is_constant())?;
            ["sleep", "spin"].contains(&work).then(|| Jobs(times.to_string()))
        })
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
