//! A thread of the lab beside a run: it samples, injects or occupies until the run ends.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Told to end and awaited when dropped.
#[derive(Debug)]
pub struct Background<T> {
    /// Dropping it tells the thread.
    run: Option<Sender<()>>,
    thread: Option<JoinHandle<T>>,
}

/// The end of the run, as its threads see it.
#[derive(Debug)]
pub struct RunEnd(Receiver<()>);

impl<T: Send + 'static> Background<T> {
    pub fn start(name: &str, work: impl FnOnce(&RunEnd) -> T + Send + 'static) -> io::Result<Self> {
        let (run, end) = channel();
        let thread = Builder::new().name(name.into()).spawn(move || work(&RunEnd(end)))?;
        Ok(Self { run: Some(run), thread: Some(thread) })
    }
}

impl<T> Background<T> {
    /// The result of the thread; `None` if it panicked.
    pub fn finish(mut self) -> Option<T> {
        self.end()
    }

    fn end(&mut self) -> Option<T> {
        drop(self.run.take());
        self.thread.take()?.join().ok()
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl RunEnd {
    /// Waits so long, or until the run ends. Whether the run goes on.
    pub fn is_later_than(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }

    pub fn is_here(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }
}
