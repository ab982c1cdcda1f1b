//! Memory shared between processes: an anonymous mapping that forked children inherit, or a file.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
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

    /// Its first address and its length.
    pub(super) fn range(&self) -> (usize, usize) {
        (self.start.as_ptr() as usize, self.len.get())
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

/// Private zeroed pages. Untouched pages take no memory, unlike a zeroed `Vec`, which the allocator may have to clear.
/// For large buffers that are mostly used in part.
#[derive(Debug)]
pub struct Pages {
    start: NonNull<libc::c_void>,
    len: NonZeroUsize,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Pages {}

impl Pages {
    /// Maps `len` bytes.
    ///
    /// # Errors
    /// `ENOMEM`, or `EINVAL` for a length of 0.
    pub fn new(len: usize) -> io::Result<Self> {
        let len = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)?
        };
        Ok(Self { start, len })
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is that long, readable, initialised to zero, and borrowed from its only owner.
        unsafe { std::slice::from_raw_parts(self.start.cast().as_ptr(), self.len.get()) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and writable.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast().as_ptr(), self.len.get()) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and no reference outlives `self`.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}

/// Makes all threads allocate from one heap: a second heap would cost a thread that rarely runs more memory than it
/// ever uses (mallopt(3)). Call it before there are threads.
pub fn share_one_heap() {
    // SAFETY: sets a parameter of the allocator.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and no reference outlives `self`.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}
