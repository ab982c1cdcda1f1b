//! Removes deployed trees that were replaced and are no longer used. A process of its own deletes the files, which can take long.

use std::path::PathBuf;

use super::Supervisor;
use super::trees::{base, name};
use crate::instance::trees;
use crate::sys::fork;
use crate::sys::process::{fork_single_threaded, standard_streams_to_null};

impl Supervisor {
    /// Removes replaced trees that are no longer used.
    pub(super) fn sweep_trees(&mut self) {
        let staff = self.members();
        let unused = self.own().trees.sweep(&staff);
        self.remove_trees(unused);
    }

    /// Removes these trees, unless they are in place, in a process of their own. What it leaves behind if it fails or
    /// is killed, the next deploy removes.
    pub(super) fn remove_trees(&mut self, trees: Vec<PathBuf>) {
        if trees.is_empty() || !matches!(fork_single_threaded(), Ok(None)) {
            return;
        }
        // The process must not hold the instance's name, port or leases, nor keep the launcher waiting.
        (self.own, self.reports, self.leases) = (None, None, None);
        self.claim.close_in_child();
        self.ready.iter().for_each(|ready| ready.close_in_child());
        let _ = standard_streams_to_null();
        for tree in trees {
            let _ = trees::remove_unused(base(&tree), [name(&tree).to_owned()]);
        }
        fork::exit_now(0)
    }
}
