//! `--status` and `--metrics`: show the scoreboard of an instance, once or live on a terminal, or for programs.

mod json;
mod metrics;
mod page;
mod screen;
mod sight;

use super::{print, running};
use crate::instance::Folder;
use crate::server::error::Error;
use page::Page;
use screen::Screen;
use sight::Sight;

/// Shows the counters live until the user quits or the instance ends; once without a terminal.
pub fn status(folder: &Folder) -> Result<(), Error> {
    let life = running(folder)?;
    let first = Sight::of(folder, life)?;
    match Screen::take() {
        None => print(&Page::whole(&first)),
        Some(screen) => watch(folder, first, screen),
    }
}

/// Prints the counters as JSON.
pub fn json(folder: &Folder) -> Result<(), Error> {
    print(&json::text(&Sight::of(folder, running(folder)?)?))
}

/// Prints the counters for Prometheus and other readers of OpenMetrics.
pub fn metrics(folder: &Folder) -> Result<(), Error> {
    print(&metrics::text(&Sight::of(folder, running(folder)?)?))
}

/// Draws once per second and after each key.
fn watch(folder: &Folder, mut last: Sight, mut screen: Screen) -> Result<(), Error> {
    let life = last.life;
    let mut page = Page::default();
    loop {
        screen.draw(&page.fit(&last, screen.size()))?;
        match screen.wait()? {
            screen::Event::Leave => return Ok(()),
            screen::Event::Move(lines) => page.scroll(lines),
            screen::Event::Redraw => {}
            screen::Event::Tick if folder.life()? != life => {
                drop(screen);
                return print(&format!("instance {} has ended\n", folder.name()));
            }
            screen::Event::Tick => last = Sight::of(folder, life)?.after(last),
        }
    }
}
