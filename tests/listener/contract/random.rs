//! Random sequences of connections, kills, stops, continues and reloads; at the end every connection is
//! accounted for. A seed fixes the steps but not their timing.

use std::io::{Read, Write};
use std::net::TcpStream;

use caffeine::listener::{Choice, Loss};
use caffeine::scoreboard::Counters;
use nix::sys::signal::Signal;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Listener, WORKERS, everywhere, fixed, is_stopped, pid_of, sockets, stop};
use crate::harness::traffic::{counters, half_a_request, signal};
use crate::harness::{Sandbox, Server, eventually};

/// Steps and seeds; `LIFE_STEPS=30` and `LIFE_SEEDS=1,2,3` in the environment override them.
const STEPS: usize = 14;
const SEEDS: [u64; 2] = [1, 20_261_125];

fn asked(name: &str) -> Option<Vec<u64>> {
    let text = std::env::var(name).ok()?;
    Some(text.split(',').map(|number| number.parse().unwrap()).collect())
}

/// How connections ended.
#[derive(Debug, Default)]
struct Account {
    begun: usize,
    answered: usize,
    reset: usize,
    /// Connections held by workers when they were killed.
    held_by_the_dead: usize,
}

struct Life<'a> {
    sandbox: &'a Sandbox,
    server: &'a Server,
    /// Sockets of a worker that holds no connection.
    usual_sockets: usize,
    /// Complete requests.
    sent: Vec<TcpStream>,
    /// Half-sent requests.
    halves: Vec<TcpStream>,
    account: Account,
}

impl Life<'_> {
    fn step(&mut self, random: &mut ChaCha8Rng) -> String {
        let worker = random.random_range(0..WORKERS);
        let n = random.random_range(1..12);
        match random.random_range(0..12) {
            0..4 => self.connections(n),
            4 => self.half(),
            5 => self.settle(),
            6..9 => self.stop(worker),
            9 => self.go_on(),
            10 => self.kill(worker),
            _ => self.reload(),
        }
    }

    fn rows(&self) -> Vec<Counters> {
        counters(self.server)
    }

    fn connections(&mut self, n: usize) -> String {
        for _ in 0..n {
            let mut stream = self.server.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            self.sent.push(stream);
        }
        self.account.begun += n;
        format!("{n} connections")
    }

    fn half(&mut self) -> String {
        self.halves.push(half_a_request(self.server));
        self.account.begun += 1;
        "half a request".into()
    }

    fn stop(&mut self, worker: usize) -> String {
        stop(&self.rows()[worker]);
        format!("stop {worker}")
    }

    fn go_on(&mut self) -> String {
        self.rows().iter().for_each(|row| signal(row, Signal::SIGCONT));
        let rows = self.rows();
        eventually("they go on", || !rows.iter().any(is_stopped));
        "all go on".into()
    }

    fn kill(&mut self, worker: usize) -> String {
        let row = self.rows().swap_remove(worker);
        stop(&row);
        let held = sockets(pid_of(&row)) - self.usual_sockets;
        self.account.held_by_the_dead += held;
        signal(&row, Signal::SIGKILL);
        eventually("it has a successor", || {
            self.rows().get(worker).is_some_and(|now| now.pid != row.pid && now.state == 2)
        });
        format!("kill {worker}, which held {held}")
    }

    /// Resumes all workers and finishes every request.
    fn settle(&mut self) -> String {
        self.go_on();
        for mut half in self.halves.drain(..) {
            // Fails when the worker holding it was killed.
            let _ = half.write_all(b"t: x\r\nConnection: close\r\n\r\n");
            self.sent.push(half);
        }
        let n = self.sent.len();
        for mut stream in self.sent.drain(..) {
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Ok(_) if answer.starts_with(b"HTTP/1.1 200 ") => self.account.answered += 1,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("a connection waits for ever: {:?}", self.account)
                }
                _ => self.account.reset += 1,
            }
        }
        format!("all go on, {n} answers are read")
    }

    fn reload(&mut self) -> String {
        // A suspended worker would leave when resumed and lose its half-sent request: that is another test.
        self.settle();
        self.sandbox.caffeine(&["-n", self.server.name(), "--reload"]).succeeds();
        "settle and reload".into()
    }
}

fn live(choice: &Choice, listener: &Listener, seed: u64) {
    let (sandbox, server) = fixed(listener);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let usual_sockets = sockets(server.worker_pids()[0]);
    let mut life = Life {
        sandbox: &sandbox,
        server: &server,
        usual_sockets,
        sent: Vec::new(),
        halves: Vec::new(),
        account: Account::default(),
    };
    let mut steps: Vec<String> = Vec::new();
    for _ in 0..asked("LIFE_STEPS").map_or(STEPS, |steps| steps[0] as usize) {
        steps.push(life.step(&mut random));
    }
    life.settle();
    let account = life.account;
    let story = format!("{listener}, seed {seed}: {account:?} after {steps:?}");
    eprintln!("{story}");
    assert_eq!(account.answered + account.reset, account.begun, "{story}");
    // A private queue dies with its worker, and its length is unknown.
    if choice.promises().crash != Loss::Queue {
        assert!(account.reset <= account.held_by_the_dead, "{story}");
    }
}

#[test]
fn every_connection_is_accounted_for_in_random_sequences() {
    let seeds = asked("LIFE_SEEDS").unwrap_or_else(|| SEEDS.to_vec());
    everywhere(|choice, listener| seeds.iter().for_each(|&seed| live(choice, listener, seed)));
}
