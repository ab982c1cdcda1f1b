//! The system around the server.

mod image; // the image for containers
mod install; // make install and uninstall, units
mod memory; // code that only the start needs
pub mod privileges; // users, permissions
mod proxies; // nginx, HAProxy and Caddy as in the samples
mod sandboxes; // kernels and sandboxes that refuse system calls
pub mod service_manager; // passed sockets, notifications, log rotation
mod unix_sockets; // whose they are when root starts the server
