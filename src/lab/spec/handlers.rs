//! Handlers that the measured server runs, from experiments/handlers, compiled if there is a compiler.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::error::{Error, Result, write};

macro_rules! sources {
    ($($name:literal)*) => {
        &[$((
            $name,
            include_str!(concat!("../../../experiments/handlers/", $name, ".c")),
            include_str!(concat!("../../../experiments/handlers/", $name)),
        ),)*]
    };
}

/// Name, C source, and the sh script for machines without a compiler.
const KNOWN: &[(&str, &str, &str)] = sources! { "hello" "nap" "count" "burn" };

/// The handler that takes the time that a request asks for.
pub const BURN: &str = "burn";

const FLAGS: &[&[&str]] = &[
    &["-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"],
    &["-O2", "-static", "-DHOSTED"],
    &["-O2", "-DHOSTED"],
];

/// The handler in the path of a URL.
pub fn named(path: &str) -> &str {
    path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default()
}

pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, ..)| *known == name)
}

/// Installs the handler `name` in `folder` and returns its description.
pub fn install(name: &str, folder: &Path) -> Result<String> {
    let Some((_, source, script)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
        let names: Vec<_> = KNOWN.iter().map(|(known, ..)| *known).collect();
        return Err(Error::Usage(format!("no handler `{name}`; there are: {}", names.join(", "))));
    };
    let target = folder.join(name);
    let c_file = folder.with_extension("c");
    write(&c_file, source)?;
    for flags in FLAGS {
        let compiled = Command::new("cc")
            .args(*flags)
            .arg("-o")
            .args([&target, &c_file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if compiled.is_ok_and(|status| status.success()) {
            return Ok(format!("{name}.c, compiled with cc {}", flags.join(" ")));
        }
    }
    write(&target, script)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
        .map_err(|e| Error::file("make executable", &target, e))?;
    Ok(format!("{name}, an sh script, because this machine has no working C compiler"))
}
