//! The target URL, and the request as bytes. Pure.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::http::target::without_port;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address, without the brackets of IPv6.
    pub host: String,
    pub port: u16,
    /// The value of `Host`.
    pub authority: String,
    /// Path and query: the request target.
    pub path: String,
}

/// The default value of `User-Agent`.
const AGENT: &str = concat!("loadgen/", env!("CARGO_PKG_VERSION"));

/// The target if no URL is given.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080/";

impl Default for Target {
    /// [`DEFAULT_URL`].
    fn default() -> Self {
        let (host, authority) = ("127.0.0.1".into(), "127.0.0.1:8080".into());
        Self { host, port: 8080, authority, path: "/".into() }
    }
}

impl Target {
    /// Parses `[http://]host[:port][/path][?query]` (RFC 3986); a fragment is dropped. `:8080` is port 8080 of this machine.
    /// Errors: what is wrong, and the expected form.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{url:?} is not a URL for a load test: {why}");
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => ("", url),
        };
        if !scheme.is_empty() && !scheme.eq_ignore_ascii_case("http") {
            return Err(wrong(&format!(
                "{scheme}:// is not supported, only http:// (without TLS and HTTP/2)"
            )));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        if rest.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(wrong(
                "it contains a blank, control or non-ASCII character; percent-encode it, as in %20",
            ));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority, scheme.is_empty()).map_err(|why| wrong(&why))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let local = if host.is_empty() { "127.0.0.1" } else { host };
        let authority = if port.is_empty() { local.to_owned() } else { format!("{local}:{port}") };
        Ok(Self {
            host: local.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: if port.is_empty() { 80 } else { port.parse().map_err(|_| wrong(PORT))? },
            authority,
            path: format!("{slash}{path}"),
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.path)
    }

    /// Whether the query asks for a time already.
    pub fn asks_for_a_time(&self) -> bool {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| pair.starts_with(ASKS))
    }
}

const PORT: &str = "the port must be a number from 1 to 65535";

/// Whether this can stand before `://` (RFC 3986, section 3.1). In `host:1/?u=http://x` something else does.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Host and port as written. Without a scheme (`brief`) the host may be left out, and a number alone is probably a port.
fn host_and_port(authority: &str, brief: bool) -> Result<(&str, &str), String> {
    if authority.contains('@') {
        return Err("user names are not supported; use -H 'Authorization: ...'".into());
    }
    let host = without_port(authority);
    let rest = &authority[host.len()..];
    let port = rest.strip_prefix(':');
    if (port.is_none() && !rest.is_empty())
        || (host.starts_with('[') && !host.ends_with(']'))
        || port.is_some_and(|port| port.contains([':', ']']))
    {
        return Err("write an IPv6 address in brackets: http://[::1]:8080/hello".into());
    }
    let is_port = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if port.is_some_and(|port| !port.is_empty() && !is_port(port)) {
        return Err(PORT.into());
    }
    if brief && port == Some("") && ["http", "https"].iter().any(|scheme| host.eq_ignore_ascii_case(scheme)) {
        return Err(format!("write {host}://"));
    }
    let port = port.unwrap_or_default();
    if host == "[]" || (host.is_empty() && (!brief || port.is_empty())) {
        return Err("the host is missing, as in http://127.0.0.1:8080/hello".into());
    }
    // Resolvers take numbers for IPv4 addresses: 8080 is 0.0.31.144.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let numeric = !last.is_empty()
        && (last.bytes().all(|byte| byte.is_ascii_digit())
            || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        let hint = if is_port(host) { format!("; did you mean :{host}?") } else { String::new() };
        return Err(format!("{host} is neither a name nor an IP address{hint}"));
    }
    if !host.is_empty() && crate::http::target::authority(host.as_bytes()).is_none() {
        return Err(format!("{host} is not a valid host (RFC 3986, section 3.2.2)"));
    }
    Ok((host, port))
}

