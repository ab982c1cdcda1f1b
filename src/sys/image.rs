//! The program in memory: its code and constants, and those of its libraries.

use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};
use nix::unistd::{SysconfVar, sysconf};

/// Drops the pages of all code and constants from this process; those that are used again come back from the page cache. Most of
/// what a process has used by the time it serves only served its start. Left alone are segments that are writable, and objects whose
/// code the dynamic linker has changed (DT_TEXTREL). What else changes code in memory, as a debugger's breakpoints do, is undone.
pub fn forget_pages() {
    // SAFETY: the callback does not unwind and keeps nothing of what it is given.
    unsafe { libc::dl_iterate_phdr(Some(forget_object), std::ptr::null_mut()) };
}

/// Drops those of one object. 0 asks for the next.
unsafe extern "C" fn forget_object(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut libc::c_void,
) -> libc::c_int {
    /// No object has more segments that are loaded and constant: usually it has two.
    const MOST: usize = 8;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, |bytes| bytes as usize);
    let mut found = [(0, 0); MOST];
    // SAFETY: dl_iterate_phdr(3) passes a valid description, which lives throughout the call.
    let (base, segments) = unsafe {
        let object = &*object;
        (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
    };
    // SAFETY: they are those of a loaded object.
    if unsafe { code_was_changed(base, segments) } {
        return 0;
    }
    let constant = segments.iter().filter(|one| one.p_type == libc::PT_LOAD && one.p_flags & libc::PF_W == 0);
    for (place, segment) in found.iter_mut().zip(constant) {
        let start = (base + segment.p_vaddr) as usize;
        *place = (start - start % page, start % page + segment.p_filesz as usize);
    }
    // Only now, because the list of segments lies in one of them.
    for (start, length) in found {
        let Some(first) = NonNull::new(start as *mut libc::c_void) else { continue };
        // SAFETY: a private mapping of a file that is not written to: pages that are dropped are read from the file again. The
        // kernel's own object (the vDSO) keeps its pages.
        let _ = unsafe { madvise(first, length, MmapAdvise::MADV_DONTNEED) };
    }
    0
}

/// Whether the dynamic linker has changed the code of an object.
///
/// # Safety
/// The object must be loaded at `base`.
unsafe fn code_was_changed(base: u64, segments: &[libc::Elf64_Phdr]) -> bool {
    const DT_TEXTREL: u64 = 22;
    const DT_FLAGS: u64 = 30;
    const DF_TEXTREL: u64 = 4;
    let Some(dynamic) = segments.iter().find(|segment| segment.p_type == libc::PT_DYNAMIC) else {
        return false;
    };
    let (start, count) = ((base + dynamic.p_vaddr) as *const [u64; 2], dynamic.p_memsz as usize / 16);
    // SAFETY: the loader has mapped the dynamic section of each object: pairs of a tag and a value.
    let entries = unsafe { std::slice::from_raw_parts(start, count) };
    let tells = |&[tag, value]: &[u64; 2]| tag == DT_TEXTREL || (tag == DT_FLAGS && value & DF_TEXTREL != 0);
    entries.iter().take_while(|[tag, _]| *tag != 0).any(tells)
}
