//! lighttpd as a peer: worker processes that all wait for one socket with plain epoll. It cannot name its
//! worker.

use std::fs;
use std::process::Command;

use super::{FIXED_BODY, Refused, Setup};

/// For any path a small file from memory: lighttpd has no configured answer.
const FIXED: &str = r#"server.modules = ("mod_rewrite")
url.rewrite-once = ("" => "/fixed")
mimetype.assign = ("" => "text/plain")
etag.use-inode = "disable"
etag.use-mtime = "disable"
etag.use-size = "disable""#;
const CGI: &str = r#"server.modules = ("mod_cgi")
cgi.assign = ("" => "")"#;

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    let root = setup.folder.join("served");
    fs::create_dir_all(&root).map_err(|e| Refused::unwritable(&root, &e))?;
    match setup.handler {
        Some(handler) => setup.serve(handler, &root.join(setup.path))?,
        None => {
            let page = root.join("fixed");
            fs::write(&page, FIXED_BODY).map_err(|e| Refused::unwritable(&page, &e))?;
        }
    }
    setup.run(&configuration(setup), "-D -f {configuration}")
}

fn configuration(setup: &Setup<'_>) -> String {
    let work = if setup.handler.is_some() { CGI } else { FIXED };
    setup.fill(include_str!("lighttpd.conf"), &[("{work}", work)])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn it_serves_a_file_or_a_handler() {
        let fixed = Setup::example(Path::new("/f"));
        assert!(configuration(&fixed).contains("rewrite-once"));
        let cgi = Setup { handler: Some(Path::new("/h/hello")), ..fixed };
        let text = configuration(&cgi);
        assert!(text.contains("mod_cgi") && text.contains("server.listen-backlog = 128\n"), "{text}");
    }
}
