//! The terminal during `--status`: alternate screen, no echo, redrawn in place. It is restored at the end, also when a
//! signal ends the program.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices as Key, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use terminal_size::terminal_size_of;

use crate::server::error::Error;

/// Refresh interval in ms.
const EVERY_MS: u16 = 1_000;
/// Alternate screen, hidden cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Cursor home.
const HOME: &str = "\x1b[H";
/// Erase to the end of the line, or of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// Beyond any table's length.
const ALL: isize = 1 << 20;

/// Signals that end the program, and SIGWINCH.
const SIGNALS: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGWINCH];

/// The result of a wait between two redraws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The refresh interval is over.
    Tick,
    /// The terminal was resized.
    Redraw,
    /// Scroll by this many lines.
    Move(isize),
    Leave,
}

/// Restores the terminal when dropped.
#[derive(Debug)]
pub(super) struct Screen {
    tty: File,
    before: Termios,
    signals: SignalFd,
}

impl Screen {
    /// Takes over the terminal on standard output. `None` if there is none, if it cannot move its cursor, or if another
    /// process has it.
    pub fn take() -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if dumb || !io::stdout().is_terminal() {
            return None;
        }
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        if tcgetpgrp(&tty).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&tty).ok()?;
        let set: SigSet = SIGNALS.into_iter().collect();
        set.thread_block().ok()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok()?;
        let mut settings = before.clone();
        settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // Reads do not block, and no key suspends the program.
        for (key, value) in [(Key::VMIN, 0), (Key::VTIME, 0), (Key::VSUSP, 0)] {
            settings.control_chars[key as usize] = value;
        }
        tcsetattr(&tty, SetArg::TCSANOW, &settings).ok()?;
        let screen = Self { tty, before, signals };
        screen.write(ENTER).ok()?;
        Some(screen)
    }

    pub fn size(&self) -> (usize, usize) {
        let size = terminal_size_of(&self.tty).map(|(width, height)| (width.0.into(), height.0.into()));
        size.filter(|&(width, height)| width > 0 && height > 0).unwrap_or((80, 24))
    }

    /// Replaces the screen's contents by these lines.
    pub fn draw(&self, lines: &[String]) -> Result<(), Error> {
        let text: Vec<_> = lines.iter().map(|line| format!("{line}{CLEAR_LINE}")).collect();
        self.write(&format!("{HOME}{}{CLEAR_BELOW}", text.join("\r\n")))
            .map_err(|error| Error::Failed(format!("cannot write to the terminal: {error}")))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }

    /// Waits for a key, a signal or the next refresh. A fatal signal ends the program after the terminal was restored.
    pub fn wait(&mut self) -> Result<Event, Error> {
        let mut ready = [self.signals.as_fd(), self.tty.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let _ = poll(&mut ready, PollTimeout::from(EVERY_MS));
        let [signalled, typed] = ready.map(|ready| ready.any().unwrap_or(false));
        if signalled && let Ok(Some(info)) = self.signals.read_signal() {
            return match i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGINT) => Ok(Event::Leave),
                Some(Signal::SIGWINCH) | None => Ok(Event::Redraw),
                Some(other) => {
                    self.restore();
                    self.end_by(other)
                }
            };
        }
        if !typed {
            return Ok(Event::Tick);
        }
        let mut keys = [0; 64];
        match self.tty.read(&mut keys) {
            // A closed terminal is always ready.
            Ok(0) | Err(_) => Ok(Event::Leave),
            Ok(count) => Ok(meaning(&keys[..count], self.size().1)),
        }
    }

    /// Ends the program by the signal that was held back.
    fn end_by(&self, signal: Signal) -> Result<Event, Error> {
        let _ = raise(signal);
        let _ = SigSet::from(signal).thread_unblock();
        Err(Error::Failed(format!("ended by {signal}")))
    }

    fn restore(&self) {
        let _ = self.write(LEAVE);
        let _ = tcsetattr(&self.tty, SetArg::TCSANOW, &self.before);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
        // Later signals need no restoring.
        let _ = SIGNALS.into_iter().collect::<SigSet>().thread_unblock();
    }
}

/// The action for the pressed keys, on a screen of this many lines.
fn meaning(keys: &[u8], height: usize) -> Event {
    let page = isize::try_from(height / 2).unwrap_or(1).max(1);
    match keys {
        b"q" | b"Q" | b"\x1b" | b"\x04" => Event::Leave,
        b"j" | b"\r" | b"\n" | b"\x1b[B" | b"\x1bOB" => Event::Move(1),
        b"k" | b"\x1b[A" | b"\x1bOA" => Event::Move(-1),
        b" " | b"\x1b[6~" => Event::Move(page),
        b"b" | b"\x1b[5~" => Event::Move(-page),
        b"g" | b"\x1b[H" | b"\x1bOH" | b"\x1b[1~" => Event::Move(-ALL),
        b"G" | b"\x1b[F" | b"\x1bOF" | b"\x1b[4~" => Event::Move(ALL),
        _ if keys.contains(&b'q') => Event::Leave,
        _ => Event::Redraw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_move_and_leave() {
        assert_eq!(meaning(b"q", 24), Event::Leave);
        assert_eq!(meaning(b"\x1b[B", 24), Event::Move(1));
        assert_eq!(meaning(b"\x1b[5~", 24), Event::Move(-12));
        assert_eq!(meaning(b"x", 24), Event::Redraw);
        assert_eq!(meaning(b"xq", 24), Event::Leave);
    }
}
