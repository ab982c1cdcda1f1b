//! HTTP on the wire.

mod early_responses; // a response before the end of the request body
mod files; // static files: types, conditions, ranges, nothing outside
mod forwarded; // what a trusted proxy says of its client, and what strangers say
mod mounts; // programs and directories below a path
mod requests; // targets, bodies, one request per connection
mod responders; // built-in responders for measuring, keep-alive
mod slow_clients; // slow, idle and departing clients
pub mod statuses; // every status of the server's own
mod wire; // hundreds of requests, each with its section of the RFC and the expected response
