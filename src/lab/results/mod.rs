//! The raw data of runs: what they look like, and the folder that holds them.

pub mod data;
pub mod store;
