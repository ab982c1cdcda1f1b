//! The report of a suite: one table of claims over all its experiments, and links to their reports.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::card::{self, Card};
use super::summary::Summary;
use super::view::claims::views;
use super::view::moment;
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

/// Writes report.html and report.md of a suite into `directory`, from the claims and summaries of its
/// members, and updates the index. Returns the path of the page, and its card.
pub fn write(directory: &Path, suite: &Suite, members: &[Member]) -> Result<(PathBuf, Card)> {
    let claims = |member: &Member| member.claims.clone().unwrap_or_default();
    let all: Vec<Claim> = members.iter().flat_map(claims).collect();
    let started = |started: bool| {
        let with = members.iter().filter(move |member| member.claims.is_some() == started);
        with.map(|member| member.name.clone()).collect::<Vec<_>>()
    };
    let card = card::of_suite(&suite.decision, &all, &started(false));
    let first = members.iter().find_map(|member| Summary::read(&directory.join(&member.name)));
    let Summary { started: begin, label, .. } = first.unwrap_or_default();
    let summary = Summary {
        question: suite.question.clone(),
        started: begin,
        label,
        card: card.clone(),
        members: started(true),
        ..Summary::default()
    };
    let link = |member: &Member| index::link(&format!("{}/{PAGE}", member.name));
    let member = |member: &Member| -> Value {
        let summary = Summary::read(&directory.join(&member.name)).unwrap_or_default();
        json!({
            "name": member.name, "question": summary.question, "advice": summary.card.advice,
            "counts": summary.counts(), "link": link(member), "started": member.claims.is_some(),
        })
    };
    let page = json!({
        "question": suite.question,
        "subtitle": format!("{} experiments on {}, {}", members.len(), summary.label, moment(&summary.started)),
        "card": card.view(),
        "claims": members.iter().flat_map(|member| views(&claims(member), &link(member))).collect::<Vec<_>>(),
        "members": members.iter().map(member).collect::<Vec<_>>(),
    });
    for (name, template) in [(PAGE, include_str!("suite.html")), ("report.md", include_str!("suite.md"))] {
        save(&directory.join(name), templates::render(name, template, &page)?.as_bytes())?;
    }
    summary.write(directory)?;
    let parent = directory.parent().and_then(Path::file_name).unwrap_or_default();
    index::after(directory, &parent.to_string_lossy())?;
    Ok((directory.join(PAGE), card))
}
