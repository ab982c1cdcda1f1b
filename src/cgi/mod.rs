//! From a request to a process: which handler (`route`), with which variables (`meta`), which standard input (`body`),
//! started how (`launch`).

pub mod body;
pub mod launch;
pub mod meta;
pub mod rehearsal;
pub mod route;
pub mod stderr;
