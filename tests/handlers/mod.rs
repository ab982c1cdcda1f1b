//! Handlers: how they are started, watched and replaced.

mod deploy; // files put into place, also under load
pub mod documents; // CGI responses
pub mod execution; // input, output, four languages
mod inheritance; // descriptors, signals, environment
pub mod keeper; // counts, time-outs, outcomes
mod mounts; // limits of single mounts
pub mod orphans; // handlers whose worker has died
mod programs; // CGI programs that exist
mod stderr; // their standard error in the log
pub mod trees; // deployed directories
mod trial; // --try, and the first steps
