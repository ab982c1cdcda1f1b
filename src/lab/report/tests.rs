//! What a report is, from fixed data: stands alone, is drawn again byte for byte, says what the data say.

use super::*;
use crate::lab::fixture;
use crate::lab::fixture::rich::Rich;
use crate::lab::store::{Data, Results};

fn folder(data: &Data) -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let text = toml::to_string(&data.spec).unwrap();
    let mut results = Results::create(base.path(), &text, &data.environment).unwrap();
    data.runs.iter().for_each(|run| results.append(run).unwrap());
    let directory = results.directory;
    (base, directory)
}

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
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
    write(&directory).unwrap();
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
    write(&directory).unwrap();
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
    let (page, _) = write(&directory).unwrap();
    let html = fs::read_to_string(page).unwrap();
    for outside in ["<script", "<link", "src=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("died of &lt;script&gt;") && html.contains("INVALID"));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("currentColor"));
}

#[test]
fn the_answer_says_who_got_the_connections_and_that_rounds_are_few() {
    let (_base, directory) = folder(&fixture::quick(4));
    let (_, answer) = write(&directory).unwrap();
    insta::assert_snapshot!(answer.join("\n"));
}

#[test]
fn the_answer_names_the_differences_when_rounds_suffice() {
    let (_base, directory) = folder(&fixture::quick(12));
    let (_, answer) = write(&directory).unwrap();
    insta::assert_snapshot!(answer.join("\n"));
}

#[test]
fn a_run_that_was_cut_off_while_being_written_is_left_out() {
    let (_base, directory) = folder(&fixture::quick(2));
    let path = directory.join("runs.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 50]).unwrap();
    assert_eq!(store::load(&directory).unwrap().runs.len(), fixture::quick(2).runs.len() - 1);
    write(&directory).unwrap();
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
    let error = write(base.path()).unwrap_err().to_string();
    assert!(error.contains("is no results folder"), "{error}");
}

/// For the eye: `LAB_FIXTURES=DIR cargo test --lib reports_for_the_eye` leaves reports in DIR.
#[test]
fn reports_for_the_eye_are_left_where_they_are_asked_for() {
    let Some(base) = std::env::var_os("LAB_FIXTURES").map(PathBuf::from) else { return };
    let many = vec![
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
    let faulty = Rich {
        faults: vec!["none", "stop@1s+500ms", "kill@1s"],
        open: vec![800],
        rounds: 12,
        ..Rich::default()
    };
    let crowd = Rich { listeners: many, open: vec![400, 800, 1200], ..Rich::default() };
    let every = [
        ("quick", fixture::quick(4)),
        ("quick-12", fixture::quick(12)),
        ("rich", Rich::default().data()),
        ("faulty", faulty.data()),
        ("crowd", crowd.data()),
    ];
    for (name, mut data) in every {
        data.environment.experiment = name.into();
        let text = toml::to_string(&data.spec).unwrap();
        let mut results = Results::create(&base, &text, &data.environment).unwrap();
        data.runs.iter().for_each(|run| results.append(run).unwrap());
        let begin = std::time::Instant::now();
        let (page, _) = write(&results.directory).unwrap();
        println!("{} in {:?}", page.display(), begin.elapsed());
    }
}
