//! The server of a run, ours or another one: starting, readiness, stopping.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::child::{Process, Stop, TICK, Watch};
use super::http::ask;

const TRY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Server<'a> {
    /// The supervisor, or the first process of another server.
    pub process: Process<'a>,
    pub address: SocketAddr,
    watch: Watch<'a>,
    /// Kept open: writing to a closed pipe would fail.
    _stdout: Option<ChildStdout>,
}

impl<'a> Server<'a> {
    /// Starts our server and waits for its ready line.
    pub fn start(command: &mut Command, folder: &Path, watch: Watch<'a>) -> Result<Self, Stop> {
        let mut process = Process::start("caffeine", command.stdout(Stdio::piped()), folder, &watch)?;
        let Some(mut stdout) = process.stdout() else { return Err(process.void("has no stdout")) };
        let deadline = Instant::now() + watch.timeouts.ready;
        let mut text = Vec::new();
        loop {
            if let Some(address) = ready_address(&String::from_utf8_lossy(&text)) {
                return Ok(Self { process, address, watch, _stdout: Some(stdout) });
            }
            still_waiting(&process, deadline, &watch)?;
            let mut wait = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
            if poll(&mut wait, PollTimeout::from(20_u8)).unwrap_or(0) == 0 {
                continue;
            }
            let mut buffer = [0; 1024];
            match stdout.read(&mut buffer) {
                Ok(0) | Err(_) => return Err(process.gone("before it was ready")),
                Ok(n) => text.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Starts another server on `address` and waits until it serves: until it responds to `target` with 200, or without one,
    /// accepts connections.
    pub fn start_other(
        name: &str,
        command: &mut Command,
        address: SocketAddr,
        target: Option<&str>,
        folder: &Path,
        watch: Watch<'a>,
    ) -> Result<Self, Stop> {
        let mut process = Process::start(name, command.stdout(Stdio::null()), folder, &watch)?;
        let deadline = Instant::now() + watch.timeouts.ready;
        loop {
            match target.map(|target| ask(address, target, TRY.min(watch.timeouts.ready))) {
                None if TcpStream::connect_timeout(&address, TRY).is_ok() => break,
                Some(Ok(answer)) if answer.status == 200 => break,
                Some(Ok(answer)) => {
                    let asked = target.unwrap_or_default();
                    return Err(process.void(&format!("answered {asked} with {}, not 200", answer.status)));
                }
                _ => {}
            }
            if process.ended().is_some() {
                return Err(process.gone("before it was ready"));
            }
            still_waiting(&process, deadline, &watch)?;
            sleep(TICK);
        }
        Ok(Self { process, address, watch, _stdout: None })
    }

    /// Stops the server with SIGTERM; it is killed if it does not stop in time.
    pub fn stop(mut self) -> Result<(), Stop> {
        if self.process.ended().is_some() {
            return Ok(());
        }
        self.process.terminate();
        let limit = self.watch.timeouts.stop;
        match self.process.end_by(Instant::now() + limit) {
            Some(_) => Ok(()),
            None => {
                Err(self.process.void(&format!("did not stop within {} s of SIGTERM", limit.as_secs_f64())))
            }
        }
    }
}

fn still_waiting(process: &Process<'_>, deadline: Instant, watch: &Watch<'_>) -> Result<(), Stop> {
    if watch.interrupt.requested() {
        return Err(Stop::Interrupted);
    }
    if Instant::now() > deadline {
        let waited = watch.timeouts.ready.as_secs_f64();
        return Err(process.void(&format!("did not get ready within {waited} s")));
    }
    Ok(())
}

/// The address in `caffeine: NAME ready on ADDR:PORT, N workers, STRATEGY`.
fn ready_address(text: &str) -> Option<SocketAddr> {
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.filter_map(|line| line.split_once(" ready on ")?.1.split_once(',')?.0.parse().ok()).next()
}

/// The first and the last port that the kernel assigns to clients; where it does not say, its defaults.
pub fn local_ports() -> (u16, u16) {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = range.split_whitespace().filter_map(|bound| bound.parse().ok());
    bounds.next().zip(bounds.next()).unwrap_or((32_768, 60_999))
}

/// A free port for a server that cannot choose one itself, below those of clients. The search begins at `start`.
pub fn free_port(ip: IpAddr, start: u64) -> Option<u16> {
    let (lowest, _) = local_ports();
    let (from, to) = (lowest / 2, lowest.max(2048));
    let count = u64::from(to - from).max(1);
    let port = |i: u64| from + u16::try_from((start.wrapping_add(i)) % count).unwrap_or(0);
    // `TcpListener` sets SO_REUSEADDR, as servers do: TIME_WAIT does not matter.
    (0..count).map(port).find(|port| TcpListener::bind((ip, *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_gives_the_address_once_it_is_whole() {
        let line = "warning\ncaffeine: lab ready on 127.0.0.1:40001, 4 workers, inherited\n";
        assert_eq!(ready_address(line), "127.0.0.1:40001".parse().ok());
        assert_eq!(ready_address(&line[..line.len() - 1]), None);
        assert_eq!(
            ready_address("caffeine: x ready on [::1]:8080, 1 workers, reuseport\n"),
            "[::1]:8080".parse().ok()
        );
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let first = free_port(ip, 7).unwrap();
        let _taken = TcpListener::bind((ip, first)).unwrap();
        assert_ne!(free_port(ip, 7).unwrap(), first);
    }
}
