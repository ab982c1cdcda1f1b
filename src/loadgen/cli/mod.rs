//! The command line of `loadgen`: one struct of options per heading of `--help`, and the [`Plan`] that they mean. Only
//! the program's entry point depends on it.
//!
//! [`Plan`]: crate::loadgen::plan::Plan

mod connections;
pub mod input;
pub mod merge;
mod output;
mod plan;
mod request;
mod schedule;
mod search;

use std::time::Duration;

use clap::CommandFactory as _;
use connections::ConnectionArgs;
use merge::MergeArgs;
use output::OutputArgs;
use request::RequestArgs;
use schedule::ScheduleArgs;
use search::SearchArgs;

use crate::dist::Distribution;
use crate::loadgen::error::Error;
use crate::loadgen::schedule::duration_ns;
use crate::manual;

const EXAMPLES: &str = "\
Examples:
  loadgen                        closed loop, default URL, for 10 s
  loadgen -c 64 -d 30s URL       how much can it do? (closed loop)
  loadgen -r 2000 -d 30s URL     how long does it take at 2000/s?
                                 (open loop)
  loadgen -r 100..2000 -d 60s URL
                                 from 100/s to 2000/s within a minute
  loadgen -r 500@10s,900@20s --arrivals poisson --csv F URL
                                 two steps, one row per second in F
  loadgen --replay times.txt --stretch 0.5 URL
                                 recorded arrivals at twice the rate
  loadgen -n 1000 --json F URL   exactly a thousand requests, the
                                 result in F
  loadgen --urls F :8080         the paths of F in turn, on port 8080
  loadgen --find-rate 'p99<5ms' URL
                                 the highest rate at which 99 % of the
                                 responses take less than 5 ms
  loadgen -r 500 --expect 'p99<20ms' --expect 'errors<0.1%' URL
                                 exit code 4 if not, for CI

  Two machines that start together, each with half of the rate:
  loadgen -r 4000 --shard 1/2 --start-at T --json a.json URL
  loadgen -r 4000 --shard 2/2 --start-at T --json b.json URL
  loadgen merge a.json b.json    (T: $(($(date +%s) + 10)) on both)

Times:
Response time counts from the scheduled start of a request: in an open
loop, a request delayed by a stalled server is as slow as a user would
have found it. Service time counts from the actual start. Failed
requests are counted by kind and excluded from the latencies.

A response on a new connection ends when the server closes it; on a kept
connection, or before the request has been sent whole (413), it ends with
its last byte. If the server closes a kept
connection between requests, the next request opens a new one (a
reconnect). If it closes before the first byte of a response, the request
fails (closed-before-response); it is not sent again.

Verdicts:
  OK            the figures can be used
  CLIENT-BOUND  closed loop, and a thread of loadgen used more than
                90 % of a core: the throughput may be the generator's,
                not the server's
  ERRORS        most responses are 4xx or 5xx
  FAILED        no request completed
  INVALID       loadgen ran out of descriptors or ports; or no request
                started in the measured time; or, in an open loop, the
                send lag's p99 is above 1 ms and above a tenth of the
                response time's p99, or more than 2 % of the arrivals
                could not be sent in time, or Poisson arrivals were
                not sent as planned (Anderson-Darling test, twice the
                critical value at 5 %; a send lag below a tenth of the
                response time is accepted here too)

Expectations:
Expectations (--expect) and objectives (--find-rate) are METRIC, one of
< <= > >= == !=, and a value:
  p50 p75 p90 p99 p99.9 or any other percentile, min, mean, max
            of the response time, with us, ms or s: p99<5ms. Of another
            phase: service.p99, connect.max, first_byte.p90, send_lag.p99
  rate      responses per second within the measured time: rate>=1000.
            Responses that arrive later count as completed but not here,
            so at --rate 1000 it may be 999.9
  errors (or failed), errors.KIND, status.404, status.5xx, completed,
  started, unsent, held, unfinished
            a number or a share: errors<1%, errors.short-body==0
