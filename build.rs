//! Has the linker put the code that each request runs in one place (src/bin/caffeine.ld), where it can.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SCRIPT: &str = "src/bin/caffeine.ld";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SCRIPT}");
    // Cargo does not run this again for another linker, nor can it know that `cc` calls another one: that needs `cargo clean`.
    let target = variable("TARGET").to_uppercase().replace(['-', '.'], "_");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_{target}_LINKER");
    let script = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join(SCRIPT);
    if variable("PROFILE") == "release" && is_understood(&script) {
        println!("cargo::rustc-link-arg-bin=caffeine=-T");
        println!("cargo::rustc-link-arg-bin=caffeine={}", script.display());
    }
}

/// Whether a program can be linked with this script: GNU ld and lld read it, other linkers do not, and without it all works
/// the same.
fn is_understood(script: &Path) -> bool {
    let folder = PathBuf::from(variable("OUT_DIR"));
    let source = folder.join("empty.rs");
    if std::fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.arg("--target").arg(variable("TARGET")).arg(&source).arg("-o").arg(folder.join("empty"));
    rustc.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    rustc.args(["-C", "link-arg=-T", "-C", &format!("link-arg={}", script.display())]);
    rustc.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
