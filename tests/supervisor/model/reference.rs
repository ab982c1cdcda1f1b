//! The reference model: what must hold for an instance after any events. Pure: it gets the requested actions
//! and the observations and says what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use caffeine::listener::{Choice, SocketCount};

/// State of an accepting worker in its scoreboard row.
const RUNNING: u64 = 2;

/// A child of the supervisor according to the system and the scoreboard.
#[derive(Clone, Debug)]
pub struct Child {
    pub pid: u32,
    /// It was stopped by SIGSTOP.
    pub stopped: bool,
    /// Its row; `None` while it starts.
    pub row: Option<Row>,
}

/// A scoreboard row with the child's pid.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub slot: usize,
    pub generation: u64,
    pub is_worker: bool,
    pub number: u64,
    pub state: u64,
    /// Connections that it holds.
    pub open: u64,
}

/// A snapshot of the instance.
#[derive(Clone, Debug)]
pub struct Seen {
    pub generation: u64,
    pub workers: usize,
    pub refused: u64,
    pub children: Vec<Child>,
}

impl Seen {
    /// Whether a worker of the current generation runs.
    pub fn someone_accepts(&self) -> bool {
        let current = |row: Row| row.is_worker && row.generation == self.generation && row.state == RUNNING;
        self.children.iter().any(|child| !child.stopped && child.row.is_some_and(current))
    }
}

/// The last requested reload.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Nothing,
    /// To this many workers, requested when this generation served.
    Reload(usize, u64),
    /// Must be refused; this many refusals came before.
    Bad(u64),
}

/// The model: requested actions and the numbers seen so far.
#[derive(Debug)]
pub struct Reference {
    has_dispatcher: bool,
    divides_sockets: bool,
    /// Possible numbers of workers by now.
    possible: BTreeSet<usize>,
    asked: Asked,
    /// The most workers that may have sockets.
    most: usize,
    last_generation: u64,
    /// The slot of each worker seen in each generation.
    places: BTreeMap<(u64, u64), usize>,
}

impl Reference {
    pub fn new(choice: &Choice, workers: usize) -> Self {
        Self {
            has_dispatcher: choice.entry.auxiliary.is_some(),
            divides_sockets: choice.sockets() == SocketCount::PerWorker,
            possible: [workers].into(),
            asked: Asked::Nothing,
            most: workers,
            last_generation: 0,
            places: BTreeMap::new(),
        }
    }

    /// Requests a reload to this many workers.
    pub fn reload(&mut self, workers: usize, seen: &Seen) {
        self.possible.insert(workers);
        self.most = self.most.max(workers);
        self.asked = Asked::Reload(workers, seen.generation);
    }

    /// Requests a reload that must be refused.
    pub fn bad_reload(&mut self, seen: &Seen) {
        self.asked = Asked::Bad(seen.refused);
    }

    /// Upper bound on the sockets of the instance.
    pub fn sockets(&self) -> usize {
        if self.divides_sockets { self.most } else { 1 }
    }

    /// Holds at any time: generations count up, and a number is used once.
    pub fn always(&mut self, seen: &Seen) -> Result<(), String> {
        if seen.generation < self.last_generation {
            return Err(format!("generation {} after {}", seen.generation, self.last_generation));
        }
        self.last_generation = seen.generation;
        for row in seen.children.iter().filter_map(|child| child.row).filter(|row| row.is_worker) {
            let place = self.places.entry((row.generation, row.number)).or_insert(row.slot);
            if *place != row.slot {
                return Err(format!(
                    "two workers {} of generation {}: the number was given out twice",
                    row.number, row.generation
                ));
            }
        }
        Ok(())
    }

    /// Must become true when nothing happens for a while: requests are carried out, and each child has a
    /// reason to exist. `Err` says what is pending or wrong.
    pub fn settled(&self, seen: &Seen) -> Result<(), String> {
        let starts_stopped =
            |child: &Child| child.stopped && child.row.is_none_or(|row| row.generation > seen.generation);
        let held_up = seen.children.iter().any(starts_stopped);
        self.answered(seen, held_up)?;
        if !self.possible.contains(&seen.workers) {
            return Err(format!("{} workers, and not one of {:?}", seen.workers, self.possible));
        }
        self.staffed(seen)?;
        let reason = |child: &Child| {
            let current = |row: Row| row.generation == seen.generation && row.state == RUNNING;
            let newer = child.row.is_none_or(|row| row.generation > seen.generation);
            child.stopped || held_up && newer || child.row.is_some_and(|row| current(row) || row.open > 0)
        };
        match seen.children.iter().find(|child| !reason(child)) {
            Some(child) => Err(format!("a child that should not be there: {child:?}")),
            None => Ok(()),
        }
    }

    /// Whether the last reload was carried out or refused. One with a worker stopped during its start is
    /// neither.
    fn answered(&self, seen: &Seen, held_up: bool) -> Result<(), String> {
        match self.asked {
            Asked::Reload(workers, before)
                if !held_up && (seen.generation <= before || seen.workers != workers) =>
            {
                Err(format!("the reload to {workers} workers is not carried out"))
            }
            Asked::Bad(before) if seen.refused <= before => Err("the bad reload is not refused".into()),
            _ => Ok(()),
        }
    }

    /// Whether every slot of the current generation is filled.
    fn staffed(&self, seen: &Seen) -> Result<(), String> {
        let current = || {
            let rows = seen.children.iter().filter_map(|child| Some((child, child.row?)));
            rows.filter(|(_, row)| row.generation == seen.generation && row.state == RUNNING)
        };
        let workers: Vec<u64> =
            current().filter(|(_, row)| row.is_worker).map(|(_, row)| row.number).collect();
        let wanted: BTreeSet<u64> = (0..seen.workers as u64).collect();
        // A worker stopped while it starts is not replaced.
        let stopped = |child: &&Child| child.stopped && child.row.is_none_or(|row| row.state != RUNNING);
        let held_up = seen.children.iter().filter(stopped).count();
        let distinct: BTreeSet<u64> = workers.iter().copied().collect();
        let filled = distinct.is_subset(&wanted) && distinct.len() + held_up >= wanted.len();
        if workers.len() != distinct.len() || !filled {
            return Err(format!("workers {workers:?} of {} accept", seen.workers));
        }
        let dispatchers = current().filter(|(child, row)| !row.is_worker && !child.stopped).count();
        if dispatchers != usize::from(self.has_dispatcher) {
            return Err(format!("{dispatchers} dispatchers"));
        }
        Ok(())
    }

    /// Takes the settled state as the only possible one from here on.
    pub fn settle(&mut self, seen: &Seen) {
        let starting = seen
            .children
            .iter()
            .any(|child| child.stopped && child.row.is_none_or(|row| row.generation > seen.generation));
        if !starting {
            self.possible = [seen.workers].into();
            self.asked = Asked::Nothing;
        }
    }
}
