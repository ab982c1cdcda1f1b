//! The environment of a handler: the meta-variables of RFC 3875, section 4.1, and nothing of the server's own
//! environment. Pure: it fills a list of strings.
//!
//! Which header fields become `HTTP_*` (section 4.1.18): all but - names with other characters than letters, digits and
//! `-`: `X_A` and `X-A` would be one variable; - `Proxy`, which would be `HTTP_PROXY` and redirect the handler's own
//! requests (CVE-2016-5385); - `Content-Length`, `Content-Type`, `Transfer-Encoding`, which describe the body as it was
//! sent: the handler gets it decoded, with `CONTENT_LENGTH`; - what [`Origin::withholds`].
//!
//! `Authorization` is passed on. The RFC would have servers remove it that check it themselves; this one does not check
//! it, so the handler must. `Connection` and `Upgrade` are passed on too, since the handler owns the connection.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::route::Route;
use crate::http::forwarded::{Origin, Scheme};
use crate::http::request::Head;
use crate::sys::cstrings::CStrings;

/// The part of the environment that is fixed for a worker.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    /// `CAFFEINE_INSTANCE`.
    pub name: &'a str,
    /// `SERVER_SOFTWARE`, such as `caffeine/0.1.0`.
    pub software: &'a str,
    /// `PATH`, unless `extra` has one.
    pub path_var: &'a str,
    /// `SERVER_PORT`: the port that is listened on. 0 for a unix socket: then it is that of the request's host, or 80.
    pub port: u16,
    /// Whether a proxy may tell how the client has reached it, which decides `SERVER_PORT` for each request.
    pub proxied: bool,
    /// `SERVER_NAME` when the client names no host and the connection tells none.
    pub server_name_default: &'a str,
    /// The base directory of the handlers, for `PATH_TRANSLATED`.
    pub base: &'a Path,
    /// `CAFFEINE_WORKER`.
    pub worker: u64,
    /// The `[env]` table of the configuration; what [`check_variable`] refuses is left out.
    pub extra: &'a BTreeMap<String, String>,
    /// Those of a mount, which win.
    pub more: Option<&'a BTreeMap<String, String>>,
}

/// One request, ready to be launched.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The head as parsed.
    pub head: &'r Head<'r, 'r>,
    /// Its handler.
    pub route: &'r Route,
    /// Who asks.
    pub origin: &'r Origin<'r>,
    /// `REMOTE_ADDR`: the client's address, without brackets. Empty for a peer of a unix socket, which has none.
    pub remote_addr: &'r str,
    /// `SERVER_NAME` when the client names no host: the address that it has reached, IPv6 in brackets (RFC 3875, 4.1.14).
    pub local_name: Option<&'r str>,
    /// `CONTENT_LENGTH`: the bytes of the decoded body; `None` without a body.
    pub content_length: Option<u64>,
}

/// The variables that are the server's to set, beside all `HTTP_*`.
const RESERVED: &[&str] = &[
    "AUTH_TYPE",
    "CAFFEINE_INSTANCE",
    "CAFFEINE_WORKER",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "HTTPS",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_FILENAME",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
];

/// Whether the `[env]` table, or that of a mount, may set `name` to `value`. `PATH` is allowed: it replaces the fixed one.
///
/// # Errors
/// Why not: a name that no environment can hold, a meta-variable of the request, or a NUL.
pub fn check_variable(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("{name:?} is not a variable name: it must not be empty or contain '=' or NUL"));
    }
    if name.starts_with("HTTP_") || RESERVED.contains(&name) {
        return Err(format!("{name} is set by the server for each request; choose another name"));
    }
    if value.contains('\0') {
        return Err(format!("the value of {name} contains a NUL"));
    }
    Ok(())
}

/// Appends the part that is the same for all requests of a worker.
pub fn fixed(env: &mut CStrings, instance: &Instance) {
    let of_mount = |name: &str| instance.more.is_some_and(|more| more.contains_key(name));
    if !instance.extra.contains_key("PATH") && !of_mount("PATH") {
        set(env, "PATH", instance.path_var.as_bytes());
    }
    let extra = instance.extra.iter().filter(|(name, _)| !of_mount(name));
    for (name, value) in extra.chain(instance.more.into_iter().flatten()) {
        if check_variable(name, value).is_ok() {
            set(env, name, value.as_bytes());
        }
    }
    set(env, "GATEWAY_INTERFACE", b"CGI/1.1");
    set(env, "SERVER_SOFTWARE", instance.software.as_bytes());
    if instance.port != 0 && !instance.proxied {
        set(env, "SERVER_PORT", instance.port.to_string().as_bytes());
    }
    set(env, "CAFFEINE_INSTANCE", instance.name.as_bytes());
    set(env, "CAFFEINE_WORKER", instance.worker.to_string().as_bytes());
}

