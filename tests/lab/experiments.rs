//! The program `lab` from the outside: real runs, failing runs, and what they leave behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::without_settings;

const TINY: &str = r#"
question = "Does it work?"
rounds = 1
warmup_s = 0.1
duration_s = 0.3
seed = 1
handler = "hello"
baseline = "inherited"
[factors]
listener = ["inherited", "reuseport"]
workers = [2]
[[load]]
name = "closed"
closed = 4
[[load]]
name = "open"
open_of_capacity = 0.1
"#;

/// A folder with an experiment, its results and temporary files.
pub struct Bench(TempDir);

impl Bench {
    pub fn new(experiment: &str) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::write(bench.path("tiny.toml"), experiment).unwrap();
        fs::create_dir(bench.path("tmp")).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        without_settings(&mut command);
        command
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("TMPDIR", self.path("tmp"))
            .args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.lab(arguments).output().unwrap()
    }

    /// The only results folder of the experiment.
    pub fn results(&self) -> PathBuf {
        let mut all = fs::read_dir(self.path("results/tiny")).unwrap();
        let only = all.next().unwrap().unwrap().path();
        assert!(all.next().is_none());
        only
    }

    /// Puts a program into `bin` that answers `--version` and otherwise runs `script`.
    pub fn stand_in(&self, name: &str, version: &str, script: &str) {
        let (folder, path) = (self.path("bin"), self.path("bin").join(name));
        fs::create_dir_all(folder).unwrap();
        let version = format!("[ \"$1\" = --version ] && {{ echo {name} {version}; exit; }}");
        fs::write(&path, format!("#!/bin/sh\n{version}\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Processes whose command line names the temporary folder or whose working directory is this folder:
    /// servers with their workers (some change their command line), load generators and handlers.
    pub fn running(&self) -> Vec<String> {
        let (own, tmp) = (self.0.path(), self.path("tmp").to_str().unwrap().to_owned());
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()) {
            let Ok(line) = fs::read(process.join("cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let here = fs::read_link(process.join("cwd")).is_ok_and(|folder| folder.starts_with(own));
            if line.contains(&tmp) || here {
                found.push(line);
            }
        }
        found
    }

    pub fn wait_until(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(&self.running()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.running());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts an experiment with long runs and waits until one of its servers is up.
    pub fn begin_long_run(&self) -> Child {
        let mut lab = self.lab(&["run", "tiny.toml", "--allow-debug", "--allow-short"]);
        let lab = lab.stdout(Stdio::null()).spawn().unwrap();
        self.wait_until("no server came up", |running| {
            running.iter().any(|line| line.contains("/run/state"))
        });
        lab
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn rows(directory: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    table(directory, "runs.csv")
}

fn table(directory: &Path, name: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(directory.join(name)).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn read_all(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() { read_all(&path) } else { vec![(path.clone(), fs::read(&path).unwrap())] }
        })
        .collect();
    files.sort();
    files
}

#[test]
fn an_experiment_runs_from_file_to_report_and_leaves_nothing_running() {
    let bench = Bench::new(TINY);
    let output = bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short", "--label", "here"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let directory = bench.results();
    assert!(directory.file_name().unwrap().to_str().unwrap().ends_with("Z-here"));
    assert!(text(&output.stdout).contains("No ranking: 1 round, and a judgement needs 10."));
    let rows = rows(&directory);
    assert_eq!(rows.len(), 6);
    for row in &rows {
        assert!(row["completed"].parse::<u64>().unwrap() > 0, "{row:?}");
        assert!(row["accepted"].parse::<u64>().unwrap() >= row["completed"].parse().unwrap(), "{row:?}");
        assert!(row["server_cpu_us_per_connection"].parse::<f64>().unwrap() > 0.0, "{row:?}");
    }
    assert_eq!(bench.running(), Vec::<String>::new());
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0);
    for name in ["spec.toml", "machine.json", "runs.jsonl", "workers.csv", "report.html", "report.md"] {
        assert!(directory.join(name).is_file(), "{name}");
    }

    let before = read_all(&directory);
    let output = bench.run(&["report", directory.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(before == read_all(&directory));
}

#[test]
fn without_a_command_lab_says_what_to_do_first() {
    let bench = Bench::new("");
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    let commands: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  lab ")).collect();
    assert_eq!(commands.len(), 3, "{said}");
    assert!(said.contains("lab --help") && output.stdout.is_empty(), "{said}");
    let (help, list) = (text(&bench.run(&["--help"]).stdout), text(&bench.run(&["list"]).stdout));
    for command in commands {
        let words: Vec<&str> = command.split("  ").next().unwrap().split(' ').collect();
        assert!(help.contains(&format!("\n  {} ", words[0])), "{command}: {help}");
        assert!(words.get(1).is_none_or(|name| list.contains(&format!("\n{name} "))), "{command}: {list}");
    }
}

#[test]
fn the_experiments_are_listed_with_their_duration() {
    let output = Bench::new("").run(&["list"]);
    let list = text(&output.stdout);
    assert!(
        output.status.success() && list.contains("\nquick  ") && list.contains(" s  Three ways"),
        "{list}"
    );
}

#[test]
fn an_invalid_experiment_is_reported_with_file_line_and_key() {
    let bench = Bench::new(&TINY.replace("rounds = 1", "round = 1"));
    let output = bench.run(&["run", "tiny.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).starts_with("lab: tiny.toml:3: unknown field `round`"),
        "{}",
        text(&output.stderr)
    );
    let output = bench.run(&["run", "nonesuch"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no experiment `nonesuch`; there are: balance, "));
    assert!(!bench.path("results").exists());
}

#[test]
fn missing_or_mismatched_programs_are_refused_with_a_remedy() {
    let bench = Bench::new(TINY);
    fs::create_dir(bench.path("bin")).unwrap();
    let output = bench.run(&["run", "tiny.toml", "--programs", "bin"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("bin/caffeine is missing; build with: cargo build --release"), "{said}");
    bench.stand_in("caffeine", "9.9.9", "exit 1");
    let said = text(&bench.run(&["run", "tiny.toml", "--programs", "bin"]).stderr);
    assert!(said.contains("is `caffeine 9.9.9`"), "{said}");
    assert!(!bench.path("results").exists());
}

#[cfg(debug_assertions)]
#[test]
fn programs_with_debug_assertions_are_refused_with_a_remedy() {
    let bench = Bench::new(TINY);
    let output = bench.run(&["run", "tiny.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("debug assertions") && said.contains("cargo build --release"), "{said}");
}

#[test]
fn an_unwritable_results_directory_fails_before_the_first_run() {
    let bench = Bench::new(TINY);
    let output =
        bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short", "--results", "tiny.toml/results"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("cannot make the results folder tiny.toml/results"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_server_that_dies_voids_its_run_shows_stderr_and_the_rest_continues() {
    let bench = Bench::new(&TINY.replace("open_of_capacity = 0.1", "open = 50.0"));
    let real = Path::new(env!("CARGO_BIN_EXE_caffeine")).display();
    let script =
        format!("case \"$*\" in *reuseport*) echo out of luck >&2; exit 3;; *) exec {real} \"$@\";; esac");
    bench.stand_in("caffeine", env!("CARGO_PKG_VERSION"), &script);
    symlink(env!("CARGO_BIN_EXE_loadgen"), bench.path("bin/loadgen")).unwrap();
    let output = bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short", "--programs", "bin"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("caffeine ended before it was ready (exit status: 3)\n    | out of luck"),
        "{said}"
    );
    let directory = bench.results();
    let rows = rows(&directory);
    let reasons = table(&directory, "reasons.csv");
    let void: Vec<_> =
        reasons.iter().filter(|row| row["reason"].contains("ended before it was ready")).collect();
    assert!(
        void.len() == 2 && void.iter().all(|row| row["cell"] == "reuseport" && row["verdict"] == "INVALID")
    );
    assert!(rows.iter().filter(|row| row["cell"] != "reuseport").all(|row| row["completed"] != "0"));
    // A busy machine may void other runs too.
    let invalid = rows.iter().filter(|row| row["verdict"] == "INVALID").count();
    let page = fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.contains(&format!("{invalid} of 6 runs are INVALID")));
}

#[test]
fn a_generator_without_a_record_voids_its_run() {
    let bench = Bench::new(&TINY.replace("open_of_capacity = 0.1", "open = 50.0"));
    fs::create_dir(bench.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_caffeine"), bench.path("bin/caffeine")).unwrap();
    let real = env!("CARGO_BIN_EXE_loadgen");
    let script =
        format!("case \"$*\" in *\" -d 0.05s \"*) exec {real} \"$@\";; esac; echo tired >&2; exit 1");
    bench.stand_in("loadgen", env!("CARGO_PKG_VERSION"), &script);
    let output = bench.run(&["run", "tiny.toml", "--allow-debug", "--allow-short", "--programs", "bin"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("loadgen gave no record (exit status: 1)") && said.contains("    | tired"),
        "{said}"
    );
    assert!(said.contains("no run counts"), "{said}");
    assert_eq!(bench.running(), Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_everything_and_keeps_the_results_folder() {
    let bench = Bench::new(&TINY.replace("duration_s = 0.3", "duration_s = 60.0"));
    let lab = bench.begin_long_run();
    kill(Pid::from_raw(lab.id() as i32), Signal::SIGINT).unwrap();
    let output = lab.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("interrupted after 0 runs, which are kept in results/tiny/"));
    assert_eq!(bench.running(), Vec::<String>::new());
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0);
    assert!(bench.results().join("spec.toml").is_file());
}

#[test]
fn killing_lab_ends_its_processes() {
    let bench = Bench::new(&TINY.replace("duration_s = 0.3", "duration_s = 60.0"));
    let mut lab = bench.begin_long_run();
    lab.kill().unwrap();
    lab.wait().unwrap();
    bench.wait_until("something outlived the lab", <[String]>::is_empty);
}
