//! What a server without handlers says to who asks for `/`: how to deploy the first one.

use std::path::Path;

use crate::http::refusal::Refusal;
use crate::server::config::Settings;
use crate::server::logging::Asked;

const FIRST_STEPS: &str = r#"
No handler is deployed here yet. A handler is a program that writes an HTTP response. For example:

    printf '#!/bin/sh\nprintf "HTTP/1.1 200 OK\\r\\n\\r\\nhello\\n"\n' > hello
    chmod +x hello && caffeine --try ./hello
    caffeine --deploy ./hello       # with -n NAME or --path DIR if you have started the server with one

Then ask for /hello.
"#;

/// What follows the answer: the first steps if the client asked for `/`, nothing is mounted, and the directory of the
/// handlers is empty.
pub(super) fn hint(asked: Asked<'_>, refusal: &Refusal, settings: &Settings) -> &'static str {
    let is_root = asked.head().is_some_and(|head| head.path == "/");
    let mounted = !settings.mount.is_empty() || !settings.files.is_empty();
    if refusal.status == 404 && is_root && !mounted && is_empty(&settings.path) { FIRST_STEPS } else { "" }
}

/// Whether nothing in it could be served: hidden names never are.
fn is_empty(directory: &Path) -> bool {
    let Ok(entries) = directory.read_dir() else { return false };
    !entries.flatten().any(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
}
