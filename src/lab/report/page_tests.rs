//! What the figures of a page show, and what a page may weigh.

use super::tests::{files, folder};
use super::*;
use crate::lab::fixture::rich::Rich;

/// More strategies than a panel has colours.
pub fn crowd() -> Rich {
    let listeners = vec![
        "inherited",
        "reuseport",
        "round-robin",
        "inherited-exclusive",
        "inherited-herd",
        "inherited-rearm",
        "inherited-delay",
        "inherited-mutex",
        "uring",
        "dispatch",
        "least-loaded",
        "reuseport-cbpf",
        "reuseport-steal",
    ];
    Rich { listeners, open: vec![400, 800, 1200], ..Rich::default() }
}

/// Names of the figures' files, without their numbers and scenes.
fn kinds(directory: &Path) -> std::collections::BTreeSet<String> {
    let name = |(path, _): (PathBuf, Vec<u8>)| path.file_stem().unwrap().to_string_lossy().into_owned();
    let kind = |name: String| name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
    let all = files(&directory.join("plots")).into_iter().map(name);
    all.map(|name| kind(name.split("-1-").next().unwrap().to_owned())).collect()
}

#[test]
fn every_figure_that_the_data_support_is_drawn_and_linked() {
    let data = Rich {
        rounds: 2,
        faults: vec!["none", "stop@1s+500ms"],
        open: vec![400, 800, 1200],
        ..Rich::default()
    };
    let (_base, directory) = folder(&data.data());
    let page = redraw(&directory).unwrap().0.page;
    let drawn = kinds(&directory);
    for kind in ["load", "change", "fault", "spread", "percentiles", "costs", "heat", "queues", "ledger"] {
        assert!(drawn.contains(kind), "no {kind} in {drawn:?}");
    }
    let (markdown, html) =
        (fs::read_to_string(directory.join("report.md")).unwrap(), fs::read_to_string(page).unwrap());
    for name in fs::read_dir(directory.join("plots")).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_string_lossy();
        assert!(name == "more" || markdown.contains(&format!("(plots/{name})")), "{name}");
    }
    assert!(!markdown.contains("plots/more"));
    assert_eq!(html.matches("<section").count(), html.matches("</section>").count());
    assert_eq!(html.matches("<details").count(), html.matches("</details>").count());
}

#[test]
fn what_shows_nothing_is_a_sentence_and_not_a_figure() {
    let data = Rich {
        rounds: 2,
        listeners: vec!["inherited", "round-robin"],
        peers: vec![],
        open: vec![400],
        ..Rich::default()
    };
    let (_base, directory) = folder(&data.data());
    redraw(&directory).unwrap();
    let drawn = kinds(&directory);
    assert!(
        !drawn.contains("spread") && !drawn.contains("heat") && !drawn.contains("first-byte"),
        "{drawn:?}"
    );
    let markdown = fs::read_to_string(directory.join("report.md")).unwrap();
    let evenly = "Spread evenly or nearly so, the busiest worker with at most ";
    assert!(markdown.contains(evenly) && markdown.contains("inherited and round-robin."), "{markdown}");
}

#[test]
fn a_worker_that_hangs_shows_in_the_fault_figure_by_intended_start_and_is_ringed() {
    let faults = vec!["none", "stop@1s+500ms"];
    let data = Rich { rounds: 3, peers: vec![], open: vec![400], faults, ..Rich::default() };
    let (_base, directory) = folder(&data.data());
    redraw(&directory).unwrap();
    let fault = fs::read_to_string(directory.join("plots/fault.svg")).unwrap();
    assert!(
        fault.contains("Who waits while one worker is stopped for 0.5 s") && fault.contains("stop@1s+500ms"),
        "{fault}"
    );
    assert!(fault.contains("seconds since the fault") && fault.contains(" ms or failed, %"), "{fault}");
    assert!(fault.contains("aria-label=\"Around a fault") && fault.contains("reuseport up to "), "{fault}");
    assert!(fs::read_to_string(directory.join("plots/spread.svg")).unwrap().contains("#CA1129"));
}

/// The most that a page may weigh, and its most headings and figures that are not folded.
const BUDGET: (usize, usize, usize) = (500_000, 14, 8);

/// What is beyond the budget of a page; empty if nothing is.
fn beyond(html: &str) -> String {
    let headings = html.matches("<h2").count() + html.matches("<h1").count() + html.matches("<h3").count();
    let unfolded: String = html
        .split("<details")
        .enumerate()
        .map(
            |(index, part)| {
                if index == 0 { part } else { part.split_once("</details>").map_or("", |(_, rest)| rest) }
            },
        )
        .collect();
    let figures = unfolded.matches("<figure>").count();
    let all =
        [("bytes", html.len(), BUDGET.0), ("headings", headings, BUDGET.1), ("figures", figures, BUDGET.2)];
    let over = all.iter().filter(|(_, found, most)| found > most);
    over.map(|(what, found, most)| format!("{found} {what} of {most} ")).collect()
}

#[test]
fn a_page_of_any_experiment_stays_within_its_budget() {
    let mut folders = vec![];
    let faults = vec!["none", "stop@1s+500ms", "kill@1s", "reload@1s"];
    for data in [
        Rich::default(),
        Rich { workers: vec![4, 8], open: vec![400], rounds: 1, ..crowd() },
        Rich { faults, open: vec![800], ..Rich::default() },
    ] {
        folders.push(folder(&data.data()));
    }
    let pages: Vec<PathBuf> =
        folders.iter().map(|(_, directory)| redraw(directory).unwrap().0.page).collect();
    for page in pages {
        let html = fs::read_to_string(&page).unwrap();
        assert_eq!(beyond(&html), "", "{}", page.display());
        // Headings in order, texts for figures, and everything that scrolls can be reached with keys.
        assert!(html.find("<h1").unwrap() < html.find("<h2").unwrap() && !html.contains("<h4"));
        assert!(html.matches("<svg").count() == html.matches("role=\"img\" aria-label=\"").count());
        assert_eq!(
            html.matches("class=\"scroll").count(),
            html.matches("tabindex=\"0\" role=\"region\"").count()
        );
    }
}

#[test]
fn a_page_beyond_its_budget_is_found() {
    let heavy = format!("<h1>a</h1>{}", "<h2>b</h2><figure>".repeat(20));
    assert_eq!(beyond(&heavy), "21 headings of 14 20 figures of 8 ");
    assert_eq!(beyond("<h1>a</h1><details><figure></details>"), "");
}

/// The reports that are kept, redrawn elsewhere; what is not in the package is left out.
#[test]
fn pages_of_kept_reports_stay_within_their_budget() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    for folder in fs::read_dir(results).unwrap().map(|entry| entry.unwrap().path().join("reference")) {
        if !store::is_results(&folder) || !folder.join("report.md").exists() {
            continue;
        }
        let base = tempfile::tempdir().unwrap();
        let target = base.path().join("kept/reference");
        fs::create_dir_all(&target).unwrap();
        for name in ["spec.toml", "machine.json", "runs.jsonl.gz", "note.txt"] {
            if folder.join(name).exists() {
                fs::copy(folder.join(name), target.join(name)).unwrap();
            }
        }
        let html = fs::read_to_string(redraw(&target).unwrap().0.page).unwrap();
        assert_eq!(beyond(&html), "", "{}", folder.display());
    }
}
