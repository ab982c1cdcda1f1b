//! System calls that only tests make: the one folder of the tests with `unsafe` code.

pub mod alloc;
pub mod seccomp;
