//! What the system says about the processes of a server. Those that end meanwhile are ignored.

use std::fs;

use procfs::process::Process;

use crate::lab::results::data::{Tree, Usage};

/// `None` if it has ended.
pub fn process(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

/// Listed with the threads that created them, the last one last.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = process(pid).and_then(|process| process.tasks().ok()).into_iter().flatten().flatten();
    threads.filter_map(|thread| thread.children().ok()).flatten().collect()
}

/// A process and its descendants.
pub fn family(first: u32) -> Vec<u32> {
    let mut found = vec![first];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        found.extend(children(pid));
        at += 1;
    }
    found
}

/// Of all threads of a process and its descendants.
pub fn usage(first: u32) -> Usage {
    let mut sum = Usage::default();
    let tasks = family(first).into_iter().filter_map(|pid| process(pid)?.tasks().ok());
    for task in tasks.flatten().flatten() {
        sum.cpu_s += task.schedstat().map_or(0.0, |s| s.sum_exec_runtime as f64 / 1e9);
        if let Ok(status) = task.status() {
            sum.voluntary_switches += status.voluntary_ctxt_switches.unwrap_or(0);
            sum.involuntary_switches += status.nonvoluntary_ctxt_switches.unwrap_or(0);
        }
    }
    sum
}

/// Resources of a process and its descendants. About 0.1 ms per process.
pub fn tree(first: u32) -> Tree {
    let mut sum = Tree::default();
    for pid in family(first) {
        let Some(bytes) = memory(pid, &["Pss"]) else { continue };
        sum.pss_kib += bytes / 1024;
        sum.descriptors += fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |all| all.count() as u64);
        sum.processes += 1;
    }
    sum
}

/// Memory of a process that is not shared, in bytes; `None` if it may not be read.
pub fn private_bytes(pid: u32) -> Option<u64> {
    memory(pid, &["Private_Clean", "Private_Dirty"])
}

/// The sum of fields of `smaps_rollup`, in bytes.
fn memory(pid: u32, fields: &[&str]) -> Option<u64> {
    let rollup = process(pid)?.smaps_rollup().ok()?;
    let known = &rollup.memory_map_rollup.0.first()?.extension.map;
    Some(fields.iter().filter_map(|field| known.get(*field)).sum())
}

/// Whether a process is stopped or has ended.
pub fn is_stopped(pid: u32) -> bool {
    let stat = process(pid).and_then(|process| process.stat().ok());
    stat.is_none_or(|stat| !"RSD".contains(stat.state))
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
