//! Programs that tests put somewhere and execute.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Sandbox;

/// Another process writes the copy: what this one has open for writing, a process that another test just starts has too, and
/// such a file cannot be executed (ETXTBSY).
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    let copied = Command::new("install").args(["-m", "755"]).args([from, to]).status().unwrap();
    assert!(copied.success(), "{}", to.display());
}

impl Sandbox {
    /// A compiled program.
    pub fn binary(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let (source, path) = (self.write(&format!("{relative}.source"), contents), self.path(relative));
        copy_program(&source, &path);
        path
    }
}
