//! The three questions at the top of the overview, and which strategies each rules out: by what was measured, and where
//! nothing was, by what the strategy promises. Pure.

use super::columns::Column;
use super::rules::{Found, Tone};
use super::words;
use crate::listener::{Choice, Loss, Wait};

/// A request that waited this long is late.
const LATE_MS: u32 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Lengths,
    Hangs,
    Losses,
}

impl Question {
    pub const ALL: [Self; 3] = [Self::Lengths, Self::Hangs, Self::Losses];

    /// Its key on the page, its words, and the same within a sentence: "wrong if ...".
    pub fn text(self) -> [&'static str; 3] {
        match self {
            Self::Lengths => ["lengths", "Do requests differ in length?", "requests differ in length"],
            Self::Hangs => ["hangs", "May workers hang?", "workers may hang"],
            Self::Losses => ["losses", "Must crashes and reloads lose nothing?", "nothing may be lost"],
        }
    }

    /// The columns that answer; strategies are sorted by the first.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Lengths => &["tail", "handlers"],
            Self::Hangs => &["hang"],
            Self::Losses => &["kill", "reload", "stop"],
        }
    }

    /// Why this strategy is the wrong one, if it is; `found` is what was measured in each of [`Self::columns`].
    pub fn rules_out(self, choice: &Choice, found: &[(&Column, Option<&Found>)]) -> Option<String> {
        let measured = || found.iter().filter_map(|(column, found)| Some((*column, (*found)?)));
        let bad = |(_, found): &(&Column, &Found)| match self {
            Self::Losses => found.run.is_usable() && found.cell.hits > 0,
            _ => found.tone == Tone::Worse,
        };
        if let Some((column, found)) = measured().find(bad) {
            return Some(words::against(column, found));
        }
        let judged = |(_, found): (&Column, &Found)| !matches!(found.tone, Tone::Unjudged);
        // What was not lost in a few faults may be lost in the next.
        if self != Self::Losses && measured().any(judged) {
            return None;
        }
        self.by_promise(choice)
    }

    fn by_promise(self, choice: &Choice) -> Option<String> {
        let promises = choice.promises();
        let waits = |wait: Wait| match wait {
            Wait::Share | Wait::All => true,
            Wait::UpToMs(ms) => ms >= LATE_MS,
            Wait::Nothing | Wait::One => false,
        };
        let waits_for = |workers: &[(Wait, &str)]| {
            let (wait, worker) = workers.iter().find(|(wait, _)| waits(*wait))?;
            Some(format!("by design, {}", waiting(*wait, worker)))
        };
        let [busy, stopped] = [(promises.busy, "busy"), (promises.stopped, "stopped")];
        match self {
            Self::Lengths => waits_for(&[busy]),
            Self::Hangs => waits_for(&[busy, stopped]),
            Self::Losses => {
                let loss =
                    [promises.crash, promises.leave].into_iter().find(|loss| *loss != Loss::Nothing)?;
                Some(format!("by design, a worker that goes takes connections along: {}", loss.words()))
            }
        }
    }
}

/// What waits for a worker.
fn waiting(wait: Wait, what: &str) -> String {
    match wait {
        Wait::All => format!("all connections wait for a {what} worker"),
        Wait::UpToMs(ms) => format!("connections wait up to {ms} ms for a {what} worker"),
        _ => format!("its share of the connections waits for a {what} worker"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_promise(question: Question, name: &str) -> Option<String> {
        question.rules_out(&name.parse().unwrap(), &[])
    }

    #[test]
    fn without_figures_the_promises_decide() {
        let out = |question: Question| -> Vec<String> {
            let all = Choice::all().filter(|choice| question.rules_out(choice, &[]).is_some());
            all.map(|choice| choice.to_string()).collect()
        };
        let waits =
            ["inherited-mutex", "reuseport", "reuseport:private", "round-robin:wait", "uring-multishot"];
        for name in waits {
            assert!(
                out(Question::Lengths).contains(&name.to_owned()),
                "{name}: {:?}",
                out(Question::Lengths)
            );
            assert!(out(Question::Hangs).contains(&name.to_owned()), "{name}: {:?}", out(Question::Hangs));
        }
        for name in ["inherited", "inherited-delay", "reuseport-steal", "dispatch", "uring"] {
            assert_eq!(by_promise(Question::Lengths, name), None, "{name}");
        }
        assert_eq!(out(Question::Losses), ["reuseport:private", "uring-multishot"]);
        let says = by_promise(Question::Lengths, "reuseport").unwrap();
        assert_eq!(says, "by design, its share of the connections waits for a busy worker");
    }
}
