//! Queueing theory: how long customers stay, from arrivals and service alone. Pure.
//!
//! Poisson arrivals, exponential service: M/M/c (Erlang 1917). One queue before all servers is what a shared accept queue
//! is; one queue before each, filled at random, is what a hash over sockets is.

/// Customers and servers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct System {
    /// Arrivals per second at all servers together.
    pub arrivals_per_s: f64,
    /// Mean service time in seconds.
    pub service_s: f64,
    /// Number of servers.
    pub servers: u32,
}

impl System {
    /// Offered load per server, 0 to 1 where a queue does not grow for ever.
    pub fn utilisation(&self) -> f64 {
        self.arrivals_per_s * self.service_s / f64::from(self.servers.max(1))
    }

    /// Mean time from arrival to departure in seconds with one queue before all servers; `None` without servers or
    /// when the queue grows for ever.
    pub fn shared_response_s(&self) -> Option<f64> {
        let wait = erlang_c(self.servers, self.arrivals_per_s * self.service_s)?;
        let spare = f64::from(self.servers) / self.service_s - self.arrivals_per_s;
        Some(self.service_s + wait / spare)
    }

    /// The same with a queue before each server, and arrivals sent to one of them at random.
    pub fn split_response_s(&self) -> Option<f64> {
        let each = self.arrivals_per_s / f64::from(self.servers.max(1));
        Self { arrivals_per_s: each, servers: 1, ..*self }.shared_response_s()
    }
}

/// The time constant with which M/M/1 forgets how it began, in seconds: `service_s` / (1 - sqrt(utilisation))² (Morse
/// 1955). `None` when the queue grows for ever.
pub fn relaxation_s(service_s: f64, utilisation: f64) -> Option<f64> {
    (0.0..1.0).contains(&utilisation).then(|| service_s / (1.0 - utilisation.sqrt()).powi(2))
}

/// Erlang's second formula: the probability that an arrival has to wait, `erlangs` being arrivals per service time.
/// `None` without servers or when the queue grows for ever.
pub fn erlang_c(servers: u32, erlangs: f64) -> Option<f64> {
    let n = f64::from(servers);
    if servers == 0 || erlangs < 0.0 || erlangs >= n {
        return None;
    }
    // The first formula (blocking, no queue) by its recursion, which neither overflows nor cancels.
    let blocked =
        (1..=servers).fold(1.0, |blocked, k| erlangs * blocked / (f64::from(k) + erlangs * blocked));
    Some(n * blocked / (n - erlangs * (1.0 - blocked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64, tolerance: f64) {
        assert!(a.is_some_and(|a| (a - b).abs() <= tolerance), "{a:?} is not {b}");
    }

    #[test]
    fn the_probability_to_wait_is_that_of_the_tables() {
        // One server waits as often as it is busy; two: 2r²/(1+r) (Kleinrock 1975, section 3.5).
        close(erlang_c(1, 0.7), 0.7, 1e-12);
        close(erlang_c(2, 1.6), 2.0 * 0.64 / 1.8, 1e-12);
        // Gross and Harris, Fundamentals of Queueing Theory, example 2.2: 3 servers, 2 erlangs: 4/9.
        close(erlang_c(3, 2.0), 4.0 / 9.0, 1e-12);
        // The call-centre example of the Erlang C literature: 100 calls of 180 s in half an hour, 11 agents.
        close(erlang_c(11, 10.0), 0.6821, 1e-4);
        assert_eq!((erlang_c(0, 0.0), erlang_c(2, 2.0)), (None, None));
    }

    #[test]
    fn a_busy_queue_forgets_slowly() {
        close(relaxation_s(0.001, 0.0), 0.001, 1e-12);
        close(relaxation_s(0.001, 0.25), 0.004, 1e-12);
        close(relaxation_s(0.001, 0.81), 0.1, 1e-9);
        assert_eq!(relaxation_s(0.001, 1.0), None);
    }

    #[test]
    fn responses_are_those_of_the_textbook() {
        let system = |servers, utilisation| System {
            arrivals_per_s: utilisation * f64::from(servers),
            service_s: 1.0,
            servers,
        };
        // Mean response in service times: sharded 1/(1-r) at any number of servers; shared with 2, 4 and 12 of them.
        for (utilisation, split, shared) in
            [(0.5, 2.0, [1.33, 1.09, 1.00]), (0.8, 5.0, [2.78, 1.75, 1.15]), (0.9, 10.0, [5.26, 2.97, 1.53])]
        {
            for (servers, expected) in [2, 4, 12].into_iter().zip(shared) {
                close(system(servers, utilisation).shared_response_s(), expected, 0.005);
                close(system(servers, utilisation).split_response_s(), split, 1e-9);
            }
        }
        assert_eq!(system(4, 1.0).shared_response_s(), None);
        assert!((system(4, 0.3).utilisation() - 0.3).abs() < 1e-12);
    }
}
