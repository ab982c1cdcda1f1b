//! Shares of the workers: bars from the busiest to the idlest, the fair share as a line, a dot per run.

use super::{Anchor, Canvas, Figure, INK, Look, Result, figure};

/// What to draw.
#[derive(Debug)]
pub struct Shares {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// One per strategy.
    pub panels: Vec<Panel>,
    /// What every worker would have if all had the same, 0 to 1.
    pub fair: f64,
}

/// The bars of one strategy.
#[derive(Debug)]
pub struct Panel {
    /// Heading.
    pub label: String,
    /// Colour.
    pub look: Look,
    /// Lines below the heading, such as Jain's index.
    pub notes: [String; 2],
    /// Per worker, largest first: the height of the bar and the value in each run, 0 to 1.
    pub bars: Vec<(f64, Vec<f64>)>,
}

const PANEL_HEIGHT: f64 = 238.0;
const TEXT: f64 = 12.0;

impl Shares {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let columns = (width / 182).clamp(1, 4).min(self.panels.len().max(1) as i32) as usize;
        let rows = self.panels.len().div_ceil(columns).max(1);
        let heading = 66.0 + if width < 500 { 17.0 } else { 0.0 };
        let height = heading + rows as f64 * PANEL_HEIGHT - 14.0;
        figure(width, height, &self.title, |canvas| {
            canvas.heading(&self.title, &self.note)?;
            let gap = 22.0;
            let panel_width = (canvas.width - gap * (columns - 1) as f64) / columns as f64;
            for (index, panel) in self.panels.iter().enumerate() {
                let left = (index % columns) as f64 * (panel_width + gap);
                let top = heading + (index / columns) as f64 * PANEL_HEIGHT;
                self.panel(canvas, panel, (left, top), panel_width.min(260.0))?;
            }
            Ok(())
        })
    }

    fn panel(&self, canvas: &Canvas, panel: &Panel, (left, top): (f64, f64), width: f64) -> Result<()> {
        canvas.stroke(&[(left, top + 8.0), (left + 22.0, top + 8.0)], panel.look, 4.0)?;
        canvas.text((left + 28.0, top + 8.0), &panel.label, 13.5, 1.0, Anchor::Left)?;
        for (line, note) in (0_u8..).zip(&panel.notes) {
            canvas.text((left, top + 28.0 + 17.0 * f64::from(line)), note, TEXT, 0.72, Anchor::Left)?;
        }
        let (base, ceiling) = (top + PANEL_HEIGHT - 38.0, top + 76.0);
        let most = panel.bars.iter().flat_map(|(_, runs)| runs).copied().fold(self.fair, f64::max);
        let scale = self.ceiling().max(most);
        let y = |share: f64| base - (base - ceiling) * share / scale;
        let slot = width / panel.bars.len().max(1) as f64;
        for (index, (height, runs)) in panel.bars.iter().enumerate() {
            let from = left + slot * index as f64 + slot * 0.1;
            let bar = slot * 0.8;
            canvas.rectangle((from, y(*height)), (from + bar, base), panel.look.colour, 0.8)?;
            for (run, share) in runs.iter().enumerate() {
                let x = from + bar * (run as f64 + 1.0) / (runs.len() as f64 + 1.0);
                canvas.dot((x, y(*share)), 2.0, 0.85)?;
            }
            if slot >= 34.0 {
                let peak = runs.iter().copied().fold(*height, f64::max).max(self.fair);
                let percent = format!("{:.1}", height * 100.0);
                canvas.text((from + bar / 2.0, y(peak) - 11.0), &percent, TEXT, 1.0, Anchor::Middle)?;
            }
        }
        canvas.dashes(&[(left, y(self.fair)), (left + width, y(self.fair))], INK, 0.8, 1.0)?;
        canvas.line(&[(left, base), (left + width, base)], INK, 0.5, 1.0)?;
        canvas.text((left + slot * 0.1, base + 13.0), "busiest", TEXT, 0.72, Anchor::Left)?;
        canvas.text((left + width - slot * 0.1, base + 13.0), "idlest", TEXT, 0.72, Anchor::Right)
    }

    /// One scale for all panels.
    fn ceiling(&self) -> f64 {
        let shares = self.panels.iter().flat_map(|panel| &panel.bars).flat_map(|(_, runs)| runs);
        shares.copied().fold(self.fair * 1.25, f64::max)
    }
}
