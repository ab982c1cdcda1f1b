//! Integration tests: scripts over one harness, a folder per subject.

mod cli; // command line, configuration, output
mod handlers; // how handlers are started, watched, deployed
mod harness; // temporary folders, servers, clients, load
mod house; // rules for the source
mod http; // requests and responses on the wire
mod instances; // start, stop, reload, status, logs, names
mod lab; // the program `lab`
mod limits; // configured limits, exhausted resources
mod listener; // strategies: the contract and what each promises beyond it
mod loadgen; // the program `loadgen`
mod platform; // privileges, sandboxes, service managers, installation
mod supervisor; // deaths, stops, faults, the model

/// Counts allocations for tests of code that must not allocate.
#[global_allocator]
static ALLOCATOR: harness::sys::alloc::Counting = harness::sys::alloc::Counting;
