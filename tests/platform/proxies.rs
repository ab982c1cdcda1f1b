//! The sample configurations for proxies, each run with the real program.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use socket2::{Domain, Socket, Type};

use crate::harness::{DEADLINE, Sandbox, Server, eventually, free_port, pid, says, skipped};

/// Another address than that of the proxy.
const CLIENT: &str = "127.0.0.9:0";
/// How samples name the server.
const SERVER: &str = "127.0.0.1:8080";
/// ann:secret
const CREDENTIALS: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";

/// A program and its sample.
struct Kind {
    name: &'static str,
    file: &'static str,
    sample: &'static str,
    /// How the sample says where to listen, and how it is to say that for a port.
    listens: (&'static str, fn(u16) -> String),
    /// Changes in the sample for users with passwords. PASSWORDS stands for a file of them, HASH for a hash of one.
    users: &'static [(&'static str, &'static str)],
    /// What the sample is part of.
    whole: fn(&Sandbox, String) -> String,
    command: fn(&Path, &Path, &Sandbox) -> Command,
}

const NGINX: Kind = Kind {
    name: "nginx",
    file: "nginx.conf",
    sample: include_str!("../../src/server/packaging/proxies/nginx.conf"),
    listens: ("listen 80;", |port| format!("listen 127.0.0.1:{port};")),
    users: &[
        ("proxy_set_header X-Remote-User \"\";", ""),
        ("# auth_basic ", "auth_basic "),
        ("# auth_basic_user_file /etc/nginx/caffeine.htpasswd", "auth_basic_user_file PASSWORDS"),
        ("# proxy_set_header X-Remote-User $", "proxy_set_header X-Remote-User $"),
    ],
    whole: |sandbox, sample| {
        let at = sandbox.path("").display().to_string();
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{folders}{sample}}}\n"
        )
    },
    command: |program, file, sandbox| {
        let mut command = Command::new(program);
        command.arg("-c").arg(file).arg("-e").arg(sandbox.path("errors"));
        command
    },
};

const HAPROXY: Kind = Kind {
    name: "haproxy",
    file: "haproxy.cfg",
    sample: include_str!("../../src/server/packaging/proxies/haproxy.cfg"),
    listens: ("bind :80\n", |port| format!("bind 127.0.0.1:{port}\n")),
    users: &[
        ("# userlist", "userlist"),
        ("#     user ann", "    user ann"),
        ("# http-request auth", "http-request auth"),
        ("# http-request set-header X-Remote-User", "http-request set-header X-Remote-User"),
    ],
    whole: |_, sample| sample,
    command: |program, file, _| {
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(file);
        command
    },
};

const CADDY: Kind = Kind {
    name: "caddy",
    file: "Caddyfile",
    sample: include_str!("../../src/server/packaging/proxies/Caddyfile"),
    listens: (":80 {", |port| format!("http://:{port} {{\n\tbind 127.0.0.1")),
    users: &[
        ("# basicauth {", "basicauth {"),
        ("# \tann HASH", "\tann HASH"),
        ("# }", "}"),
        ("header_up -X-Remote-User\n", "\n"),
        ("# header_up", "header_up"),
    ],
    whole: |_, sample| format!("{{\n\tadmin off\n\tauto_https off\n}}\n{sample}"),
    command: |program, file, sandbox| {
        let mut command = Command::new(program);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
        command
            .env("HOME", sandbox.path(""))
            .env("XDG_CONFIG_HOME", sandbox.path(""))
            .env("XDG_DATA_HOME", sandbox.path(""));
        command
    },
};

/// Where a program is; those of the system may be outside of PATH.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    path.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// Replaces what must be there.
#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the sample has no {from:?}");
    text.replacen(from, to, 1)
}

/// A running proxy. Dropping it ends it.
struct Proxy {
    child: Child,
    port: u16,
}

