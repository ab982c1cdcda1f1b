//! Explains why the kernel would refuse to execute a file, from its first bytes as execve(2) reads them. The error
//! number alone misleads: for a missing interpreter it says "No such file" about a file that exists.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::fs::open_regular;

/// The kernel reads this much (`BINPRM_BUF_SIZE`).
const HEAD_BYTES: usize = 256;
/// Architectures whose programs the kernel runs here; empty if unknown.
const MACHINES: &[u16] = if cfg!(target_arch = "x86_64") {
    &[62, 3]
} else if cfg!(target_arch = "aarch64") {
    &[183, 40]
} else {
    &[]
};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A script with CR LF line ends.
    #[error(
        "its #! line ends with a carriage return (CR LF line ends); convert it, for instance with `sed -i 's/\\r$//'`"
    )]
    CarriageReturn,
    /// The `#!` line, or the program header of a dynamic program.
    #[error("its interpreter {} does not exist", .0.display())]
    NoInterpreter(PathBuf),
    /// The interpreter exists, but cannot be executed.
    #[error("its interpreter {} is not executable", .0.display())]
    InterpreterRefused(PathBuf),
    /// `#!/usr/bin/env NAME`.
    #[error("its interpreter {name} is not in PATH ({path})")]
    NotInPath {
        name: String,
        /// The search path.
        path: String,
    },
    /// An ELF program for another architecture.
    #[error("it is a program for another architecture ({})", machine(*.0))]
    OtherMachine(u16),
    /// Neither ELF nor a script.
    #[error("it is neither an ELF program nor a script that begins with #!")]
    NoProgram,
}

/// Examines the file `program`. A relative interpreter is looked up in the directory of the file, and that of `env
/// NAME` in the directories of `search` (like `PATH`).
///
/// # Errors
/// The file cannot be read.
pub fn obstacle(program: &Path, search: &str) -> io::Result<Option<Obstacle>> {
    let file = open_regular(File::options().read(true), program, 0)?;
    let mut head = [0; HEAD_BYTES];
    let length = file.read_at(&mut head, 0)?;
    let head = &head[..length];
    let directory = program.parent().unwrap_or(Path::new("/"));
    if let Some(script) = head.strip_prefix(b"#!") {
        return Ok(script_obstacle(script, directory, search));
    }
    let Some(elf) = Elf::parse(head) else { return Ok(Some(Obstacle::NoProgram)) };
    if !MACHINES.is_empty() && !MACHINES.contains(&elf.machine) {
        return Ok(Some(Obstacle::OtherMachine(elf.machine)));
    }
    Ok(elf.interpreter(&file).and_then(|path| interpreter_obstacle(&path, directory)))
}

/// `line` is what follows the `#!`: an interpreter, and all the rest as one argument.
fn script_obstacle(line: &[u8], directory: &Path, search: &str) -> Option<Obstacle> {
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Some(Obstacle::CarriageReturn);
    }
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | 0)).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else { return Some(Obstacle::NoProgram) };
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    interpreter_obstacle(interpreter, directory).or_else(|| {
        let is_env = interpreter.file_name() == Some(OsStr::new("env"));
        let word = words.find(|word| *word != b"-S").filter(|_| is_env)?;
        let is_plain = !word.starts_with(b"-") && !word.iter().any(|byte| matches!(byte, b'=' | b'/'));
        let named = Path::new(OsStr::from_bytes(word));
        let is_there = || search.split(':').any(|place| may_run(&Path::new(place).join(named)) == Ok(true));
        (is_plain && !is_there())
            .then(|| Obstacle::NotInPath { name: named.display().to_string(), path: search.to_owned() })
    })
}

fn interpreter_obstacle(interpreter: &Path, directory: &Path) -> Option<Obstacle> {
    match may_run(&directory.join(interpreter)) {
        Ok(true) => None,
        Ok(false) => Some(Obstacle::InterpreterRefused(interpreter.to_owned())),
        Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Some(Obstacle::NoInterpreter(interpreter.to_owned()))
        }
        Err(_) => None, // it cannot be seen from here
    }
}

