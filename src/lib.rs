//! Caffeine: a pre-forking web server with one disposable process per request, and the testbed for
//! one question: how should new connections be spread over worker processes?
//!
//! Three programs over one library. They know each other by what they write, not by calls:
//!
//! - `caffeine` ([`server`]) serves. A *supervisor* forks *workers*; a worker accepts connections and starts one
//!   *handler*, any executable, per request. The handler's standard output is the client's connection, or for a CGI
//!   program a pipe to the *keeper*, which completes its response.
//! - `loadgen` (`src/loadgen`) sends requests and times them. It writes a record: JSON, with whole histograms.
//! - `lab` (`src/lab`) starts the other two again and again, reads the records and the server's scoreboard, and
//!   writes a report.
//!
//! # Where to look first
//!
//! | question | place |
//! | --- | --- |
//! | where a strategy lives | [`listener`]: one file each, the contract at the top |
//! | what happens on SIGHUP, or on another signal | [`server::supervisor`], then `supervisor/reload.rs` |
//! | which status the server itself sends, and why | [`http::refusal::Refusal`]; the list is in `src/manual/caffeine.1` |
//! | where an option is defined, and what it means | [`server::cli`], [`server::config`] |
//! | how a mount finds its program, its handlers or a file | [`cgi::mount`], [`cgi::file_server`] (what it sent is recorded by `server::file_record`); their settings: [`cgi::area`] |
//! | which times the requests of a load ask for | `src/loadgen/schedule/jobs.rs`; their seed: `src/lab/spec/plan.rs` |
//! | how a size or a time is parsed | [`dist::parse_size`], [`dist::parse_duration`] |
//! | how a request becomes a process | [`cgi::launch`], [`sys::spawn`] |
//! | how the output of a CGI program becomes a response | [`http::document`], [`server::keeper::relay`] |
//! | where a load run is judged INVALID | `src/loadgen/verdict.rs`; the runs of an experiment: `src/lab/judge/verdict.rs` |
//! | which test provokes a full disk, or any other failure | `WHEN SOMETHING GOES WRONG` in `src/manual/caffeine.1` |
//! | what a message on standard error looks like | [`server::error`] and its counterparts |
//! | which proxy may say who the client is, and what counts of it | [`http::forwarded`] |
//! | what one client address may hold, and who counts it | [`scoreboard::clients`] |
//! | who writes which line of the access log | [`server::logging::access`] |
//!
//! # Modules
//!
//! A module uses those after `<` and no others; `tests/house` checks it.
//!
//! ```text
//! lab          experiments: plan, run, judge, draw         < listener measure dist sys scoreboard manual
//! loadgen      schedule, client, verdict, record           < measure dist http sys manual
//! server       command line, supervisor, worker            < instance cgi listener dist http scoreboard sys manual
//! instance     names, pid locks, daemons, logs, deploy     < sys scoreboard
//! cgi          route, environment, body, launch            < http sys
//! listener     the contract and one file per strategy      < sys scoreboard
//! manual       manual pages, with the options of clap      <
//! measure      histograms, records, statistics             < sys
//! dist         distributions of times, seeded              <
//! http         requests, responses, limits; pure on bytes  <
//! scoreboard   counters in a mapped file                   < sys
//! sys          system calls; the only unsafe code          <
//! ```
//!
//! # Processes
//!
//! ```text
//! supervisor   parking (a socketpair with the listening sockets in flight), the sink, pid lock, signalfd, log,
//!  |           both ends of its pipes: reports of workers, standard errors of handlers
//!  +- worker   leads a session; the listening sockets, the log, the connections it has accepted; 0 and 1 are /dev/null,
//!  |   |       2 is a pipe that handlers share when those that it lends to one at a time are taken ([`cgi::stderr`])
//!  |   +- handler   leads a process group; 0: the request body or /dev/null, 1: the client, or a pipe to the keeper,
//!  |   |            2: the pipe. Nothing else.
//!  |   +- handler
//!  +- worker
//!  +- keeper   only where a setting needs it: a pidfd of each running handler, the end of a socket to which workers report;
//!              of each document response the client and the pipe, and both ends of a socket that leads back to workers
//! ```
//!
//! The supervisor binds, but has no listening descriptor while workers run: it sends the sockets to itself through a
//! socketpair and leaves them there ([`sys::fdpass::Parking`]). A descriptor in flight keeps its socket open, and cannot be
//! accepted from. The supervisor takes them out for a moment to fork a worker, to add sockets, and to stop.
//!
//! The pid file's lock belongs to the open file, which a fork shares; so a worker closes its copy first, and the lock ends
//! with the supervisor. Every descriptor from 3 on is close-on-exec, so a handler inherits three. Workers die with their
//! supervisor (`PR_SET_PDEATHSIG`); then no socket is left and the port is free. A handler outlives both and finishes its
//! response; the supervisor adopts the handlers of a worker that died. The keeper ([`server::keeper`]) outlives workers and
//! reloads, and a new one reads from the process table what a dead one knew.
//!
//! All share one mapped file, the [`scoreboard`]: a row of counters per worker, written with relaxed atomics, read by
//! `--status` and `lab` without the server noticing.
//!
//! # The life of a connection
//!
//! 1. **Queue.** The kernel finishes the handshake and, since the sockets have `TCP_DEFER_ACCEPT`, waits for the first
//!    bytes (for about a second at most) before it puts the connection into an accept queue.
//! 2. **Accept.** The strategy ([`listener`]) decides which worker gets it: [`listener::Acceptor::accept`]
//!    is the one place where a worker waits for connections.
//! 3. **Head.** One `recv` that does not wait. Nearly always the whole request is there, is parsed in place
//!    ([`http::request`]) and served at once. If not, the connection goes to the worker's other thread.
//! 4. **Body.** Read whole before anything is launched, into a sealed memory file or, when large, an unlinked file
//!    ([`cgi::body`]): a slow sender costs a descriptor, not a process. 403 and 404 are sent before the body is read.
//! 5. **Launch.** The path leads to a file ([`cgi::route`]), or in a mount to its program ([`cgi::mount`]; for static files that is
//!    this program itself, [`cgi::file_server`]), the request becomes an environment ([`cgi::meta`]), and
//!    [`sys::spawn`] starts the program: `clone3`, a few system calls in the child, `execve`.
//!    If the program's response is a document ([`cgi::response`]), its output is a pipe, and the worker passes the client and the
//!    pipe on to the keeper in one message. The keeper reads the head, sends that of an HTTP response and splices the rest; a
//!    client that takes nothing is waited for, and what it does not take stays in the pipe. A local redirect goes back to the
//!    workers, and from there on like a new request (step 5).
//! 6. **Close.** The worker closes its copy of the socket and forgets the request; the connection ends when the handler
//!    does. The kernel reaps it. A response of the server itself ends with `SHUT_WR`; what the client still sends is dropped
//!    for a bounded time (`server::worker::linger`), so that no RST overtakes the response.
//!
//! A worker is two threads. The *acceptor* blocks in accept() and does steps 2, 3, 5 and 6 of every request that arrives
//! in one piece. The *background* thread sleeps in epoll until a slow client moves: it owns half-read, kept-alive and lingering
//! connections with their deadlines, and does the same steps for them. So no client keeps a worker from its place in the
//! kernel's queue, which is what the turn of `inherited` rests on, and neither thread ever waits for a handler.
//!
//! # Why nothing is lost
//!
//! *A queue lives as long as one descriptor of its socket*, so no listening socket is closed while a connection may wait in it.
//!
//! - **A worker dies.** The others and the parking hold the same sockets, and a replacement is forked with them: at once, or
//!   after growing pauses if it keeps dying. Connections in a queue wait, even when all workers are dead; running handlers go on.
//!   Only requests that the worker held half-read are lost. [`listener::Strategy::gone`] gives back its turn.
//! - **Reload** (SIGHUP). Settings are read again and a second *generation* is forked beside the first. When all of it accepts,
//!   the old workers get SIGTERM and finish what they hold. If anything is wrong, the old ones go on. Sockets are added when
//!   workers become more, and kept when they become fewer.
//! - **Upgrade**. At a reload the supervisor executes another program that lies in its place (`supervisor/upgrade.rs`). The process
//!   keeps its children, locks and sockets; the workers of the old program serve until those of the new one do. If it cannot
//!   serve, it executes the old one again.
//! - **Stop** (SIGTERM), in two phases. *Closing*: a socket that has been bound from the start, the *sink*, joins the others,
//!   and a program steers every SYN to it, where it is dropped ([`listener::sink`]; no privilege is needed). Workers still serve
//!   the queues and the handshakes that had begun, until none is under way or 1.5 s have passed. *Stopping*: the sockets become
//!   non-blocking and the workers get SIGTERM; each empties every queue, finishes what it holds, and ends. The supervisor waits
//!   for the handlers of all workers, dead ones and earlier generations too, within the grace period, and kills the rest. The
//!   sink closes last: then the port is free. A unix socket ([`listener::unix`]) needs no sink: its file is removed, and what
//!   had connected is served. A service manager's socket is left alone: its queue outlives the instance.
//! - **The stop signal itself.** One that comes just before accept() blocks must not be missed, so workers wait on an alias
//!   of the socket that the signal handler replaces with /dev/null ([`sys::signal::Interruptible`]).
//! - **Deploy.** A file is renamed into place. A directory is a link to a tree of its own, and a deploy switches the link to
//!   another tree ([`sys::deployed`], [`instance::deploy`]): a handler keeps the tree that it started in, and the instance keeps
//!   that tree until nothing runs in it.
//!
//! A kernel or a sandbox may refuse calls (Linux 5.10 is the oldest supported). Wrappers in [`sys`] try the better call, then an
//! older one. What has no other way is tried before the instance is ready: each new worker starts a program that does nothing
//! ([`cgi::rehearsal`]). `tests/platform/sandboxes.rs` refuses calls one by one, and all at once.
//!
//! # Invariants
//!
//! 1. The supervisor never accepts and never reads a request.
//! 2. A worker never waits for a handler, nor for a client while another one could be served.
//! 3. A request is read whole before its handler is launched.
//! 4. A handler finds three descriptors, default signals, an empty mask, a process group of its own, and no variable of the
//!    server's environment.
//! 5. Every connection is accepted exactly once; none that waits is lost by a death, a reload or a stop.
//! 6. `unsafe` stands in [`sys`] only (tests: `tests/harness/sys`), and `sys` decides nothing.
//! 7. [`http`], [`dist`], routing, meta-variables, pacing and statistics are pure: bytes and numbers in and out.
//! 8. The lock on the pid file tells whether an instance runs; the number in it is a hint.
//! 9. An idle server makes no wake-ups.
//! 10. Histograms are merged, percentiles never; raw data are kept, and reports redrawn from them.
//!
//! # Words
//!
//! - *instance*: one supervisor with its workers, a name, and a folder of state.
//! - *generation*: workers started together with the same settings; a reload begins a new one.
//! - *accept queue*, *backlog*: finished connections that wait in a listening socket, and how many may.
//! - *reuseport group*: sockets bound to one port with `SO_REUSEPORT`; the kernel picks one per connection by a hash.
//! - *strategy*: who gets the next connection; *acceptor*: the worker's side of it.
//! - *turn*: the right to accept next; also a spread in which no two idle workers' counts differ by more than one.
//! - *work-conserving*: no connection waits for a busy worker while another one is idle.
//! - *parking*: where the supervisor keeps listening sockets without holding them. *sink*: the socket to which a stop leads
//!   new connections.
//! - *slow connection*: one that a worker cannot serve in one go; its background thread has it.
//! - *native response*: what a handler writes is the response. *Document response*: it begins with header fields (RFC 3875), and
//!   the keeper *relays* it.
//! - *refusal*: a response of the server itself. *Linger*: reading on for a moment after it, so that it arrives.
//! - *closed loop*: a fixed number of clients, each sends when its last response is there. *Open loop*: requests start by a
//!   schedule, whatever the server does.
//! - *intended start*: when the schedule says that a request begins; *send lag*: how much later it was sent. *Response time*
//!   counts from the intended start, *service time* from the actual one. *Coordinated omission* is the error of a generator
//!   that does not send, and so never times, the requests that would have waited for a stalled server.
//! - *cell*, *round*, *run*: one combination of factors; one run of every cell, in shuffled order; one measurement.
//! - *A/A*: the same thing measured against itself: the difference that the machine alone makes.
//! - *Jain's index*: (Σx)² / nΣx² of the workers' counts: 1 when all are equal, 1/n when one has everything.

pub mod cgi;
pub mod dist;
pub mod http;
pub mod instance;
#[cfg(feature = "lab")]
pub mod lab;
pub mod listener;
#[cfg(feature = "loadgen")]
pub mod loadgen;
pub mod manual;
#[cfg(feature = "loadgen")]
pub mod measure;
pub mod scoreboard;
pub mod server;
pub mod sys;
