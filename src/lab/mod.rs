//! The program `lab`: experiments from a file to a report.
//!
//! ```text
//! catalogue, spec   which experiment, and what its file says
//! plan              cells and the order of runs                       pure
//! check             whether that can be done here, with the arithmetic
//! campaign, suite   lab run: all of it in order, one experiment or several
//! programs          the caffeine and loadgen to measure
//! runner            one run: its commands, and what is done in order
//! sequence, answer  the lab's own few requests
//! server, child     the processes of a run; guard ends them if the lab cannot
//! peers             other servers: how each is told to do the same work
//! probe             counters, queues and noise meanwhile
//! fault, workers    what befalls the server, and who its workers are
//! soak, slow        faults at random times, and slow clients, for long runs
//! handlers          what is served
//! data, store       raw data of runs, on disk and back
//! rows, verdict     a run as figures, and what it is good for         pure
//! accepting         who accepted what, in figures                     pure
//! losses            which connections were reset, lost or late        pure
//! endurance         whether a server stays as it was for long         pure
//! curves            runs as percentile curves                         pure
//! metrics           the figures that are known of a run, by name      pure
//! judge, expect     what can be said about it all, and about claims   pure
//! keep              lab keep: a small copy of a results folder
//! compare, likeness two results folders side by side, and whether that is fair   pure
//! report, plot      words, tables and figures, from the folder alone
//! ```
//!
//! The runner never draws, the report never runs anything, a figure never computes.

mod accepting;
mod answer;
mod campaign;
mod catalogue;
mod check;
mod child;
mod cli;
mod compare;
mod curves;
mod data;
mod endurance;
mod error;
mod expect;
mod fault;
#[cfg(test)]
mod fixture;
mod guard;
mod handlers;
mod interrupt;
mod judge;
mod keep;
mod likeness;
mod losses;
mod metrics;
mod peers;
mod plan;
mod plot;
mod probe;
mod programs;
mod report;
mod rows;
mod runner;
mod sequence;
mod server;
mod slow;
mod soak;
mod spec;
mod store;
mod suite;
mod verdict;
mod words;
mod workers;

pub use cli::main;
