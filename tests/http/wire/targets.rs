//! The request target: its forms, its parts, its bytes (RFC 9112, section 3.2; RFC 3986; RFC 3875, section
//! 4.1).

use super::Case;
use super::Expected::{Echo, Present, Status};

/// Targets that reach `/echo`, with the PATH_INFO and QUERY_STRING it gets.
const TAKEN: &[(&str, &str, &str, &str)] = &[
    ("3875 4.1.7", "/echo?", "", ""),
    ("3875 4.1.7", "/echo?a=1&b=2", "", "a=1&b=2"),
    ("3986 3.4", "/echo?a?b/c", "", "a?b/c"),
    ("3875 4.1.7", "/echo?%41%2f%zz%", "", "%41%2f%zz%"),
    ("3875 4.4", "/echo?-s", "", "-s"),
    ("3875 4.4", "/echo?-d+allow_url_include%3d1", "", "-d+allow_url_include%3d1"),
    ("3986 3.4", "/echo?../../x", "", "../../x"),
    ("3875 4.1.5", "/echo/", "/", ""),
    ("3875 4.1.5", "/echo/a/b", "/a/b", ""),
    ("3875 4.1.5", "/echo/a/b?c", "/a/b", "c"),
    ("3875 4.1.5", "/echo/%41%20b", "/A b", ""),
    ("3875 4.1.5", "/echo/a%2fb", "/a/b", ""),
    ("3875 4.1.5", "/echo/a%3fb", "/a?b", ""),
    ("3875 4.1.5", "/echo/%2541", "/%41", ""),
    ("3875 4.1.5", "/echo//a", "//a", ""),
    ("3875 4.1.5", "/echo/../x", "/../x", ""),
    ("3875 4.1.5", "/echo/%2e%2e/%2e%2e/outside", "/../../outside", ""),
    ("3875 4.1.5", "/echo/a+b", "/a+b", ""),
    ("3875 4.1.5", "/echo/;a=b", "/;a=b", ""),
    ("3986 2.1", "/%65cho", "", ""),
    ("3986 2.1", "/%65%63%68%6F/x", "/x", ""),
    ("3986 2.1", "/%65%63%68%6f", "", ""),
    ("3986 3.3", "/echo/a:b@c!$&'()*+,;=-._~", "/a:b@c!$&'()*+,;=-._~", ""),
    ("3986 2", "/echo/|{}\"^`<>", "/|{}\"^`<>", ""),
    ("3986 2", "/echo/a\\b", "/a\\b", ""),
    ("3875 4.1.13", "/sub/echo", "", ""),
    ("3875 4.1.13", "/sub/echo/x", "/x", ""),
    ("3875 4.1.13", "/s%75b/echo", "", ""),
    ("3.2.2", "http://a/echo", "", ""),
    ("3.2.2", "HTTP://a/echo", "", ""),
    ("3.2.2", "http://a/echo/x?y", "/x", "y"),
    ("3.2.2", "http://a:80/echo/../x", "/../x", ""),
    ("3.2.2", "http://a/%65cho", "", ""),
];

