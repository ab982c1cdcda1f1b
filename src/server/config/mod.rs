//! The settings: one list of options (`options`), read from the command line and the environment (`layers`) and from a file
//! (`file`), merged (`sources`), checked (`resolve`), and complete in [`Settings`].

mod file;
mod handler_limit;
mod layers;
mod mounts;
mod options;
mod outcomes;
mod paths;
mod resolve;
mod settings;
mod sources;
mod values;

pub use handler_limit::HandlerLimit;
pub(super) use layers::one_line;
pub use layers::{Layers, Uses};
pub use mounts::{Mount, StaticFiles};
pub use options::Options;
pub use paths::{handlers_dir, state_dir};
pub use resolve::{DEFAULT_GRACE, MAX_WORKERS};
pub use settings::{Settings, recorded, recorded_for_handlers, recorded_mounts};
pub use sources::Sources;
