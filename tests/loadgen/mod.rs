//! The program `loadgen`, against scripted servers.

mod allocations; // none on the hot path
mod connections; // kept, lost, from many addresses, limits
mod jobs; // what each request asks for
mod outcomes; // how each request and each run ends
mod outputs; // records, tables, files; schedules
pub mod scripted; // servers that do what the test says
mod search; // expectations, the search for a rate, the live view
mod sent; // requests: what, how many, where to
