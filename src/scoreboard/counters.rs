//! Copies of rows, for readers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Row, State};

/// The numbers of one [`Row`], read once.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    pub worker: u64,
    pub pid: u64,
    pub state: u64,
    pub generation: u64,
    pub accepted: u64,
    #[serde(default)]
    pub stolen: u64,
    pub wakeups: u64,
    pub empty_wakeups: u64,
    pub launched: u64,
    pub launch_failures: u64,
    pub answered: [u64; 5],
    pub timeouts: u64,
    pub open: u64,
    pub running: u64,
    pub busy_ns: u64,
}

/// Number of counters that add up over workers and generations.
pub(super) const TOTALLED: usize = 13;

impl Counters {
    /// The counters that add up, in the order of [`Row::totalled`].
    pub(super) fn totalled(&mut self) -> [&mut u64; TOTALLED] {
        let [informational, successful, redirection, client_error, server_error] = &mut self.answered;
        [
            &mut self.accepted,
            &mut self.stolen,
            &mut self.wakeups,
            &mut self.empty_wakeups,
            &mut self.launched,
            &mut self.launch_failures,
            informational,
            successful,
            redirection,
            client_error,
            server_error,
            &mut self.timeouts,
            &mut self.busy_ns,
        ]
    }

    pub(super) fn read(row: &Row) -> Self {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Self {
            worker: get(&row.number),
            pid: get(&row.pid),
            state: get(&row.state),
            generation: get(&row.generation),
            accepted: get(&row.accepted),
            stolen: get(&row.stolen),
            wakeups: get(&row.wakeups),
            empty_wakeups: get(&row.empty_wakeups),
            launched: get(&row.launched),
            launch_failures: get(&row.launch_failures),
            answered: std::array::from_fn(|class| get(&row.answered[class])),
            timeouts: get(&row.timeouts),
            open: get(&row.open),
            running: get(&row.running),
            busy_ns: get(&row.busy_ns),
        }
    }

    pub fn state_name(&self) -> &'static str {
        match self.state {
            1 => State::Starting.name(),
            2 => State::Running.name(),
            3 => State::Stopping.name(),
            _ => State::Empty.name(),
        }
    }
}

/// How evenly connections are spread over workers.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Balance {
    /// Jain's index of the workers' accepted connections: 1 when all are equal, 1/n when one has everything.
    pub jain: f64,
    /// The busiest worker's accepted connections over the mean.
    pub max_over_mean: f64,
}

impl Balance {
    /// `None` if no connection was accepted.
    pub fn of(workers: &[Counters]) -> Option<Self> {
        let counts = || workers.iter().map(|worker| worker.accepted as f64);
        let (sum, squares): (f64, f64) = (counts().sum(), counts().map(|count| count * count).sum());
        let workers = workers.len() as f64;
        (sum > 0.0).then(|| Self {
            jain: sum * sum / (workers * squares),
            max_over_mean: counts().fold(0.0, f64::max) * workers / sum,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_is_one_when_all_are_equal() {
        let of = |counts: &[u64]| {
            let row = |&accepted: &u64| Counters { accepted, ..Counters::default() };
            Balance::of(&counts.iter().map(row).collect::<Vec<_>>())
        };
        assert_eq!(of(&[5, 5]), Some(Balance { jain: 1.0, max_over_mean: 1.0 }));
        assert_eq!(of(&[8, 0, 0, 0]), Some(Balance { jain: 0.25, max_over_mean: 4.0 }));
        assert_eq!((of(&[0, 0]), of(&[])), (None, None));
    }
}