/// Appends the part that belongs to one request. `scratch` is room for putting strings together; keep it, and
/// nothing is allocated once it is warm.
pub fn request(env: &mut CStrings, scratch: &mut Vec<u8>, instance: &Instance, request: &Request) {
    let Request { head, route, origin, .. } = *request;
    let server_name = head.host_name().or(request.local_name).unwrap_or(instance.server_name_default);
    set(env, "SERVER_PROTOCOL", if head.minor == 0 { b"HTTP/1.0" } else { b"HTTP/1.1" });
    set(env, "SERVER_NAME", server_name.as_bytes());
    if instance.port == 0 || instance.proxied {
        server_port(env, scratch, instance.port, head, origin.scheme);
    }
    set(env, "REQUEST_METHOD", head.method.as_bytes());
    set(env, "REQUEST_URI", head.target.as_bytes());
    set(env, "QUERY_STRING", head.query.as_bytes());
    set(env, "SCRIPT_NAME", &route.script_name);
    set(env, "SCRIPT_FILENAME", route.handler.as_os_str().as_bytes());
    if let Some(info) = &route.path_info {
        set(env, "PATH_INFO", info);
        if stays_inside(info) {
            env.push(&[b"PATH_TRANSLATED=", instance.base.as_os_str().as_bytes(), info]);
        }
    }
    set(env, "REMOTE_ADDR", request.remote_addr.as_bytes());
    if origin.client.port() != 0 {
        set_number(env, scratch, "REMOTE_PORT", origin.client.port().into());
    }
    told_by_proxy(env, origin);
    if let Some(length) = request.content_length {
        set_number(env, scratch, "CONTENT_LENGTH", length);
    }
    if let Some(kind) = head.header("content-type") {
        set(env, "CONTENT_TYPE", kind);
    }
    header_fields(env, scratch, head, origin);
}

/// The port that the client has used, if a proxy tells the scheme or the server has none: that of the host, else that of the scheme.
fn server_port(env: &mut CStrings, scratch: &mut Vec<u8>, own: u16, head: &Head, scheme: Option<Scheme>) {
    if own != 0 && scheme.is_none() {
        return set_number(env, scratch, "SERVER_PORT", own.into());
    }
    let usual = scheme.unwrap_or(Scheme::Http).port();
    set(env, "SERVER_PORT", head.host_port().unwrap_or(usual).as_bytes());
}

fn told_by_proxy(env: &mut CStrings, origin: &Origin) {
    if let Some(scheme) = origin.scheme {
        set(env, "REQUEST_SCHEME", scheme.name().as_bytes());
        if scheme == Scheme::Https {
            set(env, "HTTPS", b"on");
        }
    }
    if let Some(user) = origin.user {
        set(env, "REMOTE_USER", user);
        // How, only the proxy knows.
        set(env, "AUTH_TYPE", b"Proxy");
    }
}

fn set(env: &mut CStrings, name: &str, value: &[u8]) {
    env.push(&[name.as_bytes(), b"=", value]);
}

fn set_number(env: &mut CStrings, scratch: &mut Vec<u8>, name: &str, value: u64) {
    scratch.clear();
    // Writing to memory does not fail.
    let _ = write!(scratch, "{value}");
    set(env, name, scratch);
}

/// Whether `PATH_INFO` below the base is still below the base. A handler that opens `PATH_TRANSLATED` should
/// not have to check; where it would lead out, the variable is left out.
fn stays_inside(info: &[u8]) -> bool {
    !info.split(|&byte| byte == b'/').any(|segment| segment == b"..")
}

/// Appends `HTTP_*`. Fields of one name become one variable (RFC 9110, section 5.3), in the place of the first.
fn header_fields(env: &mut CStrings, scratch: &mut Vec<u8>, head: &Head, origin: &Origin) {
    for (at, header) in head.headers.iter().enumerate() {
        let same = |other: &&httparse::Header| other.name.eq_ignore_ascii_case(header.name);
        let passed_on = is_passed_on(header.name) && !origin.withholds(header.name);
        if !passed_on || head.headers[..at].iter().any(|other| same(&other)) {
            continue;
        }
        scratch.clear();
        scratch.extend_from_slice(b"HTTP_");
        scratch.extend(
            header.name.bytes().map(|byte| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }),
        );
        scratch.push(b'=');
        if header.name.eq_ignore_ascii_case("host") {
            // The host of the target wins over that of the field (RFC 9112, section 3.2.2).
            scratch.extend_from_slice(head.host.unwrap_or_default().as_bytes());
        } else {
            scratch.extend_from_slice(header.value);
        }
        // Cookies have a separator of their own (RFC 6265, section 5.4).
        let separator: &[u8] = if header.name.eq_ignore_ascii_case("cookie") { b"; " } else { b", " };
        for other in head.headers[at + 1..].iter().filter(same) {
            scratch.extend_from_slice(separator);
            scratch.extend_from_slice(other.value);
        }
        env.push(&[scratch]);
    }
}

fn is_passed_on(name: &str) -> bool {
    const KEPT_BACK: [&str; 4] = ["proxy", "content-type", "content-length", "transfer-encoding"];
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !KEPT_BACK.iter().any(|kept| name.eq_ignore_ascii_case(kept))
}

#[cfg(test)]
#[path = "meta_tests.rs"]
mod tests;
