//! The reference: what must be true of an instance, whatever happened to it. Pure: it is told what was asked for and what is
//! seen, and says what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use caffeine::listener::{Choice, SocketCount};

/// State of a worker that accepts, in its row of the scoreboard.
const RUNNING: u64 = 2;

/// A child of the supervisor, as the system and the scoreboard show it.
#[derive(Clone, Debug)]
pub struct Child {
    pub pid: u32,
    /// It was stopped by SIGSTOP.
    pub stopped: bool,
    /// Its row; `None` while it is starting.
    pub row: Option<Row>,
}

/// A row that names the child.
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

/// What the instance says of itself, at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    pub generation: u64,
    pub workers: usize,
    pub refused: u64,
    pub children: Vec<Child>,
}

impl Seen {
    /// Whether a worker of the current generation is not stopped.
    pub fn someone_accepts(&self) -> bool {
        let current = |row: Row| row.is_worker && row.generation == self.generation && row.state == RUNNING;
        self.children.iter().any(|child| !child.stopped && child.row.is_some_and(current))
    }
}

/// The last reload that was asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Nothing,
    /// This many workers, when this generation served.
    Reload(usize, u64),
    /// A reload that must be refused, when this many had been.
    Bad(u64),
}

/// The model: what was asked for, and what has been seen of numbers.
#[derive(Debug)]
pub struct Reference {
    has_dispatcher: bool,
    divides_sockets: bool,
    /// Numbers of workers that the instance may have by now.
    possible: BTreeSet<usize>,
    asked: Asked,
    /// The most workers for which there may be sockets.
    most: usize,
    last_generation: u64,
    /// The place of each worker of each generation that was seen.
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

    /// A reload to this many workers is asked for.
    pub fn reload(&mut self, workers: usize, seen: &Seen) {
        self.possible.insert(workers);
        self.most = self.most.max(workers);
        self.asked = Asked::Reload(workers, seen.generation);
    }

    /// A reload is asked for that must be refused.
    pub fn bad_reload(&mut self, seen: &Seen) {
        self.asked = Asked::Bad(seen.refused);
    }

    /// How many sockets the instance has at most.
    pub fn sockets(&self) -> usize {
        if self.divides_sockets { self.most } else { 1 }
    }

    /// What holds at any moment: generations count up, and a number is used once.
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

    /// What must become true when nothing happens for a while: what was asked for is done, and each child is there for a
    /// reason. `Err` says what is still to come, or wrong.
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

    /// Whether the last reload was carried out, or refused. One of which a worker was stopped while it started is not.
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

    /// Whether every place of the current generation is filled.
    fn staffed(&self, seen: &Seen) -> Result<(), String> {
        let current = || {
            let rows = seen.children.iter().filter_map(|child| Some((child, child.row?)));
            rows.filter(|(_, row)| row.generation == seen.generation && row.state == RUNNING)
        };
        let workers: Vec<u64> =
            current().filter(|(_, row)| row.is_worker).map(|(_, row)| row.number).collect();
        let wanted: BTreeSet<u64> = (0..seen.workers as u64).collect();
        // One that is stopped while it starts is not replaced.
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

    /// It has settled like this: from here on only that is possible.
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
