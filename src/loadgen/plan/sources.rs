//! Local addresses to connect from: parsed from text, and tried. Each of them provides all local ports for connections to
//! one destination, so more addresses permit more connections.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

const MOST: u128 = 65_536;

/// Parses `127.0.0.2`, `127.0.0.2-127.0.0.33`, `127.0.1.0/24`, or several of these separated by commas. The network and
/// broadcast addresses of an IPv4 network of up to 30 bits are left out, except within 127.0.0.0/8.
/// Errors: what is wrong, and the expected form.
pub fn parse(text: &str) -> Result<Vec<IpAddr>, String> {
    let mut sources = Vec::new();
    for part in text.split(',').map(str::trim) {
        let range = match (part.split_once('-'), part.split_once('/')) {
            (Some((first, last)), None) => range(first.trim(), last.trim()),
            (None, Some((address, bits))) => network(address, bits),
            _ => one(part).map(|address| (number(address), number(address))),
        };
        let (first, last) = range.map_err(|why| {
            format!("{part:?}: {why}; write 127.0.0.2, 127.0.0.2-127.0.0.33 or 127.0.1.0/24, several separated by commas")
        })?;
        if last - first >= MOST || sources.len() as u128 + last - first >= MOST {
            return Err(format!("{text:?} has more than {MOST} addresses"));
        }
        sources.extend((first..=last).map(|number| Ipv6Addr::from_bits(number).to_canonical()));
    }
    Ok(sources)
}

fn one(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an IP address"))
}

/// IPv4 addresses count as what they are in IPv6.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn range(first: &str, last: &str) -> Result<(u128, u128), String> {
    let (first, last) = (one(first)?, one(last)?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err("one end is IPv4, the other IPv6".into());
    }
    if first > last { Err("it ends before it begins".into()) } else { Ok((number(first), number(last))) }
}

fn network(base: &str, bits: &str) -> Result<(u128, u128), String> {
    let base = one(base)?;
    let width: u32 = if base.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits.parse().map_err(|_| format!("/{bits} is not a prefix length"))?;
    let host_bits = width
        .checked_sub(bits)
        .ok_or_else(|| format!("/{bits} is longer than an address, which has {width} bits"))?;
    let mask = 1_u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
    let (first, last) = (number(base) & !mask, number(base) | mask);
    let has_broadcast = base.is_ipv4() && !base.is_loopback() && host_bits >= 2;
    let edge = u128::from(has_broadcast);
    Ok((first + edge, last - edge))
}

/// Checks that sockets can be bound to all `sources` to reach `destination`.
/// Errors: the address that does not work, the reason, and a remedy.
pub fn verify(sources: &[IpAddr], destination: SocketAddr) -> Result<(), String> {
    let to = destination.ip();
    for source in sources {
        if source.is_ipv4() != to.is_ipv4() {
            return Err(format!("{source} cannot reach {to}: one is IPv4, the other IPv6"));
        }
        // The other way round works if the source is an address of this machine; the kernel decides.
        if source.is_loopback() && !to.is_loopback() {
            return Err(format!("{source} is a loopback address and cannot reach {to}"));
        }
    }
    let bind = |source: &IpAddr| -> std::io::Result<()> {
        let socket = Socket::new(Domain::for_address(destination), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(*source, 0).into())
    };
    sources.iter().try_for_each(|source| {
        bind(source).map_err(|error| match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => format!(
                "{source} is not an address of this machine (add it: ip address add {source} dev ...)"
            ),
            _ => format!("cannot bind to {source}: {error}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn addresses_ranges_and_networks_are_expanded() {
        assert_eq!(texts("127.0.0.2"), ["127.0.0.2"]);
        assert_eq!(texts("127.0.0.254-127.0.1.1"), ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"]);
        assert_eq!(texts("127.0.1.8/30, ::1"), ["127.0.1.8", "127.0.1.9", "127.0.1.10", "127.0.1.11", "::1"]);
        assert_eq!(texts("10.0.0.1/30"), ["10.0.0.1", "10.0.0.2"], "not the broadcast address");
        assert_eq!(texts("10.0.0.0/31"), ["10.0.0.0", "10.0.0.1"], "a link of two has none");
        assert_eq!(texts("fe80::fffe-fe80::1:0"), ["fe80::fffe", "fe80::ffff", "fe80::1:0"]);
        assert_eq!(parse("127.1.0.0/16").unwrap().len(), 65_536);
    }

    #[test]
    fn an_invalid_list_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "not an IP address"),
            ("localhost", "not an IP address"),
            ("127.0.0.9-127.0.0.2", "ends before"),
            ("127.0.0.9-::1", "one end is IPv4"),
            ("127.0.0.0/33", "longer than"),
            ("127.0.0.0/x", "prefix length"),
            ("127.0.0.0/8", "more than 65536"),
            ("::/0", "more than 65536"),
            ("127.1.0.0/16,127.0.0.1", "more than 65536"),
            ("127.0.0.2,", "not an IP address"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_source_that_cannot_be_used_is_named() {
        let verify =
            |source: &str, destination: &str| verify(&parse(source).unwrap(), destination.parse().unwrap());
        verify("127.0.0.2-127.0.0.9", "127.0.0.1:80").unwrap();
        assert!(verify("::1", "127.0.0.1:80").unwrap_err().contains("::1 cannot reach 127.0.0.1"));
        assert!(verify("127.0.0.2", "192.0.2.1:80").unwrap_err().contains("127.0.0.2 is a loopback"));
        assert!(verify("192.0.2.77", "192.0.2.1:80").unwrap_err().contains("192.0.2.77 is not an address"));
    }

    proptest! {
        #[test]
        fn a_range_has_all_addresses_between_its_ends(first: u32, count in 0u32..300) {
            let last = first.saturating_add(count);
            let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
            let sources = parse(&format!("{first}-{last}")).unwrap();
            prop_assert_eq!(sources.len() as u32, last.to_bits() - first.to_bits() + 1);
            prop_assert!(sources.is_sorted());
            prop_assert_eq!((sources[0], sources[sources.len() - 1]), (first.into(), last.into()));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[0-9a-f:./, -]{0,40}") {
            let _ = parse(&text);
        }
    }
}
