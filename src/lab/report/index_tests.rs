//! The index from summaries alone.

use super::*;
use crate::lab::fixture;
use crate::lab::report::card::Card;
use crate::lab::report::redraw;
use crate::lab::report::tests::folder;

fn leave(results: &Path, folder: &str, started: &str, answer: &str) {
    let directory = results.join(folder);
    fs::create_dir_all(&directory).unwrap();
    let summary = Summary {
        question: "Which one?".into(),
        started: started.into(),
        label: "a<b".into(),
        card: Card { advice: answer.into(), ..Card::default() },
        verdicts: [("OK".into(), 30), ("NOISY".into(), 2)].into(),
        ..Summary::default()
    };
    summary.write(&directory).unwrap();
}

#[test]
fn all_reports_are_listed_the_newest_first_and_what_is_no_report_is_not() {
    let base = tempfile::tempdir().unwrap();
    leave(base.path(), "quick/1-host", "20261123T010000Z", "The older answer.");
    leave(base.path(), "quick/reference", "20261124T010000Z", "The newer answer.");
    leave(base.path(), "tail/1-host", "20261122T010000Z", "Another answer.");
    fs::create_dir_all(base.path().join("notes/of-mine")).unwrap();
    let html = fs::read_to_string(write(base.path()).unwrap()).unwrap();
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text} in {html}"));
    assert!(at("The newer answer.") < at("The older answer.") && at("The older answer.") < at("Another"));
    assert!(html.contains("href=\"quick/reference/report.html\"") && html.contains("a&lt;b"));
    assert!(html.contains("2 NOISY, 30 OK") && !html.contains("of-mine"), "{html}");
}

#[test]
fn links_lead_to_folders_of_any_name() {
    assert_eq!(link("a b/c#1/é.html"), "a%20b/c%231/%C3%A9.html");
}

#[test]
fn only_a_folder_of_results_gets_an_index() {
    let base = tempfile::tempdir().unwrap();
    leave(base.path(), "quick/reference", "20261124T010000Z", "The answer.");
    after(&base.path().join("quick/reference"), "tail").unwrap();
    assert!(!base.path().join(INDEX).exists());
    after(&base.path().join("quick/reference"), "quick").unwrap();
    assert!(base.path().join(INDEX).exists());
}

#[test]
fn a_report_fills_its_cells_and_an_old_summary_is_named() {
    let mut data = fixture::quick(12);
    // Rounds with the same seed are not judged.
    for run in &mut data.runs {
        let seed = u64::from(run.round);
        run.record.iter_mut().for_each(|record| record.plan.seed = seed);
    }
    let (base, directory) = folder(&data);
    redraw(&directory).unwrap();
    let html = fs::read_to_string(write_at(base.path(), "20261126T000000Z").unwrap()).unwrap();
    assert!(html.contains("3 days") && !html.contains("lab report --all</code> draws"), "{html}");
    // The fixture's reuseport is 10 % slower under full load.
    let row = html.split("<tr id=\"row-reuseport\"").nth(1).unwrap().split("</tr>").next().unwrap();
    let cell = row.split("data-name=\"Throughput\"").nth(1).unwrap().split("</td>").next().unwrap();
    assert!(cell.contains("worse than the default") && cell.contains("-9.5 %"), "{cell}");
    assert!(row.contains("<code>lab run tail</code>"), "{row}");
    assert!(html.contains("<code>lab run tail --only listener=reuseport</code>"), "the sheet has it whole");
    let stale = directory.join("summary.json");
    let text = fs::read_to_string(&stale).unwrap();
    fs::write(&stale, text.replace("\"basis\"", "\"was\"")).unwrap();
    let html = fs::read_to_string(write(base.path()).unwrap()).unwrap();
    let place = directory.file_name().unwrap().to_str().unwrap();
    assert!(html.contains(&format!("quick/{place}")) && html.contains("lab report --all</code> draws"));
}

#[test]
fn members_of_a_suite_are_read_and_listed_with_it_alone() {
    let base = tempfile::tempdir().unwrap();
    leave(base.path(), "claims/reference", "20261124T010000Z", "All hold.");
    leave(base.path(), "claims/reference/tail", "20261124T010000Z", "A member.");
    let suite = base.path().join("claims/reference");
    fs::write(suite.join(SUITE), "").unwrap();
    fs::create_dir(suite.join("plots")).unwrap();
    fs::create_dir(suite.join("claim-r1")).unwrap();
    fs::write(suite.join("claim-r1").join(store::SPEC), "").unwrap();
    let found = find(base.path()).unwrap();
    let names = |runs: &[Run]| runs.iter().map(|run| run.experiment.clone()).collect::<Vec<_>>();
    assert_eq!((names(&found.reports), names(&found.members)), (vec!["claims".into()], vec!["tail".into()]));
    assert!(found.members[0].kept && found.undrawn.contains(&"claims/reference/claim-r1".into()));
}

#[test]
fn the_page_needs_no_network_and_no_other_file() {
    let base = tempfile::tempdir().unwrap();
    let html = fs::read_to_string(write(base.path()).unwrap()).unwrap();
    for outside in ["<link", "src=", "url(", "@import", "http://", "https://"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("There are no reports yet") && html.contains("<caption"));
}

#[test]
fn the_part_between_the_lines_is_drawn_and_the_rest_stays() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join(README);
    let page = || fs::read_to_string(&path).unwrap();
    update_readme(base.path(), &[], true).unwrap();
    assert!(!path.exists());
    fs::write(&path, format!("# Mine\n\n{BEGIN}STALE\n{END}\nThe end.\n")).unwrap();
    update_readme(base.path(), &[], false).unwrap();
    assert!(page().contains("STALE"), "results without a summary would be missing");
    update_readme(base.path(), &[], true).unwrap();
    let drawn = page();
    assert!(
        drawn.starts_with("# Mine\n\n<!-- drawn") && drawn.ends_with("part -->\n\nThe end.\n"),
        "{drawn}"
    );
    assert!(!drawn.contains("STALE") && drawn.contains("| `inherited` |"), "{drawn}");
    update_readme(base.path(), &[], true).unwrap();
    assert_eq!(page(), drawn);
    fs::write(&path, format!("{BEGIN}STALE\n")).unwrap();
    let error = update_readme(base.path(), &[], true).unwrap_err().to_string();
    assert!(error.contains("the line `<!-- end of the drawn part -->` is missing"), "{error}");
}
