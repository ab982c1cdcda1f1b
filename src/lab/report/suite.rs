//! The report of a suite: one table of claims over all its experiments, and links to their reports.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::card::{self, Card};
use super::summary::Summary;
use super::view::claims::{ClaimView, views};
use super::view::{CardView, moment};
use super::{PAGE, index, save, templates};
use crate::lab::error::Result;
use crate::lab::judge::claims::Claim;
use crate::lab::spec::suite::Suite;

#[derive(Debug)]
pub struct Member {
    /// Also of its folder.
    pub name: String,
    /// `None` if it has not started.
    pub claims: Option<Vec<Claim>>,
}

#[derive(Debug, Serialize)]
struct SuitePage {
    question: String,
    subtitle: String,
    card: CardView,
    claims: Vec<ClaimView>,
    members: Vec<MemberView>,
}

#[derive(Debug, Serialize)]
struct MemberView {
    name: String,
    question: String,
    advice: String,
    counts: String,
    /// Empty if it has not started.
    folder: String,
    link: String,
}

/// Writes report.html and report.md of a suite into `directory`, from the claims and summaries of its
/// members, and updates the index. Returns the path of the page, and its card.
pub fn write(directory: &Path, suite: &Suite, members: &[Member]) -> Result<(PathBuf, Card)> {
    let views: Vec<MemberView> = members.iter().map(|member| self::member(directory, member)).collect();
    let all = || members.iter().flat_map(|member| member.claims.iter().flatten());
    let missing: Vec<&str> =
        members.iter().filter(|member| member.claims.is_none()).map(|member| member.name.as_str()).collect();
    let card = card::of_suite(&suite.decision, all(), &missing);
    let first = members.iter().find_map(|member| Summary::read(&directory.join(&member.name)));
    let summary = Summary {
        question: suite.question.clone(),
        started: first.as_ref().map(|first| first.started.clone()).unwrap_or_default(),
        label: first.map(|first| first.label).unwrap_or_default(),
        card: card.clone(),
        members: members.iter().filter(|m| m.claims.is_some()).map(|m| m.name.clone()).collect(),
        ..Summary::default()
    };
    let of = |member: &Member| {
        let link = index::link(&format!("{}/{PAGE}", member.name));
        self::views(member.claims.as_deref().unwrap_or_default(), &link)
    };
    let page = SuitePage {
        question: suite.question.clone(),
        subtitle: format!("{} experiments on {}, {}", views.len(), summary.label, moment(&summary.started)),
        card: CardView::of(&card),
        claims: members.iter().flat_map(of).collect(),
        members: views,
    };
    for (name, template) in [(PAGE, include_str!("suite.html")), ("report.md", include_str!("suite.md"))] {
        save(&directory.join(name), templates::render(name, template, &page)?.as_bytes())?;
    }
    summary.write(directory)?;
    let parent = directory.parent().and_then(Path::file_name).unwrap_or_default();
    index::after(directory, &parent.to_string_lossy())?;
    Ok((directory.join(PAGE), card))
}

fn member(directory: &Path, member: &Member) -> MemberView {
    let summary = Summary::read(&directory.join(&member.name)).unwrap_or_default();
    let counts: Vec<String> = summary.verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    MemberView {
        name: member.name.clone(),
        question: summary.question,
        advice: summary.card.advice,
        counts: counts.join(", "),
        link: index::link(&format!("{}/{PAGE}", member.name)),
        folder: if member.claims.is_some() { member.name.clone() } else { String::new() },
    }
}
