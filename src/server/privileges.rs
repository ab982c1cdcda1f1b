//! The server's user. Started as root with `--user`, it uses root only to create its directories and bind its port, and
//! drops root permanently before the first worker.
//!
//! Every file is opened as that user from the start: in a directory that the user can write, a link may point anywhere,
//! and root must not follow it.

use std::borrow::Cow;
use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use crate::instance::Folder;
use crate::server::config::Settings;
use crate::server::error::Error;

/// Group of users whose group is unknown: it owns nothing.
const NOGROUP: Gid = Gid::from_raw(65_534);

/// The user that the instance runs as.
#[derive(Debug)]
pub enum Identity {
    /// The user who started it.
    Starter,
    /// Root, without an explicit --user root.
    Root,
    /// Another user; root started it.
    Other(Account),
}

/// A user to switch to.
#[derive(Debug)]
pub(super) struct Account {
    name: CString,
    uid: Uid,
    gid: Gid,
    /// Whether the user is in the user database, which then gives the groups.
    listed: bool,
}

impl Identity {
    /// Resolves `--user`, `--group` and `--refuse-root`.
    ///
    /// # Errors
    /// Unknown user or group; root is refused; only root can switch to another user.
    pub fn of(settings: &Settings) -> Result<Self, Error> {
        let by_root = geteuid().is_root();
        let Some(user) = &settings.user else {
            return match () {
                () if settings.group.is_some() => Err(Error::Usage("--group requires --user".into())),
                () if by_root && settings.refuse_root => Err(Error::Failed(
                    "running as root, which refuse-root forbids; pass --user, or start as another user"
                        .into(),
                )),
                () if by_root => Ok(Self::Root),
                () => Ok(Self::Starter),
            };
        };
        let account = Account::find(user, settings.group.as_deref())?;
        match () {
            () if account.uid.is_root() && settings.refuse_root => {
                Err(Error::Failed("--user is root, which refuse-root forbids".into()))
            }
            () if account.uid == geteuid() && account.gid == getegid() => Ok(Self::Starter),
            () if by_root => Ok(Self::Other(account)),
            () => Err(Error::Failed(format!(
                "only root can switch to another user ({user}); start as root, or omit --user and --group"
            ))),
        }
    }

    /// Creates the instance's directory for the user if only root can, and from now on accesses files as the user.
    ///
    /// # Errors
    /// Those of the system; root without `--user` in another user's directory.
    pub fn step_aside(&self, state_dir: &Path, folder: &Folder) -> Result<(), Error> {
        let Self::Other(account) = self else { return refuse_foreign(folder.dir()) };
        account.make_folder(state_dir, folder.dir()).map_err(|error| {
            Error::Failed(format!(
                "cannot create {}: {error}; choose another directory with --state-dir",
                folder.dir().display()
            ))
        })?;
        account.step_aside().map_err(|error| account.cannot_become(&error))
    }

    /// Runs `work` as the user who started the instance: root can bind every port.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn as_starter<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let Self::Other(account) = self else { return work() };
        account.as_root(work)
    }

    /// The user and the group to switch to.
    pub fn numbers(&self) -> Option<(u32, u32)> {
        let Self::Other(account) = self else { return None };
        Some((account.uid.as_raw(), account.gid.as_raw()))
    }

    /// Switches to the user permanently.
    ///
    /// # Errors
    /// Those of the system; the user cannot reach the handlers.
    pub fn settle(&self, settings: &Settings) -> Result<(), Error> {
        let Self::Other(account) = self else { return Ok(()) };
        account.settle().map_err(|error| account.cannot_become(&error))?;
        nix::unistd::access(&settings.path, nix::unistd::AccessFlags::X_OK).map_err(|error| {
            Error::Failed(format!(
                "user {} cannot enter --path {}: {}; choose another directory",
                account.name(),
                settings.path.display(),
                error.desc()
            ))
        })
    }
}

