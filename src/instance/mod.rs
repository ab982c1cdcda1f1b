//! Named instances: where they live, who holds them, their logs, their handlers.
//!
//! An instance is a folder `<state-dir>/<name>/` with five files: `pid`, locked while it runs, `process`, which tells the
//! process from others of its number, `config.toml` as resolved, `log` and `scoreboard`. Nothing here knows what an instance does, or what stands in its
//! configuration.

pub mod claim;
pub mod daemon;
pub mod deploy;
mod error;
mod forget;
pub mod logs;
mod name;
mod origin;
mod process;
pub mod registry;
pub mod trees;

pub use claim::Claim;
pub use error::Error;
pub use forget::Abandoned;
pub use name::{InvalidName, Name};
pub use process::Holder;
pub use registry::{Folder, Life};
