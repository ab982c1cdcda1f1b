//! Launches a handler for a request: finds the program, builds its environment, starts it on the client's socket, or on a
//! pipe if its response is not native.
//!
//! A request without a body is launched *optimistically*: the result of an earlier lookup is cached, and execve()
//! itself fails if it is outdated. That is safe because the cache can only be wrong in ways that make execve() fail:
//! the first regular file on a path stays the first unless it is replaced by a directory, removed, or a directory above
//! it becomes a file. So the usual request needs no stat(). What is missing in a mount goes to an `index` above, and a new
//! file can change that: such results are not cached. Only below a deployed directory, which can be replaced by
//! one with the same files, the cache is checked first: see [`tree`](super::tree).

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::area::{Area, Areas, Ready};
use super::meta;
use super::response::Response;
use super::route::{Kind, Route};
use super::stderr::Pipes;
use super::tree::{Entered, Launching, Tree, Trees};
use crate::http::forwarded::Origin;
use crate::http::refusal::Refusal;
use crate::http::request::Head;
use crate::sys::cstrings::CStrings;
use crate::sys::deployed;
use crate::sys::executable::{self, Obstacle};
use crate::sys::net;
use crate::sys::spawn::{Order, SpawnError, Spawner, Started};

/// `PATH` of handlers.
pub const HANDLER_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// `SERVER_SOFTWARE`.
pub const SOFTWARE: &str = concat!("caffeine/", env!("CARGO_PKG_VERSION"));
/// Most cached paths; then the cache is cleared.
const REMEMBERED: usize = 1024;
/// Longer paths are not cached, which keeps the cache below 1 MB whatever clients ask for.
const REMEMBERED_BYTES: usize = 128;
/// Lookups of a path whose target is being replaced at that moment.
const LOOKS: usize = 100;

/// What all handlers of a worker have in common.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// Their standard error.
    pub stderr: &'a Pipes,
    /// Whether the launching thread blocks signals, which handlers must not inherit.
    pub clear_mask: bool,
    /// Socket to report in which deployed trees handlers are started.
    pub leases: Option<BorrowedFd<'a>>,
}

#[derive(Debug)]
pub struct Program {
    /// Where the request's path led.
    pub route: Route,
    /// Index of its area: 0 for the instance's directory, then the mounts.
    pub area: usize,
    /// What it writes.
    pub response: Response,
    file: CString,
    directory: CString,
    place: Place,
}

/// What contains a handler and can be replaced as a whole.
#[derive(Debug)]
enum Place {
    /// Nothing: it is a file in the base directory.
    Base,
    /// A directory that was not deployed.
    Directory(PathBuf),
    /// A deployed tree.
    Tree(Rc<Tree>),
    /// A deployed tree without its lock: not cached.
    Unlocked,
}

/// A handler that runs.
#[derive(Debug)]
pub struct Launched {
    pub started: Started,
    pub program: Rc<Program>,
    /// Its standard output, to read from; `None` if that is the client's connection.
    pub output: Option<OwnedFd>,
}

/// Why no handler runs: the answer to the client and the cause for the log.
#[derive(Debug)]
pub struct Failure {
    /// The answer.
    pub refusal: Refusal,
    /// The system's error, if the client is not at fault.
    pub cause: Option<Cause>,
}

/// Why the system did not start the handler.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The system's error.
    #[error(transparent)]
    System(#[from] SpawnError),
    /// The file exists, and something else is missing.
    #[error("cannot execute {}: {obstacle}", .program.display())]
    Obstacle {
        /// The handler.
        program: PathBuf,
        obstacle: Obstacle,
    },
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, cause: None }
    }
}

/// The input of a launch besides the request head.
#[derive(Debug)]
pub struct Client<'a> {
    /// The connection: the standard output of a handler that writes native responses.
    pub stream: BorrowedFd<'a>,
    /// Who asks.
    pub origin: &'a Origin<'a>,
    /// The handler's standard input; `None` means the caller's, /dev/null.
    pub body: Option<OwnedFd>,
    /// Bytes in the body, where the request has one.
    pub content_length: Option<u64>,
    /// Variables for the program that serves files, to record what it did.
    pub record: &'a [(&'static str, Vec<u8>)],
}

/// Finds and starts handlers, for one thread.
#[derive(Debug)]
pub struct Launcher<'a> {
    terms: Terms<'a>,
    areas: Areas<'a>,
    arguments: CStrings,
    remembered: HashMap<String, Rc<Program>>,
    trees: Trees<'a>,
    spawner: Spawner,
    address: String,
    scratch: Vec<u8>,
}

