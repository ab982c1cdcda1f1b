//! Reports a failed reload: to its requester, to the service manager, and in the scoreboard.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::Ordering::SeqCst;

use super::Supervisor;

impl Supervisor {
    /// Records why the old configuration stays in use.
    pub(super) fn refuse_reload(&mut self, what: &str, reason: &str) {
        tracing::error!("{what}, keeping the old configuration: {reason}");
        // Before it is counted: `--reload` waits for the count and then reads the reason.
        if let Err(error) = self.write_refusal(reason) {
            tracing::warn!("cannot write {}: {error}", self.claim.folder().refusal().display());
        }
        self.board.header().refused.fetch_add(1, SeqCst);
        self.own().notify.ready(&format!("{what}: {reason}"));
    }

    fn write_refusal(&self, reason: &str) -> std::io::Result<()> {
        let path = self.claim.folder().refusal();
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&temporary)?.write_all(format!("{reason}\n").as_bytes())?;
        std::fs::rename(&temporary, path)
    }
}
