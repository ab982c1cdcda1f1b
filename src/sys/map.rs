//! Memory shared between processes: an anonymous mapping that forked children inherit, or a file.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// A `MAP_SHARED` mapping, unmapped on drop. A new one is zeroed.
///
/// It hands out references to atomics only ([`Shared`]), so that writers in other processes are no data race.
#[derive(Debug)]
pub struct SharedMap {
    start: NonNull<libc::c_void>,
    len: NonZeroUsize,
}

// SAFETY: the mapping is plain memory that lives until drop, and all access goes through atomics.
unsafe impl Send for SharedMap {}
// SAFETY: as above.
unsafe impl Sync for SharedMap {}

/// A type that may lie in memory which other processes write at the same time.
///
/// # Safety
/// Every bit pattern must be a valid value, zeroes included; all fields must be atomics; `repr(C)`.
pub unsafe trait Shared {}

/// Declares types of other modules fit for [`SharedMap::at`]; they must keep the contract of [`Shared`].
macro_rules! shared {
    ($($name:ty),*) => { $(
        // SAFETY: the caller of the macro vouches for `repr(C)` and for fields that are all atomics.
        unsafe impl $crate::sys::map::Shared for $name {}
    )* };
}
pub(crate) use shared;

// SAFETY: an atomic of any bit pattern is valid.
unsafe impl Shared for std::sync::atomic::AtomicU32 {}
// SAFETY: as above.
unsafe impl Shared for std::sync::atomic::AtomicU64 {}

impl SharedMap {
    /// Maps `len` bytes that are shared with children forked later.
    ///
    /// # Errors
    /// `ENOMEM`, or `EINVAL` for a length of 0.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        let len = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED)?
        };
        Ok(Self { start, len })
    }

    /// Maps the first `len` bytes of `file`; `writable` needs a file that is open for writing.
    ///
    /// # Errors
    /// Those of `mmap`. A file that is shorter than `len` is `UnexpectedEof` (touching it would be SIGBUS).
    pub fn file(file: &File, len: usize, writable: bool) -> io::Result<Self> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let prot = if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        // SAFETY: a new mapping at an address of the kernel's choice; its contents are only seen as atomics.
        let start = unsafe { mmap(None, len, prot, MapFlags::MAP_SHARED, file.as_fd(), 0)? };
        Ok(Self { start, len })
    }

    /// The value of type `T` at `offset` bytes from the start.
    ///
    /// # Panics
    /// When it would lie outside the mapping or would not be aligned.
    pub fn at<T: Shared>(&self, offset: usize) -> &T {
        assert!(offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len.get()));
        assert_eq!(offset % align_of::<T>(), 0);
        // SAFETY: inside the mapping and aligned (checked above), valid for every bit pattern (`Shared`), alive
        // as long as `self`.
        unsafe { self.start.cast::<u8>().add(offset).cast::<T>().as_ref() }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and no reference outlives `self`.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}
