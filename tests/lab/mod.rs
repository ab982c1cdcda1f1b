//! The program `lab`.

mod experiments; // from a file to a report
mod fault_injection; // faults in workers, servers and load generators during a run
mod formats; // JSON Schema and the dictionary of columns
mod jobs; // the same for all strategies, others in each round
mod overview; // the page of all results, in a browser
mod peers; // other servers, command prefixes, probes
mod planning; // checks, parts of experiments, resuming, suites, comparisons
