//! Columns that were compared: listeners, options or servers. What differs decides; what is equivalent is a free choice; what
//! was not judged is said with its reason.

use itertools::Itertools;

use super::amounts::{because, either, names, noun};
use super::faults;
use super::findings::{Column, Effect, Findings};
use super::words::{described, first_look, scoped, spread};
use super::{Card, Standing};
use crate::lab::judge::{Comparison, Conclusion, ENOUGH_ROUNDS};
use crate::lab::report::text::{capital, counted, list};

/// Further sentences of each kind.
const MOST: usize = 2;

/// What the judge found of a column over all loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Better,
    Worse,
    /// Better in one place and worse in another.
    Mixed,
    /// All that was judged is equivalent.
    Same,
    /// Nothing differs, and not all is equivalent.
    Open,
    Unjudged,
}

fn fate(column: &Column) -> Fate {
    let differs =
        |better: bool| column.judged.iter().any(|effect| effect.differs() && effect.is_better() == better);
    let mut judged = column.judged.iter().filter(|effect| effect.found.is_judged()).peekable();
    match (differs(true), differs(false)) {
        (true, true) => Fate::Mixed,
        (true, false) => Fate::Better,
        (false, true) => Fate::Worse,
        _ if judged.peek().is_none() => Fate::Unjudged,
        _ if judged.all(|effect| effect.found.conclusion != Conclusion::Open) => Fate::Same,
        _ => Fate::Open,
    }
}

/// What the advice is about: where options are compared, they are, and not the strategies beside them.
struct Subjects<'a> {
    findings: &'a Findings,
    all: Vec<&'a Column>,
    options: bool,
}

pub fn say(findings: &Findings) -> Card {
    let options = findings.columns.iter().any(|column| column.option.is_some());
    let all = findings.columns.iter().filter(|column| !options || column.option.is_some()).collect();
    let subjects = Subjects { findings, all, options };
    if findings.rounds < ENOUGH_ROUNDS {
        return subjects.first_look();
    }
    if subjects.all.is_empty() {
        let card = Card::unjudged("Not judged, because nothing is compared.", "not judged");
        return Card { effects: spread(&findings.spread).into_iter().collect(), ..card };
    }
    let (standing, stands) = subjects.standing();
    let advice = subjects.advice(&stands);
    let effects = subjects.effects().into_iter().chain(beside(findings)).collect();
    Card { advice, standing, stands, effects, otherwise: subjects.otherwise(), ..Card::default() }
}

/// What was lost, and where connections go.
fn beside(findings: &Findings) -> impl Iterator<Item = String> {
    let failures = faults::failures(&findings.losses).map(|lost| format!("{lost}."));
    failures.into_iter().chain(faults::whole(&findings.losses)).chain(spread(&findings.spread))
}

/// What follows a list that was cut.
fn more(left_out: usize, what: &str) -> String {
    if left_out > 0 { what.replace("{}", &left_out.to_string()) } else { String::new() }
}