/// The bytes of a request, but for the size of its job.
#[derive(Clone, Debug)]
pub struct Request {
    /// Asks for the connection to be kept open. HTTP/1.1 implies that; HTTP/1.0 servers want to be told.
    pub keep: Vec<u8>,
    /// Asks the server to close the connection after the response.
    pub close: Vec<u8>,
    pub method: String,
    pub path: String,
}

impl Request {
    /// `headers` were checked by [`parse_header`]; those named `Host` and `User-Agent` replace the defaults.
    pub fn new(target: &Target, method: &str, headers: &[(String, String)], body: &[u8]) -> Self {
        let is_given = |field: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(field));
        let defaults = [("Host", target.authority.as_str()), ("User-Agent", AGENT)];
        let field = |(name, value): (&str, &str)| format!("{name}: {value}\r\n");
        let bytes = |connection| {
            let mut request = format!("{method} {} HTTP/1.1\r\n", target.path);
            request.extend(defaults.into_iter().filter(|(name, _)| !is_given(name)).map(field));
            request += &field(("Connection", connection));
            request.extend(headers.iter().map(|(name, value)| field((name, value))));
            if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
                request += &format!("Content-Length: {}\r\n", body.len());
            }
            [request.as_bytes(), b"\r\n", body].concat()
        };
        let (method, path) = (method.to_owned(), target.path.clone());
        Self { keep: bytes("keep-alive"), close: bytes("close"), method, path }
    }

    /// Responses to HEAD have no body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// The query that asks for a time, as `caffeine --respond` and the handler `burn` read it.
const ASKS: &str = "occupy=";
/// Longer than the digits and the name of a time.
const TIME_BYTES: usize = 64;

/// Writes a request whose query asks for `time` beside what `request` has. It allocates only if `to` has no room.
pub fn write_sized(request: &[u8], time: Duration, to: &mut Vec<u8>) {
    let line = request.iter().position(|byte| *byte == b'\r').unwrap_or(request.len());
    let end = request[..line].iter().rposition(|byte| *byte == b' ').unwrap_or(line);
    let mark = if request[..end].contains(&b'?') { '&' } else { '?' };
    to.clear();
    to.reserve(request.len() + TIME_BYTES);
    to.extend_from_slice(&request[..end]);
    let written = write!(to, "{mark}{ASKS}{}ns", time.as_nanos());
    debug_assert!(written.is_ok(), "writing to memory");
    to.extend_from_slice(&request[end..]);
}

