//! Renders templates.

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;

use crate::lab::error::{Error, Result};

const SHARED: [(&str, &str); 5] = [
    ("style.css", include_str!("style.css")),
    ("overview.css", include_str!("overview/overview.css")),
    ("questions.js", include_str!("overview/questions.js")),
    ("macros.html", include_str!("macros.html")),
    ("macros.md", include_str!("macros.md")),
];

/// Texts are escaped if `name` ends in `.html`.
pub fn render(name: &str, template: &str, content: &impl Serialize) -> Result<String> {
    let failed = |e: minijinja::Error| Error::Failed(format!("cannot fill in {name}: {e:#}"));
    let mut environment = Environment::new();
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?);
    for (name, text) in SHARED {
        environment.add_template(name, text).map_err(failed)?;
    }
    environment.add_template(name, template).map_err(failed)?;
    environment.get_template(name).and_then(|template| template.render(Serde(content))).map_err(failed)
}
