//! Which figures a report has: hands the judge's results to the plots.

use serde::Serialize;

use super::words::{load_line, percent};
use crate::lab::error::Result;
use crate::lab::judge::{Analysis, CellResult, ENOUGH_ROUNDS, Scene};
use crate::lab::plot::percentiles::{Curve, Percentiles};
use crate::lab::plot::shares::{Panel, Shares};
use crate::lab::plot::{Figure, NARROW, WIDE, look};
use crate::lab::store::Data;
use crate::measure::stats;

/// A figure in a report.
#[derive(Clone, Debug, Serialize)]
pub struct Drawn {
    /// File of the wide form, relative to the report.
    pub file: String,
    /// What it shows.
    pub alt: String,
    /// For a desk.
    pub wide: String,
    /// For a phone.
    pub narrow: String,
    /// For a file of its own.
    #[serde(skip)]
    pub svg: String,
}

/// The figures of each scene.
pub fn draw(data: &Data, analysis: &Analysis) -> Result<Vec<Vec<Drawn>>> {
    let several = analysis.scenes.len() > data.spec.load.len();
    let one = |(index, scene): (usize, &Scene)| {
        let mut stem = slug(&scene.load.name);
        if several {
            stem = format!("{}-{stem}", index + 1);
        }
        let curves = percentiles(scene, analysis);
        let shares = shares(scene);
        Ok(vec![
            both(format!("plots/percentiles-{stem}.svg"), &curves.title, |width| curves.draw(width))?,
            both(format!("plots/shares-{stem}.svg"), &shares.title, |width| shares.draw(width))?,
        ])
    };
    analysis.scenes.iter().enumerate().map(one).collect()
}

fn both(file: String, title: &str, draw: impl Fn(i32) -> Result<Figure>) -> Result<Drawn> {
    let (wide, narrow) = (draw(WIDE)?, draw(NARROW)?);
    Ok(Drawn { file, alt: title.into(), svg: wide.file(), wide: wide.inline(), narrow: narrow.inline() })
}

/// A name that is fit for a file.
fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(plain).collect()
}

/// Results with runs that count.
fn shown(scene: &Scene) -> impl Iterator<Item = &CellResult> {
    scene.results.iter().filter(|result| result.used > 0)
}

fn percentiles(scene: &Scene, analysis: &Analysis) -> Percentiles {
    let band =
        if analysis.enough { "95 % interval of the median" } else { "from the lowest run to the highest" };
    let runs = scene.results.iter().map(|result| result.used).max().unwrap_or(0);
    let curves = shown(scene).filter(|result| !result.curve.is_empty()).map(|result| Curve {
        label: result.cell.id.clone(),
        look: look(&result.cell.listener, result.cell.twin),
        points: result
            .curve
            .iter()
            .map(|point| (point.nines, [point.median_ms, point.band_ms.low, point.band_ms.high]))
            .collect(),
        service: Vec::new(),
    });
    Percentiles {
        title: format!("Response time, {}", scene.load.name),
        note: format!("{}. Line: median of {runs} runs. Band: {band}.", load_line(scene)),
        curves: curves.collect(),
    }
}

fn shares(scene: &Scene) -> Shares {
    let panel = |result: &CellResult| {
        let spread = result.spread?;
        let rank = |rank: usize| -> Vec<f64> {
            result.shares.iter().filter_map(|shares| shares.get(rank).copied()).collect()
        };
        let workers = result.shares.iter().map(Vec::len).max().unwrap_or(0);
        let bars = (0..workers).map(|r| (stats::median(&rank(r)).unwrap_or(0.0), rank(r)));
        Some(Panel {
            label: result.cell.id.clone(),
            look: look(&result.cell.listener, result.cell.twin),
            note: format!("Jain {:.4}, spread {}", spread.jain, percent(spread.cov, 2)),
            bars: bars.collect(),
        })
    };
    let fair = 1.0 / scene.group.workers.max(1) as f64;
    let dots = if scene.results.iter().any(|result| result.used >= ENOUGH_ROUNDS) {
        "Dots: runs"
    } else {
        "Dots: the runs"
    };
    Shares {
        title: format!("Who gets the connections, {}", scene.load.name),
        note: format!(
            "Share of {} workers in %, busiest first. {dots}. Dashed: the fair share, {}.",
            scene.group.workers,
            percent(fair, 1)
        ),
        panels: shown(scene).filter_map(panel).collect(),
        fair,
    }
}