/// Refused targets.
const REFUSED: &[(&str, &str, u16)] = &[
    ("3.2", "mark", 400),
    ("3.2", "?mark", 400),
    ("3.2", "./mark", 400),
    ("3.2", "\\mark", 400),
    ("3.2", "*", 400),
    ("3.2", "*/mark", 400),
    ("3.2.3", "a:80", 400),
    ("3.2.3", "a", 400),
    ("3.2", "/mark#fragment", 400),
    ("3.2", "/mark?#", 400),
    ("3.2", "#/mark", 400),
    ("3.2", "/mark x", 400),
    ("3.2", "/mark\tx", 400),
    ("3.2", "/mark\u{b}", 400),
    ("3.2", "/mark\0", 400),
    ("3.2", "/mark\u{1}", 400),
    ("3.2", "/mark\u{7f}", 400),
    ("3.2", "/mark\u{e9}", 400),
    ("3.2", "/mark?\u{e9}", 400),
    ("3.2", "/mark\r", 400),
    ("3.2", "/mark\n", 400),
    ("3986 2.1", "/mark%", 400),
    ("3986 2.1", "/mark%4", 400),
    ("3986 2.1", "/mark%4?x", 400),
    ("3986 2.1", "/mark%4g", 400),
    ("3986 2.1", "/mark%g4", 400),
    ("3986 2.1", "/mark/%", 400),
    ("3986 2.1", "/mark/%%", 400),
    ("3986 2.1", "/mark/%u0041", 400),
    ("3986 2.1", "/mark/% 41", 400),
    ("3875 7.2", "/mark/%00", 400),
    ("3875 7.2", "/mark/a%00b", 400),
    ("9110 4.2.1", "http:///mark", 400),
    ("9110 4.2.1", "http://", 400),
    ("9110 4.2.1", "http://:80/mark", 400),
    ("9110 4.2.4", "http://user@a/mark", 400),
    ("9110 4.2.4", "http://a:b@c/mark", 400),
    ("3986 3", "http:/mark", 400),
    ("3986 3", "http:mark", 400),
    ("3986 3", "http//a/mark", 400),
    ("3986 3.2.3", "http://a:x/mark", 400),
    ("3986 3.2.3", "http://a:65536/mark", 400),
    ("3986 3.2.2", "http://[::1/mark", 400),
    ("3986 3.2.2", "http://a b/mark", 400),
    ("3986 3.2.2", "http://a\\@b/mark", 400),
    ("3.2.2", "https://a/mark", 400),
    ("3.2.2", "ftp://a/mark", 400),
    ("3.2.2", "file:///mark", 400),
    ("3.2.2", "file:/mark", 400),
    ("3.2.2", "javascript:mark", 400),
    ("3.2.2", "//a/mark", 404),
    ("9110 15.5.5", "/", 404),
    ("9110 15.5.5", "/?mark", 404),
    ("9110 15.5.5", "/missing", 404),
    ("9110 15.5.5", "/mar", 404),
    ("9110 15.5.5", "/markx", 404),
    ("9110 15.5.5", "/MARK", 404),
    ("9110 15.5.5", "/mark;x", 404),
    ("9110 15.5.5", "/mark%20", 404),
    ("9110 15.5.5", "/mark.", 404),
    ("9110 15.5.5", "/mark%00", 404),
    ("9110 15.5.5", "/mark%2fx", 404),
    ("9110 15.5.5", "/%6d%61%72%6b%2e", 404),
    ("9110 15.5.5", "/%256dark", 404),
    ("9110 15.5.5", "//mark", 404),
    ("9110 15.5.5", "/sub", 404),
    ("9110 15.5.5", "/sub/", 404),
    ("9110 15.5.5", "/sub//echo", 404),
    ("9110 15.5.5", "/sub/mark", 404),
    ("9110 15.5.5", "/.hidden", 404),
    ("9110 15.5.5", "/%2ehidden", 404),
    ("9110 15.5.4", "/text", 403),
    ("9110 15.5.4", "/text/x?y", 403),
    ("3.2.2", "http://a", 404),
    ("3.2.2", "http://a?mark", 404),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(rfc, target, info, query) in TAKEN {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new(rfc, target, request, Echo(format!("GET|a|{info}|{query}|||"))));
    }
    for &(rfc, target, status) in REFUSED {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new(rfc, format!("{target:?}"), request, Status(status)));
    }
    for (target, status) in [("/missing", 404), ("**", 400)] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new("3.2.4", format!("OPTIONS {target}"), request, Status(status)));
    }
    let with_body = "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    cases.push(Case::new("9110 9.3.7", "OPTIONS * with content", with_body, Present));
    cases.push(Case::new("9110 9.3.7", "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Present));
    for target in ["a:80", "/mark", "http://a/mark", "*", ":80", "a:x"] {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new("9110 9.3.6", format!("CONNECT {target}"), request, Status(501)));
    }
    cases
}
