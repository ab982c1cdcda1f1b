//! Who asks, for lists of header fields: what a trusted proxy may say, what counts of it, and that clients cannot forge it.

use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1:4711";
/// It stays the client.
const PEER: &str = PROXY;
const FOR: &str = "X-Forwarded-For";

fn proxies(trusted: &str, user_header: Option<&str>) -> Proxies {
    let trusted = trusted.split(' ').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
    Proxies::new(trusted.collect(), user_header.map(str::to_owned))
}

/// Fields from `Name: value` lines.
fn fields(text: &str) -> Vec<Header<'_>> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| Header { name, value: value.trim().as_bytes() }).collect()
}

#[test]
fn the_client_is_the_last_address_that_is_not_trusted() {
    for (list, client) in [
        ("", PEER),
        ("X-Forwarded-For: 192.0.2.1", "192.0.2.1:0"),
        ("x-forwarded-for: 192.0.2.1", "192.0.2.1:0"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1", "192.0.2.1:0"),
        ("X-Forwarded-For: 6.6.6.6,192.0.2.1 ,\t10.0.0.9", "192.0.2.1:0"),
        (
            "X-Forwarded-For: 6.6.6.6\nVia: x\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 10.0.0.9",
            "192.0.2.1:0",
        ),
        ("X-Forwarded-For: 10.0.0.7, 10.0.0.8", "10.0.0.7:0"),
        ("X-Forwarded-For: 2001:db8::1", "[2001:db8::1]:0"),
        ("X-Forwarded-For: [2001:db8::1]", "[2001:db8::1]:0"),
        ("X-Forwarded-For: [2001:db8::1]:80", "[2001:db8::1]:80"),
        ("X-Forwarded-For: 192.0.2.1:80", "192.0.2.1:80"),
        ("X-Forwarded-For: ::ffff:192.0.2.1", "192.0.2.1:0"),
        ("X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.9, fd00::1", "192.0.2.1:0"),
        // What a client has sent is never reached.
        ("X-Forwarded-For: <script>, 192.0.2.1", "192.0.2.1:0"),
        ("X-Forwarded-For:\nX-Forwarded-For: 192.0.2.1", "192.0.2.1:0"),
        // What the proxy has added is not an address.
        ("X-Forwarded-For:", PEER),
        ("X-Forwarded-For: 192.0.2.1,", PEER),
        ("X-Forwarded-For: 6.6.6.6\nX-Forwarded-For:", PEER),
        ("X-Forwarded-For: 192.0.2.1, unknown", PEER),
        ("X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.9", PEER),
        ("X-Forwarded-For: 192.0.2.1.", PEER),
        ("X-Forwarded-For: 192.0.2.1:65536", PEER),
        ("X-Forwarded-For: [192.0.2.1]", PEER),
        ("X-Forwarded-For: 0.0.0.0", PEER),
        ("X-Forwarded-For: ::", PEER),
        ("X-Forwarded-For: 192.0.2.1 192.0.2.2", PEER),
        ("X-Forwarded-For: \"192.0.2.1\"", PEER),
        ("X-Real-IP: 192.0.2.1\nForwarded: for=192.0.2.1\nX_Forwarded_For: 192.0.2.1", PEER),
    ] {
        let proxies = proxies("10.0.0.0/8 fd00::/8", None);
        let origin = proxies.origin(PROXY.parse().unwrap(), &fields(list));
        assert_eq!(origin.client, client.parse().unwrap(), "{list}");
    }
}

const CLAIMS: &str =
    "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-User: ann\nX-Real-IP: 192.0.2.1\nHost: a";

#[test]
fn only_a_trusted_peer_is_believed() {
    let unix = "0.0.0.0:0";
    for (trusted, peer, believed) in [
        ("", PROXY, false),
        ("10.0.0.1", PROXY, true),
        ("10.0.0.2", PROXY, false),
        ("10.0.0.0/8", "[::ffff:10.0.0.1]:80", true),
        ("0.0.0.0/0", unix, false),
        ("unix", unix, true),
        ("unix", PROXY, false),
        ("fd00::/8 unix", "[fd00::1]:80", true),
        ("::1", "[::1]:80", true),
        ("::1", "127.0.0.1:80", false),
    ] {
        let proxies = proxies(trusted, Some("x-user"));
        let peer = peer.parse().unwrap();
        let origin = proxies.origin(peer, &fields(CLAIMS));
        let expected = believed.then_some(Scheme::Https);
        assert_eq!(
            (origin.scheme, origin.user),
            (expected, believed.then_some(&b"ann"[..])),
            "{trusted} {peer}"
        );
        assert_eq!(origin.client != peer, believed, "{trusted} {peer}");
        let named = "192.0.2.1:0".parse().unwrap();
        assert!(!believed || origin.client == named);
    }
}

#[test]
fn handlers_see_the_claims_of_trusted_peers_alone_and_the_user_as_a_variable_alone() {
    let withheld = |trusted: &str, header: Option<&str>| {
        let proxies = proxies(trusted, header);
        let fields = fields(
            "x-forwarded-port: 1\nX-Forwarded-For: 1\nFORWARDED: a\nx-real-ip: 1\nX-User: a\nX-Forward: b\nHost: a",
        );
        let origin = proxies.origin(PROXY.parse().unwrap(), &fields);
        fields.iter().map(|field| if origin.withholds(field.name) { 'x' } else { '.' }).collect::<String>()
    };
    assert_eq!(withheld("", None), ".......");
    assert_eq!(withheld("10.0.0.1", None), ".......");
    assert_eq!(withheld("10.0.0.1", Some("x-USER")), "....x..");
    assert_eq!(withheld("10.0.0.2", None), "xxxx...");
    assert_eq!(withheld("10.0.0.2", Some("X-User")), "xxxxx..");
}

#[test]
fn scheme_and_user_count_only_if_they_are_told_once() {
    for (text, scheme, user) in [
        ("X-Forwarded-Proto: HTTPS\nX-User:  ann ", Some(Scheme::Https), Some("ann")),
        ("X-Forwarded-Proto: http\nX-User: a b", Some(Scheme::Http), Some("a b")),
        ("X-Forwarded-Proto: https\nX-Forwarded-Proto: https\nX-User: root\nx-user: ann", None, None),
        ("X-Forwarded-Proto: https, http\nX-User:", None, None),
        ("X-Forwarded-Proto:\nX-User: root\nX-User:", None, None),
        ("X-Forwarded-Proto: ftp\nX_User: ann", None, None),
    ] {
        let proxies = proxies("10.0.0.1", Some("X-User"));
        let origin = proxies.origin(PROXY.parse().unwrap(), &fields(text));
        assert_eq!((origin.scheme, origin.user), (scheme, user.map(str::as_bytes)), "{text}");
    }
}

#[test]
fn proxies_are_read_and_written_the_same() {
    for text in ["unix", "10.0.0.0/8", "::1", "192.0.2.1"] {
        assert_eq!(text.parse::<Proxy>().unwrap().to_string(), text);
    }
    assert!("UNIX".parse::<Proxy>().is_err());
}

/// An address and how it is written in a list.
fn written() -> impl Strategy<Value = (SocketAddr, String)> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<[u16; 7]>().prop_map(|[a, b, c, d, e, f, g]| IpAddr::from([0xfd00, a, b, c, d, e, f, g])),
    ];
    let ip = ip.prop_map(|ip| ip.to_canonical()).prop_filter("an address", |ip| !ip.is_unspecified());
    (ip, prop::option::of(1..=u16::MAX), "[ \t]{0,2}", "[ \t]{0,2}", any::<bool>()).prop_map(
        |(ip, port, before, after, brackets)| {
            let address = SocketAddr::new(ip, port.unwrap_or(0));
            let text = match port {
                Some(_) => address.to_string(),
                None if brackets && ip.is_ipv6() => format!("[{ip}]"),
                None => ip.to_string(),
            };
            (address, format!("{before}{text}{after}"))
        },
    )
}

