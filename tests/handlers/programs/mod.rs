//! Programs for other CGI hosts, unmodified: `table` has one test for each thing that a host must do for them, `git` and `sites` have
//! whole sites. `.ci/run` installs the programs; what is missing is skipped and said.

mod git;
mod sites;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Sandbox, Server, skipped};

const CGIT: &[&str] = &["/usr/lib/cgit/cgit.cgi"];
const FOSSIL: &[&str] = &["/usr/bin/fossil", "/usr/local/bin/fossil"];
const GITWEB: &[&str] = &["/usr/share/gitweb/gitweb.cgi", "/usr/lib/cgi-bin/gitweb.cgi"];
const PHP: &[&str] = &["/usr/bin/php-cgi", "/usr/local/bin/php-cgi"];
const PYTHON: &[&str] = &["/usr/bin/python3", "/usr/local/bin/python3"];

/// The first of these files that is installed, after reporting if none is.
fn installed(files: &[&str], package: &str) -> Option<PathBuf> {
    let found = files.iter().map(PathBuf::from).find(|file| file.is_file());
    if found.is_none() {
        skipped(format!("{} is not installed (package {package})", files[0]));
    }
    found
}

/// Whether Perl has its CGI module, after reporting if it does not.
fn has_cgi_pm() -> bool {
    let loads =
        Command::new("perl").args(["-MCGI", "-e", "1"]).output().is_ok_and(|output| output.status.success());
    if !loads {
        skipped("Perl's CGI.pm is not installed (package libcgi-pm-perl)");
    }
    loads
}

/// A `[[mount]]` of a program that writes documents.
fn mount(at: &str, program: &Path, env: &[(&str, &str)]) -> String {
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    let (program, env) = (program.display(), env.join(", "));
    format!("[[mount]]\nat = {at:?}\nrun = [\"{program}\"]\nresponse = \"document\"\nenv = {{ {env} }}\n\n")
}

/// A `[[mount]]` of the folder `cgi-bin`, whose programs write documents.
fn cgi_bin(sandbox: &Sandbox) -> String {
    let folder = sandbox.path("cgi-bin").display().to_string();
    format!("[[mount]]\nat = \"/cgi-bin\"\ndir = {folder:?}\nresponse = \"document\"\n\n")
}

/// A `[[static]]` table.
fn files(at: &str, root: &str) -> String {
    format!("[[static]]\nat = {at:?}\nroot = {root:?}\n\n")
}

/// A server with these mounts.
fn serving(sandbox: &Sandbox, mounts: &str, arguments: &[&str]) -> Server {
    sandbox.write("c.toml", mounts);
    sandbox.start(&[&["-c", "c.toml", "-w", "2"], arguments].concat())
}
