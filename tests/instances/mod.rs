//! Instances as the operator sees them.

mod access_log; // one line per request, in a file of its own
mod builtin; // handlers for the counters, also in a browser
mod daemon; // going into the background
mod forget; // --forget, also beside a start
mod lifecycle; // names, pid files, start, stop, reload, list
mod log_command; // --log: printing, following, emptying
mod log_lines; // what the log says, and that a request cannot forge a line
mod log_places; // the file, standard error, both
mod log_size; // bounded log files
mod metrics; // --metrics, --status --json, --list-instances --json
mod signalling; // which process an action signals
mod status; // --status in a pipe and as a screen