impl<'a> Launcher<'a> {
    /// Starts handlers in `areas`; the first is the instance's directory.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(terms: Terms<'a>, areas: Vec<Area<'a>>) -> io::Result<Self> {
        Ok(Self {
            trees: Trees::new(terms.leases),
            terms,
            areas: Areas::new(areas),
            arguments: CStrings::default(),
            remembered: HashMap::new(),
            spawner: Spawner::new()?,
            address: String::new(),
            scratch: Vec::new(),
        })
    }

    /// Index of the area of a path, as in [`Program::area`].
    pub fn area(&self, path: &str) -> usize {
        self.areas.find(path).0
    }

    /// Resolves a request's path in the file system.
    ///
    /// # Errors
    /// 404, 403 or 400; in mounts also 308 and 405.
    pub fn find(&mut self, head: &Head<'_, '_>) -> Result<Rc<Program>, Refusal> {
        self.look_up(head).map(|(program, _)| program)
    }

    /// Like [`find`](Self::find). While the second value is kept, the handler's tree is not removed.
    fn look_up(&mut self, head: &Head<'_, '_>) -> Result<(Rc<Program>, Option<Launching>), Refusal> {
        self.remembered.remove(head.path);
        let (index, rest) = self.areas.find(head.path);
        for _ in 0..LOOKS {
            let (mut entered, mut place) = (None, Place::Base);
            let area = &self.areas.get(index).area;
            let base = area.instance.base;
            let route = area.resolve(head.method, rest, &mut |here| match probe(here) {
                // The link's target may have been removed at this moment to switch the link.
                kind @ (Kind::Directory | Kind::Missing) if here.parent() == Some(base) => {
                    place = Place::Directory(here.clone());
                    self.trees.enter(here, &mut entered).unwrap_or(kind)
                }
                kind => kind,
            });
            let launching = match entered {
                Some(Entered::Replaced) => continue,
                Some(Entered::Tree(launching)) => {
                    place = launching.tree().map_or(Place::Unlocked, Place::Tree);
                    Some(launching)
                }
                None => None,
            };
            return self.remember(head.path, route?, index, place).map(|program| (program, launching));
        }
        Err(Refusal::new(503, "the handler was replaced at every attempt"))
    }

    fn remember(
        &mut self,
        path: &str,
        route: Route,
        area: usize,
        place: Place,
    ) -> Result<Rc<Program>, Refusal> {
        let c_path = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let (Ok(file), Ok(directory)) = (c_path(&route.handler), c_path(&route.directory)) else {
            return Err(Refusal::new(404, "no such handler"));
        };
        let response = self.areas.get(area).area.response.of(&route.handler);
        let program = Rc::new(Program { route, area, response, file, directory, place });
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        if path.len() <= REMEMBERED_BYTES && program.route.lasting {
            self.remembered.insert(path.to_owned(), Rc::clone(&program));
        }
        Ok(program)
    }

    /// The cached result for `path`, if it may still be valid.
    fn recall(&mut self, path: &str) -> Option<(Rc<Program>, Option<Launching>)> {
        let program = self.remembered.get(path).map(Rc::clone)?;
        let tree = match &program.place {
            Place::Base => return Some((program, None)),
            Place::Directory(path) if deployed::linked(path).is_none() => return Some((program, None)),
            Place::Directory(_) | Place::Unlocked => return None,
            Place::Tree(tree) => tree,
        };
        let launching = self.trees.enter_again(tree);
        if launching.is_none() {
            // None of those is to keep its lock open.
            let elsewhere =
                |other: &Program| !matches!(&other.place, Place::Tree(other) if Rc::ptr_eq(other, tree));
            self.remembered.retain(|_, other| elsewhere(other));
        }
        launching.map(|launching| (Rc::clone(&program), Some(launching)))
    }

    /// Starts the handler for a request. The client's descriptor is left open for the caller to close.
    ///
    /// # Errors
    /// 404, 403, 400; 500 with the cause when no process could be made or it could not execute the handler.
    pub fn launch(
        &mut self,
        head: &Head<'_, '_>,
        client: &Client<'_>,
        pidfd: bool,
    ) -> Result<Launched, Failure> {
        if let Some((program, _launching)) = self.recall(head.path) {
            match self.start(&program, head, client, pidfd) {
                Ok((started, output)) => return Ok(Launched { started, program, output }),
                Err(SpawnError::Exec(_)) => {} // perhaps it is elsewhere now
                Err(error) => return Err(failed(error.into())),
            }
        }
        let (program, _launching) = self.look_up(head)?;
        let started = self.start(&program, head, client, pidfd);
        let (started, output) = started.map_err(|error| failed(explain(error, &program.route.handler)))?;
        Ok(Launched { started, program, output })
    }

    fn start(
        &mut self,
        program: &Program,
        head: &Head<'_, '_>,
        client: &Client<'_>,
        pidfd: bool,
    ) -> Result<(Started, Option<OwnedFd>), SpawnError> {
        let pipe = match program.response {
            Response::Native => None,
            Response::Document | Response::Auto => Some(io::pipe().map_err(|error| no_pipe(&error))?),
        };
        self.address.clear();
        if let Some(address) = client.origin.address() {
            let _ = write!(self.address, "{address}");
        }
        let local = head.host_name().is_none().then(|| net::local(client.stream).ok()).flatten();
        let local = local.filter(|local| local.port() != 0);
        let local_name = local.map(|address| server_name(address.ip()));
        let Ready { area, environment, constant } = self.areas.get(program.area);
        environment.truncate(*constant);
        meta::request(
            environment,
            &mut self.scratch,
            &area.instance,
            &meta::Request {
                head,
                route: &program.route,
                origin: client.origin,
                remote_addr: &self.address,
                local_name: local_name.as_deref(),
                content_length: client.content_length,
            },
        );
        for (name, value) in client.record {
            environment.push(&[name.as_bytes(), b"=", value]);
        }
        self.arguments.truncate(0);
        self.arguments.push(&[program.file.to_bytes()]);
        for argument in area.arguments() {
            self.arguments.push(&[argument]);
        }
        let pipes = self.terms.stderr;
        let lent = pipes.lend(program.route.name());
        if lent.is_none() {
            // It is shared, and a handler may have made it non-blocking (O_NONBLOCK belongs to the open file).
            let _ = net::set_nonblocking(io::stderr().as_fd(), false);
        }
        let order = Order {
            program: &program.file,
            arguments: &mut self.arguments,
            environment,
            directory: &program.directory,
            stdin: client.body.as_ref().map(AsFd::as_fd),
            stdout: pipe.as_ref().map_or(client.stream, |(_, end)| end.as_fd()),
            stderr: lent.as_ref().map(|lent| lent.end),
            pid: lent.as_ref().map(|lent| lent.pid),
            alarm_s: area.alarm_s,
            limits: &area.limits,
            clear_mask: self.terms.clear_mask,
        };
        let started = self.spawner.spawn(order, pidfd);
        if let (Err(_), Some(lent)) = (&started, lent) {
            lent.give_back();
        }
        Ok((started?, pipe.map(|(output, _)| output.into())))
    }
}

