//! Caffeine: a pre-forking web server with one disposable process per request, and the testbed for
//! one question: how should new connections be spread over worker processes?

pub mod cgi;
pub mod dist;
pub mod http;
pub mod instance;
#[cfg(feature = "lab")]
pub mod lab;
pub mod listener;
#[cfg(feature = "loadgen")]
pub mod loadgen;
#[cfg(feature = "loadgen")]
pub mod measure;
pub mod scoreboard;
pub mod server;
pub mod sys;
