//! Unix sockets of an instance that root starts for another user.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;

use super::privileges::{NOBODY, is_root, open_home, start_as};

#[test]
fn a_unix_socket_belongs_to_the_user_who_serves() {
    if !is_root("a_unix_socket_belongs_to_the_user_who_serves") {
        return;
    }
    // The directory's owner, and whether the server can remove the file again.
    for (owner, removes) in [(0, false), (NOBODY, true)] {
        let sandbox = open_home();
        let path = sandbox.write("run/file", "").with_file_name("socket");
        chown(path.parent().unwrap(), Some(owner), Some(owner)).unwrap();
        let bind = format!("unix:{}", path.display());
        let mut server = start_as(&sandbox, &NOBODY.to_string(), &["--bind", &bind]);
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (NOBODY, NOBODY, 0o660));
        UnixStream::connect(&path).unwrap();
        server.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(server.wait().0, Some(0));
        assert_eq!(path.exists(), !removes);
        assert_eq!(server.log().contains("cannot remove the unix socket"), !removes);
        if !removes {
            let server = start_as(&sandbox, &NOBODY.to_string(), &["--bind", &bind]);
            UnixStream::connect(&path).unwrap();
            server.stop();
        }
    }
}

#[test]
fn a_unix_socket_may_belong_to_another_user() {
    if !is_root("a_unix_socket_may_belong_to_another_user") {
        return;
    }
    let sandbox = open_home();
    let path = sandbox.write("run/file", "").with_file_name("socket");
    let (bind, other) = (format!("unix:{}", path.display()), NOBODY + 1);
    let owner = format!("{other}:{other}");
    let arguments = ["--bind", &bind, "--socket-owner", &owner, "--socket-mode", "0600"];
    let _server = start_as(&sandbox, &NOBODY.to_string(), &arguments);
    let found = fs::symlink_metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (other, other, 0o600));
}
