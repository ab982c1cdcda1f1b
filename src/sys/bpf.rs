//! Classic BPF: what programs for sockets and for seccomp(2) are made of.

/// One instruction: its operation, how many to skip when a comparison holds and when it does not, and its operand.
pub const fn statement(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
