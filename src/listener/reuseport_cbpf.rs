//! `reuseport-cbpf`: one socket per worker, and a program of classic BPF picks the socket: what *without BPF* is compared with.
//!
//! Mechanism: `SO_ATTACH_REUSEPORT_CBPF` (socket(7), TCP since Linux 4.6, no privilege needed). The kernel runs the program
//! for each new connection; its result is an index into the group, in the order in which the sockets began to listen. A
//! classic program sees the packet, the CPU and a random number, and has no memory. Hence:
//! `:random` (default): a random number mod n. `:weights=4,2,1,1`: the same with weights, repeated for more workers; Hermes'
//! idea (SIGCOMM'25) without eBPF. `:cpu`: the CPU that received the packet, mod n (on loopback that of the client).
//! `:turn`: the counter is in user space. The program is a constant, and each accept attaches one with the next
//! number: one setsockopt(2) per connection. What arrives between two accepts goes to the same worker.
//! Promises: what the argument says; no loss on a crash, because all workers hold all sockets.
//! Does not promise work conservation: a busy worker gets its share, and with `:turn` no other worker gets any while it is its turn.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::reuseport::of_ones_own;
use super::{
    Accepted, Acceptor, Advice, Argument, Entry, Promises, Seat, SocketCount, Spread, Strategy, Wait,
};
use crate::scoreboard::Row;
use crate::sys::bpf::statement;
use crate::sys::map::SharedMap;
use crate::sys::net;

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "reuseport-cbpf",
    argument: Argument::Text {
        form: "random|turn|cpu|weights=W,W..",
        check: |text| Pick::read(text).map(drop),
        examples: &["random", "turn", "cpu", "weights=3,1"],
    },
    sockets: |_| SocketCount::PerWorker,
    promises: |argument| {
        let (spread, wait) = match argument {
            "random" => (Spread::Hash, Wait::Share),
            "turn" => (Spread::Turn, Wait::All),
            _ => (Spread::Programmed, Wait::Share),
        };
        let calls: &[_] = if argument == "turn" { &["accept4", "setsockopt"] } else { &["accept4"] };
        Promises { spread, busy: wait, stopped: wait, calls, ..Promises::USUAL }
    },
    advice: |argument| match argument {
        "turn" => Advice {
            take: "you study a turn over one socket each",
            avoid: "a worker may be busy: all connections wait for it",
        },
        _ => Advice {
            take: "the shares of the workers are to follow weights or the client's CPU",
            avoid: "requests differ in length, or a worker may hang: its share waits for it",
        },
    },
    summary: "a classic BPF program decides: at random, with weights, by the client's CPU, or by a counter that each accept moves on (`:turn`)",
    available: |_| probe().map_err(|error| format!("SO_ATTACH_REUSEPORT_CBPF: {error}; it needs Linux 4.6")),
    open: |argument, _| {
        let pick = Pick::read(argument).map_err(io::Error::other)?;
        Ok(Box::new(Cbpf { pick, turn: Arc::new(SharedMap::anonymous(size_of::<AtomicU64>())?) }))
    },
    ..Entry::USUAL
};

/// How the program picks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pick {
    Random,
    Cpu,
    Turn,
    Weights(Vec<u32>),
}

/// Weights are small, so that their sum fits.
const MOST_WEIGHT: u32 = 1_000_000;

impl Pick {
    fn read(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("takes random, turn, cpu, or weights=4,2,1 (each 0 to {MOST_WEIGHT}, not all 0)");
        match text {
            "random" => Ok(Self::Random),
            "cpu" => Ok(Self::Cpu),
            "turn" => Ok(Self::Turn),
            _ => {
                let list = text.strip_prefix("weights=").ok_or_else(wrong)?;
                let weights: Result<Vec<u32>, _> = list.split(',').map(str::parse).collect();
                let weights = weights.map_err(|_| wrong())?;
                let fine = weights.iter().all(|&weight| weight <= MOST_WEIGHT)
                    && weights.iter().any(|&weight| weight > 0);
                if fine { Ok(Self::Weights(weights)) } else { Err(wrong()) }
            }
        }
    }

