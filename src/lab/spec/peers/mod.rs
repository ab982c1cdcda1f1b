//! Other servers as columns of an experiment: which there are, what they can do, and how each is told to do it.
//!
//! One file per server: it writes a minimal configuration into the folder of the run (nothing of the system is written,
//! and nothing but loopback is listened on unless the experiment says so) and gives the command that runs in the
//! foreground. Starting, checking and stopping are the same for all and are done elsewhere.

mod apache;
mod haproxy;
mod lighttpd;
mod nginx;
mod template;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What stands for the version of a server that is not here.
pub const NOT_INSTALLED: &str = "not installed";
/// What every peer answers where no handler is run: as our own `fixed`.
const FIXED_BODY: &str = "hello\n";
/// Prefix of peers whose command stands in the experiment.
const TEMPLATE: &str = "command:";
/// Where servers are looked for besides `PATH`, which may lack the folders of the system's programs.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Why a peer does not run.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot here: not installed, or without what the mode needs.
    Skipped(String),
    /// It should, and something is wrong.
    Void(String),
}

impl Refused {
    fn unwritable(path: &Path, why: &std::io::Error) -> Self {
        Self::Void(format!("cannot write {}: {why}", path.display()))
    }
}

/// What a peer is asked to be in one run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub program: &'a Path,
    /// One of the server's modes; empty where it has only one.
    pub mode: &'a str,
    pub address: SocketAddr,
    /// Worker processes, or threads where it has no worker processes.
    pub workers: usize,
    /// Length of the accept queue.
    pub backlog: u32,
    /// The handler to run for each request; without one the answer is fixed.
    pub handler: Option<&'a Path>,
    /// Path of the URL that is asked for, without the slash in front.
    pub path: &'a str,
    /// A folder for configuration, pid files and whatever else it writes.
    pub folder: &'a Path,
    /// Whether the lab runs as root.
    pub root: bool,
    /// How many descriptors a process may have.
    pub descriptors: u64,
}

/// More descriptors than this no experiment needs, and each costs some servers memory.
const DESCRIPTORS: u64 = 32_768;

/// For [`Setup::descriptors`]: what the hard limit leaves, within reason.
pub fn descriptors() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard).clamp(256, DESCRIPTORS)
}

impl Setup<'_> {
    /// Copies the handler to where the server will look for it.
    fn serve(&self, handler: &Path, target: &Path) -> Result<(), Refused> {
        let written = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            fs::copy(handler, target)?;
            fs::set_permissions(target, fs::Permissions::from_mode(0o755))
        });
        written.map_err(|e| Refused::unwritable(target, &e))
    }

    /// Refuses a folder that a server running as another user could not enter.
    fn open_to_others(&self, user: &str) -> Result<(), Refused> {
        let closed = self.folder.ancestors().find(|folder| {
            !folder.as_os_str().is_empty()
                && fs::metadata(folder).is_ok_and(|about| about.permissions().mode() & 0o001 == 0)
        });
        match closed {
            Some(folder) => Err(Refused::Void(format!(
                "the server runs as {user}, who cannot enter {}: let others enter it (chmod o+x), or set TMPDIR to a \
                 folder that they can enter",
                folder.display()
            ))),
            None => Ok(()),
        }
    }

    #[cfg(test)]
    fn example(folder: &'static Path) -> Setup<'static> {
        Setup {
            program: Path::new("server"),
            mode: "",
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 2,
            backlog: 128,
            handler: None,
            path: "hello",
            folder,
            root: false,
            descriptors: 1024,
        }
    }
}

/// A kind of server.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    /// Executables that are it.
    programs: &'static [&'static str],
    /// The package that brings it.
    package: &'static str,
    /// The first is meant where none is named.
    modes: &'static [&'static str],
    /// Whether it can run our handlers.
    cgi: bool,
    /// Whether its workers are processes.
    processes: bool,
    /// Makes it print its version.
    version: &'static [&'static str],
    command: fn(&Setup<'_>) -> Result<Command, Refused>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "nginx",
        programs: &["nginx"],
        package: "nginx",
        modes: &["exclusive", "reuseport", "mutex", "herd"],
        cgi: false,
        processes: true,
        version: &["-v"],
        command: nginx::command,
    },
    Kind {
        name: "lighttpd",
        programs: &["lighttpd"],
        package: "lighttpd",
        modes: &[""],
        cgi: true,
        processes: true,
        version: &["-v"],
        command: lighttpd::command,
    },
    Kind {
        name: "apache",
        programs: &["apache2", "httpd"],
        package: "apache2",
        modes: &[""],
        cgi: true,
        processes: true,
        version: &["-v"],
        command: apache::command,
    },
    Kind {
        name: "haproxy",
        programs: &["haproxy"],
        package: "haproxy",
        modes: &[""],
        cgi: false,
        processes: false,
        version: &["-v"],
        command: haproxy::command,
    },
];

fn find(name: &str) -> Option<(&'static Kind, &'static str)> {
    let (server, mode) = name.split_once(':').unwrap_or((name, ""));
    let kind = KINDS.iter().find(|kind| kind.name == server)?;
    let mut modes = kind.modes.iter().copied();
    Some((kind, modes.find(|known| *known == mode || !name.contains(':'))?))
}

