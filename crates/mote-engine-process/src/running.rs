//! How many of something run, for whoever waits until none does.

use tokio::sync::watch;

pub(crate) struct Running(watch::Sender<usize>);

/// Counted until it is dropped.
pub(crate) struct Counted(watch::Sender<usize>);

impl Default for Running {
    fn default() -> Running {
        Running(watch::Sender::new(0))
    }
}

impl Running {
    pub(crate) fn enter(&self) -> Counted {
        self.0.send_modify(|running| *running += 1);
        Counted(self.0.clone())
    }

    /// Resolves when none runs.
    pub(crate) async fn none(&self) {
        // It can only fail when there is no sender, and this is one.
        let _ = self.0.subscribe().wait_for(|running| *running == 0).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
