//! The command line of `loadgen`, as typed. What it means is `plan`'s business; clap ends here.

use std::path::PathBuf;

use super::pacer::Arrivals;

/// Where requests go when no URL is given.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080/";

const EXAMPLES: &str = "\
Examples:
  loadgen                        closed loop, default URL, for 10 s
  loadgen -c 64 -d 30s URL       how much can it do? (closed loop)
  loadgen -r 2000 -d 30s URL     how long does it take at 2000/s?
                                 (open loop)
  loadgen -n 1000 --json F URL   a thousand requests, the result in F

Response time counts from the intended start of a request: in an open
loop, a request that had to wait because the server stalled is as slow
as a user would have found it. Service time counts from the moment it
was really sent. Failed requests are counted by kind and never enter
the latencies.

Verdicts:
  OK            the figures can be used
  CLIENT-BOUND  closed loop, and a thread of loadgen used more than
                90 % of a core: the throughput may be the generator's,
                not the server's
  INVALID       loadgen ran out of descriptors or ports; or no request
                fell into the measured time; or, in an open loop, the
                send lag's p99 is above 1 ms and above a tenth of the
                response time's p99, or more than 2 % of the arrivals
                could not be sent in time

Exit codes:
  0 done   1 failed (nothing listens there, no request completed)
  2 usage  3 INVALID";

/// Generates HTTP load, one new connection per request, and measures it.
#[derive(Debug, clap::Parser)]
#[command(name = "loadgen", version, after_help = EXAMPLES, max_term_width = 80, disable_help_flag = true)]
pub struct Args {
    /// The target.
    #[arg(
        value_name = "URL",
        help = "Where to: [http://]host[:port][/path][?query]; default http://127.0.0.1:8080/"
    )]
    pub url: Option<String>,

    /// Connections at once: closed loop (default 16); with --rate the upper bound (default 4096)
    #[arg(short, long, value_name = "N")]
    pub connections: Option<usize>,

    /// Open loop: start this many requests per second, whatever the server does
    #[arg(short, long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// How the starts of an open loop follow each other
    #[arg(long, value_name = "KIND", default_value = "const", requires = "rate")]
    pub arrivals: Arrivals,

    /// Seed of random arrivals
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// How long to measure, such as 500ms, 30s, 2m; default 10s, or until --requests are done
    #[arg(short, long, value_name = "TIME", value_parser = duration_ns)]
    pub duration: Option<u64>,

    /// Stop after this many measured requests
    #[arg(short = 'n', long, value_name = "N")]
    pub requests: Option<u64>,

    /// Load before the measured time, not counted
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration_ns)]
    pub warmup: u64,

    /// Threads that send
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// A request that takes longer than this has failed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration_ns)]
    pub timeout: u64,

    /// Method; default GET, or POST with a body
    #[arg(short, long, value_name = "METHOD")]
    pub method: Option<String>,

    /// A header field to send along; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// Body of every request
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,

    /// File with the body of every request
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,

    /// Write the result as JSON to FILE, or to standard output, instead of the text, with -
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the response times to FILE in the .hgrm form of HdrHistogram's plotters (milliseconds)
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,

    /// No text and no progress: only errors and a verdict that is not OK
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the completions for a shell
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub completions: Option<clap_complete::Shell>,

    /// Print the manual page
    #[arg(long, exclusive = true)]
    pub man: bool,

    /// Print this help
    #[arg(short, long, action = clap::ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// Reads `10s`, `500ms`, `250us`, `2m`, `1h` as nanoseconds.
fn duration_ns(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ns = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return Err("write a number and a unit: 500ms, 10s, 2m".into()),
    };
    let number: f64 = number.parse().map_err(|_| "write a number and a unit: 500ms, 10s, 2m".to_owned())?;
    let ns = number * unit_ns;
    if ns > 7.0 * 24.0 * 3600e9 { Err("longer than a week".into()) } else { Ok(ns as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(duration_ns("10s"), Ok(10_000_000_000));
        assert_eq!(duration_ns("1.5ms"), Ok(1_500_000));
        assert_eq!(duration_ns("0s"), Ok(0));
        assert_eq!(duration_ns("2m"), duration_ns("120s"));
        for text in ["", "10", "s", "1x", "-1s", "1.2.3s", "9999999h"] {
            assert!(duration_ns(text).is_err(), "{text}");
        }
    }
}