fn no_pipe(error: &io::Error) -> SpawnError {
    SpawnError::Pipe(error.raw_os_error().unwrap_or(0))
}

/// Finds the cause that the error number does not tell.
fn explain(error: SpawnError, program: &Path) -> Cause {
    let of_the_file = matches!(
        error,
        SpawnError::Exec(libc::ENOENT | libc::ENOEXEC | libc::EACCES | libc::ELIBBAD | libc::EINVAL)
    );
    let obstacle = || executable::obstacle(program, HANDLER_PATH).ok().flatten();
    match of_the_file.then(obstacle).flatten() {
        Some(obstacle) => Cause::Obstacle { program: program.to_owned(), obstacle },
        None => error.into(),
    }
}

/// An address as a host in a URL.
pub fn server_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn failed(cause: Cause) -> Failure {
    Failure { refusal: Refusal::new(500, "the handler could not be started"), cause: Some(cause) }
}

/// The kind of file at a path, following links; executable means by this process.
fn probe(path: &Path) -> Kind {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Kind::Directory,
        Ok(found) if found.is_file() => {
            let c_path = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
            Kind::File { executable: found.permissions().mode() & 0o111 != 0 && may_execute(&c_path).is_ok() }
        }
        Ok(_) => Kind::Other,
        Err(_) => Kind::Missing,
    }
}

/// Not by faccessat2(2), as faccessat(3) with AT_EACCESS: sandboxes refuse it. A worker's real and effective user are the same.
fn may_execute(path: &CStr) -> io::Result<()> {
    Ok(nix::unistd::access(path, nix::unistd::AccessFlags::X_OK)?)
}
