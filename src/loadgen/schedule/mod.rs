//! When requests start: the profile of a rate, arrivals along it, and the cursor of each thread. Pure and seeded.

pub mod cursor;
pub mod intervals;
pub mod pacer;
pub mod parse;
pub mod profile;
pub mod timing;
pub mod trace;