impl Account {
    /// Looks up a user by name or number; the group is the user's primary one unless given.
    fn find(user: &str, group: Option<&str>) -> Result<Self, Error> {
        let name = CString::new(user).map_err(|_| no_such("user", user))?;
        let listed = match user.parse::<u32>() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(user),
        };
        let listed =
            listed.map_err(|error| Error::Failed(format!("cannot look up the user {user}: {error}")))?;
        let group = group.map(find_group).transpose()?;
        match (listed, user.parse::<u32>(), group) {
            (Some(listed), _, group) => Ok(Self {
                name: CString::new(listed.name).map_err(|_| no_such("user", user))?,
                uid: listed.uid,
                gid: group.unwrap_or(listed.gid),
                listed: true,
            }),
            (None, Ok(number), Some(gid)) => {
                Ok(Self { name, uid: Uid::from_raw(number), gid, listed: false })
            }
            (None, Ok(_), None) => {
                Err(Error::Usage(format!("user {user} is not in the user database; give --group")))
            }
            (None, Err(_), _) => Err(no_such("user", user)),
        }
    }

    /// The user with this number, in this group or else the user's own.
    pub(super) fn numbered(uid: Uid, gid: Option<Gid>) -> Result<Self, Error> {
        let failed = |error| Error::Failed(format!("cannot look up the user {uid}: {error}"));
        let listed = User::from_uid(uid).map_err(failed)?;
        let (name, own) =
            listed.as_ref().map_or((uid.to_string(), None), |user| (user.name.clone(), Some(user.gid)));
        let name = CString::new(name).map_err(|_| no_such("user", &uid.to_string()))?;
        Ok(Self { name, uid, gid: gid.or(own).unwrap_or(NOGROUP), listed: listed.is_some() })
    }

    /// Acts as the user for file access, until [`Self::as_root`].
    pub(super) fn become_for_now(&self) -> Result<(), Error> {
        self.step_aside().map_err(|error| self.cannot_become(&error))
    }

    /// Runs `work` as root, then acts as the user again.
    pub(super) fn as_root<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        nix::unistd::seteuid(Uid::from_raw(0)).map_err(|error| self.cannot_become(&error.into()))?;
        let done = work();
        nix::unistd::seteuid(self.uid).map_err(|error| self.cannot_become(&error.into()))?;
        done
    }

    /// Switches to the user permanently.
    pub(super) fn become_for_good(&self) -> Result<(), Error> {
        self.step_aside().and_then(|()| self.settle()).map_err(|error| self.cannot_become(&error))
    }

    /// The user's name, or number.
    pub(super) fn name(&self) -> Cow<'_, str> {
        self.name.to_string_lossy()
    }

    /// Only if no other user could have replaced it meanwhile.
    fn make_folder(&self, state_dir: &Path, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(state_dir)?;
        if std::fs::metadata(state_dir)?.uid() != 0 || folder.symlink_metadata().is_ok() {
            return Ok(());
        }
        DirBuilder::new().mode(0o700).create(folder)?;
        lchown(folder, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    fn step_aside(&self) -> io::Result<()> {
        if self.listed {
            nix::unistd::initgroups(&self.name, self.gid)?;
        } else {
            nix::unistd::setgroups(&[self.gid])?;
        }
        nix::unistd::setegid(self.gid)?;
        Ok(nix::unistd::seteuid(self.uid)?)
    }

    fn settle(&self) -> io::Result<()> {
        nix::unistd::seteuid(Uid::from_raw(0))?;
        nix::unistd::setresgid(self.gid, self.gid, self.gid)?;
        nix::unistd::setresuid(self.uid, self.uid, self.uid)?;
        match nix::unistd::setuid(Uid::from_raw(0)) {
            _ if self.uid.is_root() => Ok(()),
            Err(_) => Ok(()),
            Ok(()) => Err(io::Error::other("root could be regained")),
        }
    }

    fn cannot_become(&self, error: &io::Error) -> Error {
        Error::Failed(format!("cannot become the user {}: {error}", self.name()))
    }
}

/// Root must not open a file in a directory that another user can write: a link may point anywhere.
fn refuse_foreign(folder: &Path) -> Result<(), Error> {
    match folder.symlink_metadata() {
        Ok(found) if geteuid().is_root() && found.uid() != 0 => Err(Error::Failed(format!(
            "the folder {} belongs to user {}, so root does not use it; pass --user or another --name, or remove it",
            folder.display(),
            found.uid()
        ))),
        _ => Ok(()),
    }
}

/// The user and the group in USER, USER:GROUP or :GROUP, by name or number.
///
/// # Errors
/// One of them is unknown.
pub(super) fn find_owner(owner: &str) -> Result<(Option<u32>, Option<u32>), Error> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    let user = match user.parse::<u32>() {
        _ if user.is_empty() => None,
        Ok(number) => Some(number),
        Err(_) => {
            let found = User::from_name(user)
                .map_err(|error| Error::Failed(format!("cannot look up the user {user}: {error}")))?;
            Some(found.ok_or_else(|| no_such("user", user))?.uid.as_raw())
        }
    };
    let group = Some(group).filter(|group| !group.is_empty()).map(find_group).transpose()?;
    Ok((user, group.map(Gid::as_raw)))
}

fn find_group(group: &str) -> Result<Gid, Error> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(group)
        .map_err(|error| Error::Failed(format!("cannot look up the group {group}: {error}")))?;
    found.map(|group| group.gid).ok_or_else(|| no_such("group", group))
}

fn no_such(what: &str, name: &str) -> Error {
    Error::Usage(format!(
        "unknown {what} {name:?}; see getent {}",
        if what == "user" { "passwd" } else { "group" }
    ))
}
