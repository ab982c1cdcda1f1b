//! What this process may use: descriptors, and the share of the machine that its control groups leave it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files of the two versions of control groups that limit processors and memory, and the controller of the first.
const FILES: [(&str, &str); 7] = [
    ("cpu.max", ""),
    ("memory.max", ""),
    ("cpuset.cpus", ""),
    ("cpu.cfs_quota_us", "cpu"),
    ("cpu.cfs_period_us", "cpu"),
    ("memory.limit_in_bytes", "memory"),
    ("cpuset.cpus", "cpuset"),
];
/// What these files hold without a limit.
const NONE: [&str; 5] = ["", "max", "max 100000", "-1", "9223372036854771712"];

/// Limits of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Open descriptors: the soft and the hard limit.
    pub descriptors: Option<(u64, u64)>,
    /// Limits of its control groups, by file; none where nothing is limited.
    pub groups: BTreeMap<String, String>,
}

impl Limits {
    /// The limits now.
    pub fn read() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let groups = FILES.iter().filter_map(|(file, controller)| {
            let value = fs::read_to_string(folder(&own, controller)?.join(file)).ok()?.trim().to_owned();
            (!NONE.contains(&value.as_str())).then(|| ((*file).to_owned(), value))
        });
        Self { descriptors: getrlimit(Resource::RLIMIT_NOFILE).ok(), groups: groups.collect() }
    }
}

/// The folder of this process' group under a controller of version 1, or of version 2 when `controller` is empty.
/// `own` is the text of /proc/self/cgroup: lines of number, controllers and path.
fn folder(own: &str, controller: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        // Without a name for version 2.
        let fits = names.split(',').any(|name| name == controller);
        fits.then(|| path.trim_start_matches('/'))
    })?;
    Some(Path::new("/sys/fs/cgroup").join(controller).join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_both_versions_are_found() {
        let own = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/user.slice/x\n";
        assert_eq!(folder(own, "memory").unwrap(), Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(folder(own, "cpu").unwrap(), Path::new("/sys/fs/cgroup/cpu/"));
        assert_eq!(folder(own, "").unwrap(), Path::new("/sys/fs/cgroup/user.slice/x"));
        assert_eq!(folder(own, "pids"), None);
    }

    #[test]
    fn this_process_has_a_limit_of_descriptors() {
        assert!(Limits::read().descriptors.unwrap().0 > 0);
    }
}
