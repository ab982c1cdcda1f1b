//! HTTP/1.1 on bytes: requests, responses, limits. Pure: nothing here reads or writes a socket.

pub mod chunked;
pub mod conditional;
pub mod date;
pub mod document;
pub mod forwarded;
pub mod limits;
pub mod network;
pub mod range;
pub mod refusal;
pub mod request;
pub mod response;
pub mod target;
pub mod version;
