//! The raw data of runs: their types, and the folder that holds them.

pub mod data;
pub mod store;