proptest! {
    #[test]
    fn the_client_is_what_is_left_of_the_longest_trusted_end(
        list in prop::collection::vec(written(), 1..8),
        cuts in prop::collection::vec(any::<bool>(), 8),
        odd in prop::option::of((any::<prop::sample::Index>(), "[a-z_ ]{0,4}")),
    ) {
        let proxies = proxies("10.0.0.0/8 fd00::/8", None);
        let trusted = |address: &&(SocketAddr, String)| proxies.trusts(address.0.ip());
        let end = list.iter().rev().take_while(trusted).count();
        let at = list.len().saturating_sub(end + 1);
        let mut texts: Vec<String> = list.iter().map(|(_, text)| text.clone()).collect();
        let mut expected = list[at].0;
        if let Some((index, text)) = odd {
            let index = index.index(list.len());
            texts[index] = text;
            if index >= at {
                expected = PROXY.parse().unwrap();
            }
        }
        // Several fields are one list.
        let mut values: Vec<String> = Vec::new();
        for (text, cut) in texts.into_iter().zip(cuts) {
            match values.pop() {
                Some(value) if !cut => values.push(format!("{value},{text}")),
                before => values.extend(before.into_iter().chain([text])),
            }
        }
        let headers: Vec<_> = values.iter().map(|value| Header { name: FOR, value: value.as_bytes() }).collect();
        prop_assert_eq!(proxies.origin(PROXY.parse().unwrap(), &headers).client, expected, "{:?}", values);
    }

    #[test]
    fn whatever_the_fields_are_the_client_is_the_peer_or_stands_in_them(
        values in prop::collection::vec(prop::collection::vec(prop::sample::select(&b"0123456789abcdef.:,[] \xff"[..]), 0..40), 0..4),
    ) {
        let headers: Vec<_> = values.iter().map(|value| Header { name: FOR, value }).collect();
        let peer: SocketAddr = PROXY.parse().unwrap();
        let client = proxies("10.0.0.0/8", None).origin(peer, &headers).client;
        let stands = |value: &Vec<u8>| {
            value.split(|&byte| byte == b',').any(|element| address(element.trim_ascii()) == Some(client))
        };
        prop_assert!(client == peer || values.iter().any(stands));
        // A list that the proxy has appended an address to is decided by that address.
        let more = [&headers[..], &[Header { name: FOR, value: b"192.0.2.1" }]].concat();
        prop_assert_eq!(proxies("10.0.0.0/8", None).origin(peer, &more).client.to_string(), "192.0.2.1:0");
    }
}
