//! Where an instance listens: an address and port, or the path of a unix socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// How a unix socket is written.
const UNIX: &str = "unix:";

/// What to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    Ip(IpAddr),
    Unix(PathBuf),
}

/// What is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl Default for Bind {
    fn default() -> Self {
        Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl Bind {
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// With a port, which a unix socket does not have.
    pub fn at(self, port: u16) -> Address {
        match self {
            Self::Ip(address) => Address::Ip(SocketAddr::new(address, port)),
            Self::Unix(path) => Address::Unix(path),
        }
    }
}

impl Address {
    /// 0 for a unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Unix(_) => 0,
        }
    }

    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            Some("") => Err("the path of the unix socket is missing: write unix:/run/caffeine.sock".into()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Ip).map_err(|_| {
                "it is not an IP address, such as 127.0.0.1 or ::1, nor a unix socket, such as unix:/run/caffeine.sock"
                    .into()
            }),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// The peer of a connection through a unix socket: it has no address.
pub const NO_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A peer, or a client that a proxy has named, perhaps without its port; for people.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub SocketAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            peer if peer == NO_PEER => f.write_str("unix"),
            peer if peer.port() == 0 => peer.ip().fmt(f),
            peer => peer.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_the_same() {
        for text in ["127.0.0.1", "::1", "unix:/run/caffeine.sock", "unix:relative"] {
            assert_eq!(text.parse::<Bind>().unwrap().to_string(), text);
        }
        for text in ["", "localhost", "unix:", "/run/caffeine.sock", "127.0.0.1:80"] {
            assert!(text.parse::<Bind>().is_err(), "{text}");
        }
        assert_eq!("::1".parse::<Bind>().unwrap().at(80).to_string(), "[::1]:80");
        assert_eq!("unix:/a".parse::<Bind>().unwrap().at(80).to_string(), "unix:/a");
        for (peer, text) in
            [("0.0.0.0:0", "unix"), ("1.2.3.4:5", "1.2.3.4:5"), ("1.2.3.4:0", "1.2.3.4"), ("[::1]:0", "::1")]
        {
            assert_eq!(Shown(peer.parse().unwrap()).to_string(), text);
        }
    }
}
