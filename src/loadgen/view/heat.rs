//! Heat map of response times: time from left to right, latency upwards, darker for more requests.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::draw::FAINT;
use super::timeline::{BANDS, Bucket, Timeline, band_end_us};
use crate::loadgen::figures::time;

pub const LEAST_HEIGHT: u16 = 4;
const LABELS: u16 = 11;
/// From few to most.
const SHADES: [&str; 4] = ["░", "▒", "▓", "█"];
/// The same in color: one hue from dark to bright.
const COLORS: [u8; 4] = [24, 31, 38, 45];

pub fn draw(buffer: &mut Buffer, area: Rect, timeline: &Timeline) {
    let columns = usize::from(area.width.saturating_sub(LABELS + 1));
    let columns = timeline.columns(columns);
    let mut used = [0u64; BANDS];
    for bucket in &columns {
        used.iter_mut().zip(bucket.bands).for_each(|(sum, count)| *sum += u64::from(count));
    }
    let Some(high) = used.iter().rposition(|count| *count > 0) else { return };
    let low = floor(&used);
    buffer.set_string(area.x + 1, area.y, "response times over time", FAINT);
    let rows = usize::from(area.height - 1);
    let per_row = (high - low + 1).div_ceil(rows);
    let shown = (high - low + 1).div_ceil(per_row);
    let bands = |row: usize| {
        let from = low + row * per_row;
        // The lowest row includes the few quickest responses.
        (if row == 0 { 0 } else { from })..(from + per_row).min(high + 1)
    };
    let count = |bucket: &Bucket, row: usize| {
        bucket.bands[bands(row)].iter().map(|count| u64::from(*count)).sum::<u64>()
    };
    for row in 0..shown {
        let y = area.y + 1 + (shown - 1 - row) as u16;
        let label = format!("{:>9} ", time(band_end_us(bands(row).end - 1)));
        buffer.set_string(area.x, y, label, FAINT);
        for (column, bucket) in columns.iter().enumerate() {
            let whole: u64 = bucket.bands.iter().map(|count| u64::from(*count)).sum();
            if let Some(level) = level(count(bucket, row), whole) {
                let style = Style::new().fg(Color::Indexed(COLORS[level]));
                buffer.set_string(area.x + LABELS + column as u16, y, SHADES[level], style);
            }
        }
    }
}

/// The band below which at most 1 % of the responses lie.
fn floor(used: &[u64; BANDS]) -> usize {
    let whole: u64 = used.iter().sum();
    let mut below = 0;
    used.iter()
        .take_while(|count| {
            below += **count;
            below * 100 <= whole
        })
        .count()
}

/// The shade of a share: darker from 1 %, 10 % and 33 %.
fn level(count: u64, whole: u64) -> Option<usize> {
    let share = count as f64 / whole.max(1) as f64;
    (count > 0).then(|| [0.01, 0.1, 0.33].into_iter().filter(|least| share >= *least).count())
}
