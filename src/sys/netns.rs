//! A private network for a thread: a namespace with only loopback (network_namespaces(7)).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::cerr;

/// The calling thread, and processes that it starts, are in a private network until this is dropped.
#[derive(Debug)]
pub struct OwnNetwork {
    before: File,
    /// Not `Send`: the namespace belongs to the thread.
    _thread: std::marker::PhantomData<*const ()>,
}

impl OwnNetwork {
    /// Creates a network, moves the calling thread there and brings loopback up.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`; others of unshare(2) and netdevice(7).
    pub fn enter() -> io::Result<Self> {
        let network = Self::enter_without_loopback()?;
        loopback_up()?;
        Ok(network)
    }

    /// Like [`enter`](Self::enter), but with loopback down.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`; others of unshare(2).
    pub fn enter_without_loopback() -> io::Result<Self> {
        let before = File::open("/proc/thread-self/ns/net")?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(Self { before, _thread: std::marker::PhantomData })
    }
}

impl Drop for OwnNetwork {
    fn drop(&mut self) {
        let _ = setns(&self.before, CloneFlags::CLONE_NEWNET);
    }
}

fn loopback_up() -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    name.iter_mut().zip(b"lo").for_each(|(to, from)| *to = *from as libc::c_char);
    let up = libc::__c_anonymous_ifr_ifru { ifru_flags: libc::IFF_UP as libc::c_short };
    let request = libc::ifreq { ifr_name: name, ifr_ifru: up };
    // SAFETY: SIOCSIFFLAGS reads an ifreq with name and flags, which lives throughout the call.
    cerr(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_network_of_its_own_has_its_own_ports_and_a_loopback_and_ends_with_the_guard() {
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = outside.local_addr().unwrap();
        match OwnNetwork::enter() {
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}"),
            Ok(network) => {
                let inside = TcpListener::bind(address).unwrap();
                let _client = TcpStream::connect(address).unwrap();
                inside.accept().unwrap();
                drop(network);
                assert!(TcpListener::bind(address).is_err());
            }
        }
    }
}
