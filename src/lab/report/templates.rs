//! Renders templates. They have filters for numbers, links and times of their own.

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;

use super::text::{number, percent, probability};
use crate::lab::error::{Error, Result};

const SHARED: [(&str, &str); 7] = [
    ("style.css", include_str!("style.css")),
    ("base.html", include_str!("base.html")),
    ("overview.css", include_str!("overview/overview.css")),
    ("questions.js", include_str!("overview/questions.js")),
    ("macros.html", include_str!("macros.html")),
    ("macros.md", include_str!("macros.md")),
    ("says.txt", include_str!("view/says.txt")),
];

/// Texts are escaped if `name` ends in `.html`.
pub fn render(name: &str, template: &str, content: &impl Serialize) -> Result<String> {
    let failed = |e: minijinja::Error| Error::Failed(format!("cannot fill in {name}: {e:#}"));
    let mut environment = Environment::new();
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?);
    environment.add_filter("number", number);
    environment.add_filter("percent", percent);
    environment.add_filter("probability", probability);
    for (name, text) in SHARED {
        environment.add_template(name, text).map_err(failed)?;
    }
    environment.add_template(name, template).map_err(failed)?;
    environment.get_template(name).and_then(|template| template.render(Serde(content))).map_err(failed)
}

/// The lines of a template, each a sentence or two; what is empty has nothing to say.
pub fn sentences(name: &str, template: &str, content: &impl Serialize) -> Result<Vec<String>> {
    let text = render(name, template, content)?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
