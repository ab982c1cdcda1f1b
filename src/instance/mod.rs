//! Named instances: their directories, locks, logs and handlers.
//!
//! An instance is a directory `<state-dir>/<name>/` with five files: `pid`, locked while it runs; `process`, which
//! identifies the process beyond its number; `config.toml`, the resolved settings; `log`; and `scoreboard`. Nothing
//! here knows what an instance does, or what its configuration means.

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