    /// The program for this many workers; `turn` selects the worker of [`Pick::Turn`].
    fn program(&self, workers: usize, turn: u64) -> Vec<libc::sock_filter> {
        let workers_k = u32::try_from(workers).unwrap_or(u32::MAX);
        match self {
            Self::Turn => vec![answer((turn % workers as u64) as u32)],
            Self::Random => vec![load(libc::SKF_AD_RANDOM), modulo(workers_k), ANSWER_A],
            Self::Cpu => vec![load(libc::SKF_AD_CPU), modulo(workers_k), ANSWER_A],
            Self::Weights(weights) => {
                // The sum up to and with each worker; a worker whose sum is above the random number is the one.
                let sums = weights.iter().cycle().take(workers).scan(0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                });
                let sums: Vec<u32> = sums.collect();
                let total = sums.last().copied().unwrap_or(0);
                if total == 0 {
                    return vec![load(libc::SKF_AD_RANDOM), modulo(workers_k), ANSWER_A];
                }
                let mut program = vec![load(libc::SKF_AD_RANDOM), modulo(total)];
                for (worker, sum) in sums.into_iter().enumerate() {
                    program.extend([skip_one_if_at_least(sum), answer(worker as u32)]);
                }
                // Not reached: the number is below the last sum. The kernel wants a program to end with an answer.
                program.push(answer(0));
                program
            }
        }
    }
}

const ANSWER_A: libc::sock_filter = statement(libc::BPF_RET | libc::BPF_A, 0, 0, 0);

/// One of the things beside the packet.
fn load(what: i32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, (libc::SKF_AD_OFF + what).cast_unsigned())
}

fn modulo(k: u32) -> libc::sock_filter {
    statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, k)
}

fn skip_one_if_at_least(k: u32) -> libc::sock_filter {
    statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, 0, k)
}

fn answer(k: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, 0, 0, k)
}

/// Whether the kernel takes such a program at all.
fn probe() -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0)).into())?;
    net::choose_by_program(socket.as_fd(), &mut [load(libc::SKF_AD_RANDOM), modulo(1), ANSWER_A])
}

#[derive(Debug)]
struct Cbpf {
    pick: Pick,
    /// Whose turn it is.
    turn: Arc<SharedMap>,
}

impl Strategy for Cbpf {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        let mut choice = Choice {
            pick: self.pick.clone(),
            turn: Arc::clone(&self.turn),
            // One socket alone is in no group, and there is nothing to choose.
            group: if seat.sockets.len() > 1 { Some(seat.sockets[0].try_clone()?) } else { None },
            workers: seat.workers,
            own: of_ones_own(seat)?,
        };
        match choice.attach(self.turn.at::<AtomicU64>(0).load(Relaxed)) {
            // The group is locked: the instance stops, and leads new connections away from all workers.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            attached => attached?,
        }
        Ok(Box::new(choice))
    }
}

/// A worker that accepts from its own socket, and may say who is next.
#[derive(Debug)]
struct Choice {
    pick: Pick,
    turn: Arc<SharedMap>,
    /// A member of the group, if there is one.
    group: Option<OwnedFd>,
    workers: usize,
    own: Box<dyn Acceptor>,
}

impl Choice {
    fn attach(&mut self, turn: u64) -> io::Result<()> {
        let Some(member) = &self.group else { return Ok(()) };
        net::choose_by_program(member.as_fd(), &mut self.pick.program(self.workers, turn))
    }
}

impl Acceptor for Choice {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        let accepted = self.own.accept(row)?;
        if self.pick == Pick::Turn {
            let turn = self.turn.at::<AtomicU64>(0).fetch_add(1, Relaxed) + 1;
            // Without memory for a program the turn stays where it is until the next accept; in a stop it is meaningless.
            let _ = self.attach(turn);
        }
        Ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        assert_eq!(Pick::read("weights=4,0,1"), Ok(Pick::Weights(vec![4, 0, 1])));
        for wrong in ["", "weights=", "weights=0,0", "weights=1,x", "weights=-1", "weights=1000001", "lifo"] {
            assert!(Pick::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn weights_repeat_and_none_is_even() {
        let answers = |program: Vec<libc::sock_filter>| program.iter().map(|step| step.k).collect::<Vec<_>>();
        let program = answers(Pick::Weights(vec![3, 1]).program(4, 0));
        assert_eq!(program[1..], [8, 3, 0, 4, 1, 7, 2, 8, 3, 0]);
        // Of two workers one has no weight: all for the other. Of one worker without weight: all the same.
        assert_eq!(answers(Pick::Weights(vec![0, 1]).program(1, 0))[1], 1);
        assert_eq!(answers(Pick::Turn.program(3, 7)), [1]);
    }
}
