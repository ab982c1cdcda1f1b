//! `lab verify DIR`: runs the experiment of kept results again, and tests each of their conclusions.

use std::path::Path;

use super::options::Verify;
use super::suite;
use crate::lab::error::{self, Error, Result};
use crate::lab::judge::verify::{Kept, Outcome, Tested, conclusions};
use crate::lab::judge::{self, environment_diff};
use crate::lab::report;
use crate::lab::results::store::{self, Data};
use crate::lab::spec::catalogue::Found;
use crate::lab::terminal::{minutes, print};

/// Fails with [`Error::Failed`] if a conclusion is contradicted, and with [`Error::NotJudged`] if one cannot be judged.
pub fn verify(wanted: &Verify) -> Result<()> {
    match tested(wanted) {
        Err(Error::Failed(why)) => Err(Error::NotJudged(why)),
        Err(error) => Err(error),
        Ok(tested) => concluded(&tested),
    }
}

fn tested(wanted: &Verify) -> Result<Vec<Tested>> {
    if suite::is_suite(&wanted.reference) {
        let members = suite::begun(&wanted.reference)?.join(", ");
        let folder = wanted.reference.display();
        return Err(Error::Usage(format!(
            "{folder} holds the results of several experiments; name one: {folder}/NAME, with NAME one of {members}"
        )));
    }
    let kept = store::load(&wanted.reference)?;
    let analysis = judge::judge(&kept);
    let all = conclusions(&analysis);
    if all.is_empty() {
        let why = format!(
            "concludes nothing that could be tested: no difference, equivalence or claim was judged ({} rounds), and no fault left \
             all connections whole",
            analysis.rounds
        );
        return Err(Error::about(&wanted.reference, why));
    }
    let directory = match &wanted.against {
        Some(directory) => directory.clone(),
        None => again(wanted, &kept, &all)?,
    };
    let new = store::load(&directory)?;
    let judged = judge::judge(&new);
    let tested: Vec<Tested> = all.iter().map(|kept| kept.against(&judged, wanted.factor)).collect();
    let names = [&wanted.reference, &directory].map(|path| path.display().to_string());
    print(&text(&names, &circumstances(&kept, &new), &tested, wanted.factor))?;
    Ok(tested)
}

/// Runs the experiment of the kept results; returns the folder of the new ones.
fn again(wanted: &Verify, kept: &Data, all: &[Kept]) -> Result<std::path::PathBuf> {
    let path = wanted.reference.join(store::SPEC);
    let text = error::read(&path)?;
    let name = kept.environment.experiment.clone();
    let found = Found { name, origin: path.display().to_string(), text };
    let rounds = wanted.rounds.unwrap_or(kept.spec.rounds);
    let announce = |seconds: f64| print(&announcement(&wanted.reference, rounds, seconds, all));
    let stopped = |error: Error| match error {
        Error::Interrupted(why) => Error::Interrupted(format!(
            "{why}; then test its conclusions with lab verify {} --against DIR",
            wanted.reference.display()
        )),
        other => other,
    };
    super::again(&wanted.run(), &found, kept.spec.clone(), announce).map_err(stopped)
}

