//! A suite: experiments that are run one after the other and answer one question with one table of claims.
//!
//! Each member has a results folder within that of the suite, which holds the text of the suite and its
//! report.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Session, finish, summarise};
use crate::lab::error::{self, Error, Result};
use crate::lab::judge::claims::Claim;
use crate::lab::report::card::Card;
use crate::lab::report::suite::Member;
use crate::lab::results::store;
use crate::lab::spec::Spec;
use crate::lab::spec::catalogue::Found;
use crate::lab::spec::suite::Suite;
use crate::lab::terminal::minutes;
use crate::lab::{judge, report};
use crate::sys::stdio::remark;

type Claims = BTreeMap<String, Vec<Claim>>;

pub const SUITE: &str = "suite.toml";

pub fn is_suite(directory: &Path) -> bool {
    directory.join(SUITE).is_file()
}

/// Runs all members and writes the report. The others run even if a member fails.
pub fn run(session: &Session, found: &Found, suite: &Suite) -> Result<()> {
    within(total(session, &suite.members()?)?, session.wanted.scope.means.max_time)?;
    let parent = session.wanted.scope.means.results.join(&found.name);
    fs::create_dir_all(&parent).map_err(|e| Error::file("make the results folder", &parent, e))?;
    let directory = store::fresh(&parent, &format!("{}-{}", session.started, session.label))?;
    error::write(&directory.join(SUITE), &found.text)?;
    run_members(session, &directory, suite)
}

/// Makes what is missing: members that have not started, and runs.
pub fn resume(session: &Session, directory: &Path, found: Option<Found>) -> Result<()> {
    let (suite, text) = read(directory)?;
    if let Some(found) = found.filter(|found| found.text != text) {
        let (origin, directory) = (found.origin, directory.display());
        return Err(Error::Failed(format!(
            "{origin} differs from the suite in {directory}; resume without naming it"
        )));
    }
    run_members(session, directory, &suite)
}

fn read(directory: &Path) -> Result<(Suite, String)> {
    let path = directory.join(SUITE);
    let text = error::read(&path)?;
    Ok((Suite::parse(&text, &path.display().to_string())?, text))
}

fn run_members(session: &Session, directory: &Path, suite: &Suite) -> Result<()> {
    let members = suite.members()?;
    let time = minutes(total(session, &members)?);
    remark(format_args!("{} experiments, about {time}; results in {}", members.len(), directory.display()));
    let (mut failed, mut interrupted, mut known) = (Vec::new(), None, Claims::new());
    for (found, spec) in members {
        let folder = directory.join(&found.name);
        remark(format_args!("{}: {}", found.name, spec.question));
        let how = member(session, &found, spec, &folder).and_then(|(claims, how)| {
            known.insert(found.name.clone(), claims);
            how
        });
        match how {
            Ok(()) => {}
            Err(Error::Interrupted(_)) => {
                interrupted = Some(format!(
                    "interrupted; the results so far are in {0} (continue: lab run --resume {0})",
                    directory.display()
                ));
                break;
            }
            Err(error) => {
                remark(format_args!("lab: {}: {error}", found.name));
                failed.push(found.name);
            }
        }
    }
    let (page, card) = write(directory, known)?;
    summarise(&card, &page)?;
    match interrupted {
        Some(text) => Err(Error::Interrupted(text)),
        None if failed.is_empty() => Ok(()),
        None => Err(Error::Failed(format!("failed (see above): {}", failed.join(", ")))),
    }
}

pub fn within(seconds: f64, max_minutes: Option<f64>) -> Result<()> {
    match max_minutes.filter(|most| seconds > most * 60.0) {
        None => Ok(()),
        Some(most) => Err(Error::Failed(format!(
            "the suite takes about {}, and --max-time is {most} min; run members by their names, or fewer --rounds",
            minutes(seconds)
        ))),
    }
}

/// Estimated seconds of all members; fails if one of them is invalid.
fn total(session: &Session, members: &[(Found, Spec)]) -> Result<f64> {
    members.iter().map(|(found, spec)| session.seconds(found, spec.clone())).sum()
}

fn member(session: &Session, found: &Found, spec: Spec, folder: &Path) -> Result<(Vec<Claim>, Result<()>)> {
    let ended = if store::is_results(folder) {
        session.resume(folder, None)?
    } else {
        session.experiment(found, spec, Some(folder))?
    };
    Ok(finish(ended))
}

/// Redraws the reports of the members and of the suite; returns the path of the latter.
pub fn redraw(directory: &Path) -> Result<PathBuf> {
    let mut known = Claims::new();
    for name in begun(directory)? {
        let (_, analysis) = report::redraw(&directory.join(&name))?;
        known.insert(name, analysis.claims);
    }
    Ok(write(directory, known)?.0)
}

pub fn begun(directory: &Path) -> Result<Vec<String>> {
    let (suite, _) = read(directory)?;
    Ok(suite.suite.into_iter().filter(|name| store::is_results(&directory.join(name))).collect())
}

/// Writes the report of the suite. Started members that are not `known` are judged now.
fn write(directory: &Path, mut known: Claims) -> Result<(PathBuf, Card)> {
    let (suite, _) = read(directory)?;
    let mut claims = |name: &String| -> Result<Option<Vec<Claim>>> {
        let folder = directory.join(name);
        match known.remove(name) {
            None if store::is_results(&folder) => Ok(Some(judge::judge(&store::load(&folder)?).claims)),
            claims => Ok(claims),
        }
    };
    let member = |name: &String| Ok(Member { name: name.clone(), claims: claims(name)? });
    let members: Vec<Member> = suite.suite.iter().map(member).collect::<Result<_>>()?;
    report::suite::write(directory, &suite, &members)
}
