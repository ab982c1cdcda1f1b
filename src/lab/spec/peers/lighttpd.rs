//! lighttpd as a peer: worker processes that all wait for one socket with plain epoll. It cannot name its
//! worker.

use std::fs;
use std::process::Command;

use super::{FIXED_BODY, Refused, Setup};

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    let root = setup.folder.join("served");
    fs::create_dir_all(&root).map_err(|e| Refused::unwritable(&root, &e))?;
    match setup.handler {
        Some(handler) => drop(setup.serve(handler, &root.join(setup.path))?),
        None => {
            let page = root.join("fixed");
            fs::write(&page, FIXED_BODY).map_err(|e| Refused::unwritable(&page, &e))?;
        }
    }
    let path = setup.folder.join("lighttpd.conf");
    fs::write(&path, configuration(setup)).map_err(|e| Refused::unwritable(&path, &e))?;
    let mut command = Command::new(setup.program);
    command.arg("-D").arg("-f").arg(&path);
    Ok(command)
}

/// For any path a small file from memory (lighttpd has no configured answer), or the handler as CGI.
fn configuration(setup: &Setup<'_>) -> String {
    let work = if setup.handler.is_some() {
        "server.modules = (\"mod_cgi\")\ncgi.assign = (\"\" => \"\")\n"
    } else {
        "server.modules = (\"mod_rewrite\")\nurl.rewrite-once = (\"\" => \"/fixed\")\n\
         mimetype.assign = (\"\" => \"text/plain\")\netag.use-inode = \"disable\"\netag.use-mtime = \"disable\"\n\
         etag.use-size = \"disable\"\n"
    };
    format!(
        "server.document-root = \"{folder}/served\"\nserver.bind = \"{ip}\"\nserver.port = {port}\n\
         server.max-worker = {workers}\nserver.listen-backlog = {backlog}\nserver.max-fds = {descriptors}\n\
         server.upload-dirs = (\"{folder}\")\nserver.max-keep-alive-requests = 100000000\n\
         server.max-keep-alive-idle = 10\n{work}",
        folder = setup.folder.display(),
        ip = setup.address.ip(),
        port = setup.address.port(),
        workers = setup.workers,
        descriptors = setup.descriptors,
        backlog = setup.backlog,
    )
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
