//! Options: where the result goes.

use std::path::PathBuf;

use crate::loadgen::output::files::Named;
use crate::loadgen::schedule::duration_ns;

/// Shortest interval: at each end the threads hand over their counts.
const MIN_INTERVAL_NS: u64 = 10_000_000;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Write the result as JSON to FILE; with - to standard output, in place of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the response times to FILE in the .hgrm format of HdrHistogram's plotters (milliseconds)
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,

    /// Write one row per interval to FILE as CSV: counts, rates, percentiles of response and service (microseconds).
    /// With --find-rate one row per run
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Write the histograms of every interval to FILE as an HdrHistogram interval log: the response untagged, Tag=
    /// service, connect, first_byte, send_lag; those of the warm-up as warmup, warmup_service ...
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,

    /// Length of the intervals that are reported, at least 10ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval_ns)]
    pub interval: u64,

    /// In the JSON, record each failed request, and each that takes longer than TIME, by itself: when it was due, sent and
    /// ended, its local port and its worker
    #[arg(long, value_name = "TIME", value_parser = duration_ns)]
    pub slow: Option<u64>,

    /// Print one line per interval on standard error instead of the live view
    #[arg(long)]
    pub no_live: bool,

    /// Print neither text nor progress: only errors and a verdict that is not OK
    #[arg(short, long)]
    pub quiet: bool,
}

impl OutputArgs {
    /// The files to write.
    pub fn files(&self) -> [Named<'_>; 4] {
        let Self { json, hgrm, csv, hlog, .. } = self;
        [("--json", json), ("--hgrm", hgrm), ("--csv", csv), ("--hlog", hlog)]
            .map(|(option, path)| (option, path.as_deref()))
    }
}

fn interval_ns(text: &str) -> Result<u64, String> {
    let ns = duration_ns(text)?;
    if ns < MIN_INTERVAL_NS { Err("must be at least 10ms".into()) } else { Ok(ns) }
}