impl Proxy {
    fn start(kind: &Kind, program: &Path, sandbox: &Sandbox, sample: &str) -> Self {
        let port = free_port();
        let text = replaced(sample, kind.listens.0, &(kind.listens.1)(port));
        let file = sandbox.write(kind.file, (kind.whole)(sandbox, text));
        let said = sandbox.path("said");
        let output = File::create(&said).unwrap();
        let mut command = (kind.command)(program, &file, sandbox);
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let mut proxy = Self { child: command.spawn().unwrap(), port };
        eventually("the proxy listens", || {
            let ended = proxy.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}: {}", kind.name, fs::read_to_string(&said).unwrap_or_default());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        proxy
    }

    /// Sends these bytes from the client's address.
    fn send(&self, bytes: &[u8]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&CLIENT.parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], self.port)).into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// The whole response to a request that closes the connection; HTTP/1.0, so that the body has no chunks.
    fn ask(&self, method: &str, target: &str, fields: &str, body: &[u8]) -> String {
        let head =
            format!("{method} {target} HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n{fields}\r\n");
        let mut text = Vec::new();
        self.send(&[head.as_bytes(), body].concat()).read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = kill(pid(self.child.id()), Signal::SIGTERM);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while std::time::Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn handlers(sandbox: &Sandbox) {
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o711)).unwrap();
    let head = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n'\n";
    let shown = "<$REMOTE_ADDR|$HTTP_HOST|$SERVER_PORT|$REQUEST_SCHEME|${HTTPS-}|${REMOTE_USER-}|${HTTP_X_REMOTE_USER-}>";
    sandbox.handler("env", format!("{head}echo \"{shown}\"\n"));
    sandbox.handler("count", format!("{head}echo \"<$CONTENT_LENGTH|$(wc -c | tr -d ' ')>\"\n"));
    let [home, go, done] = ["", "go", "done"].map(|name| sandbox.path(name).display().to_string());
    let waits = format!("while [ -d '{home}' ] && ! [ -e '{go}' ]; do sleep 0.02; done");
    let stream =
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\ndata: 1\\n\\n'\n";
    sandbox.handler("events", format!("{stream}{waits}\nprintf 'data: 2\\n\\n'\n"));
    // The response is whole, and a child that has the connection writes more.
    sandbox.handler(
        "late",
        format!(
            "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'\n\
             (trap '' PIPE; {waits}; printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nlate'; : >'{done}') &\n"
        ),
    );
    sandbox.handler("hello", says("hello"));
}

const FORGED: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Remote-User: root\r\nX-Forwarded-Host: evil\r\n";

fn arguments(trusted: &str) -> [&str; 6] {
    ["--trusted-proxy", trusted, "--remote-user-header", "X-Remote-User", "--access-log", "combined"]
}

/// The sample as it is, for a server on a TCP port.
fn serves(kind: &Kind) {
    let Some(program) = installed(kind.name) else {
        return skipped(format!("{} is not installed", kind.name));
    };
    let sandbox = Sandbox::new();
    handlers(&sandbox);
    let server = sandbox.start(&arguments("127.0.0.1"));
    let sample = replaced(kind.sample, SERVER, &format!("127.0.0.1:{}", server.port()));
    let proxy = Proxy::start(kind, &program, &sandbox, &sample);
    knows_the_client(&proxy, &server);
    streams(&proxy, &sandbox);
    uploads(&proxy);
    keeps_no_connection(&proxy, &sandbox);
    drop(proxy);
    knows_users(kind, &program, &sandbox, &sample);
}

fn knows_the_client(proxy: &Proxy, server: &Server) {
    let answer = proxy.ask("GET", "/env", FORGED, b"");
    assert!(answer.contains("<127.0.0.9|example.org|80|http|||>"), "{answer}");
    eventually("the access log names it", || {
        let log = fs::read_to_string(server.folder().access_log()).unwrap_or_default();
        log.lines().any(|line| line.starts_with("127.0.0.9 - - [") && line.contains("GET /env "))
    });
}

fn streams(proxy: &Proxy, sandbox: &Sandbox) {
    let stream = proxy.send(b"GET /events HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("data: 1")), "the first event arrives while the handler runs");
    sandbox.write("go", "");
    assert!(lines.any(|line| line.ends_with("data: 2")));
    fs::remove_file(sandbox.path("go")).unwrap();
}

fn uploads(proxy: &Proxy) {
    let body = vec![b'x'; 8 << 20];
    let length = format!("Content-Length: {}\r\n", body.len());
    let answer = proxy.ask("POST", "/count", &length, &body);
    assert!(answer.contains(&format!("<{0}|{0}>", body.len())), "{answer}");
    let chunk = [b"100000\r\n", &body[..1 << 20], b"\r\n"].concat();
    let head = "POST /count HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut answer = Vec::new();
    let request = [head.as_bytes(), &chunk.repeat(3), b"0\r\n\r\n"].concat();
    proxy.send(&request).read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains(&format!("<{0}|{0}>", 3 << 20)), "{answer}");
}

