//! What an instance was asked to do, after the command line, the environment and the file were put together.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::instance::{Name, registry};
use crate::listener::{Choice, STRATEGIES, socket};
use crate::server::cli::{Layers, Options, Uses};
use crate::server::config_file;
use crate::server::error::Error;
use crate::server::handler_limit::HandlerLimit;
use crate::server::logging::Format;
use crate::server::outcomes::Outcomes;
use crate::server::responders::Respond;
use crate::sys::fs::open_regular;

/// Everything the supervisor needs. Complete: no field is looked up anywhere else later.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The instance.
    pub name: Name,
    /// Where instances live; ours is `state_dir/name`.
    pub state_dir: PathBuf,
    /// Base directory of the handlers, absolute.
    pub path: PathBuf,
    /// The user to serve as, by name or number, when started by root.
    pub user: Option<String>,
    /// The group, where it is not that user's own.
    pub group: Option<String>,
    /// Do not serve as root.
    pub refuse_root: bool,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 lets the kernel choose.
    pub port: u16,
    /// Worker processes, 1 to [`MAX_WORKERS`].
    pub workers: usize,
    /// The listener strategy.
    pub listener: Choice,
    /// What a worker does with a request.
    pub respond: Respond,
    /// Length of the accept queue.
    pub backlog: u32,
    /// Seconds that a connection without data is kept from the accept queue; 0 is not at all.
    pub defer_accept_s: u32,
    /// Connections that a worker takes per wake-up, at most.
    pub accept_batch: usize,
    /// Whether each worker runs on one CPU only.
    pub pin: bool,
    /// Handlers that may run at once in the instance.
    pub max_handlers: Option<u64>,
    /// What one handler may use.
    pub handler_limit: Option<HandlerLimit>,
    /// Whether handlers can execute setuid programs.
    pub allow_setuid: bool,
    /// Whether other processes of the same user can look into the server.
    pub dumpable: bool,
    /// Connections that may wait for their clients at once in the instance.
    pub max_connections: Option<u64>,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// How long a connection may be open without a byte of a request.
    pub idle_timeout: Duration,
    /// From the first byte to the end of the request head.
    pub header_timeout: Duration,
    /// Longest time without a byte of the body.
    pub body_timeout: Duration,
    /// Bytes per second that a body must have on the whole; 0 is none.
    pub min_rate: u64,
    /// How long a client may take nothing of its response, to the ms; 0 is for ever.
    pub send_timeout: Duration,
    /// Longest run of a handler, in whole seconds (`alarm`).
    pub handler_timeout: Option<Duration>,
    /// Whether it is recorded how handlers end.
    pub outcomes: Outcomes,
    /// How long a stop waits for running handlers.
    pub grace: Duration,
    /// Least level that is logged.
    pub log_level: tracing::Level,
    /// Form of the log lines.
    pub log_format: Format,
    /// Variables of the `[env]` table, handed to every handler.
    pub env: BTreeMap<String, String>,
}

/// More workers than this are taken for a slip of the finger.
pub const MAX_WORKERS: usize = 1024;

/// A worker that took more at once would keep them waiting for each other.
const MAX_BATCH: usize = 1024;
/// The kernel gives up on a silent client sooner than that.
const MOST_DEFER_S: u32 = 120;

/// Where the settings come from, to be read again at a reload.
#[derive(Clone, Debug)]
pub struct Sources {
    layers: Layers,
    /// The present directory at the start. It may be gone: that matters to relative paths only.
    started_in: Option<PathBuf>,
}

impl Settings {
    /// Address and port to bind.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// How listening sockets are made.
    pub fn terms(&self) -> socket::Terms {
        socket::Terms { backlog: self.backlog, defer_accept_s: self.defer_accept_s }
    }

    /// The settings as a configuration file, which [`recorded`] and `--config` read.
    pub fn to_toml(&self) -> String {
        let options = Options {
            name: Some(self.name.clone()),
            state_dir: Some(self.state_dir.clone()),
            config: None,
            port: Some(self.port),
            bind: Some(self.bind),
            workers: Some(self.workers),
            listener: Some(self.listener.clone()),
            respond: Some(self.respond.clone()),
            path: Some(self.path.clone()),
            user: self.user.clone(),
            group: self.group.clone(),
            refuse_root: Some(self.refuse_root),
            backlog: Some(self.backlog),
            defer_accept: Some(Duration::from_secs(self.defer_accept_s.into())),
            accept_batch: Some(self.accept_batch),
            pin: Some(self.pin),
            max_handlers: self.max_handlers,
            handler_limit: self.handler_limit,
            allow_setuid: Some(self.allow_setuid),
            dumpable: Some(self.dumpable),
            max_connections: self.max_connections,
            max_body: Some(self.max_body),
            idle_timeout: Some(self.idle_timeout),
            header_timeout: Some(self.header_timeout),
            body_timeout: Some(self.body_timeout),
            min_rate: Some(self.min_rate),
            send_timeout: Some(self.send_timeout),
            handler_timeout: self.handler_timeout,
            outcomes: Some(self.outcomes),
            grace: Some(self.grace),
            log_level: Some(self.log_level),
            log_format: Some(self.log_format),
            env: self.env.clone(),
        };
        // Paths were checked to be UTF-8, and sizes to fit, so nothing here is unwritable.
        toml::to_string(&options).expect("settings fit into TOML")
    }

