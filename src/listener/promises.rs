//! What a strategy promises, as data: the suite tries it, `--listener help` and the README print it.
//!
//! A promise is about what the strategy itself adds. What a worker holds when it is killed (a half-read request) is lost
//! with every strategy and counted apart.

/// What to expect of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// How connections fall on idle workers.
    pub spread: Spread,
    /// Which connections wait for a worker that is busy, or stuck in its own code, while others are idle.
    /// [`Wait::Nothing`] is work conservation.
    pub busy: Wait,
    /// The same for a worker that was stopped (SIGSTOP), which the supervisor sees.
    pub stopped: Wait,
    /// What the death of a worker costs.
    pub crash: Loss,
    /// What a graceful stop, a reload, and fewer workers cost.
    pub leave: Loss,
    /// The system calls that one connection costs the worker that gets it, from an idle start to the next wait.
    pub calls: &'static [&'static str],
}

impl Promises {
    /// What a good queue that all share promises, to be written as `..Promises::USUAL`.
    pub(super) const USUAL: Self = Self {
        spread: Spread::Turn,
        busy: Wait::Nothing,
        stopped: Wait::Nothing,
        crash: Loss::Nothing,
        leave: Loss::Nothing,
        calls: &["accept4"],
    };
}

/// How the connections of a quiet time fall on idle workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// In turn: after n connections no two workers' counts differ by more than 1.
    Turn,
    /// By a hash of addresses and ports, or by chance: even in the mean, a multinomial.
    Hash,
    /// Nearly all on one worker: the first in a fixed order that is idle.
    One,
    /// On the worker that became idle last: as long as it keeps up, nearly all on one.
    Latest,
    /// On the fastest worker.
    Race,
    /// As the argument says.
    Programmed,
}

impl Spread {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Turn => "exact turn",
            Self::Hash => "even in the mean",
            Self::One => "nearly all on one",
            Self::Latest => "the one idle last",
            Self::Race => "a race",
            Self::Programmed => "as the argument says",
        }
    }
}

/// Which connections have to wait for one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// None.
    Nothing,
    /// None for longer than this many ms: then what it held has passed to another.
    UpToMs(u32),
    /// The one that woke it, until the worker goes on or another connection comes.
    One,
    /// Its share.
    Share,
    /// All of them.
    All,
}

impl Wait {
    /// In a few words.
    pub fn words(self) -> String {
        match self {
            Self::Nothing => "none".into(),
            Self::UpToMs(ms) => format!("none over {ms} ms"),
            Self::One => "the one that woke it".into(),
            Self::Share => "its share".into(),
            Self::All => "all".into(),
        }
    }
}

/// Which connections are reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// None.
    Nothing,
    /// Those that the kernel had accepted for the worker, and that it had not looked at yet.
    Accepted,
    /// Those in the worker's own accept queue.
    Queue,
}

impl Loss {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Accepted => "accepted ahead",
            Self::Queue => "its queue",
        }
    }
}
