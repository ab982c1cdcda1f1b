//! Named instances: where they live, who holds them, their logs, their handlers.
//!
//! An instance is a folder `<state-dir>/<name>/` with four files: `pid`, locked while it runs, `config.toml` as
//! resolved, `log` and `scoreboard`. Nothing here knows what an instance does, or what stands in its
//! configuration.

pub mod claim;
pub mod daemon;
pub mod deploy;
mod error;
pub mod logs;
mod name;
pub mod registry;

pub use claim::Claim;
pub use error::Error;
pub use name::{InvalidName, Name};
pub use registry::{Folder, Life};
