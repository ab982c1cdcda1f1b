//! When requests start and how large their jobs are: the profile of a rate, arrivals along it, the cursor of each thread.
//! Pure and seeded.

pub mod cursor;
pub mod intervals;
pub mod jobs;
pub mod pacer;
pub mod parse;
pub mod profile;
pub mod timing;
pub mod trace;