/// Whether `text` is a token (RFC 9110, section 5.6.2): what methods and header names are made of.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Parses `Name: value`.
/// Errors: it is not a header, or one that the generator sets.
pub fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once(':').ok_or_else(|| format!("{text:?} is not a header: write 'Name: value'"))?;
    if !is_token(name) {
        return Err(format!("{name:?} is not a header name"));
    }
    if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(format!("the value of {name} contains a line break or NUL"));
    }
    if ["connection", "content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("{name} is set by loadgen"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(url: &str) -> (String, u16, String) {
        let target = Target::parse(url).unwrap();
        (target.host, target.port, target.path)
    }

    #[test]
    fn a_url_is_parsed() {
        let expect = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
        assert_eq!(parts("http://127.0.0.1:8080/a/b?c=d#e"), expect("127.0.0.1", 8080, "/a/b?c=d"));
        assert_eq!(parts("http://example.org"), expect("example.org", 80, "/"));
        assert_eq!(parts("localhost:81?x"), expect("localhost", 81, "/?x"));
        assert_eq!(parts("http://[::1]:9/"), expect("::1", 9, "/"));
        assert_eq!(parts("[::1]"), expect("::1", 80, "/"));
        assert_eq!(Target::parse(DEFAULT_URL), Ok(Target::default()));
        assert_eq!(parts("HTTP://A/"), expect("A", 80, "/"));
        assert_eq!(parts("127.0.0.1:1/?u=http://x/"), expect("127.0.0.1", 1, "/?u=http://x/"));
        assert_eq!(parts(":8080/a"), expect("127.0.0.1", 8080, "/a"));
        let empty = Target::parse("http://h:/a").unwrap();
        assert_eq!((empty.port, empty.authority.as_str()), (80, "h"), "an empty port is the default");
    }

    #[test]
    fn an_invalid_url_is_refused_with_the_reason() {
        for (url, why) in [
            ("https://a/", "https:// is not supported"),
            ("http://", "host is missing"),
            ("http://:80/", "host is missing"),
            ("http://a:0/", "port must be"),
            ("http://a:99999/", "port must be"),
            ("http://a:b/", "port must be"),
            ("http://a:+80/", "port must be"),
            ("[::1]80", "in brackets"),
            ("http:/a", "write http://"),
            ("http://a/b c", "blank"),
            ("http://a/b\r\nX: y", "blank"),
            ("http://me:pw@a/", "user names"),
            ("http://a/\u{e4}", "non-ASCII"),
            ("http://[::1", "in brackets"),
            ("http://::1:8080/", "in brackets"),
            ("http://[]/", "host is missing"),
            ("HTTPS://a/", "HTTPS:// is not supported"),
            ("", "host is missing"),
            (":", "host is missing"),
            ("8080", "did you mean :8080?"),
            ("http://8080/", "did you mean :8080?"),
            ("2130706433", "neither a name nor an IP address"),
            ("127.1", "neither a name"),
            ("0x7f000001", "neither a name"),
            ("300.0.0.1", "neither a name"),
            ("http://a\\b/", "not a valid host"),
            ("http://[::x]/", "not a valid host"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn the_request_is_complete_and_says_whether_its_connection_is_kept() {
        let target = Target::parse("http://a:81/p?q").unwrap();
        let get = Request::new(&target, "GET", &[], b"");
        for (bytes, connection) in [(&get.close, "close"), (&get.keep, "keep-alive")] {
            let expected = format!(
                "GET /p?q HTTP/1.1\r\nHost: a:81\r\nUser-Agent: {AGENT}\r\nConnection: {connection}\r\n\r\n"
            );
            assert_eq!(String::from_utf8_lossy(bytes), expected);
        }
        let headers = ["host: other", "User-agent: me", "X-Y:  z "].map(|text| parse_header(text).unwrap());
        assert_eq!(
            Request::new(&target, "POST", &headers, b"hi").close,
            b"POST /p?q HTTP/1.1\r\nConnection: close\r\nhost: other\r\nUser-agent: me\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nhi"
        );
    }

    #[test]
    fn a_job_asks_for_its_time_beside_what_the_url_has() {
        let mut bytes = Vec::new();
        for (url, line) in [
            ("http://a/", "GET /?occupy=1500000ns HTTP/1.1"),
            ("http://a/p/q?x=1", "GET /p/q?x=1&occupy=1500000ns HTTP/1.1"),
        ] {
            let target = Target::parse(url).unwrap();
            let request = Request::new(&target, "GET", &[], b"occupy= HTTP/1.1").close;
            write_sized(&request, Duration::from_micros(1500), &mut bytes);
            let expected = String::from_utf8(request).unwrap();
            let (_, rest) = expected.split_once("\r\n").unwrap();
            assert_eq!(String::from_utf8(bytes.clone()).unwrap(), format!("{line}\r\n{rest}"));
            assert!(!target.asks_for_a_time());
        }
        let asks = |url| Target::parse(url).unwrap().asks_for_a_time();
        assert!(
            asks("http://a/?x&occupy=1s") && asks("http://a/?occupy=") && !asks("http://a/?preoccupy=1s")
        );
    }

    #[test]
    fn headers_that_would_break_the_framing_are_refused() {
        for header in
            ["no colon", "a b: c", "A: b\r\nC: d", "Connection: keep-alive", "content-length: 3", ": x"]
        {
            assert!(parse_header(header).is_err(), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_one_request_line_and_parses_to_the_same(url in "(HTTP://|http://)?[a-c0-9:.@/?#\\[\\]%x-]{0,24}") {
            if let Ok(target) = Target::parse(&url) {
                prop_assert!(target.path.starts_with('/') && !target.host.is_empty() && target.port > 0, "{target:?}");
                prop_assert_eq!(Target::parse(&target.url()), Ok(target));
            }
        }
    }
}
