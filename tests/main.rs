//! The tests, as scripts over one harness.

mod cgroups; // what runs out where a group of processes has a limit
mod cli; // the command line and its misuse
mod clients; // slow, idle, broken and leaving clients
mod config; // settings: precedence, files, errors
mod contract; // what every listener strategy must keep
mod control; // --accept-batch, --defer-accept, --pin
mod daemon; // going into the background
mod deploy; // handlers put in place, also under load
mod dispatcher; // the process that serves a strategy beside the workers
mod early_answers; // answers before the end of a body, and clients that send on
mod exhaustion; // what runs out: descriptors, processes, memory, disk
mod faults; // what an instance must outlive
mod forgetting; // --forget, also beside a start
mod handlers; // what a handler gets, and what becomes of its output
mod harness; // temporary folders, servers, requests
mod house; // the module edges
mod install; // into a place of its own, and away again; the units
mod instances; // names, pid files, start, stop, list
mod keeper; // what the instance keeps of its handlers
mod kernel; // what strategies take for granted of it
mod lab; // experiments from a file to a report
mod lab_faults; // what befalls workers, servers and load generators during a run
mod lab_plans; // checks, parts of experiments, going on, suites, comparisons
mod lab_runs; // other servers, prefixes, probes
mod limits; // on handlers, connections and slowness
mod loadgen; // the load generator against scripted servers
mod loadgen_connections; // how it uses connections: kept, lost, from where, how many
mod loadgen_memory; // that its hot path allocates nothing
mod loadgen_outputs; // what the load generator writes, and its schedules
mod loadgen_search; // expectations, the search for a rate, the live view
mod log_lines; // what the log says, and that nobody can forge it
mod logs; // printing, following, emptying
mod model; // the supervisor against a reference model, in random lives
mod orphans; // handlers whose worker is gone
mod printing; // output that nobody reads, or that cannot be written
mod privileges; // as whom the server runs
mod processes; // supervisor and workers: deaths, signals, descriptors, zombies
mod programs; // what reuseport-cbpf chooses by
mod requests; // targets, bodies, one request per connection
mod responders; // the answers for measuring
mod sandboxes; // kernels and sandboxes that lack system calls
mod scarcity; // the last descriptors
mod service_manager; // sockets passed, being told, rotation
mod signalling; // which process an action signals, and which never
mod standard_error; // whose lines they are, and what they may cost
mod status; // --status: in a pipe, and as a screen
mod statuses; // every status of our own on the wire
mod stealing; // what reuseport-steal promises beyond the contract
mod stops; // graceful stops under load, as an ordinary user
mod surroundings; // what a handler inherits, and what it does not
mod traffic; // clients for a server under load
mod trees; // deployed directories: a handler keeps its tree, old ones go
mod wire; // hundreds of requests, each with the section that judges it and the answer owed

/// Counts, for the tests that show what does not allocate.
#[global_allocator]
static ALLOCATOR: caffeine::sys::alloc::Counting = caffeine::sys::alloc::Counting;