    /// Writes the settings to `path`, in place of older ones in one step.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let temporary = path.with_extension("new");
        // The [env] table may hold secrets.
        let write = || {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = open_regular(options, &temporary, libc::O_NOFOLLOW)?;
            file.write_all(self.to_toml().as_bytes())?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|error| Error::Failed(format!("cannot write {}: {error}", path.display())))
    }
}

impl Sources {
    /// The layers as parsed now; relative paths in them count from the present directory.
    pub fn new(layers: Layers) -> Self {
        Self { layers, started_in: std::env::current_dir().ok() }
    }

    /// Whether the option stood on the command line itself.
    pub fn is_typed(&self, option: &str) -> bool {
        self.layers.is_typed(option)
    }

    /// What was asked for, in order of precedence, with absolute paths; nothing is filled in or checked.
    ///
    /// # Errors
    /// The file cannot be read, or is no good: then the message names file, line and key. A path is relative, and the
    /// directory that it counts from is gone.
    pub fn options(&self) -> Result<Options, Error> {
        let config = self.layers.over(Options::default())?.config;
        let file = match (config, self.layers.uses_of_file()) {
            (Some(path), Some(uses)) => config_file::read(&self.absolute(&path)?, 0, uses)?,
            _ => Options::default(),
        };
        let mut options = self.layers.over(file)?;
        for path in [&mut options.path, &mut options.state_dir, &mut options.config].into_iter().flatten() {
            *path = self.absolute(path)?;
        }
        Ok(options)
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf, Error> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        self.started_in.as_ref().map(|directory| directory.join(path)).ok_or_else(|| {
            Error::Failed(format!(
                "the present directory cannot be found, so {} leads nowhere; give an absolute path",
                path.display()
            ))
        })
    }

    /// Reads everything anew and puts it together: command line, then `CAFFEINE_*`, then file, then default.
    ///
    /// # Errors
    /// Those of [`Self::options`]; a value out of range; a handlers' directory that was named and is none.
    pub fn resolve(&self) -> Result<Settings, Error> {
        let options = self.options()?;
        let port = options.port.unwrap_or(8080);
        let listener = options.listener.clone().unwrap_or_default();
        Ok(Settings {
            state_dir: utf8(state_dir(&options)?)?,
            name: options.name.map_or_else(|| unnamed(port), Ok)?,
            path: handlers_dir(options.path)?,
            user: options.user,
            group: options.group,
            refuse_root: options.refuse_root.unwrap_or(false),
            bind: options.bind.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port,
            workers: within("workers", options.workers.unwrap_or(4), 1, MAX_WORKERS)?,
            respond: options.respond.unwrap_or(Respond::Cgi),
            backlog: within("backlog", options.backlog.unwrap_or(4096), 1, i32::MAX.cast_unsigned())?,
            defer_accept_s: defer_accept(options.defer_accept)?,
            accept_batch: accept_batch(options.accept_batch, &listener)?,
            pin: options.pin.unwrap_or(false),
            listener,
            max_handlers: options.max_handlers.filter(|&most| most != 0),
            max_body: within("max-body", options.max_body.unwrap_or(1 << 30), 0, i64::MAX.cast_unsigned())?,
            handler_limit: options.handler_limit.map_or(Ok(None), |limit| possible(limit).map(Some))?,
            allow_setuid: options.allow_setuid.unwrap_or(false),
            dumpable: options.dumpable.unwrap_or(false),
            max_connections: options.max_connections.filter(|&most| most != 0),
            idle_timeout: some_time("idle-timeout", options.idle_timeout, 10)?,
            header_timeout: some_time("header-timeout", options.header_timeout, 10)?,
            body_timeout: some_time("body-timeout", options.body_timeout, 30)?,
            min_rate: options.min_rate.unwrap_or(500),
            send_timeout: send_timeout(options.send_timeout)?,
            handler_timeout: whole_seconds(options.handler_timeout)?,
            outcomes: options.outcomes.unwrap_or_default(),
            grace: options.grace.unwrap_or(DEFAULT_GRACE),
            log_level: options.log_level.unwrap_or(tracing::Level::INFO),
            log_format: options.log_format.unwrap_or(Format::Text),
            env: options.env,
        })
    }
}

/// How long a client may take nothing of its response when nothing else was said.
const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stop waits for running handlers when nothing else was said.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// What others want to know of a running instance. What another version wrote beside it is none of theirs.
const RECORDED: Uses = Uses::Only(&["bind", "listener", "grace", "path"]);

/// Some of the options in a file that [`Settings::save`] wrote.
///
/// # Errors
/// Those of any configuration file.
pub fn recorded(path: &Path) -> Result<Options, Error> {
    // A link in the folder must not choose another file to be read.
    config_file::read(path, libc::O_NOFOLLOW, RECORDED)
}

