//! As whom the server runs. Started as root with `--user`, it is root for two things, making its folders and binding its port,
//! and leaves root for good before the first worker.
//!
//! Every file is opened as that user from the start: in a folder that a user can write, a link may lead anywhere, and root
//! must not follow it.

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

/// The group of those who are in no list, where none is known: it owns nothing.
const NOGROUP: Gid = Gid::from_raw(65_534);

/// As whom the instance serves.
#[derive(Debug)]
pub enum Identity {
    /// As whoever started it.
    Starter,
    /// As root, which nobody has asked for in plain words.
    Root,
    /// As somebody else than root, who started it.
    Other(Account),
}

/// A user to become.
#[derive(Debug)]
pub(super) struct Account {
    name: CString,
    uid: Uid,
    gid: Gid,
    /// In the list of users: then the groups are those of the list.
    listed: bool,
}

impl Identity {
    /// What `--user`, `--group` and `--refuse-root` mean for the one who starts the instance.
    ///
    /// # Errors
    /// No such user or group; root is refused; only root can become somebody else.
    pub fn of(settings: &Settings) -> Result<Self, Error> {
        let by_root = geteuid().is_root();
        let Some(user) = &settings.user else {
            return match () {
                () if settings.group.is_some() => Err(Error::Usage("--group goes with --user".into())),
                () if by_root && settings.refuse_root => Err(Error::Failed(
                    "this is root, which refuse-root forbids; give --user, or start it as another user"
                        .into(),
                )),
                () if by_root => Ok(Self::Root),
                () => Ok(Self::Starter),
            };
        };
        let account = Account::find(user, settings.group.as_deref())?;
        match () {
            () if account.uid.is_root() && settings.refuse_root => {
                Err(Error::Failed("user is root, which refuse-root forbids".into()))
            }
            () if account.uid == geteuid() && account.gid == getegid() => Ok(Self::Starter),
            () if by_root => Ok(Self::Other(account)),
            () => Err(Error::Failed(format!(
                "only root can serve as another user ({user}); start it as root, or leave --user and --group out"
            ))),
        }
    }

    /// Makes the instance's folder for the user where only root can, and from now on opens files as the user does.
    ///
    /// # Errors
    /// Those of the system; root, without `--user`, in a folder that is another user's.
    pub fn step_aside(&self, state_dir: &Path, folder: &Folder) -> Result<(), Error> {
        let Self::Other(account) = self else { return refuse_foreign(folder.dir()) };
        account.make_folder(state_dir, folder.dir()).map_err(|error| {
            Error::Failed(format!(
                "cannot make {}: {error}; choose another place with --state-dir",
                folder.dir().display()
            ))
        })?;
        account.step_aside().map_err(|error| account.cannot_become(&error))
    }

    /// Does `work` as the one who started the instance: root can bind every port.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn as_starter<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let Self::Other(account) = self else { return work() };
        account.as_root(work)
    }

    /// Is the user from now on, with no way back.
    ///
    /// # Errors
    /// Those of the system; a user who cannot reach the handlers.
    pub fn settle(&self, settings: &Settings) -> Result<(), Error> {
        let Self::Other(account) = self else { return Ok(()) };
        account.settle().map_err(|error| account.cannot_become(&error))?;
        nix::unistd::access(&settings.path, nix::unistd::AccessFlags::X_OK).map_err(|error| {
            Error::Failed(format!(
                "the user {} cannot enter the handlers' directory {} (path): {}; choose another with --path",
                account.name(),
                settings.path.display(),
                error.desc()
            ))
        })
    }
}

impl Account {
    /// By name or number; the group is the user's first one unless it is given.
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
                Err(Error::Usage(format!("user {user} is in no list of users, so it needs a --group")))
            }
            (None, Err(_), _) => Err(no_such("user", user)),
        }
    }

    /// The user of this number, in this group, where that is given, else in the user's own.
    pub(super) fn numbered(uid: Uid, gid: Option<Gid>) -> Result<Self, Error> {
        let failed = |error| Error::Failed(format!("cannot look up the user {uid}: {error}"));
        let listed = User::from_uid(uid).map_err(failed)?;
        let (name, own) =
            listed.as_ref().map_or((uid.to_string(), None), |user| (user.name.clone(), Some(user.gid)));
        let name = CString::new(name).map_err(|_| no_such("user", &uid.to_string()))?;
        Ok(Self { name, uid, gid: gid.or(own).unwrap_or(NOGROUP), listed: listed.is_some() })
    }

    /// Is the user until [`Self::as_root`], as far as files go.
    pub(super) fn become_for_now(&self) -> Result<(), Error> {
        self.step_aside().map_err(|error| self.cannot_become(&error))
    }

    /// Does `work` as root, and is the user again.
    pub(super) fn as_root<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        nix::unistd::seteuid(Uid::from_raw(0)).map_err(|error| self.cannot_become(&error.into()))?;
        let done = work();
        nix::unistd::seteuid(self.uid).map_err(|error| self.cannot_become(&error.into()))?;
        done
    }

    /// Is the user from now on, with no way back.
    pub(super) fn become_for_good(&self) -> Result<(), Error> {
        self.step_aside().and_then(|()| self.settle()).map_err(|error| self.cannot_become(&error))
    }

    /// How the user is called.
    pub(super) fn name(&self) -> Cow<'_, str> {
        self.name.to_string_lossy()
    }

    /// Only where nobody but root could have put something in its place meanwhile.
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
            Ok(()) => Err(io::Error::other("root could be had back")),
        }
    }

    fn cannot_become(&self, error: &io::Error) -> Error {
        Error::Failed(format!("cannot become the user {}: {error}", self.name()))
    }
}

/// What somebody else can write there root must not open: a link may lead anywhere.
fn refuse_foreign(folder: &Path) -> Result<(), Error> {
    match folder.symlink_metadata() {
        Ok(found) if geteuid().is_root() && found.uid() != 0 => Err(Error::Failed(format!(
            "the folder {} belongs to the user {}, so root does not serve out of it; give --user, another --name, or remove it",
            folder.display(),
            found.uid()
        ))),
        _ => Ok(()),
    }
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
        "there is no {what} {name:?}; see getent {}",
        if what == "user" { "passwd" } else { "group" }
    ))
}
