//! Options: what the run is to find out, and what it has to hold.

/// Which figures are wanted.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Objectives")]
pub struct SearchArgs {}