fn announcement(reference: &Path, rounds: u32, seconds: f64, all: &[Kept]) -> String {
    let each: String = all
        .iter()
        .map(|kept| format!("- {}: {}, {}\n", kept.about, kept.says, report::figure(&kept.figure)))
        .collect();
    format!(
        "The experiment of {} again: {rounds} rounds, about {}, and at most half as many more for void ones. It tests {}:\n{each}\n",
        reference.display(),
        minutes(seconds),
        counted(all.len(), "conclusion", "conclusions")
    )
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn circumstances(kept: &Data, new: &Data) -> Vec<String> {
    let all = environment_diff::circumstances(kept, new);
    let mut lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    if kept.environment.schema < new.environment.schema {
        lines.push(format!(
            "the kept results have an older layout (schema {}, now {}): what it does not tell was not concluded from them",
            kept.environment.schema, new.environment.schema
        ));
    }
    lines
}

fn text(names: &[String; 2], circumstances: &[String], tested: &[Tested], factor: f64) -> String {
    let mut text = format!("# The conclusions of {} in {}\n\n", names[0], names[1]);
    circumstances.iter().for_each(|line| text += &format!("- {line}\n"));
    text += &format!(
        "{}A difference holds if it has the same sign and is within a factor of {factor} of the kept one; an equivalence, if the new \
         interval is within its limit or, with the value within it, at most {factor} times as wide; none in n faults, if the new count is \
         compatible with the upper limit that n faults gave. What the whole new interval excludes is contradicted. In brackets: 95 % \
         intervals.\n\n",
        if circumstances.is_empty() { "" } else { "\n" }
    );
    text += &report::verification_table(tested).markdown();
    text + "\n" + &summary(tested) + "\n"
}

fn count(tested: &[Tested], outcome: Outcome) -> usize {
    tested.iter().filter(|one| one.outcome == outcome).count()
}

/// `7 conclusions: 5 hold, 1 is contradicted, 1 is not judged.`
fn summary(tested: &[Tested]) -> String {
    let [hold, contradicted, open] =
        [Outcome::Holds, Outcome::Contradicted, Outcome::NotJudged].map(|outcome| count(tested, outcome));
    format!(
        "{}: {}, {}, {}.",
        counted(tested.len(), "conclusion", "conclusions"),
        counted(hold, "holds", "hold"),
        counted(contradicted, "is contradicted", "are contradicted"),
        counted(open, "is not judged", "are not judged")
    )
}

fn concluded(tested: &[Tested]) -> Result<()> {
    let all = counted(tested.len(), "conclusion", "conclusions");
    match [Outcome::Contradicted, Outcome::NotJudged].map(|outcome| count(tested, outcome)) {
        [0, 0] => Ok(()),
        [0, open] => Err(Error::NotJudged(format!("not judged: {open} of {all}"))),
        [contradicted, _] => Err(Error::Failed(format!("contradicted: {contradicted} of {all}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;
    use crate::lab::results::store::Results;
    use std::path::PathBuf;

    fn folder(base: &Path, data: &Data) -> PathBuf {
        let text = toml::to_string(&data.spec).unwrap();
        let mut results = Results::create(base, &text, &data.environment).unwrap();
        data.runs.iter().for_each(|run| results.append(run).unwrap());
        results.directory
    }

    fn against(reference: &Path, new: &Path) -> Verify {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            verify: Verify,
        }
        use clap::Parser as _;
        let words = ["verify".as_ref(), reference.as_os_str(), "--against".as_ref(), new.as_os_str()];
        Line::try_parse_from(words).unwrap().verify
    }

    #[test]
    fn the_exit_code_says_whether_all_hold_one_is_contradicted_or_one_is_not_judged() {
        let base = tempfile::tempdir().unwrap();
        let kept = folder(base.path(), &fixture::quick(12));
        let code = |data: &Data| match verify(&against(&kept, &folder(base.path(), data))) {
            Ok(()) => 0,
            Err(error) => error.exit_code(),
        };
        let mut slower = fixture::quick(12);
        let own = slower.runs.iter_mut().filter(|run| run.cell == "reuseport" && run.load == "full load");
        own.for_each(|run| run.record.as_mut().unwrap().rate *= 1.3);
        assert_eq!((code(&fixture::quick(12)), code(&slower), code(&fixture::quick(4))), (0, 1, 3));
        // Contradicted in one, and too few rounds for the others.
        slower.runs.retain(|run| run.load == "full load");
        assert_eq!(code(&slower), 1);
        // Nothing was concluded from four rounds.
        let few = folder(base.path(), &fixture::quick(4));
        let error = verify(&against(&few, &kept)).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains("concludes nothing"), "{error}");
        let error = verify(&against(base.path(), &kept)).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains("is not a results folder"), "{error}");
    }

    #[test]
    fn the_text_has_a_row_per_conclusion_and_says_what_differs() {
        let kept = fixture::quick(12);
        let mut new = fixture::quick(12);
        new.environment.machine.kernel = "Linux 7.0".into();
        let mut older = kept.clone();
        older.environment.schema = 2;
        let (one, other) = (judge::judge(&kept), judge::judge(&new));
        let all = conclusions(&one);
        let tested: Vec<Tested> = all.iter().map(|kept| kept.against(&other, 2.0)).collect();
        let text = text(&["a".into(), "b".into()], &circumstances(&older, &new), &tested, 2.0);
        assert!(text.starts_with(
            "# The conclusions of a in b\n\n- different kernel: Linux 6.18.44, then Linux 7.0\n"
        ));
        assert!(text.contains("- the kept results have an older layout (schema 2, now 3)"), "{text}");
        assert!(text.contains("| reuseport under full load, Rate: differs | -9"), "{text}");
        assert!(
            text.ends_with(&format!("\n{}\n", summary(&tested))) && text.matches("| holds |").count() == 3,
            "{text}"
        );
        let before = announcement(Path::new("a"), 12, 61.0, &all);
        assert!(before.starts_with("The experiment of a again: 12 rounds, about 61 s, and"), "{before}");
        assert!(
            before.contains("It tests 3 conclusions:\n- reuseport under full load, Rate: differs, -9"),
            "{before}"
        );
    }
}
