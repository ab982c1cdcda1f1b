//! Other servers as columns of an experiment: their names, abilities and configurations.
//!
//! One file per server: it writes a minimal configuration into the folder of the run (it changes nothing of
//! the system and listens on loopback only, unless the experiment says otherwise) and returns the command
//! that runs in the foreground. The runner starts, checks and stops all of them in the same way.

mod apache;
mod haproxy;
mod lighttpd;
mod nginx;
mod template;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Instead of a version.
pub const NOT_INSTALLED: &str = "not installed";
/// The answer of every peer without a handler: as our own `fixed`.
const FIXED_BODY: &str = "hello\n";
/// Prefix of peers with a command in the experiment.
const TEMPLATE: &str = "command:";
/// Searched after `PATH`, which may lack the folders of system programs.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not possible here: not installed, or without what the mode needs.
    Skipped(String),
    /// It should run, and something is wrong.
    Void(String),
}

impl Refused {
    fn unwritable(path: &Path, why: &std::io::Error) -> Self {
        Self::Void(format!("cannot write {}: {why}", path.display()))
    }
}

/// The configuration of a peer in one run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub program: &'a Path,
    /// Empty if the server has one only.
    pub mode: &'a str,
    pub address: SocketAddr,
    /// Worker processes, or threads if it has no worker processes.
    pub workers: usize,
    pub backlog: u32,
    /// Runs for each request; without one the answer is fixed.
    pub handler: Option<&'a Path>,
    /// What a worker does with a request, as for `caffeine --respond`.
    pub respond: &'a str,
    /// Path of the URL that is asked for, without the slash in front.
    pub path: &'a str,
    /// For configuration, pid files and whatever else it writes.
    pub folder: &'a Path,
    pub root: bool,
    pub descriptors: u64,
}

/// No experiment needs more, and each costs memory in some servers.
const DESCRIPTORS: u64 = 32_768;

/// For [`Setup::descriptors`]: the hard limit, within reason.
pub fn descriptors() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard).clamp(256, DESCRIPTORS)
}

impl Setup<'_> {
    /// A template with the values of its placeholders. `{root}` is the folder of the handlers.
    fn fill(&self, template: &str, more: &[(&str, &str)]) -> String {
        let root = self.handler.and_then(Path::parent).unwrap_or(self.folder);
        let values = [
            ("{address}", self.address.ip().to_string()),
            ("{port}", self.address.port().to_string()),
            ("{workers}", self.workers.to_string()),
            ("{backlog}", self.backlog.to_string()),
            ("{descriptors}", self.descriptors.to_string()),
            ("{root}", root.display().to_string()),
            ("{folder}", self.folder.display().to_string()),
            ("{respond}", self.respond.to_owned()),
            ("{path}", self.path.to_owned()),
        ];
        let text = more.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value));
        values.iter().fold(text, |text, (name, value)| text.replace(name, value))
    }

    /// Writes the configuration; returns the command of the server with these arguments, in which `{configuration}` is its
    /// path.
    fn run(&self, configuration: &str, arguments: &str) -> Result<Command, Refused> {
        let path = self.folder.join("configuration");
        fs::write(&path, configuration).map_err(|e| Refused::unwritable(&path, &e))?;
        let mut command = Command::new(self.program);
        command.args(arguments.split(' ').map(|word| match word {
            "{configuration}" => path.as_os_str(),
            "{folder}" => self.folder.as_os_str(),
            word => OsStr::new(word),
        }));
        Ok(command)
    }

    /// Copies the handler to the folder that is served.
    fn serve(&self, handler: &Path, target: &Path) -> Result<(), Refused> {
        let written = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            fs::copy(handler, target)?;
            fs::set_permissions(target, fs::Permissions::from_mode(0o755))
        });
        written.map_err(|e| Refused::unwritable(target, &e))
    }

    /// Refuses a folder that another user cannot enter.
    fn open_to_others(&self, user: &str) -> Result<(), Refused> {
        let closed = self.folder.ancestors().find(|folder| {
            !folder.as_os_str().is_empty()
                && fs::metadata(folder).is_ok_and(|about| about.permissions().mode() & 0o001 == 0)
        });
        match closed {
            Some(folder) => Err(Refused::Void(format!(
                "the server runs as {user}, which cannot enter {}: allow it (chmod o+x), or set TMPDIR to an \
                 accessible folder",
                folder.display()
            ))),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Kind {
    name: &'static str,
    /// Names of the executable; the first is that of the package, too.
    programs: &'static [&'static str],
    /// The first is the default.
    modes: &'static [&'static str],
    /// Whether it can run our handlers.
    cgi: bool,
    processes: bool,
    command: fn(&Setup<'_>) -> Result<Command, Refused>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "nginx",
        programs: &["nginx"],
        modes: &["exclusive", "reuseport", "mutex", "herd"],
        cgi: false,
        processes: true,
        command: nginx::command,
    },
    Kind {
        name: "lighttpd",
        programs: &["lighttpd"],
        modes: &[""],
        cgi: true,
        processes: true,
        command: lighttpd::command,
    },
    Kind {
        name: "apache",
        programs: &["apache2", "httpd"],
        modes: &[""],
        cgi: true,
        processes: true,
        command: apache::command,
    },
    Kind {
        name: "haproxy",
        programs: &["haproxy"],
        modes: &[""],
        cgi: false,
        processes: false,
        command: haproxy::command,
    },
];

