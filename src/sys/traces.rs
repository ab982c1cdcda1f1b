//! Finds processes that refer to directories with a given name prefix, according to /proc: by working directory,
//! program, arguments, or initial environment.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// The unit of times in /proc (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub struct Traces {
    names: BTreeSet<Vec<u8>>,
    /// Processes that may not be inspected, with their start times since boot.
    pub hidden: Vec<(Pid, Duration)>,
}

impl Traces {
    /// Whether a process refers to the directory `name`.
    pub fn lead_to(&self, name: &[u8]) -> bool {
        self.names.iter().any(|found| found.starts_with(name))
    }
}

/// Searches all visible processes for names in paths that begin with `mark`.
///
/// # Errors
/// There is no /proc.
pub fn of(mark: &[u8]) -> io::Result<Traces> {
    let mut traces = Traces::default();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        look(pid, mark, &mut traces);
    }
    Ok(traces)
}

fn look(pid: i32, mark: &[u8], traces: &mut Traces) {
    let at = |part: &str| format!("/proc/{pid}/{part}");
    let link = |part| fs::read_link(at(part)).map(|path| path.as_os_str().as_bytes().to_vec());
    let mut may_look = true;
    for text in [link("cwd"), link("exe"), fs::read(at("environ")), fs::read(at("cmdline"))] {
        match text {
            Ok(text) => traces.names.extend(names_in(&text, mark)),
            Err(error) => may_look &= error.kind() != io::ErrorKind::PermissionDenied,
        }
    }
    if let Some(started) = (!may_look).then(|| started(&at("stat"))).flatten() {
        traces.hidden.push((Pid::from_raw(pid), started));
    }
}

fn names_in<'t>(text: &'t [u8], mark: &'t [u8]) -> impl Iterator<Item = Vec<u8>> + 't {
    let starts = (0..text.len()).filter(move |&at| text[at..].starts_with(mark));
    starts.map(|at| text[at..].split(|byte| matches!(byte, b'/' | 0)).next().unwrap_or_default().to_vec())
}

/// Field 22 of proc(5), `starttime`. The second one may hold anything, and ends with the last parenthesis.
fn started(stat: &str) -> Option<Duration> {
    let stat = fs::read(stat).ok()?;
    let text = String::from_utf8_lossy(&stat);
    let ticks: u32 = text.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    Some(TICK * ticks)
}

/// The time since boot, on the clock of the process table.
///
/// # Panics
/// Never on Linux, where this clock always exists.
pub fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME exists on Linux").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn names_end_with_their_part_of_the_path() {
        let text = b"A=/b/.mark@x.1/c\0.mark@y.2\0PATH=/.mark@z.3:/bin";
        let names: Vec<Vec<u8>> = names_in(text, b".mark@").collect();
        assert_eq!(names, [&b".mark@x.1"[..], b".mark@y.2", b".mark@z.3:"]);
    }

    #[test]
    fn a_process_is_found_by_its_directory_its_arguments_and_its_environment() {
        let outer = tempfile::tempdir().unwrap();
        let mark = format!(".mark@{}.", std::process::id());
        let name = |part: &str| format!("{mark}{part}");
        std::fs::create_dir(outer.path().join(name("cwd"))).unwrap();
        let mut child = Command::new("sleep")
            .args(["60"])
            .env("A", format!("/{}/b", name("env")))
            .current_dir(outer.path().join(name("cwd")))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let traces = of(mark.as_bytes()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let found = ["cwd", "env", "other"].map(|part| traces.lead_to(name(part).as_bytes()));
        assert_eq!(found, [true, true, false]);
    }

    #[test]
    fn a_process_was_started_before_now_and_after_its_parent() {
        let started = started("/proc/self/stat").unwrap();
        assert!(started <= since_boot() && since_boot() - started < Duration::from_secs(100_000));
    }
}
