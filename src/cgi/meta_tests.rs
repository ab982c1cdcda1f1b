//! Tests of the handler's environment: which variables there are, with which values, and which never are.

use std::path::PathBuf;

use super::*;
use crate::http::forwarded::{Proxies, Proxy};
use crate::http::limits::Limits;
use crate::http::request;

/// What a test may vary.
struct Case<'a> {
    head: &'a str,
    path_info: Option<&'a [u8]>,
    content_length: Option<u64>,
    extra: &'a [(&'a str, &'a str)],
    more: Option<&'a BTreeMap<String, String>>,
    port: u16,
    peer: &'a str,
    /// Trusted proxies, and the header that names the user.
    trusted: &'a str,
    user_header: Option<&'a str>,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            head: "GET /dir/tool?a=b HTTP/1.1\r\nHost: example.org:99\r\n\r\n",
            path_info: None,
            content_length: None,
            extra: &[],
            more: None,
            port: 8080,
            peer: "[::1]:4711",
            trusted: "",
            user_header: None,
        }
    }
}

impl Case<'_> {
    /// All variables, as `NAME=value`.
    fn variables(&self) -> Vec<String> {
        let extra: BTreeMap<_, _> =
            self.extra.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        let instance = Instance {
            name: "lab",
            software: "caffeine/1",
            path_var: "/usr/bin:/bin",
            port: self.port,
            proxied: !self.trusted.is_empty(),
            server_name_default: "fallback",
            base: Path::new("/srv/base"),
            worker: 3,
            extra: &extra,
            more: self.more,
        };
        let route = Route {
            handler: PathBuf::from("/srv/base/dir/tool"),
            directory: PathBuf::from("/srv/base/dir"),
            script_name: b"/dir/tool".to_vec(),
            path_info: self.path_info.map(<[u8]>::to_vec),
            lasting: true,
        };
        let mut slots = request::slots();
        let head = request::parse(self.head.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
        let trusted = self.trusted.split(' ').filter_map(|text| text.parse::<Proxy>().ok()).collect();
        let proxies = Proxies::new(trusted, self.user_header.map(str::to_owned));
        let origin = proxies.origin(self.peer.parse().unwrap(), head.headers);
        let request = Request {
            head: &head,
            route: &route,
            origin: &origin,
            remote_addr: &origin.address().map(|address| address.to_string()).unwrap_or_default(),
            local_name: None,
            content_length: self.content_length,
        };
        let mut env = CStrings::default();
        fixed(&mut env, &instance);
        super::request(&mut env, &mut Vec::new(), &instance, &request);
        env.iter().map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
    }

    /// The value of one variable; it must not be there twice.
    #[track_caller]
    fn value(&self, name: &str) -> Option<String> {
        let variables = self.variables();
        let mut values =
            variables.iter().filter_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
        let value = values.next().map(str::to_owned);
        assert_eq!(values.next(), None, "{name} is given twice");
        value
    }
}

