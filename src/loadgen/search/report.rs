//! A search as text and as CSV.

use std::fmt::Write as _;

use crate::loadgen::figures::{short, time};
use crate::measure::record::{Probe, Search};

/// One run, in the columns of [`HEAD`].
pub fn line(probe: &Probe) -> String {
    let Probe { offered, achieved, p50_us, p99_us, p999_us, failed, ref verdict, ref reasons, .. } = *probe;
    let times = [p50_us, p99_us, p999_us].map(|us| if probe.completed == 0 { "-".into() } else { time(us) });
    let why = reasons.first().map(|why| format!(": {why}")).unwrap_or_default();
    format!(
        "{:>8} {:>9} {:>9} {:>9} {:>9} {failed:>7}  {verdict}{why}",
        short(offered),
        short(achieved),
        times[0],
        times[1],
        times[2]
    )
}

pub const HEAD: &str = " offered  achieved       p50       p99     p99.9  failed  verdict";

/// Every run by rate, and the answer.
pub fn text(search: &Search, interrupted: bool, width: usize) -> String {
    let mut text =
        format!("\n  search for the highest rate that meets {}\n\n{HEAD}\n", search.objectives.join(", "));
    let mut probes: Vec<_> = search.probes.iter().collect();
    probes.sort_by(|left, right| left.offered.total_cmp(&right.offered));
    for probe in probes {
        let (whole, brief) = (line(probe), line(&Probe { reasons: Vec::new(), ..probe.clone() }));
        // The JSON has the reasons that do not fit.
        let _ = writeln!(text, "{}", if whole.chars().count() <= width { whole } else { brief });
    }
    let _ = writeln!(text, "\n  answer     {}", answer(search));
    if interrupted {
        let _ = writeln!(text, "             interrupted before both ends were confirmed");
    } else if !search.confirmed && search.outcome != "none" {
        let _ = writeln!(text, "             the time ended before both ends were confirmed (--find-time)");
    }
    if search.outcome == "none" {
        let _ = writeln!(text, "             (a longer --find-time allows lower rates)");
    }
    if search.non_monotone {
        let _ = writeln!(text, "             not monotone: a lower rate was broken, or a higher one held");
    }
    text
}

fn answer(search: &Search) -> String {
    let rate = |rate: Option<f64>| rate.map(short).unwrap_or_default();
    let interval = match (search.lower, search.upper) {
        (Some(lower), Some(upper)) => format!(" (between {} and {})", short(lower), short(upper)),
        (Some(lower), None) => format!(" (at least {})", short(lower)),
        _ => String::new(),
    };
    match search.outcome.as_str() {
        "found" => format!("{}/s{interval}", rate(search.rate)),
        "above" => format!("{}/s or more: every rate tried held", rate(search.rate)),
        "generator" if search.rate.is_some() => {
            format!("at least {}/s: above that loadgen is the limit (more threads: -t)", rate(search.rate))
        }
        "generator" => "none: loadgen is the limit even at the lowest rate".into(),
        _ => "none: broken even at the lowest rate tried".into(),
    }
}

/// One row per run in chronological order, times in us.
pub fn csv(search: &Search) -> String {
    let mut text = String::from("offered,achieved,p50_us,p99_us,p999_us,completed,failed,verdict\n");
    for probe in &search.probes {
        let Probe { offered, achieved, p50_us, p99_us, p999_us, completed, failed, verdict, .. } = probe;
        let _ =
            writeln!(text, "{offered},{achieved},{p50_us},{p99_us},{p999_us},{completed},{failed},{verdict}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        let probe = |offered: f64, verdict: &str| Probe {
            offered,
            achieved: offered * 0.999,
            p50_us: 412.0,
            p99_us: 4700.0,
            p999_us: 12_345.0,
            completed: 1000,
            verdict: verdict.into(),
            reasons: if verdict == "holds" { vec![] } else { vec!["p99<5ms: 6.10".into()] },
            ..Probe::default()
        };
        Search {
            objectives: vec!["p99<5ms".into(), "errors<1%".into()],
            outcome: "found".into(),
            rate: Some(3200.0),
            lower: Some(3200.0),
            upper: Some(3360.0),
            confirmed: true,
            non_monotone: false,
            probes: vec![probe(6400.0, "broken"), probe(3200.0, "holds")],
        }
    }

    #[test]
    fn the_text_lists_the_runs_by_rate_and_ends_with_the_answer() {
        insta::assert_snapshot!(text(&search(), false, 80));
    }

    #[test]
    fn uncertainty_is_reported() {
        let unconfirmed = Search { confirmed: false, non_monotone: true, ..search() };
        let interrupted = text(&unconfirmed, true, 80);
        assert!(interrupted.contains("interrupted") && !interrupted.contains("--find-time"), "{interrupted}");
        let text = text(&unconfirmed, false, 80);
        assert!(text.contains("--find-time") && text.contains("not monotone"), "{text}");
        let text = super::text(&Search { outcome: "generator".into(), ..search() }, false, 80);
        assert!(text.contains("at least 3200/s") && text.contains("-t"), "{text}");
    }

    #[test]
    fn the_csv_has_one_row_per_run_in_chronological_order() {
        insta::assert_snapshot!(csv(&search()), @r"
        offered,achieved,p50_us,p99_us,p999_us,completed,failed,verdict
        6400,6393.6,412,4700,12345,1000,0,broken
        3200,3196.8,412,4700,12345,1000,0,holds
        ");
    }
}
