//! The time of day as the logs write it, formatted once per second.

use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Default)]
pub(super) struct Clock {
    second: u64,
    iso: String,
    common: String,
}

impl Clock {
    /// Reads the time of day. Returns the milliseconds of the second that [`iso`](Self::iso) and
    /// [`common`](Self::common) tell from now on.
    pub fn tick(&mut self) -> u32 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != since_epoch.as_secs() || self.iso.is_empty() {
            self.second = since_epoch.as_secs();
            let time = jiff::Timestamp::from_second(i64::try_from(self.second).unwrap_or(0));
            let time = time.unwrap_or_default();
            self.iso = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            self.common = time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
        }
        since_epoch.subsec_millis()
    }

    /// `2026-11-23T01:02:03` in UTC.
    pub fn iso(&self) -> &str {
        &self.iso
    }

    /// `23/Nov/2026:01:02:03 +0000`, the time of the common log format.
    pub fn common(&self) -> &str {
        &self.common
    }
}

/// The milliseconds as three digits.
pub(super) fn three_digits(millis: u32) -> [u8; 3] {
    [100, 10, 1].map(|unit| b'0' + (millis / unit % 10) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_tell_the_same_second() {
        let mut clock = Clock::default();
        assert!(clock.tick() < 1000);
        let day = |date: &str| date.trim_start_matches('0').parse::<u32>().unwrap();
        assert_eq!((clock.iso().len(), clock.common().len()), (19, 26));
        assert_eq!(clock.iso()[11..], clock.common()[12..20]);
        assert_eq!(day(&clock.iso()[8..10]), day(&clock.common()[..2]));
        assert_eq!(clock.iso()[..4], clock.common()[7..11]);
        assert_eq!(three_digits(45), *b"045");
    }
}
