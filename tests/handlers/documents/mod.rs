//! Document responses (RFC 3875, section 6.2): programs that write header fields instead of a status line.

mod heads;
mod lives;
mod passage;
mod redirects;
mod settings;

use std::fs::File;
use std::path::PathBuf;

use caffeine::http::chunked::Decoder;

use crate::harness::{Response, Sandbox, Server};

/// A handler in sh that prints this format of printf(1).
pub fn prints(format: &str) -> String {
    format!("#!/bin/sh\nprintf '{format}'\n")
}

/// A server with one worker that relays document responses.
pub fn serving(sandbox: &Sandbox, arguments: &[&str]) -> Server {
    sandbox.start(&[&["-w", "1", "--response", "document"], arguments].concat())
}

/// The body of a chunked response, and whether it is complete.
pub fn dechunked(body: &[u8]) -> (Vec<u8>, bool) {
    let (mut decoder, mut used, mut data) = (Decoder::new(u64::MAX), 0, Vec::new());
    loop {
        let progress = decoder.decode(&body[used..]).unwrap();
        data.extend_from_slice(progress.data);
        used += progress.consumed;
        if progress.finished || progress.consumed == 0 {
            return (data, progress.finished);
        }
    }
}

/// The body of a complete response, whatever its framing.
#[track_caller]
pub fn text(response: &Response) -> String {
    if response.header("transfer-encoding") != Some("chunked") {
        let length = response.header("content-length").map(|length| length.parse().unwrap());
        assert!(length.is_none_or(|length: usize| length == response.body.len()), "{response:?}");
        return response.text();
    }
    let (data, complete) = dechunked(&response.body);
    assert!(complete, "cut: {response:?}");
    String::from_utf8(data).unwrap()
}

/// A handler that writes a head and `begun `, its pid to the file `pids`, and goes on when the file `go` exists.
pub fn long_document(sandbox: &Sandbox, name: &str, head: &str) {
    let script = format!(
        "#!/bin/sh\nprintf '{head}begun '\necho $$ >>'{}'\nuntil [ -e '{}' ]; do sleep 0.02; done\necho ended\n",
        sandbox.path("pids").display(),
        sandbox.path("go").display()
    );
    sandbox.handler(name, script);
}

/// Lets handlers that wait for it go on.
pub fn go(sandbox: &Sandbox) {
    std::fs::write(sandbox.path("go"), "").unwrap();
}

/// A file of zeros that takes no room on disk.
pub fn zeros(sandbox: &Sandbox, bytes: u64) -> PathBuf {
    let path = sandbox.path("zeros");
    let file = File::create(&path).unwrap();
    file.set_len(bytes).unwrap();
    path
}
