//! Binds a unix socket, with errors that name its path and a way out.

use std::io;
use std::path::Path;

use super::bind::Bound;
use crate::listener::unix::{self, Access};
use crate::server::config::Settings;
use crate::server::error::Error;
use crate::server::privileges::{Identity, find_owner};

/// Binds the socket as the server's user, who can then remove it; as the user who started the instance if it is for another
/// owner, or in a directory that only that user can write.
///
/// # Errors
/// Something listens there; the path cannot be used; the owner is unknown.
pub(super) fn bind(path: &Path, settings: &Settings, identity: &Identity) -> Result<Bound, Error> {
    let mode = settings.socket_mode.unwrap_or(0o660);
    let (owner, group) = settings.socket_owner.as_deref().map(find_owner).transpose()?.unwrap_or_default();
    let listen = |owner: Option<u32>, group: Option<u32>| {
        unix::listen(path, settings.terms(), Access { mode, owner, group })
    };
    let mut bound = listen(owner, group);
    let refused = bound.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if let (true, Some((user, users_group))) = (refused, identity.numbers()) {
        bound = identity.as_starter(|| Ok(listen(owner.or(Some(user)), group.or(Some(users_group)))))?;
    }
    let (socket, file) = bound.map_err(|error| Error::Failed(explain(path, &error)))?;
    Ok(Bound { sockets: vec![socket], sink: None, file: Some(file) })
}

fn explain(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("something listens on unix:{path}; stop it, or choose another path with --bind")
        }
        io::ErrorKind::AlreadyExists => {
            format!("{path} exists and is not a socket; remove it, or choose another path with --bind")
        }
        io::ErrorKind::InvalidInput => format!("unix:{path}: {error}; a path has at most 107 bytes"),
        io::ErrorKind::NotFound => format!("the directory of unix:{path} does not exist; make it"),
        io::ErrorKind::PermissionDenied => format!(
            "cannot make unix:{path}: {error}; its directory must be writable, and only root can give it to another user"
        ),
        _ => format!("cannot listen on unix:{path}: {error}"),
    }
}
