//! HAProxy as a peer: it answers by itself. Its workers are threads of one process that share a socket.

use std::process::Command;

use super::{Refused, Setup};

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    setup.run(&configuration(setup), "-db -f {configuration}")
}

fn configuration(setup: &Setup<'_>) -> String {
    // HAProxy counts two descriptors per connection, and some of its own.
    let connections = (setup.descriptors - 128) / 2;
    setup.fill(include_str!("haproxy.cfg"), &[("{connections}", connections.to_string().as_str())])
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
