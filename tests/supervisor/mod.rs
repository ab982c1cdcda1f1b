//! The supervisor and its workers.

mod faults; // losses of workers, scoreboard and rows
mod model; // random lives of instances against a reference model
mod processes; // deaths, signals, descriptors, zombies
mod stops; // graceful stops under load
mod upgrades; // new versions of the program
