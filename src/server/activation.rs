//! Socket activation: a listening socket passed by a service manager (sd_listen_fds(3)). It outlives the instance:
//! connections that arrive while none runs wait in its queue.

use std::os::fd::{OwnedFd, RawFd};

use crate::server::error::Error;
use crate::sys::activation::take;

/// The socket that was passed to this process, if any; of several, the one named `http` (`FileDescriptorName=`).
///
/// # Errors
/// Several sockets were passed and not exactly one is named `http`, or a descriptor is not open.
pub fn socket() -> Result<Option<OwnedFd>, Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(count) = count(variable("LISTEN_PID"), variable("LISTEN_FDS"), std::process::id()) else {
        return Ok(None);
    };
    let mut sockets = take(count).map_err(|error| {
        Error::Failed(format!("cannot use the descriptors of LISTEN_FDS={count}: {error}"))
    })?;
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let index = choose(sockets.len(), &names).ok_or_else(|| {
        Error::Failed(format!(
            "{count} sockets were passed ({names}), and not exactly one of them is named http; pass one socket, or name it with FileDescriptorName=http"
        ))
    })?;
    Ok(Some(sockets.swap_remove(index)))
}

/// Number of descriptors passed to process `own`.
fn count(pid: Option<String>, fds: Option<String>, own: u32) -> Option<RawFd> {
    let meant_for: u32 = pid?.parse().ok()?;
    let count: RawFd = fds?.parse().ok()?;
    (meant_for == own && count > 0).then_some(count)
}

fn choose(count: usize, names: &str) -> Option<usize> {
    if count == 1 {
        return Some(0);
    }
    let mut called = names.split(':').take(count).enumerate().filter(|(_, name)| *name == "http");
    called.next().filter(|_| called.next().is_none()).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_this_process_counts() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(count(text("7"), text("1"), 7), Some(1));
        for (pid, fds) in [("8", "1"), ("7", "0"), ("7", "-1"), ("", "1"), ("7", "x")] {
            assert_eq!(count(text(pid), text(fds), 7), None, "{pid} {fds}");
        }
        assert_eq!(count(None, text("1"), 7), None);
    }

    #[test]
    fn of_several_the_one_called_http_is_taken() {
        assert_eq!((choose(1, ""), choose(1, "x")), (Some(0), Some(0)));
        assert_eq!((choose(2, "x:http"), choose(3, "http:x:y")), (Some(1), Some(0)));
        assert_eq!((choose(2, "x:y"), choose(2, "http:http"), choose(2, "")), (None, None, None));
    }
}
