//! Ranges of IP addresses (CIDR notation, RFC 4632 and RFC 4291).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The addresses of one family that begin with the same bits. An IPv4-mapped IPv6 address, as a socket for both families
/// has it (`::ffff:192.0.2.1`), is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The lowest address.
    address: IpAddr,
    /// How many bits are the same.
    prefix: u32,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address, address.to_canonical());
        own.is_ipv4() == other.is_ipv4() && (bits(own) ^ bits(other)) & !hosts(own, self.prefix) == 0
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Bits of an address.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits beyond the prefix.
fn hosts(address: IpAddr, prefix: u32) -> u128 {
    1_u128.checked_shl(width(address) - prefix).map_or(u128::MAX, |bit| bit - 1)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let written: IpAddr = address
            .parse()
            .map_err(|_| "it is not an address or a network, such as 192.0.2.1, 10.0.0.0/8 or fd00::/8")?;
        let most = width(written);
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match length {
            None => Some(most),
            Some(length) => Some(length).filter(digits).and_then(|digits| digits.parse().ok()),
        };
        let address = written.to_canonical();
        // A mapped address has the bits of IPv4 behind 96 others.
        let mapped = most - width(address);
        let Some(prefix) = prefix.filter(|prefix| (mapped..=most).contains(prefix)) else {
            return Err(format!("the prefix of a network of {written} must be {mapped} to {most}"));
        };
        let prefix = prefix - mapped;
        if bits(address) & hosts(address, prefix) != 0 {
            return Err(format!(
                "{address} has bits beyond the prefix /{prefix}: give the address alone, or the network's lowest address"
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        for (network, inside, outside) in [
            ("192.0.2.7", "192.0.2.7 ::ffff:192.0.2.7", "192.0.2.6 ::192.0.2.7"),
            ("10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3", "9.255.255.255 11.0.0.0 ::a00:0"),
            ("192.0.2.128/25", "192.0.2.128 192.0.2.255", "192.0.2.127"),
            ("0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", "::1 ::"),
            ("::1", "::1", "::2 0.0.0.1 127.0.0.1"),
            ("fd00::/8", "fd00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00:: fc00::"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "::1 2001:db8::", "1.2.3.4 ::ffff:1.2.3.4"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0 ::1"),
            ("::ffff:0:0/96", "1.2.3.4", "::1"),
        ] {
            let range: Network = network.parse().unwrap();
            for address in inside.split(' ') {
                assert!(range.contains(address.parse().unwrap()), "{network} {address}");
            }
            for address in outside.split(' ') {
                assert!(!range.contains(address.parse().unwrap()), "{network} {address}");
            }
            assert_eq!(range.to_string().parse(), Ok(range), "{network}");
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "it is not an address or a network"),
            ("localhost", "it is not an address or a network"),
            ("10.0.0.0/", "must be 0 to 32"),
            ("10.0.0.0/33", "must be 0 to 32"),
            ("10.0.0.0/+8", "must be 0 to 32"),
            ("10.0.0.0/8/8", "must be 0 to 32"),
            ("::/129", "must be 0 to 128"),
            ("::ffff:10.0.0.0/8", "must be 96 to 128"),
            ("10.0.0.1/8", "10.0.0.1 has bits beyond the prefix /8"),
            ("fd00::1/64", "fd00::1 has bits beyond the prefix /64"),
            ("10.0.0.0/99999999999", "must be 0 to 32"),
            ("[::1]", "it is not an address or a network"),
        ] {
            let said = text.parse::<Network>().unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
