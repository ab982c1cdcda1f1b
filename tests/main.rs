//! The tests, as scripts over one harness.

mod cli; // the command line and its misuse
mod config; // settings: precedence, files, errors
mod contract; // what every listener strategy must keep
mod daemon; // going into the background
mod deploy; // handlers put in place, also under load
mod harness; // temporary folders, servers, requests
mod house; // the module edges
mod instances; // names, pid files, start, stop, list
mod lab; // experiments from a file to a report
mod loadgen; // the load generator against scripted servers
mod logs; // printing, following, emptying
mod traffic; // clients for a server under load
