//! From a request to a process: which handler (`route`, in parts of the path space `mount`, with settings of their own `area`),
//! with which variables (`meta`), which standard input (`body`), started how (`launch`), with which kind of `response`, in which
//! of the trees that were deployed under one name (`tree`).

pub mod area;
pub mod body;
pub mod file_server;
pub mod launch;
pub mod meta;
pub mod mount;
pub mod rehearsal;
pub mod response;
pub mod route;
pub mod stderr;
pub mod tree;