impl<'a> Subjects<'a> {
    /// The columns with this fate, the farthest from their base first.
    fn with(&self, fate: Fate) -> Vec<&'a Column> {
        let with = self.all.iter().filter(|column| self::fate(column) == fate).copied();
        with.sorted_by(|a, b| greatest(b).total_cmp(&greatest(a))).collect()
    }

    fn judged(&self) -> impl Iterator<Item = &'a Effect> {
        self.all.iter().flat_map(|column| &column.judged)
    }

    /// The standing, and the same in words: how many comparisons were judged, and why others were not.
    fn standing(&self) -> (Standing, String) {
        let count = |conclusion| self.judged().filter(|effect| effect.found.conclusion == conclusion).count();
        let judged = self.judged().filter(|effect| effect.found.is_judged()).count();
        let all = self.judged().count();
        let (bound, few) = (count(Conclusion::ClientBound), count(Conclusion::TooFew));
        let why = [(bound, "limited by the load generator"), (few, "with too few complete rounds")];
        let why = list(why.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")));
        let standing = match () {
            () if judged == 0 => Standing::NotJudged,
            () if self.judged().any(Effect::differs) => Standing::Supported,
            () if count(Conclusion::Open) == 0 => Standing::Equivalent,
            () => Standing::Open,
        };
        let word = match standing {
            Standing::Supported => "supported".to_owned(),
            Standing::Equivalent => format!("equivalent within {}", self.limits()),
            Standing::Open => "not told apart".into(),
            Standing::NotJudged | Standing::FirstLook => return (standing, format!("not judged: {why}")),
        };
        let rest = if why.is_empty() { String::new() } else { format!("; not judged: {why}") };
        let judged = match all {
            1 => "the one comparison was judged".into(),
            _ if judged == all => format!("all {all} comparisons judged"),
            _ => format!("{judged} of {all} comparisons judged"),
        };
        (standing, format!("{word} ({judged}{rest})"))
    }

    /// `±5 % (rate) and ±10 % (p99)`
    fn limits(&self) -> String {
        let judged = self.judged().map(|effect| &effect.found).filter(|found| found.is_judged());
        let limits: Vec<_> = judged.unique_by(|found| found.metric.name()).collect();
        let each = |of: &&Comparison| format!("±{} ({})", of.limit(), noun(of.metric));
        match limits.as_slice() {
            [one] => format!("±{}", one.limit()),
            several => list(several.iter().map(each)),
        }
    }

    fn advice(&self, stands: &str) -> String {
        let [better, worse, mixed] = [Fate::Better, Fate::Worse, Fate::Mixed].map(|fate| self.with(fate));
        if better.is_empty() && worse.is_empty() && mixed.is_empty() {
            return self.without_difference(stands);
        }
        if self.findings.yardstick {
            return self.expect();
        }
        let (take, do_not) = if self.options { ("Set", "Leave") } else { ("Take", "Do not take") };
        let advice = match (better.first(), mixed.first()) {
            (Some(best), _) => {
                let instead = if self.options { "with" } else { "instead of" };
                let (name, why) = (self.name(best), because(best, "its", Effect::differs));
                format!("{take} {name} {instead} {}: {why}.", best.base)
            }
            (None, Some(mixed)) if worse.is_empty() || self.options => {
                let side =
                    |better: bool| because(mixed, "its", |one| one.differs() && one.is_better() == better);
                let (good, bad, name) = (side(true), side(false), self.name(mixed));
                format!("{take} {name} only where it is better: {good}; but {bad}.")
            }
            _ if self.options => format!("{do_not} {}: {}.", self.as_they_are(), self.reason(&worse)),
            _ => format!("{do_not} {}: {}.", self.either(&worse), self.reason(&worse)),
        };
        scoped(self.findings, &advice)
    }

    /// What speaks against the worst of several columns.
    fn reason(&self, worse: &[&Column]) -> String {
        let whose = match worse {
            [_] if !self.options => "its".to_owned(),
            _ => format!("{}'s", self.name(worse[0])),
        };
        because(worse[0], &whose, |effect| effect.differs() && !effect.is_better())
    }

    fn without_difference(&self, stands: &str) -> String {
        let (same, open) = (self.with(Fate::Same), self.with(Fate::Open));
        let base = &self.findings.baseline;
        let unseen = open.iter().flat_map(|column| &column.judged).map(|effect| &effect.found);
        let unseen = unseen.filter(|found| found.conclusion == Conclusion::Open);
        let widest = unseen.max_by(|a, b| a.visible.total_cmp(&b.visible));
        let seen =
            widest.map(|found| found.would_take().replacen("would", "it would", 1)).unwrap_or_default();
        let what = if self.judged().all(|effect| effect.found.is_judged()) {
            "all are"
        } else {
            "what was judged is"
        };
        let limits = self.limits();
        let advice = match (same.is_empty(), open.is_empty()) {
            (true, true) => {
                let why = "not judged, because no comparison counts: ";
                return format!("{}.", capital(&stands.replacen("not judged: ", why, 1)));
            }
            (false, true) if self.options => {
                format!("Leave {}: {what} equivalent within {limits}.", self.as_they_are())
            }
            (false, true) if self.findings.yardstick => {
                let all: Vec<&str> = same.iter().map(|column| column.name.as_str()).collect();
                format!("Take {}: equivalent to {base} within {limits}.", names(&all, "of the others"))
            }
            (false, true) => {
                format!("Keep {base}, or take {}: {what} equivalent within {limits}.", self.either(&same))
            }
            (_, false) if self.options => {
                format!("Leave {}: no difference was found, and {seen}.", self.as_they_are())
            }
            (_, false) => format!("Keep {base}: no difference was found, and {seen}."),
        };
        scoped(self.findings, &advice)
    }

    /// Of columns that are measured against what the machine permits: listeners first, then those that the experiment compares
    /// with another column than the baseline, and what costs most.
    fn expect(&self) -> String {
        let known = self.all.iter().filter(|column| column.judged.iter().any(Effect::differs));
        let rank = |column: &Column| (column.own, column.base != self.findings.baseline);
        let known = known.sorted_by(|a, b| rank(b).cmp(&rank(a)).then(greatest(b).total_cmp(&greatest(a))));
        let known: Vec<&Column> = known.copied().collect();
        let each = |column: &&Column| because(column, &format!("{}'s", column.name), Effect::differs);
        let more = more(known.len().saturating_sub(MOST + 1), "; {} more differ");
        let each = known.iter().take(MOST + 1).map(each).join("; ");
        scoped(self.findings, &format!("Count on this: {each}{more}."))
    }

    /// The column whose effects the advice has.
    fn lead(&self) -> Option<&'a Column> {
        let [better, worse, mixed] = [Fate::Better, Fate::Worse, Fate::Mixed].map(|fate| self.with(fate));
        let by_load = mixed.first().filter(|_| worse.is_empty() || self.options);
        better.first().or(by_load).or(worse.first()).copied()
    }

    /// Sentences on the columns that the advice leaves out.
    fn effects(&self) -> Vec<String> {
        let (lead, differs) = (self.lead().map(|lead| &lead.name), self.judged().any(Effect::differs));
        let mut effects = Vec::new();
        for fate in [Fate::Better, Fate::Mixed, Fate::Worse] {
            let others = self.with(fate).into_iter().filter(|column| lead != Some(&column.name));
            let each = |column| {
                format!("{}.", because(column, &format!("{}'s", self.name(column)), Effect::differs))
            };
            effects.extend(others.filter(|_| !self.findings.yardstick).take(MOST).map(each));
        }
        let within = format!("Equivalent within {}", self.limits());
        let any_judged = self.judged().any(|effect| effect.found.is_judged());
        let rest = [
            (Fate::Same, !self.with(Fate::Open).is_empty(), within.as_str()),
            (Fate::Open, false, "Not told apart"),
            (Fate::Unjudged, any_judged, "Not judged"),
        ];
        for (fate, told, what) in rest {
            let with: Vec<String> = self.with(fate).iter().map(|column| self.name(column)).collect();
            if (differs || told) && !with.is_empty() {
                effects.push(format!("{what}: {}.", names(&with, "others")));
            }
        }
        effects
    }

    /// A column in another metric, which is described and not judged: who that matters to chooses otherwise.
    fn otherwise(&self) -> String {
        let [better, worse, same] = [Fate::Better, Fate::Worse, Fate::Same].map(|fate| self.with(fate));
        if self.findings.yardstick || self.judged().all(|effect| !effect.found.is_judged()) {
            return String::new();
        }
        let found = match better.first() {
            Some(best) => described(best, false).map(|metric| (*best, metric)),
            None => worse.iter().chain(&same).find_map(|column| Some((*column, described(column, true)?))),
        };
        let Some((column, metric)) = found else { return "nothing measured here is a reason to.".into() };
        let other = Column { judged: column.described.clone(), ..column.clone() };
        let verb = match (better.is_empty(), self.options) {
            (false, _) => format!("keep {}", column.base),
            (true, true) => format!("set {}", self.name(column)),
            (true, false) => format!("take {}", self.name(column)),
        };
        let (what, why) = (noun(metric), because(&other, "its", |effect| effect.found.metric == metric));
        format!("{verb} where {what} matters more: {why} (described, not judged).")
    }

    fn first_look(&self) -> Card {
        let visible = |effect: &Effect| {
            let Comparison { interval, least_effect, conclusion, pairs, .. } = effect.found;
            let near = interval.low.abs().min(interval.high.abs());
            let one_way = interval.low > 0.0 || interval.high < 0.0;
            let bound = conclusion == Conclusion::ClientBound;
            pairs > 1 && one_way && !bound && near > effect.noise.max(least_effect)
        };
        let all = self.all.iter().flat_map(|column| column.judged.iter().map(move |effect| (column, effect)));
        let seen = all.filter(|(_, effect)| visible(effect));
        let seen: Vec<_> = seen.sorted_by(|(_, a), (_, b)| b.size().total_cmp(&a.size())).collect();
        let each = |(column, effect): &(&&Column, &Effect)| {
            let alone = Column { judged: vec![(*effect).clone()], ..(**column).clone() };
            let why = because(&alone, &format!("{}'s", self.name(column)), |_| true);
            format!("{why}, in all {} rounds", effect.found.pairs)
        };
        let more = more(seen.len().saturating_sub(MOST), "; and {} more");
        let each = seen.iter().take(MOST).map(each).join("; ");
        let visible = (!seen.is_empty()).then(|| format!("Visible all the same: {each}{more}."));
        let rounds = counted(self.findings.rounds, "round");
        Card {
            advice: format!("No ranking: {rounds}, and a judgement needs {ENOUGH_ROUNDS}."),
            standing: Standing::FirstLook,
            stands: first_look(self.findings),
            effects: visible.into_iter().chain(beside(self.findings)).collect(),
            ..Card::default()
        }
    }

    fn name(&self, column: &Column) -> String {
        column.option.clone().unwrap_or_else(|| column.name.clone())
    }

    /// `a, b or c`, or `7 of the 14 others`
    fn either(&self, columns: &[&Column]) -> String {
        let all: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        either(&all, self.all.len(), "others")
    }

    /// The options without their values, each once: `a and b as they are`.
    fn as_they_are(&self) -> String {
        let all = self.all.iter().filter_map(|column| column.option.as_deref());
        let all: Vec<&str> =
            all.map(|option| option.split_whitespace().next().unwrap_or_default()).unique().collect();
        format!("{} as {}", names(&all, "options"), if all.len() > 1 { "they are" } else { "it is" })
    }
}

/// The largest difference of a column.
fn greatest(column: &Column) -> f64 {
    column.judged.iter().filter(|effect| effect.differs()).map(Effect::size).fold(0.0, f64::max)
}
