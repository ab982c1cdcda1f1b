//! When requests start and how large their jobs are: the profile of a rate, arrivals along it, the cursor of each thread.
//! Pure and seeded.

mod cursor;
mod intervals;
mod jobs;
mod pacer;
mod parse;
mod profile;
mod timing;
mod trace;

pub use cursor::Cursor;
pub use intervals::Intervals;
pub use jobs::{Job, Jobs};
pub use pacer::{Arrivals, Schedule};
pub use parse::{WEEK_NS, duration_ns};
pub use profile::{Profile, RateSpec};
pub use timing::{DURATION_NS, Shard, Share, StartAt, Timing, WARMUP_NS, Window};
pub use trace::Trace;
