//! Resources of a server and its descendants: memory, descriptors, processes. About 0.1 ms per process.

use std::fs;

use super::family;
use crate::lab::results::data::Tree;

/// Processes that end meanwhile are ignored.
pub fn tree(first: u32) -> Tree {
    let mut sum = Tree::default();
    for pid in family(i32::try_from(first).unwrap_or(i32::MAX)) {
        let Some(pss_kib) = pss_kib(pid) else { continue };
        sum.pss_kib += pss_kib;
        sum.descriptors += fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |all| all.count() as u64);
        sum.processes += 1;
    }
    sum
}

/// Memory of a process; shared memory counts proportionally (PSS). 0 while it ends, `None` when it is gone.
fn pss_kib(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_and_a_descriptor_more_are_seen() {
        let own = std::process::id();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let one = tree(child.id());
        assert!(one.processes == 1 && one.pss_kib > 0 && one.descriptors >= 3, "{one:?}");
        assert!(tree(own).processes >= 2);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(tree(child.id()), Tree::default());
    }
}
