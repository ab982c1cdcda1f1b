//! The report of a suite: one table of claims over all its experiments, and links to their reports.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::summary::Summary;
use super::view::claims::{ClaimView, sentence, views};
use super::view::moment;
use super::{PAGE, index, save, templates};
use crate::lab::error::Result;
use crate::lab::judge::claims::Claim;

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
    answer: Vec<String>,
    claims: Vec<ClaimView>,
    members: Vec<MemberView>,
}

#[derive(Debug, Serialize)]
struct Printed {
    answer: Option<String>,
    claims: Vec<ClaimView>,
}

#[derive(Debug, Serialize)]
struct MemberView {
    name: String,
    question: String,
    answer: Vec<String>,
    counts: String,
    /// Empty if it has not started.
    folder: String,
    link: String,
}

/// Writes report.html and report.md of a suite into `directory`, from the claims and summaries of its
/// members, and updates the index. Returns the path of the page.
pub fn write(directory: &Path, question: &str, members: &[Member]) -> Result<PathBuf> {
    let views: Vec<MemberView> = members.iter().map(|member| self::member(directory, member)).collect();
    let all = || members.iter().flat_map(|member| member.claims.iter().flatten());
    let missing: Vec<&str> =
        members.iter().filter(|member| member.claims.is_none()).map(|member| member.name.as_str()).collect();
    let mut answer: Vec<String> = sentence(all()).into_iter().collect();
    if !missing.is_empty() {
        answer.push(format!("Not started: {}.", missing.join(", ")));
    }
    let first = members.iter().find_map(|member| Summary::read(&directory.join(&member.name)));
    let summary = Summary {
        question: question.to_owned(),
        started: first.as_ref().map(|first| first.started.clone()).unwrap_or_default(),
        label: first.map(|first| first.label).unwrap_or_default(),
        answer: answer.clone(),
        members: members.iter().filter(|m| m.claims.is_some()).map(|m| m.name.clone()).collect(),
        ..Summary::default()
    };
    let of = |member: &Member| {
        let link = index::link(&format!("{}/{PAGE}", member.name));
        self::views(member.claims.as_deref().unwrap_or_default(), &link)
    };
    let page = SuitePage {
        question: question.to_owned(),
        subtitle: format!("{} experiments on {}, {}", views.len(), summary.label, moment(&summary.started)),
        answer,
        claims: members.iter().flat_map(of).collect(),
        members: views,
    };
    for (name, template) in [(PAGE, include_str!("suite.html")), ("report.md", include_str!("suite.md"))] {
        save(&directory.join(name), templates::render(name, template, &page)?.as_bytes())?;
    }
    summary.write(directory)?;
    let parent = directory.parent().and_then(Path::file_name).unwrap_or_default();
    index::after(directory, &parent.to_string_lossy())?;
    Ok(directory.join(PAGE))
}

/// The verdict on each claim, and a table with a row per expectation, for a terminal.
pub fn claims(members: &[Member]) -> Result<String> {
    const TEMPLATE: &str =
        "{% from \"macros.md\" import claims as claim_table %}{{ answer }}\n\n{{ claim_table(claims) }}\n";
    let all = || members.iter().flat_map(|member| member.claims.iter().flatten());
    let page = Printed {
        answer: sentence(all()),
        claims: members
            .iter()
            .flat_map(|member| views(member.claims.as_deref().unwrap_or_default(), ""))
            .collect(),
    };
    templates::render("claims.md", TEMPLATE, &page)
}

fn member(directory: &Path, member: &Member) -> MemberView {
    let summary = Summary::read(&directory.join(&member.name)).unwrap_or_default();
    let counts: Vec<String> = summary.verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    MemberView {
        name: member.name.clone(),
        question: summary.question,
        answer: summary.answer,
        counts: counts.join(", "),
        link: index::link(&format!("{}/{PAGE}", member.name)),
        folder: if member.claims.is_some() { member.name.clone() } else { String::new() },
    }
}
