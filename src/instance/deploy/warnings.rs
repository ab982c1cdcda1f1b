//! Warns about deployed handlers that will not work.

use std::path::{Path, PathBuf};

use crate::sys::executable::{self, Obstacle};

/// Number of files that are named; the others are counted.
const NAMED: usize = 10;

/// Warns about executable files that the kernel will not execute as intended. Unreadable files are skipped.
pub(super) fn of_executables(files: &[PathBuf], search: &str) -> Vec<String> {
    let mut warnings: Vec<String> = files.iter().filter_map(|file| warning(file, search)).collect();
    if let Some(more) = warnings.len().checked_sub(NAMED).filter(|more| *more > 0) {
        warnings.truncate(NAMED);
        warnings.push(format!("{more} more files have problems"));
    }
    warnings
}

fn warning(file: &Path, search: &str) -> Option<String> {
    let obstacle = executable::obstacle(file, search).ok()??;
    let consequence = match obstacle {
        Obstacle::NotInPath { .. } => "requests for it will get no answer",
        Obstacle::OtherMachine(_) => "requests for it will get 500 unless binfmt_misc is set up for it",
        _ => "requests for it will get 500",
    };
    Some(format!("{}: {obstacle}; {consequence}", file.display()))
}
