//! The request target, and the authority in it or in Host: validates and splits them. It does not decode anything.

use std::net::Ipv6Addr;

use super::refusal::{Refusal, bad};

/// The parts of a request target, as sent.
pub(crate) struct Target<'b> {
    /// Begins with `/`, or is `*`.
    pub path: &'b str,
    /// What follows the first `?`.
    pub query: &'b str,
    /// The host and port of the absolute form.
    pub authority: Option<&'b str>,
}

/// Splits `target` (RFC 9112, section 3.2).
///
/// The grammar of RFC 3986 is enforced where leniency is dangerous: no fragment, no control, no space, no byte beyond
/// ASCII. Other characters that should have been escaped (`|`, `{`, `"`) are common and harmless.
///
/// # Errors
/// 501 for CONNECT, since this is not a proxy; 400 for anything that is not a target.
pub(crate) fn split<'b>(method: &str, target: &'b str) -> Result<Target<'b>, Refusal> {
    let odd = |odd, byte| odd | (byte == b'#') | (byte >= 0x7f) | (byte <= b' ');
    if target.bytes().fold(false, odd) {
        return Err(bad("the request target has a fragment or bytes that must be escaped"));
    }
    if method == "CONNECT" {
        return Err(Refusal::new(501, "CONNECT is for proxies, and this server is not one"));
    }
    if target.starts_with('/') {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        return Ok(Target { path, query, authority: None });
    }
    if target == "*" && method == "OPTIONS" {
        return Ok(Target { path: target, query: "", authority: None });
    }
    absolute(target)
}

/// `http://host[:port][/path][?query]`, which a server must accept although only proxies are sent it (section 3.2.2).
fn absolute(target: &str) -> Result<Target<'_>, Refusal> {
    const SCHEME: &str = "http://";
    let rest = match target.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => return Err(bad("the request target is neither a path nor an http URI")),
    };
    let (host, local) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority(host.as_bytes()).ok_or(bad("the host in the request target is invalid"))?;
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    Ok(Target { path: if path.is_empty() { "/" } else { path }, query, authority: Some(host) })
}

/// `value` as text when it is a valid `host [ ":" port ]` (RFC 3986, section 3.2.2): a name, an IPv4 address or an
/// IPv6 address in brackets. A user before `@` is none of it (RFC 9110, section 4.2.4), and an http URI without
/// a host is invalid (section 4.2.1).
pub fn authority(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let host = without_port(text);
    let valid_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && reg_name(host.as_bytes()),
    };
    (valid_host && port(&text[host.len()..])).then_some(text)
}

/// The host of an authority: `[::1]:80` gives `[::1]`.
pub fn without_port(authority: &str) -> &str {
    let end = if authority.starts_with('[') {
        authority.find(']').map_or(authority.len(), |bracket| bracket + 1)
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    &authority[..end]
}

/// Nothing, or a colon and a port, which may be empty (RFC 3986, section 3.2.3).
fn port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some("") => true,
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => text.is_empty(),
    }
}

/// Whether `name` is a `reg-name`: unreserved characters, sub-delimiters and complete escapes.
fn reg_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().all(|digit| digit.is_some_and(u8::is_ascii_hexdigit)),
            b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !valid {
            return false;
        }
    }
    true
}
