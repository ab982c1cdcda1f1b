//! `make install` and `make uninstall` into a temporary directory, and the systemd units.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{Sandbox, copy_program, skipped};

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/packaging");

/// The output of `./build.sh` that the Makefile uses. `None` without make.
fn built(sandbox: &Sandbox) -> Option<PathBuf> {
    if Command::new("make").arg("--version").output().is_err() {
        skipped("make is not installed");
        return None;
    }
    let build = sandbox.path("build");
    for folder in ["bin", "lib/systemd/system", "share/man/man1", "share/doc/caffeine"] {
        fs::create_dir_all(build.join(folder)).unwrap();
    }
    copy_program(env!("CARGO_BIN_EXE_caffeine"), build.join("bin/caffeine"));
    for (from, to) in [
        ("Makefile.in", "Makefile"),
        ("caffeine@.service", "lib/systemd/system/caffeine@.service"),
        ("caffeine@.socket", "lib/systemd/system/caffeine@.socket"),
        ("logrotate.conf", "share/doc/caffeine/logrotate.conf"),
        ("setgid.conf", "share/doc/caffeine/setgid.conf"),
        ("git.toml", "share/doc/caffeine/git.toml"),
    ] {
        fs::copy(Path::new(PACKAGING).join(from), build.join(to)).unwrap();
    }
    fs::write(build.join("share/man/man1/caffeine.1"), ".TH CAFFEINE 1\n").unwrap();
    Some(build)
}

fn make(build: &Path, arguments: &[String]) -> Output {
    let output = Command::new("make").arg("-s").args(arguments).current_dir(build).output().unwrap();
    assert!(output.status.success(), "make {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Everything below `root`, relative to it, sorted.
fn below(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            found.push(entry.path().strip_prefix(root).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn make_uninstall_removes_what_make_install_created() {
    let sandbox = Sandbox::new();
    let Some(build) = built(&sandbox) else { return };
    let stage = sandbox.path("stage");
    let place = ["PREFIX=/opt/caffeine".to_owned(), format!("DESTDIR={}", stage.display())];
    make(&build, &[&["install".to_owned()], &place[..]].concat());
    let root = stage.join("opt/caffeine");
    let mode = |file: &str| fs::metadata(root.join(file)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("bin/caffeine"), 0o755);
    for file in ["lib/systemd/system/caffeine@.service", "lib/systemd/system/caffeine@.socket"] {
        assert_eq!(mode(file), 0o644, "{file}");
    }
    let unit = fs::read_to_string(root.join("lib/systemd/system/caffeine@.service")).unwrap();
    assert!(
        unit.contains("ExecStart=/opt/caffeine/bin/caffeine --name %i") && !unit.contains("@PREFIX@"),
        "{unit}"
    );
    // Foreign files stay, with their directories.
    fs::write(root.join("share/man/man1/other.1"), "").unwrap();
    make(&build, &[&["uninstall".to_owned()], &place[..]].concat());
    assert_eq!(below(&root), ["share", "share/man", "share/man/man1", "share/man/man1/other.1"]);
}

#[test]
fn uninstalling_removes_only_directories_the_install_created() {
    let sandbox = Sandbox::new();
    let Some(build) = built(&sandbox) else { return };
    let prefix = sandbox.path("prefix");
    let to = |what: &str| make(&build, &[what.to_owned(), format!("PREFIX={}", prefix.display())]);
    to("install");
    to("install");
    to("uninstall");
    assert!(!prefix.exists());
    fs::create_dir_all(prefix.join("share/man")).unwrap();
    to("install");
    to("uninstall");
    assert_eq!(below(&prefix), ["share", "share/man"]);
    to("uninstall");
}

#[test]
fn a_relative_prefix_is_refused() {
    let sandbox = Sandbox::new();
    let Some(build) = built(&sandbox) else { return };
    let before = below(&build);
    for place in ["PREFIX=relative", "PREFIX=", "DESTDIR=stage"] {
        for what in ["install", "uninstall"] {
            let output = Command::new("make").args(["-s", what, place]).current_dir(&build).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains("must be an absolute path"), "{place}: {said}");
        }
    }
    assert_eq!(below(&build), before);
}

/// The installed units of the instance `web`. `None` without make.
fn units(sandbox: &Sandbox) -> Option<[PathBuf; 2]> {
    let build = built(sandbox)?;
    let prefix = sandbox.path("prefix");
    make(&build, &["install".to_owned(), format!("PREFIX={}", prefix.display())]);
    Some(["service", "socket"].map(|kind| {
        let unit = sandbox.path(&format!("caffeine@web.{kind}"));
        fs::copy(prefix.join(format!("lib/systemd/system/caffeine@.{kind}")), &unit).unwrap();
        unit
    }))
}

/// What systemd-analyze says. `None` if it is not installed.
fn analyzed(arguments: &[&str], unit: &Path) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    if output.is_err() {
        skipped("systemd-analyze is not installed");
    }
    output.ok()
}

#[test]
fn systemd_accepts_the_units() {
    let sandbox = Sandbox::new();
    let Some(units) = units(&sandbox) else { return };
    for unit in units {
        let Some(verdict) = analyzed(&["verify", "--man=no"], &unit) else { return };
        let said = String::from_utf8_lossy(&verdict.stderr);
        // systemd also reads other units of this machine, which may have errors.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("caffeine")).collect();
        assert!(ours.is_empty(), "{}: {ours:?}", unit.display());
    }
}

#[test]
fn systemd_rates_the_exposure_of_the_unit_below_4() {
    let sandbox = Sandbox::new();
    let Some([service, _]) = units(&sandbox) else { return };
    let rate = ["security", "--offline=true", "--no-pager", "--threshold=40"];
    let Some(verdict) = analyzed(&rate, &service) else { return };
    let said = [verdict.stdout, verdict.stderr].concat();
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Settings that keep processes of an ordinary user from gaining privileges (systemd.exec(5), NoNewPrivileges=).
const NO_NEW_PRIVILEGES: &str = "DynamicUser LockPersonality MemoryDenyWriteExecute NoNewPrivileges PrivateDevices ProtectClock \
    ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables RestrictAddressFamilies RestrictNamespaces \
    RestrictRealtime RestrictSUIDSGID SystemCallArchitectures SystemCallFilter SystemCallLog";

#[test]
fn the_drop_in_for_setgid_programs_undoes_all_that_keeps_them_from_their_group() {
    let setting = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = |name: &str| -> BTreeMap<String, String> {
        let text = fs::read_to_string(Path::new(PACKAGING).join(name)).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).filter_map(setting).collect()
    };
    let (unit, drop_in) = (settings("caffeine@.service"), settings("setgid.conf"));
    let implied = ["NoNewPrivileges", "RestrictSUIDSGID"]; // by DynamicUser
    for name in NO_NEW_PRIVILEGES.split_whitespace() {
        if unit.contains_key(name) || implied.contains(&name) {
            let value = drop_in.get(name).map(String::as_str);
            assert!(matches!(value, Some("no" | "")), "setgid.conf: {name}={value:?}");
        }
    }
}
