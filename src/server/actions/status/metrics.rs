//! `--metrics`: the counters of an instance in the OpenMetrics text format, version 1.0. Pure but for the clock.
//!
//! A counter never decreases while its instance runs. Those of the instance add up over the deaths of workers and over
//! reloads; those of a worker belong to its number in one generation, which both are labels.

use std::fmt::{Display, Write as _};

use super::sight::{Handlers, Relayed, Sight};
use crate::http::refusal::KINDS;
use crate::scoreboard::{Balance, Counters};
use crate::server::actions::table::seconds_since;

/// The whole exposition.
pub(super) fn text(sight: &Sight) -> String {
    let mut out = Metrics { text: String::new(), name: escaped(&sight.name) };
    out.instance(sight);
    out.counted(sight);
    out.handlers(sight);
    sight.relayed.iter().for_each(|relayed| out.relayed(relayed));
    out.workers(&sight.workers, sight.generation);
    out.text + "# EOF\n"
}

/// A label's value between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

struct Metrics {
    text: String,
    /// The instance, which every sample has as a label.
    name: String,
}

/// A counter's samples end with this.
const TOTAL: &str = "_total";

impl Metrics {
    /// Begins a metric. Returns what its samples end with.
    fn metric(&mut self, name: &str, kind: &str, help: &str) -> &'static str {
        let _ = writeln!(self.text, "# TYPE caffeine_{name} {kind}");
        if let Some(unit) = ["seconds"].iter().find(|unit| name.ends_with(&format!("_{unit}"))) {
            let _ = writeln!(self.text, "# UNIT caffeine_{name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP caffeine_{name} {help}");
        if kind == "counter" { TOTAL } else { "" }
    }

    /// A sample with more labels, each with a comma in front.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.text, "caffeine_{name}{{name=\"{}\"{labels}}} {value}", self.name);
    }

    /// A metric with one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        let end = self.metric(name, kind, help);
        self.sample(&format!("{name}{end}"), "", value);
    }

    fn instance(&mut self, sight: &Sight) {
        self.metric("build", "info", "The server's version.");
        self.sample("build_info", concat!(",version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
        let started = format!("{:.3}", sight.since_ms as f64 / 1e3);
        self.one("start_time_seconds", "gauge", "When the instance started, Unix time.", started);
        let up = format!("{:.3}", seconds_since(sight.since_ms));
        self.one("uptime_seconds", "gauge", "Time since then.", up);
        self.one("generation", "gauge", "Number of the serving generation of workers.", sight.generation);
        self.one("workers", "gauge", "Workers of that generation.", sight.workers.len());
        self.one("restarts", "counter", "Replacements of dead workers.", sight.respawns);
        self.one("reloads_refused", "counter", "Reloads that failed.", sight.refused);
        if let Some(Balance { jain, max_over_mean }) = Balance::of(&sight.workers) {
            let help = "Jain's index of the accepted connections of the generation's workers.";
            self.one("balance_jain", "gauge", help, jain);
            let help = "Accepted connections of its busiest worker over the mean.";
            self.one("balance_max_over_mean", "gauge", help, max_over_mean);
        }
    }

    fn counted(&mut self, sight: &Sight) {
        let Counters { accepted, stolen, launched, launch_failures, timeouts, open, .. } = sight.totals;
        self.one("connections_accepted", "counter", "Connections accepted.", accepted);
        self.one("connections_stolen", "counter", "Those that waited for another worker.", stolen);
        self.one(
            "connections_timed_out",
            "counter",
            "Those closed because the client was too slow.",
            timeouts,
        );
        self.one("connections_open", "gauge", "Connections that workers hold now.", open);
        self.one("handlers_launched", "counter", "Handlers started.", launched);
        self.one("handlers_not_started", "counter", "Handlers that could not be started.", launch_failures);
        let end = self.metric("responses", "counter", "The server's own answers by status class.");
        for (class, count) in (1..).zip(sight.totals.answered) {
            self.sample(&format!("responses{end}"), &format!(",class=\"{class}xx\""), count);
        }
        let end = self.metric("refusals", "counter", "Requests that the server refused, by reason.");
        for ((status, word), count) in KINDS.iter().zip(sight.refusals) {
            let status = if *status == 0 { String::new() } else { format!(",status=\"{status}\"") };
            self.sample(&format!("refusals{end}"), &format!("{status},reason=\"{word}\""), count);
        }
    }

    fn handlers(&mut self, sight: &Sight) {
        let Handlers { ok, failed, killed, client_gone, running, .. } = sight.ended;
        if sight.handlers.is_some() {
            self.one("handlers_running", "gauge", "Handlers that run now.", running);
        }
        let end = self.metric("handlers_ended", "counter", "Ends of handlers, where they are recorded.");
        let counts = [("ok", ok), ("failed", failed), ("killed", killed), ("client_gone", client_gone)];
        for (outcome, count) in counts {
            self.sample(&format!("handlers_ended{end}"), &format!(",outcome=\"{outcome}\""), count);
        }
    }

    fn relayed(&mut self, relayed: &Relayed) {
        let Relayed { now, ended, cut } = *relayed;
        self.one("documents_under_way", "gauge", "Document responses that are passed on now.", now);
        let end = self.metric("documents", "counter", "Document responses that have ended, by status class.");
        for (class, count) in (1..).zip(ended) {
            self.sample(&format!("documents{end}"), &format!(",class=\"{class}xx\""), count);
        }
        self.one("documents_cut", "counter", "Those that were cut off.", cut);
    }

    fn workers(&mut self, workers: &[Counters], generation: u64) {
        let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Counters) -> String| {
            let end = self.metric(&format!("worker_{name}"), kind, help);
            for row in workers {
                let labels = format!(",worker=\"{}\",generation=\"{generation}\"", row.worker);
                self.sample(&format!("worker_{name}{end}"), &labels, value(row));
            }
        };
        each("accepted", "counter", "Connections accepted.", &|row| row.accepted.to_string());
        each("stolen", "counter", "Those from another worker's queue.", &|row| row.stolen.to_string());
        each("launched", "counter", "Handlers started.", &|row| row.launched.to_string());
        each("wakeups", "counter", "Returns from the wait for connections.", &|row| row.wakeups.to_string());
        let help = "Those that found nothing to accept.";
        each("empty_wakeups", "counter", help, &|row| row.empty_wakeups.to_string());
        each("busy_seconds", "counter", "Time spent on connections.", &|row| {
            format!("{}.{:09}", row.busy_ns / 1_000_000_000, row.busy_ns % 1_000_000_000)
        });
        each("open", "gauge", "Connections that it holds now.", &|row| row.open.to_string());
        each("running", "gauge", "Its running handlers, where they are watched.", &|row| {
            row.running.to_string()
        });
    }
}
