//! nginx as a peer: its ways to share a listening socket, named by what they really do.
//!
//! | mode | configuration | what waits for connections |
//! | --- | --- | --- |
//! | `exclusive` | `accept_mutex off`, the default since 1.11.3 | epoll with EPOLLEXCLUSIVE in every worker |
//! | `reuseport` | `listen ... reuseport` | a socket per worker, chosen by the kernel's hash |
//! | `mutex` | `accept_mutex on`, the default before 1.11.3 | epoll in the worker that holds the mutex |
//! | `herd` | `accept_mutex off` before 1.11.3; `use poll` since, where it is built in | all workers, all are woken |

use std::process::Command;

use super::{Refused, Setup};

/// The first version with EPOLLEXCLUSIVE.
const EXCLUSIVE: [u64; 3] = [1, 11, 3];
/// The first version with the option `-e`.
const ERRORS_OPTION: [u64; 3] = [1, 19, 5];

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    let version = version(&super::version(setup.program, "-v"));
    let poll = match setup.mode {
        "exclusive" if version < EXCLUSIVE => {
            return Err(Refused::Skipped("nginx uses EPOLLEXCLUSIVE from version 1.11.3 on".into()));
        }
        "herd" if version >= EXCLUSIVE => {
            if !super::version(setup.program, "-V").contains("--with-poll_module") {
                return Err(Refused::Skipped(
                    "this nginx can only wait with EPOLLEXCLUSIVE: the herd needs one that was built \
                     --with-poll_module, or is older than 1.11.3"
                        .into(),
                ));
            }
            "use poll;"
        }
        _ => "",
    };
    let errors = if version >= ERRORS_OPTION { " -e stderr" } else { "" };
    // Relative paths of the configuration are below the folder of the run.
    setup.run(&configuration(setup, poll), &format!("-p {{folder}} -c {{configuration}}{errors}"))
}

fn configuration(setup: &Setup<'_>, poll: &str) -> String {
    let connections = (setup.descriptors - 64).to_string();
    let values = [
        ("{user}", if setup.root { "user root;" } else { "" }),
        ("{reuseport}", if setup.mode == "reuseport" { " reuseport" } else { "" }),
        ("{mutex}", if setup.mode == "mutex" { "on" } else { "off" }),
        ("{connections}", connections.as_str()),
        ("{poll}", poll),
    ];
    setup.fill(include_str!("nginx.conf"), &values)
}

/// The number in `nginx version: nginx/1.22.1 (Ubuntu)`; zeros without one.
fn version(text: &str) -> [u64; 3] {
    let number = text.split_once("nginx/").map_or("", |(_, rest)| rest);
    let number = number.split(char::is_whitespace).next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("nginx version: nginx/1.22.1\n"), [1, 22, 1]);
        assert!(version("nginx version: openresty/nginx/1.9.15 (x)") < EXCLUSIVE);
        assert_eq!(version("nonsense"), [0, 0, 0]);
    }

    #[test]
    fn every_mode_says_what_it_is_in_the_configuration() {
        let text = |mode, root| {
            let setup = Setup { mode, root, ..Setup::example(Path::new("/f")) };
            configuration(&setup, "")
        };
        assert!(text("exclusive", false).contains("accept_mutex off"));
        assert!(text("mutex", false).contains("accept_mutex on"));
        assert!(text("reuseport", false).contains("listen 127.0.0.1:8080 reuseport backlog=128;"));
        assert!(!text("exclusive", false).contains("reuseport") && !text("mutex", false).contains("user"));
        assert!(text("mutex", true).starts_with("user root;"));
    }
}