Several are separated by commas. An expectation with no matching requests
fails. A percentile needs at least 3/(1-q) requests, p99 300: a run that
is planned with fewer is refused, one that has fewer in the end fails.

Jobs:
With --occupy each request asks the server to take a time of its own:
?occupy=1500000ns is added to its URL. `caffeine --respond sleep:DIST`
and `spin:DIST` obey, and so can a handler. The time is a function of
--seed and of the job's number, so servers that get the same seed get the
same jobs. An open loop numbers its measured arrivals; a closed loop its
measured requests, in the order in which they start; of n threads and
processes (-t, --shard) each has every nth number. Poisson arrivals and
closed loops number per thread. The warm-up has numbers of its own, and a
request that fails keeps its number. The number also says which URL of
--urls a request has.

Search:
--find-rate multiplies the rate by 4 until the objective is missed,
bisects, and repeats runs until the answer lies between a rate that
always met it and one that never did. Unless an objective limits errors,
errors<1% is added; unless one names statuses, status.5xx<1%. Runs last
as long as the percentiles need (see Expectations). Each run ends when its last connection is closed.
A run that is INVALID, or that missed the objective while a thread of
loadgen used more than 90 % of a core, shows the generator's limit, not
the server's.

Live view:
During the run: a live view on a terminal (NO_COLOR is respected, q ends
the run early and reports), otherwise a line per interval on standard
error, without a rate where the interval ended with the run; with --quiet
nothing. SIGINT, SIGTERM and SIGHUP end a run as q does.

Exit status:
  0 done, whatever the statuses (--expect 'status.2xx>99%')
  1 failed (connection refused, no request completed, no rate
  meets the objective)   2 usage   3 INVALID, or --find-rate reached the
  generator's limit first   4 an expectation was not met";

const USAGE: &str = "loadgen [OPTIONS] [URL]\n       loadgen merge [OPTIONS] <FILE>...";

/// Generates HTTP load and measures it; by default each request has a new connection.
#[derive(Clone, Debug, clap::Parser)]
#[command(group = clap::ArgGroup::new("open_loop").multiple(true))]
#[command(name = "loadgen", version, after_help = EXAMPLES, max_term_width = 80, disable_help_flag = true, allow_negative_numbers = true)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    override_usage = USAGE
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[arg(
        value_name = "URL",
        help = "Target: [http://]host[:port][/path][?query], or :port of this machine; default http://127.0.0.1:8080/. TLS and HTTP/2 are not supported"
    )]
    pub url: Option<String>,

    #[command(flatten)]
    pub connections: ConnectionArgs,

    #[command(flatten)]
    pub schedule: ScheduleArgs,

    #[command(flatten)]
    pub request: RequestArgs,

    #[command(flatten)]
    pub search: SearchArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    /// Print the completions for a shell
    #[arg(long, help_heading = "Other", value_name = "SHELL", exclusive = true)]
    pub completions: Option<clap_complete::Shell>,

    /// Print the manual page
    #[arg(long, exclusive = true, help_heading = "Other")]
    pub man: bool,

    /// Print this help
    #[arg(help_heading = "Other", short, long, action = clap::ArgAction::HelpShort)]
    pub help: Option<bool>,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Merge the results that several processes wrote with --json
    Merge(MergeArgs),
}

/// What `--completions` prints.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "loadgen", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The manual page, in roff.
pub fn man() -> Result<String, Error> {
    manual::render(Args::command(), include_str!("../../manual/loadgen.1"))
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))
}

/// Parses a duration above 0.
fn positive_ns(text: &str) -> Result<u64, String> {
    let ns = duration_ns(text)?;
    if ns == 0 { Err("must be above 0".into()) } else { Ok(ns) }
}

/// Parses a time or a distribution of times.
fn times(text: &str) -> Result<Distribution, String> {
    match duration_ns(text) {
        Ok(ns) => Ok(Distribution::Constant(Duration::from_nanos(ns))),
        Err(_) if text.contains('(') => text.parse(),
        Err(why) => Err(format!("{why}, or as a distribution: exp(10ms)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }
}
