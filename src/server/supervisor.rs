//! The supervisor.

use crate::instance::Claim;
use crate::instance::daemon::Ready;
use crate::server::config::{Settings, Sources};
use crate::server::error::Error;

/// Runs the instance until it is stopped.
///
/// # Errors
/// It cannot listen, or its workers cannot start.
pub fn run(_settings: Settings, _sources: Sources, _claim: Claim, _ready: Ready) -> Result<(), Error> {
    Err(Error::Failed("this build has no supervisor".into()))
}