fn may_run(path: &Path) -> Result<bool, io::ErrorKind> {
    let found = fs::metadata(path).map_err(|error| error.kind())?;
    Ok(found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The relevant part of an ELF header (elf(5)).
struct Elf {
    wide: bool,
    little: bool,
    machine: u16,
    headers_at: u64,
    header_bytes: u16,
    headers: u16,
}

impl Elf {
    /// `PT_INTERP` of a program header.
    const INTERPRETER: u64 = 3;

    fn parse(head: &[u8]) -> Option<Self> {
        let (wide, little) = (head.get(4)? == &2, head.get(5)? == &1);
        if !head.starts_with(b"\x7fELF") || head.len() < 64 {
            return None;
        }
        let number = |at, bytes| number(head, at, bytes, little);
        let short = |at| u16::try_from(number(at, 2)).unwrap_or(0);
        let (headers_at, sizes_at) = if wide { (number(32, 8), 54) } else { (number(28, 4), 42) };
        let (header_bytes, headers) = (short(sizes_at), short(sizes_at + 2));
        Some(Self { wide, little, machine: short(18), headers_at, header_bytes, headers })
    }

    /// The dynamic loader, if the program has one.
    fn interpreter(&self, file: &File) -> Option<PathBuf> {
        let header_of = |index| {
            let mut header = [0; 56];
            let wanted = &mut header[..if self.wide { 56 } else { 32 }];
            let at = self.headers_at.checked_add(u64::from(index) * u64::from(self.header_bytes))?;
            file.read_exact_at(wanted, at).ok().map(|()| header)
        };
        let header = (0..self.headers)
            .map_while(header_of)
            .find(|header| number(header, 0, 4, self.little) == Self::INTERPRETER)?;
        let [at, length] = if self.wide { [(8, 8), (32, 8)] } else { [(4, 4), (16, 4)] }
            .map(|(at, bytes)| number(&header, at, bytes, self.little));
        let mut name = vec![0; usize::try_from(length).ok().filter(|length| *length <= 4096)?];
        file.read_exact_at(&mut name, at).ok()?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(PathBuf::from(OsStr::from_bytes(name)))
    }
}

/// An unsigned number of `bytes` bytes.
fn number(from: &[u8], at: usize, bytes: usize, little: bool) -> u64 {
    let part = &from[at..at + bytes];
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if little { part.iter().rev().fold(0, add) } else { part.iter().fold(0, add) }
}

fn machine(number: u16) -> String {
    const NAMES: &[(u16, &str)] = &[
        (3, "i386"),
        (8, "MIPS"),
        (20, "PowerPC"),
        (21, "PowerPC 64"),
        (22, "s390"),
        (40, "ARM"),
        (62, "x86-64"),
        (183, "AArch64"),
        (243, "RISC-V"),
        (258, "LoongArch"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    known.unwrap_or_else(|| format!("ELF machine {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(contents: &[u8]) -> Option<Obstacle> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), contents).unwrap();
        obstacle(file.path(), "/nowhere:/bin").unwrap()
    }

    #[test]
    fn scripts_are_judged_by_their_first_line() {
        let missing = |path: &str| Some(Obstacle::NoInterpreter(path.into()));
        for (script, expected) in [
            ("#!/bin/sh\n", None),
            ("#!/bin/sh", None),
            ("#! \t/bin/sh -e \nx\r\n", None),
            ("#!/bin/sh\r\nx", Some(Obstacle::CarriageReturn)),
            ("#!/usr/bin/env sh\r\n", Some(Obstacle::CarriageReturn)),
            ("#!/no/such thing\n", missing("/no/such")),
            ("#!/etc/passwd/x\n", missing("/etc/passwd/x")),
            ("#!no-such\n", missing("no-such")),
            ("#!/etc/passwd\n", Some(Obstacle::InterpreterRefused("/etc/passwd".into()))),
            ("#!/bin\n", Some(Obstacle::InterpreterRefused("/bin".into()))),
            ("#!/usr/bin/env sh\n", None),
            ("#!/usr/bin/env -S sh -e\n", None),
            ("#!/usr/bin/env -i sh\n", None),
            ("#!/usr/bin/env A=b no-such\n", None),
            ("#!\n", Some(Obstacle::NoProgram)),
            ("# a comment\n", Some(Obstacle::NoProgram)),
            ("", Some(Obstacle::NoProgram)),
        ] {
            assert_eq!(found(script.as_bytes()), expected, "{script:?}");
        }
        let absent = Obstacle::NotInPath { name: "no-such".into(), path: "/nowhere:/bin".into() };
        assert_eq!(found(b"#!/usr/bin/env -S no-such -e\n"), Some(absent));
    }

    #[test]
    fn programs_are_judged_by_their_machine_and_their_loader() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(found(&own), None);
        let mut foreign = own.clone();
        foreign[18..20].copy_from_slice(&[22, 0]);
        assert_eq!(found(&foreign), Some(Obstacle::OtherMachine(22)));
        assert!(Obstacle::OtherMachine(22).to_string().contains("s390"));
        assert_eq!(found(b"\x7fELF"), Some(Obstacle::NoProgram));
        let name = b"/lib64/ld-";
        if let Some(at) = own.windows(name.len()).position(|part| part == name) {
            let mut dynamic = own;
            dynamic[at..at + name.len()].copy_from_slice(b"/nowhere/-");
            let text = found(&dynamic).unwrap().to_string();
            assert!(text.starts_with("its interpreter /nowhere/-"), "{text}");
        }
    }
}
