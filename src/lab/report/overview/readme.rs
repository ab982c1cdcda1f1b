//! The part of results/README.md that is drawn from the kept reports: the matrix, what was not measured, and the list of
//! reports.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Run;
use super::matrix::overview;
use crate::lab::error::{Error, Result};
use crate::lab::report::{index, save, templates};

/// The part is between these lines.
const BEGIN: &str = "<!-- drawn by `lab report --all` -->\n";
const END: &str = "<!-- end of the drawn part -->\n";
const PAGE: &str = "README.md";

/// Draws the part again, if the page has one. `complete`: all kept results have a summary of this format, without which the page
/// stays as it is.
pub fn update(results: &Path, runs: &[Run], complete: bool) -> Result<()> {
    let path = results.join(PAGE);
    let Some(text) = fs::read_to_string(&path).ok().filter(|_| complete) else { return Ok(()) };
    let Some((before, rest)) = text.split_once(BEGIN) else { return Ok(()) };
    let (_, after) = rest.split_once(END).ok_or_else(|| {
        Error::Failed(format!("{}: the line `{}` is missing", path.display(), END.trim_end()))
    })?;
    let kept: Vec<Run> = runs.iter().filter(|run| run.kept).cloned().collect();
    let new = format!("{before}{BEGIN}\n{}\n\n{END}{after}", part(&kept)?.trim());
    if new == text { Ok(()) } else { save(&path, new.as_bytes()) }
}

fn part(kept: &[Run]) -> Result<String> {
    let report = |run: &Run| -> Value {
        let basis = run.basis();
        let link = index::link(&format!("{}/report.md", run.place));
        let says = run.summary.card.advice.replace('|', "\\|");
        json!({
            "name": run.experiment, "link": link, "says": says, "rounds": basis.rounds,
            "commit": basis.commit, "superseded": basis.superseded,
        })
    };
    let reports: Vec<Value> = kept.iter().map(report).collect();
    let part = json!({ "overview": overview(kept, ""), "reports": reports });
    templates::render("readme.md", include_str!("readme.md"), &part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_between_the_lines_is_drawn_and_the_rest_stays() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(PAGE);
        let page = || fs::read_to_string(&path).unwrap();
        update(base.path(), &[], true).unwrap();
        assert!(!path.exists());
        fs::write(&path, format!("# Mine\n\n{BEGIN}STALE\n{END}\nThe end.\n")).unwrap();
        update(base.path(), &[], false).unwrap();
        assert!(page().contains("STALE"), "results without a summary would be missing");
        update(base.path(), &[], true).unwrap();
        let drawn = page();
        assert!(
            drawn.starts_with("# Mine\n\n<!-- drawn") && drawn.ends_with("part -->\n\nThe end.\n"),
            "{drawn}"
        );
        assert!(!drawn.contains("STALE") && drawn.contains("| `inherited` |"), "{drawn}");
        update(base.path(), &[], true).unwrap();
        assert_eq!(page(), drawn);
        fs::write(&path, format!("{BEGIN}STALE\n")).unwrap();
        let error = update(base.path(), &[], true).unwrap_err().to_string();
        assert!(error.contains("the line `<!-- end of the drawn part -->` is missing"), "{error}");
    }
}
