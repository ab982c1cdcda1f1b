//! Where to connect: the addresses of a host, tried in turn until one answers, or a Unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use super::target::Target;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl Peer {
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(to),
            Self::Unix(path) => path.display().fmt(to),
        }
    }
}

/// Addresses to use for a host and port in place of those that the resolver knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Resolve {
    /// Parses `HOST:PORT:ADDRESS[,ADDRESS...]`, as curl has it.
    /// Errors: the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write HOST:PORT:ADDRESS, several addresses separated by commas: shop:80:127.0.0.1";
        let parsed = || {
            let (host, rest) = text.split_once(':').filter(|(host, _)| !host.is_empty())?;
            let (port, list) = rest.split_once(':')?;
            let address = |text: &str| text.trim().trim_start_matches('[').trim_end_matches(']').parse().ok();
            let addresses = list.split(',').map(address).collect::<Option<_>>()?;
            Some(Self { host: host.to_owned(), port: port.parse().ok()?, addresses })
        };
        parsed().ok_or_else(|| form.into())
    }

    /// Errors: it is about another host or port.
    fn peers(&self, target: &Target) -> Result<Vec<Peer>, String> {
        let Self { host, port, addresses } = self;
        if !host.eq_ignore_ascii_case(&target.host) || *port != target.port {
            return Err(format!(
                "--resolve is about {host}:{port}, but the URL has {}:{}",
                target.host, target.port
            ));
        }
        Ok(addresses.iter().map(|address| Peer::Ip(SocketAddr::new(*address, *port))).collect())
    }
}

/// All addresses of `target`.
/// Errors: it cannot be resolved, or `given` is about another host.
pub fn resolve(target: &Target, given: Option<&Resolve>) -> Result<Vec<Peer>, String> {
    if let Some(given) = given {
        return given.peers(target);
    }
    let (host, port) = (target.host.as_str(), target.port);
    let failed = |why: String| format!("cannot resolve the host {host:?}: {why}");
    let addresses = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let mut peers = Vec::new();
    for peer in addresses.map(Peer::Ip) {
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    if peers.is_empty() { Err(failed("it has no address".into())) } else { Ok(peers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_the_addresses_that_are_given_for_it() {
        let target = Target::parse("http://shop:81/").unwrap();
        let peers = |text: &str| resolve(&target, Some(&Resolve::parse(text).unwrap()));
        let expected = ["127.0.0.2:81", "[::1]:81"].map(|address| Peer::Ip(address.parse().unwrap()));
        assert_eq!(peers("Shop:81:127.0.0.2,[::1]").unwrap(), expected);
        assert_eq!(peers("shop:81:::1").unwrap(), expected[1..]);
        assert!(peers("shop:80:127.0.0.2").unwrap_err().contains("the URL has shop:81"));
        for text in ["", "shop", "shop:81", "shop:81:", "shop:x:127.0.0.1", ":81:127.0.0.1", "shop:81:there"]
        {
            assert!(Resolve::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_address_of_a_host_comes_once() {
        let target = Target::parse("127.0.0.1:81").unwrap();
        assert_eq!(resolve(&target, None).unwrap(), [Peer::Ip(([127, 0, 0, 1], 81).into())]);
    }
}