fn with_fields(fields: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// The `HTTP_*` variables but `HTTP_HOST`.
fn passed_on(fields: &str) -> Vec<String> {
    let variables = Case { head: &with_fields(fields), ..Case::default() }.variables();
    variables
        .into_iter()
        .filter(|name| name.starts_with("HTTP_") && !name.starts_with("HTTP_HOST="))
        .collect()
}

#[test]
fn a_plain_get_has_exactly_these_variables() {
    let mut variables = Case::default().variables();
    variables.sort();
    assert_eq!(
        variables,
        [
            "CAFFEINE_INSTANCE=lab",
            "CAFFEINE_WORKER=3",
            "GATEWAY_INTERFACE=CGI/1.1",
            "HTTP_HOST=example.org:99",
            "PATH=/usr/bin:/bin",
            "QUERY_STRING=a=b",
            "REMOTE_ADDR=::1",
            "REMOTE_PORT=4711",
            "REQUEST_METHOD=GET",
            "REQUEST_URI=/dir/tool?a=b",
            "SCRIPT_FILENAME=/srv/base/dir/tool",
            "SCRIPT_NAME=/dir/tool",
            "SERVER_NAME=example.org",
            "SERVER_PORT=8080",
            "SERVER_PROTOCOL=HTTP/1.1",
            "SERVER_SOFTWARE=caffeine/1",
        ]
    );
}

#[test]
fn a_body_has_its_decoded_length_and_its_type() {
    let head = with_fields("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n");
    let case = Case { head: &head, content_length: Some(12), ..Case::default() };
    assert_eq!(case.value("CONTENT_LENGTH").as_deref(), Some("12"));
    assert_eq!(case.value("CONTENT_TYPE").as_deref(), Some("text/plain"));
}

#[test]
fn the_server_is_named_by_the_host_that_is_meant_or_by_default() {
    let named = |head| Case { head, ..Case::default() }.value("SERVER_NAME").unwrap();
    assert_eq!(named("GET / HTTP/1.0\r\n\r\n"), "fallback");
    assert_eq!(named("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), "[::1]");
    let absolute = Case { head: "GET http://meant:1/ HTTP/1.1\r\nHost: other\r\n\r\n", ..Case::default() };
    assert_eq!(absolute.value("SERVER_NAME").as_deref(), Some("meant"));
    assert_eq!(absolute.value("HTTP_HOST").as_deref(), Some("meant:1"));
    assert_eq!(absolute.value("REQUEST_URI").as_deref(), Some("http://meant:1/"));
}

#[test]
fn the_protocol_is_that_of_the_request_and_the_query_is_always_set() {
    let case = Case { head: "GET / HTTP/1.0\r\n\r\n", ..Case::default() };
    assert_eq!(case.value("SERVER_PROTOCOL").as_deref(), Some("HTTP/1.0"));
    assert_eq!(case.value("QUERY_STRING").as_deref(), Some(""));
}

#[test]
fn path_info_is_translated_unless_that_leads_out_of_the_base() {
    let case = Case { path_info: Some(b"/x y"), ..Case::default() };
    assert_eq!(case.value("PATH_INFO").as_deref(), Some("/x y"));
    assert_eq!(case.value("PATH_TRANSLATED").as_deref(), Some("/srv/base/x y"));
    let case = Case { path_info: Some(b"/../../etc/passwd"), ..Case::default() };
    assert_eq!(case.value("PATH_INFO").as_deref(), Some("/../../etc/passwd"));
    assert_eq!(case.value("PATH_TRANSLATED"), None);
}

#[test]
fn header_fields_become_variables_and_repeated_ones_are_joined() {
    let fields = "X-One: 1\r\nCookie: a=1\r\nx-one: 2\r\nCOOKIE: b=2\r\nX-Empty:\r\nX-ONE: 3\r\n";
    assert_eq!(passed_on(fields), ["HTTP_X_ONE=1, 2, 3", "HTTP_COOKIE=a=1; b=2", "HTTP_X_EMPTY="]);
}

#[test]
fn fields_that_could_deceive_a_handler_are_left_out() {
    let fields = "Proxy: http://evil\r\nX_One: 1\r\nX.y: 1\r\nX%: 1\r\nContent_Length: 9\r\nContent-Length: 5\r\nContent-Type: a/b\r\n";
    assert!(passed_on(fields).is_empty());
    assert!(passed_on("PROXY: x\r\nTransfer-Encoding: chunked\r\n").is_empty());
}

#[test]
fn credentials_and_upgrades_reach_the_handler() {
    let fields = "Authorization: Bearer x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(
        passed_on(fields),
        ["HTTP_AUTHORIZATION=Bearer x", "HTTP_CONNECTION=Upgrade", "HTTP_UPGRADE=websocket"]
    );
}

#[test]
fn the_env_table_sets_path_and_its_own_but_no_meta_variable() {
    let extra = [
        ("PATH", "/opt/bin"),
        ("GREETING", "a=b"),
        ("REMOTE_ADDR", "x"),
        ("HTTP_HOST", "x"),
        ("CAFFEINE_WORKER", "x"),
        ("A=B", "x"),
        ("N", "\0"),
    ];
    let case = Case { extra: &extra, ..Case::default() };
    assert_eq!(case.value("PATH").as_deref(), Some("/opt/bin"));
    assert_eq!(case.value("GREETING").as_deref(), Some("a=b"));
    assert_eq!(case.value("REMOTE_ADDR").as_deref(), Some("::1"));
    assert_eq!(case.value("HTTP_HOST").as_deref(), Some("example.org:99"));
    assert_eq!(case.value("CAFFEINE_WORKER").as_deref(), Some("3"));
    assert_eq!((case.value("A"), case.value("N")), (None, None));
}

#[test]
fn without_a_port_of_its_own_the_server_has_that_of_the_host() {
    for (host, port) in
        [("Host: a:99\r\n", "99"), ("Host: a\r\n", "80"), ("Host: [::1]:7\r\n", "7"), ("", "80")]
    {
        let head = format!("GET / HTTP/1.{}\r\n{host}\r\n", u8::from(!host.is_empty()));
        let case = Case { head: &head, port: 0, peer: "0.0.0.0:0", ..Case::default() };
        assert_eq!(case.value("SERVER_PORT").as_deref(), Some(port), "{host}");
        assert_eq!((case.value("REMOTE_ADDR").as_deref(), case.value("REMOTE_PORT")), (Some(""), None));
    }
}

#[test]
fn variables_of_a_mount_win_and_none_is_there_twice() {
    let more = [("PATH", "/opt/mount"), ("GREETING", "b"), ("REDIRECT_STATUS", "200")];
    let more = more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let extra = [("PATH", "/opt/bin"), ("GREETING", "a"), ("OTHER", "c")];
    let case = Case { extra: &extra, more: Some(&more), ..Case::default() };
    for (name, value) in
        [("PATH", "/opt/mount"), ("GREETING", "b"), ("OTHER", "c"), ("REDIRECT_STATUS", "200")]
    {
        assert_eq!(case.value(name).as_deref(), Some(value), "{name}");
    }
}

const FORWARDED: &str = "GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-User: ann\r\n\r\n";

#[test]
fn a_trusted_proxy_decides_who_asks_and_how() {
    let told = |case: &Case| {
        ["REMOTE_ADDR", "REMOTE_PORT", "SERVER_PORT", "REQUEST_SCHEME", "HTTPS", "REMOTE_USER", "AUTH_TYPE"]
            .map(|name| case.value(name).unwrap_or_else(|| "-".into()))
            .join(" ")
    };
    let case =
        || Case { head: FORWARDED, trusted: "::1 unix", user_header: Some("X-User"), ..Case::default() };
    assert_eq!(told(&case()), "192.0.2.1 - 443 https on ann Proxy");
    assert_eq!(told(&Case { peer: "0.0.0.0:0", port: 0, ..case() }), "192.0.2.1 - 443 https on ann Proxy");
    assert_eq!(told(&Case { user_header: None, ..case() }), "192.0.2.1 - 443 https on - -");
    assert_eq!(told(&Case { trusted: "", user_header: None, ..case() }), "::1 4711 8080 - - - -");
    assert_eq!(told(&Case { peer: "[::2]:4711", ..case() }), "::2 4711 8080 - - - -");
    assert_eq!(told(&Case { peer: "[::2]:4711", port: 0, ..case() }), "::2 4711 80 - - - -");
    for (from, to, expected) in [
        ("Host: a\r", "Host: a:8443\r", "192.0.2.1 - 8443 https on ann Proxy"),
        (": https", ": http", "192.0.2.1 - 80 http - ann Proxy"),
        (": https", ": httpx", "192.0.2.1 - 8080 - - ann Proxy"),
        ("X-User: ann", "X-User:", "192.0.2.1 - 443 https on - -"),
        ("192.0.2.1", "192.0.2.1:99", "192.0.2.1 99 443 https on ann Proxy"),
        ("192.0.2.1", "?", "::1 4711 443 https on ann Proxy"),
    ] {
        let head = FORWARDED.replace(from, to);
        assert_eq!(told(&Case { head: &head, ..case() }), expected, "{head}");
    }
}

#[test]
fn what_a_stranger_says_of_its_client_reaches_no_handler() {
    let said = |peer, trusted, user_header| {
        let variables = Case { head: FORWARDED, peer, trusted, user_header, ..Case::default() }.variables();
        let of_client = |name: &String| name.starts_with("HTTP_X_");
        variables.into_iter().filter(of_client).collect::<Vec<_>>().join(" ")
    };
    let forwarded = "HTTP_X_FORWARDED_FOR=192.0.2.1 HTTP_X_FORWARDED_PROTO=https";
    assert_eq!(said("[::2]:1", "", None), format!("{forwarded} HTTP_X_USER=ann"));
    assert_eq!(said("[::1]:1", "::1", None), format!("{forwarded} HTTP_X_USER=ann"));
    assert_eq!(said("[::1]:1", "::1", Some("x-user")), forwarded);
    assert_eq!(said("[::2]:1", "::1", None), "HTTP_X_USER=ann");
    assert_eq!(said("[::2]:1", "::1", Some("x-user")), "");
}

#[test]
fn each_variable_of_the_server_is_refused_in_the_env_table() {
    let case = Case { head: FORWARDED, trusted: "::1", user_header: Some("X-User"), ..Case::default() };
    let case = Case { path_info: Some(b"/x"), content_length: Some(1), ..case };
    for variable in case.variables() {
        let (name, _) = variable.split_once('=').unwrap();
        assert_eq!(check_variable(name, "x").is_ok(), name == "PATH", "{name}");
    }
    assert!(check_variable("", "x").is_err());
    assert!(check_variable("A", "a\0b").unwrap_err().contains("value of A"));
}
