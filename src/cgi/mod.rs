//! From a request to a process: which handler (`route`), with which variables (`meta`), which standard input (`body`),
//! started how (`launch`), in which of the trees that were deployed under one name (`tree`).

pub mod body;
pub mod launch;
pub mod meta;
pub mod rehearsal;
pub mod route;
pub mod stderr;
pub mod tree;