fn keeps_no_connection(proxy: &Proxy, sandbox: &Sandbox) {
    let answer = proxy.ask("GET", "/late", "", b"");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    for written in [false, true, true] {
        if written {
            sandbox.write("go", "");
            eventually("it has written", || sandbox.path("done").exists());
        }
        let answer = proxy.ask("GET", "/hello", "", b"");
        assert!(answer.ends_with("\r\n\r\nhello"), "{written}: {answer}");
    }
}

/// The sample with its lines for users, which the proxy checks.
fn knows_users(kind: &Kind, program: &Path, sandbox: &Sandbox, sample: &str) {
    let mut sample = sample.to_owned();
    for (from, to) in kind.users {
        sample = replaced(&sample, from, to);
    }
    if sample.contains("HASH") {
        let mut command = Command::new(program);
        command.args(["hash-password", "--plaintext", "secret"]).env("HOME", sandbox.path(""));
        let output = command.output().unwrap();
        sample =
            sample.replace("ann HASH", &format!("ann {}", String::from_utf8(output.stdout).unwrap().trim()));
    }
    let passwords = sandbox.write("passwords", "ann:{PLAIN}secret\n");
    let sample = sample.replace("PASSWORDS", passwords.to_str().unwrap());
    let proxy = Proxy::start(kind, program, sandbox, &sample);
    let known = proxy.ask("GET", "/env", &format!("{CREDENTIALS}{FORGED}"), b"");
    assert!(known.contains("<127.0.0.9|example.org|80|http||ann|>"), "{known}");
    for wrong in ["", "Authorization: Basic cm9vdDpyb290\r\n"] {
        let refused = proxy.ask("GET", "/env", &format!("{wrong}{FORGED}"), b"");
        assert!(refused.split(' ').nth(1) == Some("401"), "{refused}");
    }
}

/// The sample with its line for a unix socket.
fn serves_through_a_unix_socket(kind: &Kind, from: &str, to: &str) {
    let Some(program) = installed(kind.name) else {
        return skipped(format!("{} is not installed", kind.name));
    };
    let sandbox = Sandbox::new();
    handlers(&sandbox);
    let path = sandbox.path("web.sock").display().to_string();
    let bind = format!("unix:{path}");
    let server = sandbox.start(&[&["--bind", &bind], &arguments("unix")[..]].concat());
    assert!(
        kind.sample.contains(&to.replace("SOCKET", "/run/caffeine/web.sock")),
        "it is the sample's own line"
    );
    let sample = replaced(kind.sample, from, &to.replace("SOCKET", &path));
    let proxy = Proxy::start(kind, &program, &sandbox, &sample);
    knows_the_client(&proxy, &server);
}

#[test]
fn nginx_passes_on_the_client_streams_uploads_and_users() {
    serves(&NGINX);
}

#[test]
fn nginx_reaches_a_unix_socket() {
    serves_through_a_unix_socket(
        &NGINX,
        "proxy_pass http://127.0.0.1:8080;",
        "proxy_pass http://unix:SOCKET;",
    );
}

#[test]
fn haproxy_passes_on_the_client_streams_uploads_and_users() {
    serves(&HAPROXY);
}

#[test]
fn haproxy_reaches_a_unix_socket() {
    serves_through_a_unix_socket(&HAPROXY, "server web 127.0.0.1:8080", "server web unix@SOCKET");
}

#[test]
fn caddy_passes_on_the_client_streams_uploads_and_users() {
    serves(&CADDY);
}

#[test]
fn caddy_reaches_a_unix_socket() {
    serves_through_a_unix_socket(&CADDY, "reverse_proxy 127.0.0.1:8080 {", "reverse_proxy unix/SOCKET {");
}
