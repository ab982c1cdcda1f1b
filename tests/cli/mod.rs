//! The command line and its settings.

mod config; // precedence, files, errors
mod printing; // output that is not read or cannot be written
mod usage; // help, completions, misuse
