//! The terminal of the live view: its own thread draws four times a second, and its settings are restored at the end, also
//! after a panic or an early exit. Ctrl-C still sends SIGINT.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices as Key, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};

use super::draw::draw;
use super::timeline::Timeline;
use crate::loadgen::control::Interrupt;
use crate::sys::clock::monotonic_ns;

const PERIOD_MS: u16 = 250;

/// The terminal in use, and its original settings.
static TAKEN: Mutex<Option<(File, Termios)>> = Mutex::new(None);
/// Whether it is in use; checked before every frame.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Restores the terminal when dropped.
pub struct Screen {
    timeline: Arc<Mutex<Option<Timeline>>>,
    /// Closing it ends the thread.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes over the terminal, if there is one and this process is in its foreground.
    pub fn open(interrupt: &Arc<Interrupt>) -> Option<Self> {
        let (ended, end) = io::pipe().ok()?;
        let tty = take()?;
        let timeline = Arc::new(Mutex::new(None));
        let (shown, interrupt) = (timeline.clone(), interrupt.clone());
        let show = move || show(&shown, tty, &ended, &interrupt);
        let thread = std::thread::Builder::new().name("view".into()).spawn(show);
        if thread.is_err() {
            leave();
        }
        Some(Self { timeline, end: Some(end), thread: Some(thread.ok()?) })
    }

    pub fn with(&self, change: impl FnOnce(&mut Option<Timeline>)) {
        change(&mut lock(&self.timeline));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread: draws, then waits for a key or the next frame.
fn show(timeline: &Mutex<Option<Timeline>>, mut tty: File, ended: &PipeReader, interrupt: &Interrupt) {
    let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let Ok(mut terminal) = Terminal::new(CrosstermBackend::new(io::stderr())) else { return };
    loop {
        let shown = lock(timeline).clone();
        if let Some(timeline) = shown.filter(|_| IS_TAKEN.load(Relaxed)) {
            let elapsed_ns = monotonic_ns() - timeline.begun_ns;
            if terminal.draw(|frame| draw(frame, &timeline, elapsed_ns, color)).is_err() {
                return;
            }
        }
        let mut ready =
            [PollFd::new(ended.as_fd(), PollFlags::POLLIN), PollFd::new(tty.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::from(PERIOD_MS));
        let [over, typed] = ready.map(|ready| ready.any().unwrap_or(false));
        if over {
            return;
        }
        let mut keys = [0; 64];
        if typed {
            match tty.read(&mut keys) {
                Ok(count) if keys[..count].iter().any(|key| matches!(key, b'q' | b'Q')) => interrupt.set(),
                // A closed terminal is always ready.
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

/// Takes over the terminal and returns it for reading keys; not from the background, where that would stop the program.
fn take() -> Option<File> {
    static HOOK: Once = Once::new();
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    if tcgetpgrp(&tty).ok()? != getpgrp() {
        return None;
    }
    let before = tcgetattr(&tty).ok()?;
    let mut settings = before.clone();
    settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
    // Reads do not block; no key suspends the run or makes it dump core.
    for (key, value) in [(Key::VMIN, 0), (Key::VTIME, 0), (Key::VSUSP, 0), (Key::VQUIT, 0)] {
        settings.control_chars[key as usize] = value;
    }
    let keys = tty.try_clone().ok()?;
    HOOK.call_once(|| {
        let then = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            then(panic);
        }));
    });
    tcsetattr(&tty, SetArg::TCSANOW, &settings).ok()?;
    *lock(&TAKEN) = Some((tty, before));
    IS_TAKEN.store(true, Relaxed);
    let _ = execute!(io::stderr(), EnterAlternateScreen, Hide);
    Some(keys)
}

/// Restores the terminal, if it is in use.
pub fn leave() {
    IS_TAKEN.store(false, Relaxed);
    if let Some((tty, before)) = lock(&TAKEN).take() {
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
        let _ = tcsetattr(&tty, SetArg::TCSANOW, &before);
    }
}
