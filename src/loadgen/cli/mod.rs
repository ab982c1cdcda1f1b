//! The command line of `loadgen`, as typed: one struct of options per file and per heading of `--help`. What it
//! means is `plan`'s business; clap ends here.

pub mod connections;
pub mod duration;
pub mod merge;
pub mod output;
pub mod request;
pub mod schedule;
pub mod search;

use connections::ConnectionArgs;
use merge::MergeArgs;
use output::OutputArgs;
use request::RequestArgs;
use schedule::ScheduleArgs;
use search::SearchArgs;

/// Where requests go when no URL is given.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080/";

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
  loadgen -n 1000 --json F URL   a thousand requests, the result in F
  loadgen --find-rate 'p99<5ms' URL
                                 what is the highest rate at which 99 %
                                 of the responses take less than 5 ms?
  loadgen -r 500 --expect 'p99<20ms' --expect 'errors<0.1%' URL
                                 exit code 4 if not, for CI

  Two machines that start together, each with half of the rate:
  loadgen -r 4000 --shard 1/2 --start-at T --json a.json URL
  loadgen -r 4000 --shard 2/2 --start-at T --json b.json URL
  loadgen merge a.json b.json    (T: $(($(date +%s) + 10)) on both)

Response time counts from the intended start of a request: in an open
loop, a request that had to wait because the server stalled is as slow
as a user would have found it. Service time counts from the moment it
was really sent. Failed requests are counted by kind and never enter
the latencies.

A response on a new connection is over when the server has closed it;
on one that is kept, with its last byte. A kept connection that the
server closes between requests is opened again (a reconnect); a request
on one that ends without a byte of an answer has failed
(closed-before-response) and is not sent twice.

Verdicts:
  OK            the figures can be used
  CLIENT-BOUND  closed loop, and a thread of loadgen used more than
                90 % of a core: the throughput may be the generator's,
                not the server's
  INVALID       loadgen ran out of descriptors or ports; or no request
                fell into the measured time; or, in an open loop, the
                send lag's p99 is above 1 ms and above a tenth of the
                response time's p99, or more than 2 % of the arrivals
                could not be sent in time, or Poisson arrivals were
                not sent as such (Anderson-Darling test, twice the
                critical value of 5 %; a send lag that the response
                time dwarfs is forgiven there too)

Expectations (--expect) and objectives (--find-rate) are METRIC, one of
< <= > >= == !=, and a value:
  p50 p75 p90 p99 p99.9 or any other percentile, min, mean, max
            of the response time, with us, ms or s: p99<5ms. Of another
            phase: service.p99, connect.max, first_byte.p90, send_lag.p99
  rate      responses per second that came within the measured time:
            rate>=1000. Those that came later are completed, but no part
            of it; so at --rate 1000 it may be 999.9
  errors (or failed), errors.KIND, status.404, status.5xx, completed,
  started, unsent, held, unfinished
            a number or a share: errors<1%, errors.short-body==0
An expectation with no matching requests fails.

--find-rate multiplies the rate by 4 until the objective breaks, halves
the distance, and repeats runs until the answer lies between a rate that
always held and one that never did. Unless an objective bounds errors,
errors<1% is added. Every run ends when its last connection is closed.
A run that is INVALID, or broke while a thread of loadgen used more than
90 % of a core, shows the generator's limit, not the server's.

While it runs: a live view on a terminal (NO_COLOR is respected, q ends
the run early and reports), otherwise a line per interval on standard
error; with --quiet nothing.

Exit codes:
  0 done   1 failed (nothing listens there, no request completed, no
  rate holds the objective)   2 usage   3 INVALID, or --find-rate met
  the generator's limit first   4 an expectation was not met";

const USAGE: &str = "loadgen [OPTIONS] [URL]\n       loadgen merge [OPTIONS] <FILE>...";

/// Generates HTTP load, by default with one new connection per request, and measures it.
#[derive(Clone, Debug, clap::Parser)]
#[command(group = clap::ArgGroup::new("open_loop").multiple(true))]
#[command(name = "loadgen", version, after_help = EXAMPLES, max_term_width = 80, disable_help_flag = true)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    override_usage = USAGE
)]
pub struct Args {
    /// What to do instead of sending.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The target.
    #[arg(
        value_name = "URL",
        help = "Where to: [http://]host[:port][/path][?query]; default http://127.0.0.1:8080/"
    )]
    pub url: Option<String>,

    /// Who sends.
    #[command(flatten)]
    pub connections: ConnectionArgs,

    /// When.
    #[command(flatten)]
    pub schedule: ScheduleArgs,

    /// What.
    #[command(flatten)]
    pub request: RequestArgs,

    /// Which figures are wanted.
    #[command(flatten)]
    pub search: SearchArgs,

    /// Where the result goes.
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

/// What can be done instead of sending.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Make one result of those that several processes wrote with --json
    Merge(MergeArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }
}
