//! The command line and its settings.

mod config; // precedence, files, errors
mod mounts; // errors in the tables of mounts
mod printing; // output that is not read or cannot be written
mod usage; // help, completions, misuse