fn find(name: &str) -> Option<(&'static Kind, &'static str)> {
    let (server, mode) = name.split_once(':').unwrap_or((name, ""));
    let kind = KINDS.iter().find(|kind| kind.name == server)?;
    let mut modes = kind.modes.iter().copied();
    Some((kind, modes.find(|known| *known == mode || !name.contains(':'))?))
}

/// Without `command:NAME`.
fn names() -> Vec<String> {
    let all = KINDS.iter().flat_map(|kind| {
        kind.modes.iter().map(|mode| match *mode {
            "" => kind.name.to_owned(),
            mode => format!("{}:{mode}", kind.name),
        })
    });
    all.collect()
}

/// Whether the name is known, installed or not.
pub fn check(name: &str) -> Result<(), String> {
    if name.strip_prefix(TEMPLATE).is_some_and(|name| !name.is_empty()) || find(name).is_some() {
        return Ok(());
    }
    Err(format!("no peer `{name}`; there are: {}, {TEMPLATE}NAME", names().join(", ")))
}

/// Whether a peer supports this work (`--respond` of our server). Commands of the user are assumed to.
pub fn can(name: &str, respond: &str) -> bool {
    name.starts_with(TEMPLATE)
        || find(name).is_some_and(|(kind, _)| respond == "fixed" || respond == "cgi" && kind.cgi)
}

/// Whether its workers are processes, which can be killed and stopped one by one.
pub fn has_worker_processes(name: &str) -> bool {
    find(name).is_none_or(|(kind, _)| kind.processes)
}

/// The command that runs a peer in the foreground. `template` is the command of a `command:NAME`;
/// `setup.program` and `setup.mode` are set here.
pub fn command(name: &str, template: Option<&str>, setup: Setup<'_>) -> Result<Command, Refused> {
    if name.starts_with(TEMPLATE) {
        let template = template.ok_or_else(|| Refused::Void(format!("{name} has no command")))?;
        let command = template::command(&setup, template)?;
        return match installed(&[&command.get_program().to_string_lossy()]) {
            Some(_) => Ok(command),
            None => Err(Refused::Skipped(format!("{} is not installed", command.get_program().display()))),
        };
    }
    let (kind, mode) = find(name).ok_or_else(|| Refused::Void(format!("no peer `{name}`")))?;
    let program = installed(kind.programs).ok_or_else(|| {
        Refused::Skipped(format!("{} is not installed (package {})", kind.name, kind.programs[0]))
    })?;
    (kind.command)(&Setup { program: &program, mode, ..setup })
}

/// Versions by server, or that it is not installed; without commands of the experiment.
pub fn versions<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeMap<String, String> {
    let kinds = names.into_iter().filter_map(find).map(|(kind, _)| kind);
    let version_of = |kind: &'static Kind| match installed(kind.programs) {
        Some(program) => version(&program, "-v").lines().next().unwrap_or_default().trim().to_owned(),
        None => NOT_INSTALLED.into(),
    };
    kinds.map(|kind| (kind.name.to_owned(), version_of(kind))).collect()
}

/// The output of a program that prints its version, from both streams.
fn version(program: &Path, option: &str) -> String {
    let output = Command::new(program).arg(option).stdin(Stdio::null()).output();
    let both =
        |output: Output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    output.map_or_else(|_| String::new(), both)
}

pub fn installed(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> =
        std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from)).collect();
    let executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    // A name with a slash is used as is.
    programs.iter().find_map(|program| {
        let places = folders.iter().map(|folder| folder.join(program));
        let here = program.contains('/').then(|| PathBuf::from(program));
        here.into_iter().chain(places).find(executable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Setup<'_> {
        pub fn example(folder: &'static Path) -> Setup<'static> {
            Setup {
                program: Path::new("server"),
                mode: "",
                address: SocketAddr::from(([127, 0, 0, 1], 8080)),
                workers: 2,
                backlog: 128,
                handler: None,
                respond: "fixed",
                path: "hello",
                folder,
                root: false,
                descriptors: 1024,
            }
        }
    }

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
        assert_eq!(refused.unwrap_err(), Refused::Skipped("/nonexistent/server is not installed".into()));
        assert_eq!(installed(&["no-such-server"]), None);
        assert!(installed(&["no-such-server", "sh"]).is_some());
    }
}
