//! Options: how many connections and threads send.

use super::duration::duration_ns;

/// Who sends.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Connections at once: closed loop (default 16); with --rate the upper bound (default 4096)
    #[arg(short, long, value_name = "N")]
    pub connections: Option<usize>,

    /// Threads that send
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// A request that takes longer than this has failed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration_ns)]
    pub timeout: u64,
}
