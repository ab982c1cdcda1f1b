//! HAProxy as a peer: it answers by itself. Its workers are threads of one process that share a socket.

use std::fs;
use std::process::Command;

use super::{Refused, Setup};

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    let path = setup.folder.join("haproxy.cfg");
    fs::write(&path, configuration(setup)).map_err(|e| Refused::unwritable(&path, &e))?;
    let mut command = Command::new(setup.program);
    command.arg("-db").arg("-f").arg(&path);
    Ok(command)
}

fn configuration(setup: &Setup<'_>) -> String {
    format!(
        "global\n    nbthread {workers}\n    maxconn {connections}\n\
         defaults\n    mode http\n    timeout client 10s\n    timeout connect 10s\n    timeout server 10s\n\
         \x20   timeout http-keep-alive 10s\n\
         frontend lab\n    bind {address} backlog {backlog}\n    maxconn {connections}\n\
         \x20   http-request return status 200 content-type text/plain string \"hello\\n\" hdr Caffeine-Worker \
         %[thread]\n",
        workers = setup.workers,
        // HAProxy counts two descriptors per connection, and some of its own.
        connections = (setup.descriptors - 128) / 2,
        address = setup.address,
        backlog = setup.backlog,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn its_workers_are_threads_that_name_themselves() {
        let text = configuration(&Setup { workers: 7, ..Setup::example(Path::new("/f")) });
        assert!(
            text.contains("nbthread 7\n    maxconn 448\n") && text.contains("Caffeine-Worker %[thread]\n"),
            "{text}"
        );
    }
}
