//! The target URL, and the request as bytes. Pure.

use std::io::Write as _;
use std::time::Duration;

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
    /// Parses `[http://]host[:port][/path][?query]`; a fragment is dropped.
    ///
    /// # Errors
    /// What is wrong, and the expected form.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{url:?} is not a URL for a load test: {why}"));
        let rest = match url.split_once("://") {
            None => url,
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return wrong(&format!("{scheme}:// is not supported, only http://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        if rest.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return wrong(
                "it contains a blank, control or non-ASCII character; percent-encode it, as in %20",
            );
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.contains('@') {
            return wrong("user names are not supported; use -H 'Authorization: ...'");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains([':', '[', ']']) {
            return wrong("write an IPv6 address in brackets: http://[::1]:8080/hello");
        }
        let port = match port.map(str::parse::<u16>) {
            None => 80,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return wrong("the port must be a number from 1 to 65535"),
        };
        let host = bracketed.unwrap_or(host);
        if host.is_empty() {
            return wrong("the host is missing, as in http://127.0.0.1:8080/hello");
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, authority: authority.to_owned(), path })
    }

    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.path)
    }
}

/// The bytes of a request; all requests of a run are the same, but for the sizes of their jobs.
#[derive(Clone, Debug)]
pub struct Request {
    /// Asks for the connection to be kept open. HTTP/1.1 implies that; HTTP/1.0 servers want to be told.
    pub keep: Vec<u8>,
    /// Asks the server to close the connection after the response.
    pub close: Vec<u8>,
    /// Whether the method is HEAD, whose responses have no body.
    pub is_head: bool,
}

impl Request {
    /// `headers` were checked by [`parse_header`]; one named `Host` replaces the default.
    pub fn new(target: &Target, method: &str, headers: &[(String, String)], body: &[u8]) -> Self {
        let bytes = |connection| request_bytes(target, method, headers, body, connection);
        Self { keep: bytes("keep-alive"), close: bytes("close"), is_head: method == "HEAD" }
    }
}

/// The query that asks for a time, as `caffeine --respond` and the handler `burn` read it.
const ASKS: &str = "occupy=";
/// Longer than the digits and the name of a time.
const TIME_BYTES: usize = 64;

impl Target {
    /// Whether the query asks for a time already.
    pub fn asks_for_a_time(&self) -> bool {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| pair.starts_with(ASKS))
    }
}

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

fn request_bytes(
    target: &Target,
    method: &str,
    headers: &[(String, String)],
    body: &[u8],
    connection: &str,
) -> Vec<u8> {
    let mut request = format!("{method} {} HTTP/1.1\r\n", target.path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request += &format!("Host: {}\r\n", target.authority);
    }
    request += &format!("Connection: {connection}\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Whether `text` is a token (RFC 9110, section 5.6.2): what methods and header names are made of.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Parses `Name: value`.
///
/// # Errors
/// It is not a header, or one that the generator sets.
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
            ("http://a/b c", "blank"),
            ("http://a/b\r\nX: y", "blank"),
            ("http://me:pw@a/", "user names"),
            ("http://a/\u{e4}", "non-ASCII"),
            ("http://[::1", "in brackets"),
            ("http://::1:8080/", "in brackets"),
            ("http://[]/", "host is missing"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn the_request_is_complete_and_says_whether_its_connection_is_kept() {
        let target = Target::parse("http://a:81/p?q").unwrap();
        let get = Request::new(&target, "GET", &[], b"");
        assert_eq!(get.close, b"GET /p?q HTTP/1.1\r\nHost: a:81\r\nConnection: close\r\n\r\n");
        assert_eq!(get.keep, b"GET /p?q HTTP/1.1\r\nHost: a:81\r\nConnection: keep-alive\r\n\r\n");
        let headers = [parse_header("host: other").unwrap(), parse_header("X-Y:  z ").unwrap()];
        assert_eq!(
            Request::new(&target, "POST", &headers, b"hi").close,
            b"POST /p?q HTTP/1.1\r\nConnection: close\r\nhost: other\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nhi"
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
}
