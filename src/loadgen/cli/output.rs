//! Options: where the result goes.

use std::path::PathBuf;

use super::duration::duration_ns;

/// Where the result goes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Write the result as JSON to FILE, or to standard output, instead of the text, with -
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the response times to FILE in the .hgrm form of HdrHistogram's plotters (milliseconds)
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,

    /// Write one row per interval to FILE as CSV: counts, rates, percentiles of response and service (microseconds).
    /// With --find-rate one row per run
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Write the histograms of every interval to FILE as an HdrHistogram interval log: the response without a tag, Tag=
    /// service, connect, first_byte, send_lag; those of the warm-up as warmup, warmup_service ...
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,

    /// Length of the intervals that the run is cut into
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration_ns)]
    pub interval: u64,

    /// Plain lines on standard error, one per interval, instead of the live view on a terminal
    #[arg(long, conflicts_with = "quiet")]
    pub no_live: bool,

    /// No text and no progress: only errors and a verdict that is not OK
    #[arg(short, long)]
    pub quiet: bool,
}
