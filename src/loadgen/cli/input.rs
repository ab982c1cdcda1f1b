//! Reads files that the command line names; `-` is standard input.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::loadgen::error::Error;

/// Size limit in bytes: an endless device must not use up the machine's memory.
const MOST: u64 = 1 << 30;

/// `what`: what is read, as in `cannot read the body from FILE`.
pub fn read(path: &Path, what: &str) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::Failed(format!("cannot read {what} {}: {error}", path.display()));
    read_up_to(path, MOST).map_err(failed)
}

fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_refused() {
        let error = read_up_to(Path::new("/dev/zero"), 1000).unwrap_err();
        assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [b'x'; 1000]).unwrap();
        assert_eq!(read_up_to(&path, 1000).unwrap().len(), 1000);
        assert!(read_up_to(&path, 999).is_err());
        assert!(read(Path::new("/nonexistent"), "a file from").is_err());
    }
}
