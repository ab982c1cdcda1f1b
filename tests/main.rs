//! The tests, as scripts over one harness.

mod house;
mod lab;
mod loadgen;
