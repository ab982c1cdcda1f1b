//! When requests start: the profile of a rate, arrivals along it, and the cursor that a thread takes its starts from.
//! Pure and seeded.

pub mod cursor;
pub mod intervals;
pub mod pacer;
pub mod profile;
pub mod timing;
pub mod trace;
