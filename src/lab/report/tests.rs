//! Reports from fixed data.

use super::*;
use crate::lab::fixture;
use crate::lab::fixture::rich::Rich;
use crate::lab::results::store::{Data, Results};
use crate::lab::spec::suite::Suite;

pub fn folder(data: &Data) -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let text = toml::to_string(&data.spec).unwrap();
    let mut results = Results::create(base.path(), &text, &data.environment).unwrap();
    data.runs.iter().for_each(|run| results.append(run).unwrap());
    let directory = results.directory;
    (base, directory)
}

pub fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(self::files(&entry));
        } else {
            files.push((entry.clone(), fs::read(&entry).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn a_report_is_drawn_again_byte_for_byte_from_the_data_alone() {
    let (_base, directory) = folder(&Rich::default().data());
    redraw(&directory).unwrap();
    let first = files(&directory);
    for entry in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
        let raw = ["spec.toml", "machine.json", "runs.jsonl"].map(|name| directory.join(name));
        if entry.is_dir() {
            fs::remove_dir_all(entry).unwrap();
        } else if !raw.contains(&entry) {
            fs::remove_file(entry).unwrap();
        }
    }
    assert_eq!(files(&directory).len(), 3);
    redraw(&directory).unwrap();
    let again = files(&directory);
    for (one, other) in first.iter().zip(&again) {
        assert!(one == other, "{:?} and {:?} differ", one.0, other.0);
    }
    assert_eq!(first.len(), again.len());
}

#[test]
fn the_page_stands_alone_and_escapes_what_programs_wrote() {
    let mut data = fixture::quick(3);
    let victim = data.runs.last_mut().unwrap();
    fixture::void(victim);
    victim.void.as_mut().unwrap().reason = "died of <script>".into();
    let (_base, directory) = folder(&data);
    let page = redraw(&directory).unwrap().0.page;
    let html = fs::read_to_string(page).unwrap();
    for outside in ["<script", "<link", "src=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("died of &lt;script&gt;") && html.contains("INVALID"));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("currentColor"));
}

#[test]
fn a_run_that_was_cut_off_while_being_written_is_left_out() {
    let (_base, directory) = folder(&fixture::quick(2));
    let path = directory.join("runs.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 50]).unwrap();
    assert_eq!(store::load(&directory).unwrap().runs.len(), fixture::quick(2).runs.len() - 1);
    redraw(&directory).unwrap();
}

#[test]
fn results_are_never_overwritten() {
    let data = fixture::quick(1);
    let base = tempfile::tempdir().unwrap();
    let make = || Results::create(base.path(), "x", &data.environment).unwrap().directory;
    let (first, second) = (make(), make());
    assert_ne!(first, second);
    assert!(second.ends_with("quick/20261123T010000Z-bench1-2"), "{second:?}");
}

#[test]
fn a_folder_without_results_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let error = redraw(base.path()).unwrap_err().to_string();
    assert!(error.contains("is not a results folder"), "{error}");
}

#[test]
fn claims_come_first_with_their_verdicts() {
    let data = Rich { rounds: 10, open: Vec::new(), ..Rich::default() }.data();
    let (_base, directory) = folder(&data);
    let card = redraw(&directory).unwrap().0.card;
    assert!(
        card.advice.starts_with("Do not build on this claim, which is contradicted: \u{201c}A hash costs"),
        "{card:?}"
    );
    let markdown = fs::read_to_string(directory.join("report.md")).unwrap();
    let table = markdown.split("## Tested claims").nth(1).unwrap().split("\n## ").next().unwrap();
    insta::assert_snapshot!(table);
}

/// Page, Markdown, summary and terminal have the same card.
#[test]
fn the_same_card_heads_the_page_the_markdown_the_summary_and_the_terminal() {
    let (_base, directory) = folder(&fixture::quick(12));
    let card = redraw(&directory).unwrap().0.card;
    assert!(!card.effects.is_empty() && card.parts().len() > 2, "{card:?}");
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let (html, markdown, terminal) = (read(PAGE), read("report.md"), card.for_terminal(None, false));
    let parts = card.parts().into_iter().map(|(_, text)| text);
    for text in [card.advice.as_str()].into_iter().chain(card.effects.iter().map(String::as_str)).chain(parts)
    {
        let escaped = text.replace('\'', "&#x27;").replace('"', "&quot;");
        assert!(html.contains(&escaped) && markdown.contains(text) && terminal.contains(text), "{text}");
    }
    assert_eq!(summary::Summary::read(&directory).unwrap().card, card);
    let heading = html.find("<h2").unwrap_or(html.len());
    assert!(html.find("aria-label=\"Decision\"").unwrap() < heading, "it is above everything else");
}

#[test]
fn figures_of_an_earlier_report_are_removed() {
    let (_base, directory) = folder(&fixture::quick(1));
    fs::create_dir(directory.join("plots")).unwrap();
    fs::write(directory.join("plots/old.svg"), "<svg/>").unwrap();
    redraw(&directory).unwrap();
    assert!(!directory.join("plots/old.svg").exists() && directory.join("plots/more/ledger.svg").exists());
}

#[test]
fn the_tables_have_a_row_per_run_worker_sample_interval_and_phase() {
    let data = Rich { rounds: 1, open: vec![400], peers: Vec::new(), ..Rich::default() }.data();
    let (_base, directory) = folder(&data);
    redraw(&directory).unwrap();
    let rows = |name: &str| {
        let mut reader = csv::Reader::from_path(directory.join(name)).unwrap();
        let columns = reader.headers().unwrap().len();
        reader.records().map(|record| assert_eq!(record.unwrap().len(), columns)).count()
    };
    let runs = data.runs.len();
    assert_eq!((rows("runs.csv"), rows("workers.csv")), (runs, runs * 4));
    assert_eq!((rows("series.csv"), rows("intervals.csv")), (runs * 15 * 4, runs * 14));
    assert_eq!(rows("percentiles.csv"), runs * 4);
}

#[test]
fn the_dictionary_has_every_column_of_every_table_and_no_other() {
    let data = Rich { rounds: 1, open: vec![400], ..Rich::default() }.data();
    let (_base, directory) = folder(&data);
    redraw(&directory).unwrap();
    let mut dictionary = csv::Reader::from_path(directory.join("columns.csv")).unwrap();
    let known: Vec<(String, String, String, String)> =
        dictionary.deserialize().collect::<std::result::Result<_, _>>().unwrap();
    let mut used = vec![false; known.len()];
    for file in std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
        let table = file.file_name().unwrap().to_string_lossy().into_owned();
        if !table.ends_with(".csv") || table == "columns.csv" {
            continue;
        }
        let mut reader = csv::Reader::from_path(&file).unwrap();
        let columns: Vec<String> = reader.headers().unwrap().iter().map(Into::into).collect();
        assert!(
            columns.starts_with(&["experiment".into(), "label".into()]),
            "{table} says where it comes from"
        );
        for column in columns {
            let own = known.iter().position(|(of, name, ..)| *of == table && *name == column);
            let place = own.or_else(|| known.iter().position(|(of, name, ..)| of == "*" && *name == column));
            used[place.unwrap_or_else(|| panic!("{table}: {column} is not in columns.csv"))] = true;
        }
    }
    let unused: Vec<_> = known.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry).collect();
    assert!(unused.is_empty(), "no table has {unused:?}");
    assert!(known.iter().all(|(.., meaning)| !meaning.is_empty()));
}

fn plan(question: &str) -> Suite {
    Suite { question: question.into(), decision: String::new(), suite: vec!["one".into(), "two".into()] }
}

#[test]
fn a_suite_has_one_table_and_leads_to_its_members() {
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("claims/now");
    let data = Rich { rounds: 2, open: Vec::new(), ..Rich::default() }.data();
    let text = toml::to_string(&data.spec).unwrap();
    let place = Results::create(base.path(), &text, &data.environment);
    let mut results = place.unwrap();
    data.runs.iter().for_each(|run| results.append(run).unwrap());
    fs::create_dir_all(&directory).unwrap();
    fs::rename(&results.directory, directory.join("one")).unwrap();
    redraw(&directory.join("one")).unwrap();
    let claims = crate::lab::judge::judge(&data).claims;
    let members = [
        suite::Member { name: "one".into(), claims: Some(claims) },
        suite::Member { name: "two".into(), claims: None },
    ];
    let html =
        fs::read_to_string(suite::write(&directory, &plan("Which <claims> hold?"), &members).unwrap().0)
            .unwrap();
    assert!(html.contains("Which &lt;claims&gt; hold?") && html.contains("href=\"one/report.html\""));
    assert!(html.contains("not started: two") && html.matches("not testable here").count() >= 1);
    let index = fs::read_to_string(base.path().join("index.html")).unwrap();
    assert!(
        index.contains("href=\"claims/now/report.html\"")
            && index.contains("href=\"claims/now/one/report.html\"")
    );
    let markdown = fs::read_to_string(directory.join("report.md")).unwrap();
    assert!(markdown.contains("[one](one/report.md)") && markdown.contains("two: not started"), "{markdown}");
}

/// For visual checks: `LAB_FIXTURES=DIR cargo test --lib reports_for_the_eye` leaves reports in DIR.
#[test]
fn reports_for_the_eye_are_left_where_they_are_asked_for() {
    let Some(base) = std::env::var_os("LAB_FIXTURES").map(PathBuf::from) else { return };
    let faulty = Rich {
        faults: vec!["none", "stop@1s+500ms", "kill@1s"],
        open: vec![800],
        rounds: 12,
        ..Rich::default()
    };
    let crowd = super::page_tests::crowd();
    let every = [
        ("quick", fixture::quick(4)),
        ("quick-12", fixture::quick(12)),
        ("rich", Rich::default().data()),
        ("faulty", faulty.data()),
        ("crowd", crowd.data()),
    ];
    let mut folders = Vec::new();
    for (name, mut data) in every {
        data.environment.experiment = name.into();
        let text = toml::to_string(&data.spec).unwrap();
        let mut results = Results::create(&base, &text, &data.environment).unwrap();
        data.runs.iter().for_each(|run| results.append(run).unwrap());
        let begin = std::time::Instant::now();
        let page = redraw(&results.directory).unwrap().0.page;
        println!("{} in {:?}", page.display(), begin.elapsed());
        folders.push(results.directory);
    }
    let pair = crate::lab::compare::Compare {
        first: folders[0].clone(),
        second: folders[1].clone(),
        force: true,
        page: Some(base.join("compare.html")),
    };
    crate::lab::compare::compare(&pair).unwrap();
    let claims = || Some(crate::lab::judge::judge(&store::load(&folders[2]).unwrap()).claims);
    let suite_folder = base.join("claims/now");
    fs::create_dir_all(&suite_folder).unwrap();
    let member = |name: &str, claims| suite::Member { name: name.into(), claims };
    suite::write(
        &suite_folder,
        &plan("Which claims hold here?"),
        &[member("rich", claims()), member("late", None)],
    )
    .unwrap();
}

#[test]
fn a_table_at_a_glance_has_every_strategy_once_with_the_figure_that_its_load_is_there_for() {
    let data = fixture::quick(12);
    let analysis = judge::judge(&data);
    let table = view::glance::glance(&analysis);
    let (_base, directory) = folder(&data);
    redraw(&directory).unwrap();
    let says = fs::read_to_string(directory.join("report.md")).unwrap();
    let says = says.lines().find(|line| line.starts_with("Medians over runs")).unwrap();
    assert_eq!(
        table.head,
        ["Strategy", "Full load\n(requests/s)", "Full load\n(p99, ms)", "Half load\n(p99, ms)"]
    );
    let names: Vec<&str> = table.rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["inherited", "reuseport", "round-robin"]);
    // The baseline with its interval, the others with their change from the same rounds.
    assert!(!table.rows[0][1].contains('%') && table.rows[1][1].contains(" %"), "{table:?}");
    assert!(table.rows[1][1].contains('\u{25bc}') && table.rows[2][1].contains('\u{2248}'), "{table:?}");
    assert!(says.contains("95 %") && says.contains("equivalent within"), "{says}");
}
