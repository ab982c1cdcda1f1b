//! Occupies a worker for a drawn time: asleep (more workers than cores can be studied) or spinning (the CPU is the limit).

use std::time::Instant;

use crate::dist::{Distribution, Sampler};

/// The worker's source of service times.
#[derive(Debug)]
pub struct Occupy {
    times: Sampler,
    spin: bool,
}

impl Occupy {
    /// Times from the distribution, by sleeping or by spinning.
    pub fn new(time: &Distribution, spin: bool, seed: u64) -> Self {
        Self { times: time.sampler(seed), spin }
    }

    /// Returns after the next drawn time.
    pub fn occupy(&mut self) {
        let time = self.times.next();
        if self.spin {
            let end = Instant::now() + time;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        } else {
            std::thread::sleep(time);
        }
    }
}
