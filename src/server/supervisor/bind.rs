//! Binds the instance's port, with errors that name its owner and a way out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::bind_unix;
use crate::instance::registry;
use crate::listener::address::{Address, Bind};
use crate::listener::sink::Sink;
use crate::listener::unix::{SocketFile, is_unix};
use crate::listener::{SocketCount, socket};
use crate::server::config::Settings;
use crate::server::error::Error;
use crate::server::privileges::Identity;
use crate::sys::net;

/// What an instance listens on.
pub(super) struct Bound {
    pub sockets: Vec<OwnedFd>,
    /// The sink of a stop, or the reason why there is none. A unix socket needs none.
    pub sink: Option<io::Result<Sink>>,
    /// The file of a unix socket.
    pub file: Option<SocketFile>,
}

/// Binds the sockets that the strategy of `settings` needs. With port 0, the first socket determines the port of all.
///
/// If a reload or a worker can add sockets later, the server's user binds them, since a reuseport group belongs to one
/// user. Other sockets, and those of a privileged port, are bound by the user who started the instance.
///
/// # Errors
/// The port is taken or privileged, or the address is not local.
pub(super) fn bind(settings: &Settings, identity: &Identity) -> Result<Bound, Error> {
    if let Bind::Unix(path) = &settings.bind {
        return bind_unix::bind(path, settings, identity);
    }
    let count = settings.listener.sockets();
    if count != SocketCount::One {
        match open(settings) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            bound => return bound.map_err(|error| Error::Failed(explain(settings, &error))),
        }
    }
    if count == SocketCount::Private && matches!(identity, Identity::Other(_)) {
        return Err(Error::Failed(format!(
            "port {} is privileged, and with {} each worker binds it as an ordinary user; choose a port from 1024 with --port, or another strategy",
            settings.port, settings.listener
        )));
    }
    identity.as_starter(|| open(settings).map_err(|error| Error::Failed(explain(settings, &error))))
}

fn open(settings: &Settings) -> io::Result<Bound> {
    let Address::Ip(address) = settings.address() else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut sockets = vec![socket::first(address, settings.terms())?];
    let address = socket::local_address(sockets[0].as_fd())?;
    let sink = Sink::bind(address);
    if settings.listener.sockets() == SocketCount::Private {
        // This proves that the port is free; from now on only its address is needed.
        sockets = vec![socket::placeholder(address, settings.terms())?];
    }
    let more = missing(&sockets, settings)?;
    more.iter().try_for_each(|socket| socket::open_queue(socket.as_fd(), settings.terms()))?;
    sockets.extend(more);
    set_send_timeout(&sockets, settings)?;
    Ok(Bound { sockets, sink: Some(sink), file: None })
}

/// Uses a listening socket that a service manager passed; its address replaces `bind` and `port`.
///
/// # Errors
/// It is not a listening TCP or unix socket, or the strategy needs more than one.
pub(super) fn adopt(given: OwnedFd, settings: &Settings) -> Result<Vec<OwnedFd>, Error> {
    let listener = &settings.listener;
    if listener.sockets() != SocketCount::One {
        return Err(Error::Failed(format!(
            "the listener strategy {listener} needs one socket per worker, but a service manager passes only one; choose another strategy (see --help), or let caffeine bind the port itself"
        )));
    }
    let failed = |error: io::Error| Error::Failed(format!("cannot use the socket that was passed: {error}"));
    socket::adopt(given.as_fd(), settings.terms()).map_err(failed)?;
    let sockets = vec![given];
    set_send_timeout(&sockets, settings).map_err(failed)?;
    Ok(sockets)
}

/// Uses the sockets of an earlier program of this process; the file of a unix socket is for later.
///
/// # Errors
/// The address cannot be read.
pub(super) fn inherit(sockets: Vec<OwnedFd>, sink: Option<OwnedFd>) -> io::Result<Bound> {
    let sink = match sink {
        Some(sink) => Some(Ok(Sink::inherit(sink, socket::local_address(sockets[0].as_fd())?))),
        None => None,
    };
    Ok(Bound { sockets, sink, file: None })
}

/// Sets `send-timeout` on listening sockets, from which connections inherit it. Workers set it on each connection of a unix
/// socket.
///
/// # Errors
/// Those of setsockopt(2).
pub(super) fn set_send_timeout(sockets: &[OwnedFd], settings: &Settings) -> io::Result<()> {
    let ms = u32::try_from(settings.send_timeout.as_millis()).unwrap_or(u32::MAX);
    let mut of_tcp = sockets.iter().filter(|socket| !is_unix(socket));
    of_tcp.try_for_each(|socket| net::set_user_timeout(socket.as_fd(), ms))
}

/// Binds the sockets that the strategy needs besides `sockets`. They do not listen yet.
///
/// # Errors
/// Those of binding.
pub(super) fn missing(sockets: &[OwnedFd], settings: &Settings) -> io::Result<Vec<OwnedFd>> {
    let needed = settings.listener.sockets().of(settings.workers);
    if sockets.len() >= needed {
        return Ok(Vec::new());
    }
    let address = socket::local_address(sockets[0].as_fd())?;
    let more: io::Result<_> =
        (sockets.len()..needed).map(|_| socket::placeholder(address, settings.terms())).collect();
    more.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "port {} is privileged, and the server's user cannot bind it; stop the instance and start it with {} workers",
                address.port(),
                settings.workers
            ),
        ),
        _ => error,
    })
}

fn explain(settings: &Settings, error: &io::Error) -> String {
    let address = settings.address();
    let port = settings.port;
    match error.kind() {
        io::ErrorKind::AddrInUse => match registry::owner_of_port(&settings.state_dir, port) {
            Some(owner) => format!(
                "port {port} is in use by the instance {owner}; stop it with caffeine -n {owner} --stop, or choose another with --port"
            ),
            None => format!("port {port} is in use by another program; choose another with --port"),
        },
        io::ErrorKind::PermissionDenied => format!(
            "port {port} is privileged; choose a port from 1024 with --port, or give the program CAP_NET_BIND_SERVICE"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "{} is not an address of this machine; choose one that `ip address` lists with --bind",
                settings.bind
            )
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}
