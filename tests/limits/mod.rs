//! Limits that are configured, and resources that run out.

mod body_memory; // of bodies that are arriving
mod cgroups; // memory and processes of a control group
mod configured; // on handlers, connections and slow clients
mod descriptors; // fairness when few descriptors are left
pub mod exhaustion; // descriptors, processes, memory, disk
mod per_client; // what one address may take
