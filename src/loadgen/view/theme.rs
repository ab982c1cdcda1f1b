//! Styles of the live view.

use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy, Debug)]
pub struct Theme {
    pub color: bool,
}

impl Theme {
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// For labels.
    pub fn faint(self) -> Style {
        self.colored(Style::new(), Color::DarkGray)
    }

    pub fn bar(self) -> Style {
        self.colored(Style::new(), Color::Cyan)
    }

    /// For failures and other problems.
    pub fn bad(self) -> Style {
        self.colored(self.strong(), Color::Red)
    }

    /// `style` in `color`, if colors are wanted.
    pub fn colored(self, style: Style, color: Color) -> Style {
        if self.color { style.fg(color) } else { style }
    }
}