/// As [`recorded`]: the handlers' directory and their variables.
pub fn recorded_for_handlers(path: &Path) -> Result<Options, Error> {
    config_file::read(path, libc::O_NOFOLLOW, Uses::Only(&["path", "env"]))
}

/// The state directory of the options, or the default one.
///
/// # Errors
/// The default one needs a home directory, which is not known.
pub fn state_dir(options: &Options) -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    options.state_dir.clone().or_else(|| registry::default_state_dir(variable)).ok_or_else(|| {
        Error::Usage("HOME is not set, so nothing says where instances live; give --state-dir".into())
    })
}

/// `~/.config/caffeine`, where the handlers are when nothing else was said.
fn default_handlers_dir() -> Result<PathBuf, Error> {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .map(|home| home.join(".config/caffeine"))
        .ok_or_else(|| {
            Error::Usage("HOME is not set, so nothing says where the handlers are; give --path".into())
        })
}

/// The directory of the handlers, as given or the default one. Only the latter may be missing: what needs it makes it.
///
/// # Errors
/// The one that was given is not a directory; the default one is unknown.
pub fn handlers_dir(given: Option<PathBuf>) -> Result<PathBuf, Error> {
    let Some(path) = given else { return utf8(default_handlers_dir()?) };
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => utf8(path),
        Ok(_) => {
            Err(Error::Failed(format!("the handlers' directory {} (path) is no directory", path.display())))
        }
        Err(error) => Err(Error::Failed(format!(
            "the handlers' directory {} (path): {error}; make it, or leave --path out for ~/.config/caffeine",
            path.display()
        ))),
    }
}

/// A run without a name is called after its port; where the kernel chooses the port, after the process too.
fn unnamed(port: u16) -> Result<Name, Error> {
    let name = if port == 0 { format!("port-0-{}", std::process::id()) } else { format!("port-{port}") };
    name.parse().map_err(|error: crate::instance::InvalidName| Error::Usage(error.to_string()))
}

fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, least: T, most: T) -> Result<T, Error> {
    if value < least || value > most {
        return Err(Error::Usage(format!("{key} must be {least} to {most}, not {value}")));
    }
    Ok(value)
}

fn some_time(key: &str, given: Option<Duration>, default_s: u64) -> Result<Duration, Error> {
    match given.unwrap_or(Duration::from_secs(default_s)) {
        Duration::ZERO => Err(Error::Usage(format!("{key} must be longer than 0s"))),
        time => Ok(time),
    }
}

fn defer_accept(given: Option<Duration>) -> Result<u32, Error> {
    let time = given.unwrap_or(Duration::from_secs(1));
    match u32::try_from(time.as_secs()) {
        Ok(seconds @ 0..=MOST_DEFER_S) if time.subsec_nanos() == 0 => Ok(seconds),
        _ => Err(Error::Usage(format!(
            "defer-accept must be 0s to {MOST_DEFER_S}s, in whole seconds (0s: off)"
        ))),
    }
}

/// The kernel takes it as a C int of milliseconds, in which 0 is for ever.
fn send_timeout(given: Option<Duration>) -> Result<Duration, Error> {
    let time = given.unwrap_or(DEFAULT_SEND_TIMEOUT);
    match i32::try_from(time.as_millis()) {
        Ok(ms) if ms > 0 || time.is_zero() => Ok(time),
        _ => Err(Error::Usage(format!("send-timeout must be 1ms to {}ms, or 0s for no limit", i32::MAX))),
    }
}

fn accept_batch(given: Option<usize>, listener: &Choice) -> Result<usize, Error> {
    let most = within("accept-batch", given.unwrap_or(1), 1, MAX_BATCH)?;
    if most > 1 && !listener.entry.batches {
        let others = STRATEGIES.iter().filter(|entry| entry.batches).map(|entry| entry.name);
        return Err(Error::Usage(format!(
            "accept-batch: the workers of {listener} take one connection at a time; it goes with: {}",
            others.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(most)
}

fn whole_seconds(given: Option<Duration>) -> Result<Option<Duration>, Error> {
    let given = given.filter(|time| !time.is_zero());
    if given.is_some_and(|time| time.subsec_nanos() != 0 || time.as_secs() > u64::from(u32::MAX)) {
        return Err(Error::Usage("handler-timeout must be in whole seconds, such as 10s (0s: none)".into()));
    }
    Ok(given)
}

/// More open files than the server itself may have cannot be promised to handlers.
fn possible(limit: HandlerLimit) -> Result<HandlerLimit, Error> {
    use nix::sys::resource::{Resource, getrlimit};
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    within("handler-limit files", limit.files().unwrap_or(0), 0, most).map(|_| limit)
}

fn utf8(path: PathBuf) -> Result<PathBuf, Error> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => {
            Err(Error::Usage(format!("the path {} is not UTF-8, which config.toml must be", path.display())))
        }
    }
}
