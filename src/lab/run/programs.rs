//! The two programs that the lab runs, found beside its own executable.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::error::{Error, Result};

pub const BUILD: &str = "cargo build --release && cargo run --release --bin lab -- run quick";

#[derive(Clone, Debug)]
pub struct Programs {
    pub folder: PathBuf,
    pub caffeine: PathBuf,
    pub loadgen: PathBuf,
}

impl Programs {
    pub fn find(folder: Option<&Path>, allow_debug: bool) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => own_folder()?,
        };
        let programs = Self { caffeine: folder.join("caffeine"), loadgen: folder.join("loadgen"), folder };
        for program in [&programs.caffeine, &programs.loadgen] {
            check(program, allow_debug)?;
        }
        Ok(programs)
    }
}

fn own_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()
        .map_err(|e| Error::Failed(format!("cannot find the executable of lab: {e}")))?;
    Ok(own.parent().map(Path::to_owned).unwrap_or_default())
}

fn check(program: &Path, allow_debug: bool) -> Result<()> {
    let refuse =
        |why: String| Err(Error::Failed(format!("{} {why}; build with: {BUILD}", program.display())));
    if !program.is_file() {
        return refuse("is missing".into());
    }
    let output = Command::new(program).arg("--version").output();
    let text = match &output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return refuse(format!("cannot be run ({error})")),
    };
    let version = env!("CARGO_PKG_VERSION");
    if text.split_whitespace().nth(1) != Some(version) {
        return refuse(format!("is `{text}`, but this is lab {version}"));
    }
    // They are built together: if this program has debug assertions, so have those beside it.
    let beside = own_folder().ok().as_deref() == program.parent();
    if !allow_debug && (text.contains("debug") || beside && cfg!(debug_assertions)) {
        return refuse(
            "was built with debug assertions, which would be measured too (or allow it: --allow-debug)"
                .into(),
        );
    }
    Ok(())
}