/// The names that an experiment can use, `command:NAME` apart.
fn names() -> Vec<String> {
    let all = KINDS.iter().flat_map(|kind| {
        kind.modes.iter().map(|mode| match *mode {
            "" => kind.name.to_owned(),
            mode => format!("{}:{mode}", kind.name),
        })
    });
    all.collect()
}

/// Whether there is such a peer. Whether it is installed is another question.
pub fn check(name: &str) -> Result<(), String> {
    if name.strip_prefix(TEMPLATE).is_some_and(|name| !name.is_empty()) || find(name).is_some() {
        return Ok(());
    }
    Err(format!("no peer `{name}`; there are: {}, {TEMPLATE}NAME", names().join(", ")))
}

/// Whether a peer can do this work (`--respond` of our own server). What the user's own commands can do is the user's to
/// know.
pub fn can(name: &str, respond: &str) -> bool {
    name.starts_with(TEMPLATE)
        || find(name).is_some_and(|(kind, _)| respond == "fixed" || respond == "cgi" && kind.cgi)
}

/// Whether a peer's workers are processes, which can be killed and stopped one by one.
pub fn has_worker_processes(name: &str) -> bool {
    find(name).is_none_or(|(kind, _)| kind.processes)
}

/// The command that runs a peer in the foreground. `template` is the command of a `command:NAME`; `setup.program` and
/// `setup.mode` are filled in here.
pub fn command(name: &str, template: Option<&str>, setup: Setup<'_>) -> Result<Command, Refused> {
    if name.starts_with(TEMPLATE) {
        let template = template.ok_or_else(|| Refused::Void(format!("{name} has no command")))?;
        let command = template::command(&setup, template)?;
        return match installed(&[&command.get_program().to_string_lossy()]) {
            Some(_) => Ok(command),
            None => Err(Refused::Skipped(format!("{} is not here", command.get_program().display()))),
        };
    }
    let (kind, mode) = find(name).ok_or_else(|| Refused::Void(format!("no peer `{name}`")))?;
    let program = installed(kind.programs).ok_or_else(|| {
        Refused::Skipped(format!("{} is not installed (package {})", kind.name, kind.package))
    })?;
    (kind.command)(&Setup { program: &program, mode, ..setup })
}

/// The versions of the peers among `names`, by server, or that they are not installed. Commands of the experiment's own are
/// left out: they cannot be asked.
pub fn versions<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeMap<String, String> {
    let kinds = names.into_iter().filter_map(find).map(|(kind, _)| kind);
    let version_of = |kind: &'static Kind| match installed(kind.programs) {
        Some(program) => version(&program, kind.version).lines().next().unwrap_or_default().trim().to_owned(),
        None => NOT_INSTALLED.into(),
    };
    kinds.map(|kind| (kind.name.to_owned(), version_of(kind))).collect()
}

/// What a program says of its version, on whatever stream.
fn version(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.map_or_else(
        |_| String::new(),
        |output| {
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
        },
    )
}

/// The word that follows `mark` in what a program said.
fn said<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    text.split_once(mark)?.1.split(|c: char| c.is_whitespace() || c == ';').next()
}

/// The first of the programs that is there.
pub fn installed(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> =
        std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from)).collect();
    let executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    // A name with a slash in it stays what it is, because joining an absolute path replaces the folder.
    programs.iter().find_map(|program| {
        let places = folders.iter().map(|folder| folder.join(program));
        let here = program.contains('/').then(|| PathBuf::from(program));
        here.into_iter().chain(places).find(executable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_modes_that_the_server_has() {
        for name in names().iter().map(String::as_str).chain(["nginx", "command:mine"]) {
            check(name).unwrap();
        }
        assert_eq!(find("nginx").unwrap().1, "exclusive");
        for name in ["caddy", "nginx:fast", "nginx:", "lighttpd:x", "command:"] {
            assert!(check(name).unwrap_err().contains("nginx:exclusive, nginx:reuseport"), "{name}");
        }
    }

    #[test]
    fn a_peer_is_offered_the_work_that_it_can_do() {
        assert!(can("nginx:mutex", "fixed") && !can("nginx:mutex", "cgi") && !can("haproxy", "cgi"));
        assert!(can("lighttpd", "cgi") && can("apache", "cgi") && can("command:x", "sleep:const(1ms)"));
        assert!(!can("apache", "sleep:const(1ms)") && !can("caddy", "fixed"));
        assert!(has_worker_processes("apache") && !has_worker_processes("haproxy"));
    }

    #[test]
    fn one_that_is_not_installed_is_skipped_with_the_way_out() {
        let folder = Path::new("/nonexistent");
        let refused = command("command:x", Some("/nonexistent/server {port}"), Setup::example(folder));
        assert_eq!(refused.unwrap_err(), Refused::Skipped("/nonexistent/server is not here".into()));
        assert_eq!(installed(&["no-such-server"]), None);
        assert!(installed(&["no-such-server", "sh"]).is_some());
    }
}
