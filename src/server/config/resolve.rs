//! From options to settings: fills in defaults and checks ranges.

use std::time::Duration;

use super::handler_limit::HandlerLimit;
use super::options::Options;
use super::paths::{handlers_dir, state_dir, utf8};
use super::settings::Settings;
use crate::instance::Name;
use crate::listener::address::Bind;
use crate::listener::{Choice, STRATEGIES, SocketCount};
use crate::scoreboard::clients;
use crate::server::error::Error;
use crate::server::logging::Format;
use crate::server::responders::Respond;

/// More workers than this are taken for a typing error.
pub const MAX_WORKERS: usize = 1024;
/// With more, accepted connections would wait for each other too long.
const MAX_BATCH: usize = 1024;
/// The kernel drops a silent client sooner than that.
const MOST_DEFER_S: u32 = 120;
/// Permissions of a unix socket.
const DEFAULT_MODE: u32 = 0o660;
const LEAST_LOG: u64 = 64 * 1024;
const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(60);

pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Turns options into settings.
///
/// # Errors
/// A value is out of range, or `--path` is not a directory.
pub fn resolve(options: Options) -> Result<Settings, Error> {
    let bind = options.bind.clone().unwrap_or_default();
    let listener = options.listener.clone().unwrap_or_default();
    let port = port(&options, &bind, &listener)?;
    Ok(Settings {
        state_dir: utf8(state_dir(&options)?)?,
        name: options.name.map_or_else(|| unnamed(&bind, port), Ok)?,
        path: handlers_dir(options.path)?,
        user: options.user,
        group: options.group,
        refuse_root: options.refuse_root.unwrap_or(false),
        socket_mode: bind.is_unix().then(|| options.socket_mode.unwrap_or(DEFAULT_MODE)),
        bind,
        port,
        socket_owner: options.socket_owner,
        remote_user_header: user_header(options.remote_user_header, !options.trusted_proxy.is_empty())?,
        trusted_proxy: options.trusted_proxy,
        workers: within("workers", options.workers.unwrap_or(4), 1, MAX_WORKERS)?,
        respond: options.respond.unwrap_or(Respond::Cgi),
        response: options.response.unwrap_or_default(),
        seed: options.seed.map(|seed| within("seed", seed, 0, i64::MAX.cast_unsigned())).transpose()?,
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
        max_per_client: limit("max-per-client", options.max_per_client, clients::MOST)?,
        max_body_memory: limit("max-body-memory", options.max_body_memory, i64::MAX.cast_unsigned())?,
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
        log_to: options.log_to,
        access_log: options.access_log.unwrap_or_default(),
        access_log_file: options.access_log_file.map(utf8).transpose()?,
        log_size: log_size(options.log_size)?,
        env: options.env,
        mount: options.mount,
        files: options.files,
    })
}

/// The port; 0 for a unix socket, for which there must be none.
fn port(options: &Options, bind: &Bind, listener: &Choice) -> Result<u16, Error> {
    if !bind.is_unix() {
        if options.socket_mode.is_some() || options.socket_owner.is_some() {
            let what = "socket-mode and socket-owner are for a unix socket: give one with --bind unix:PATH";
            return Err(Error::Usage(what.into()));
        }
        return Ok(options.port.unwrap_or(8080));
    }
    if let Some(port) = options.port {
        return Err(Error::Usage(format!("{bind} has no port, but port is {port}; omit one of them")));
    }
    if listener.sockets() != SocketCount::One {
        let others =
            STRATEGIES.iter().filter(|entry| (entry.sockets)("") == SocketCount::One).map(|entry| entry.name);
        return Err(Error::Usage(format!(
            "the listener strategy {listener} needs one socket per worker, and {bind} is one socket; the strategies for it are {}",
            others.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(0)
}

/// Without trusted proxies the field would be read from none.
fn user_header(given: Option<String>, is_proxied: bool) -> Result<Option<String>, Error> {
    if given.is_some() && !is_proxied {
        let what = "remote-user-header is read from trusted proxies only, and there are none: name them with --trusted-proxy";
        return Err(Error::Usage(what.into()));
    }
    Ok(given)
}

/// An unnamed instance is named after its port; if the kernel chooses the port, after its process too; with a unix socket,
/// after the file.
fn unnamed(bind: &Bind, port: u16) -> Result<Name, Error> {
    if let Bind::Unix(path) = bind {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(name) = format!("unix-{file}").parse() {
            return Ok(name);
        }
    }
    let name = if bind.is_unix() {
        format!("unix-{}", std::process::id())
    } else if port == 0 {
        format!("port-0-{}", std::process::id())
    } else {
        format!("port-{port}")
    };
    name.parse().map_err(|error: crate::instance::InvalidName| Error::Usage(error.to_string()))
}

fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, least: T, most: T) -> Result<T, Error> {
    if value < least || value > most {
        return Err(Error::Usage(format!("{key} must be {least} to {most}, not {value}")));
    }
    Ok(value)
}

/// 0 means no limit.
fn limit(key: &str, given: Option<u64>, most: u64) -> Result<Option<u64>, Error> {
    within(key, given.unwrap_or(0), 0, most).map(|value| Some(value).filter(|&value| value != 0))
}

/// Smaller files would be renamed all the time.
fn log_size(given: Option<u64>) -> Result<Option<u64>, Error> {
    let given = given.filter(|&size| size != 0);
    given.map(|size| within("log-size", size, LEAST_LOG, i64::MAX.cast_unsigned())).transpose()
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

/// The kernel expects a C int of milliseconds, in which 0 means no limit.
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
            "accept-batch: the workers of {listener} accept one connection at a time; the strategies that accept several are {}",
            others.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(most)
}

pub(super) fn whole_seconds(given: Option<Duration>) -> Result<Option<Duration>, Error> {
    let given = given.filter(|time| !time.is_zero());
    if given.is_some_and(|time| time.subsec_nanos() != 0 || time.as_secs() > u64::from(u32::MAX)) {
        return Err(Error::Usage("handler-timeout must be in whole seconds, such as 10s (0s: none)".into()));
    }
    Ok(given)
}

/// Handlers cannot have more open files than the server.
pub(super) fn possible(limit: HandlerLimit) -> Result<HandlerLimit, Error> {
    use nix::sys::resource::{Resource, getrlimit};
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    within("handler-limit files", limit.files().unwrap_or(0), 0, most).map(|_| limit)
}
