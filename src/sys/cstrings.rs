//! Strings for `execve`: one reusable block of NUL-terminated strings and the pointer table over it.

use std::ffi::c_char;

/// An argument or environment list. The block is kept between uses: [`truncate`](Self::truncate) back to the
/// fixed part, push what this request adds, take the `pointers`. No allocation once warm.
#[derive(Debug, Default)]
pub struct CStrings {
    block: Vec<u8>,
    starts: Vec<usize>,
    table: Vec<*const c_char>,
}

// SAFETY: the table points into the block of the same value, which moves with it; it is rebuilt at each use.
unsafe impl Send for CStrings {}

impl CStrings {
    /// Appends one string, put together from `parts`. A NUL byte in a part would end the string early for its
    /// reader: such a string is not appended, and the answer is `false`.
    pub fn push(&mut self, parts: &[&[u8]]) -> bool {
        if parts.iter().any(|part| part.contains(&0)) {
            return false;
        }
        self.starts.push(self.block.len());
        for part in parts {
            self.block.extend_from_slice(part);
        }
        self.block.push(0);
        true
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Forgets all strings but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if let Some(&end) = self.starts.get(len) {
            self.block.truncate(end);
            self.starts.truncate(len);
        }
    }

    /// The strings, without their NUL.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.starts.iter().map(|&start| {
            let tail = &self.block[start..];
            &tail[..tail.iter().position(|&byte| byte == 0).unwrap_or(tail.len())]
        })
    }

    /// The table that `execve` takes: a pointer to each string, then a null pointer. Valid until the next change.
    pub(super) fn pointers(&mut self) -> *const *const c_char {
        self.table.clear();
        self.table.extend(self.starts.iter().map(|&start| self.block[start..].as_ptr().cast::<c_char>()));
        self.table.push(std::ptr::null());
        self.table.as_ptr()
    }
}
