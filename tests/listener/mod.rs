//! Listener strategies.

mod accept_options; // --accept-batch, --defer-accept, --pin
mod cbpf; // how reuseport-cbpf chooses a worker
pub mod contract; // what every strategy must keep
mod dispatcher; // the process that serves a strategy beside the workers
mod kernel; // the kernel behaviour that strategies rely on
mod stealing;
mod unix; // unix sockets // what reuseport-steal promises beyond the contract
