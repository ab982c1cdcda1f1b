//! Who asks: the peer, or the client for which a trusted proxy speaks.
//!
//! Anyone can write header fields, so they count only if the peer is trusted (`--trusted-proxy`), and each is read so that
//! what a client has forged never wins over what the proxy has added:
//!
//! - `X-Forwarded-For`: all its fields are one list. Each proxy appends the address from which it was reached, so the list is
//!   read from its end: the first address that is not trusted is the client. If all are, it is the leftmost. An element on the way
//!   that is not an address, such as an empty one, makes the list worthless: then the peer is the client.
//! - `X-Forwarded-Proto`: `http` or `https`, in exactly one field.
//! - The field that names the user: exactly one that is not empty. With two, the proxy has added one to a client's.
//!
//! Not read: `X-Forwarded-Host` and `-Port`, which common proxies pass on from clients; a proxy can pass on `Host`, which has
//! both. `Forwarded` (RFC 7239), which they do not send by default.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use httparse::Header;

use super::network::Network;

/// A proxy that may speak for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Each peer of a unix socket.
    Unix,
    Network(Network),
}

const UNIX: &str = "unix";

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == UNIX { Ok(Self::Unix) } else { text.parse().map(Self::Network) }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str(UNIX),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// The trusted proxies, and the field in which they name a user.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Vec<Proxy>,
    user_header: Option<String>,
}

/// How the client has reached the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub fn port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

/// Who asks, as far as the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The peer, or the client that a trusted proxy names, whose port is 0 if the proxy does not tell it.
    pub client: SocketAddr,
    /// If a trusted proxy tells it.
    pub scheme: Option<Scheme>,
    /// The user that a trusted proxy names; not empty.
    pub user: Option<&'a [u8]>,
    /// There are trusted proxies, and the peer is none of them.
    untrusted: bool,
    user_header: Option<&'a str>,
}

impl Origin<'_> {
    /// The peer itself.
    pub const fn of(peer: SocketAddr) -> Self {
        Self { client: peer, scheme: None, user: None, untrusted: false, user_header: None }
    }

    /// The client's address; `None` for a peer of a unix socket, which has none.
    pub fn address(&self) -> Option<IpAddr> {
        address_of(self.client)
    }

    /// Whether handlers must not see this header field: what a stranger says of its client, and the user's name, which they
    /// get as `REMOTE_USER` if it holds.
    pub fn withholds(&self, name: &str) -> bool {
        self.user_header.is_some_and(|own| name.eq_ignore_ascii_case(own)) || self.untrusted && is_claim(name)
    }
}

/// The address of a peer; `None` for one of a unix socket, which stands as the unspecified address and port 0.
pub fn address_of(peer: SocketAddr) -> Option<IpAddr> {
    Some(peer.ip()).filter(|address| peer.port() != 0 || !address.is_unspecified())
}

/// Whether a field is one of those with which proxies speak for their clients.
fn is_claim(name: &str) -> bool {
    let begins = |start: &str| name.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start));
    begins("x-forwarded-") || ["forwarded", "x-real-ip"].iter().any(|claim| name.eq_ignore_ascii_case(claim))
}

impl Proxies {
    pub fn new(trusted: Vec<Proxy>, user_header: Option<String>) -> Self {
        Self { trusted, user_header }
    }

    /// Who asks with these header fields. Allocates nothing.
    #[inline]
    pub fn origin<'a>(&'a self, peer: SocketAddr, headers: &[Header<'a>]) -> Origin<'a> {
        if self.trusted.is_empty() { Origin::of(peer) } else { self.judge(peer, headers) }
    }

    fn judge<'a>(&'a self, peer: SocketAddr, headers: &[Header<'a>]) -> Origin<'a> {
        let user_header = self.user_header.as_deref();
        if !self.believes(peer) {
            return Origin { untrusted: true, user_header, ..Origin::of(peer) };
        }
        Origin {
            client: self.client(headers).unwrap_or(peer),
            scheme: scheme(headers),
            user: user_header.and_then(|name| only(headers, name)).filter(|user| !user.is_empty()),
            untrusted: false,
            user_header,
        }
    }

    /// Whether a peer is a trusted proxy.
    pub fn believes(&self, peer: SocketAddr) -> bool {
        match address_of(peer) {
            Some(address) => self.trusts(address),
            None => self.trusted.contains(&Proxy::Unix),
        }
    }

    /// Whether a peer with this address may speak for clients.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let contains = |proxy: &Proxy| matches!(proxy, Proxy::Network(network) if network.contains(address));
        self.trusted.iter().any(contains)
    }

    fn client(&self, headers: &[Header<'_>]) -> Option<SocketAddr> {
        let fields = headers.iter().rev().filter(|field| field.name.eq_ignore_ascii_case("x-forwarded-for"));
        let mut named = None;
        for element in fields.flat_map(|field| field.value.rsplit(|&byte| byte == b',')) {
            let address = address(element.trim_ascii())?;
            named = Some(address);
            if !self.trusts(address.ip()) {
                break;
            }
        }
        named
    }
}

/// An address, in brackets or not, with a port or not: 0 for none.
fn address(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let ip = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    };
    let found = ip.map(|ip| SocketAddr::new(ip, 0)).or_else(|| text.parse().ok())?;
    let ip = found.ip().to_canonical();
    (!ip.is_unspecified()).then(|| SocketAddr::new(ip, found.port()))
}

fn scheme(headers: &[Header<'_>]) -> Option<Scheme> {
    let told = only(headers, "x-forwarded-proto")?;
    let is_told = |scheme: &Scheme| told.eq_ignore_ascii_case(scheme.name().as_bytes());
    [Scheme::Http, Scheme::Https].into_iter().find(is_told)
}

/// The value of the field with this name, if there is exactly one.
fn only<'b>(headers: &[Header<'b>], name: &str) -> Option<&'b [u8]> {
    let mut fields = headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let value = fields.next()?.value.trim_ascii();
    fields.next().is_none().then_some(value)
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
