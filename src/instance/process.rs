//! Finds the process of an instance, to signal it, only if it is proven to be the instance's.
//!
//! The number in the pid file is not proof: another process may have it if the directory is shared with a container or
//! another machine. The first of these that answers counts: 1. the record lock on the file `process`: the kernel tells
//! which process here holds it, or that none here does; 2. the contents of that file: number, pid namespace, boot and
//! start time; 3. the lock on the pid file among the process's descriptors, for instances of versions that wrote no
//! such file.

use std::fs::File;
use std::io;

use super::origin::{self, Origin};
use super::registry::open_own;
use super::{Error, Folder, Life};
use crate::sys::lock::record_holder;
use crate::sys::pidfd::Pidfd;

/// The process that holds the name of an instance.
#[derive(Debug)]
pub enum Holder {
    /// This process, safe to signal.
    Here(u32, Pidfd),
    /// A process that cannot be reached from here: where it runs, in words that follow "it runs".
    Elsewhere(String),
    /// A process here has the number, but is not proven to be the instance's.
    Unproved(u32),
}

impl Folder {
    /// The running process; `None` when there is none (any more, or yet).
    ///
    /// # Errors
    /// Those of [`Self::life`]; the process cannot be opened.
    pub fn holder(&self) -> Result<Option<Holder>, Error> {
        let Life::Running(number) = self.life()? else { return Ok(None) };
        let found = self.find(number).map_err(Error::file("find the process of", &self.pid()))?;
        // The process could have ended before it was opened, and its number be another's. If the number's owner still holds
        // the name, that was not so.
        Ok(found.filter(|_| matches!(self.life(), Ok(Life::Running(now)) if now == number)))
    }

    /// The running process, safe to signal; `None` when there is none (any more, or yet).
    ///
    /// # Errors
    /// Those of [`Self::holder`]; it runs elsewhere, or is not proved to be the instance's.
    pub fn process(&self) -> Result<Option<(u32, Pidfd)>, Error> {
        match self.holder()? {
            None => Ok(None),
            Some(Holder::Here(pid, process)) => Ok(Some((pid, process))),
            Some(Holder::Elsewhere(place)) => Err(Error::Refused(format!(
                "instance {} runs {place}; run this command there (for a container: stop the container, or use nsenter)",
                self.name()
            ))),
            Some(Holder::Unproved(pid)) => Err(Error::Refused(format!(
                "nothing proves that process {pid} is instance {}, which an older version may have started; if it is (see \
                 `ls -l /proc/{pid}/fd`), stop it with `kill {pid}`",
                self.name()
            ))),
        }
    }

    fn find(&self, number: u32) -> io::Result<Option<Holder>> {
        let file = match open_own(&self.process_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        if let Some(file) = &file
            && let Some(holder) = locked_by(file)?
        {
            return Ok(Some(holder));
        }
        let (written, own) = match &file {
            None => (Origin::default(), Origin::default()),
            Some(file) => (Origin::read(file)?, Origin::own()),
        };
        if written.pid == number
            && let Some(place) = written.elsewhere(&own)
        {
            return Ok(Some(Holder::Elsewhere(place)));
        }
        let Some(process) = origin::open(number)? else { return Ok(None) };
        let proved = written.is(number, &own) || origin::holds_lock(number, &open_own(&self.pid())?);
        Ok(Some(if proved { Holder::Here(number, process) } else { Holder::Unproved(number) }))
    }
}

/// The holder of the record lock according to the kernel; `None` if there is none.
fn locked_by(file: &File) -> io::Result<Option<Holder>> {
    let here = match record_holder(file)? {
        None => return Ok(None),
        Some(0) => return Ok(Some(Holder::Elsewhere(Origin::read(file)?.in_namespace()))),
        Some(here) => here,
    };
    let Ok(pid) = u32::try_from(here) else {
        return Ok(Some(Holder::Elsewhere("on another machine, which shares its folder".into())));
    };
    let Some(process) = origin::open(pid)? else { return Ok(None) };
    // Opened after the first look: if the lock is still that number's, the number is still that process's.
    Ok((record_holder(file)? == Some(here)).then_some(Holder::Here(pid, process)))
}
