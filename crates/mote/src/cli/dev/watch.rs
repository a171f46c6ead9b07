//! What was saved: file events, gathered until an editor has finished.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::pack;

/// An editor writes, renames and sets modes in one go; after so long a silence it has finished.
const QUIET: Duration = Duration::from_millis(30);
/// A program that writes without end is not waited for.
const GATHER_MAX: Duration = Duration::from_millis(200);

/// Tells what changes below a folder, until it is dropped.
pub(super) struct Watch {
    changes: mpsc::UnboundedReceiver<PathBuf>,
    clock: Arc<dyn Clock>,
    /// Ends when dropped.
    _watcher: RecommendedWatcher,
}

impl Watch {
    pub(super) fn start(dir: &Path, clock: Arc<dyn Clock>) -> Result<Watch, Failure> {
        let (tell, changes) = mpsc::unbounded_channel();
        let root = dir.to_owned();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            // Whoever listened is gone when nobody takes it.
            Ok(event) => event.paths.into_iter().filter(|path| matters(&root, path)).for_each(|path| drop(tell.send(path))),
            Err(error) => tracing::warn!(%error, "a change may have been missed; save again"),
        });
        let unwatched = |error| {
            Failure::platform(format!("{} can't be watched: {error}", dir.display()))
                .hint("If the limit of watches is reached, raise fs.inotify.max_user_watches.")
        };
        let mut watcher = watcher.map_err(unwatched)?;
        watcher.watch(dir, RecursiveMode::Recursive).map_err(unwatched)?;
        Ok(Watch { changes, clock, _watcher: watcher })
    }

    /// The next paths that changed; `None` when nothing can be watched any more.
    pub(super) async fn next(&mut self) -> Option<BTreeSet<PathBuf>> {
        let mut changed = BTreeSet::from([self.changes.recv().await?]);
        let begun = self.clock.monotonic();
        while self.clock.monotonic() - begun < GATHER_MAX {
            tokio::select! {
                path = self.changes.recv() => changed.insert(path?),
                () = self.clock.sleep(QUIET) => break,
            };
        }
        Some(changed)
    }
}

/// Neither an editor's own file nor a part that is never deployed.
fn matters(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let deployed = inside.iter().all(|part| !pack::skips(&part.to_string_lossy()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // vim probes with 4913 whether it may write; the others are backups and locks.
    let temporary = name == "4913"
        || name.starts_with(".#")
        || name.starts_with('#')
        || [".swp", ".swo", ".swx", ".tmp", ".part", "~"].iter().any(|end| name.ends_with(end));
    deployed && !temporary
}

#[cfg(test)]
mod tests {
    use mote_core::clock::SystemClock;

    use super::*;

    #[test]
    fn what_matters() {
        let check = |path: &str, expect| assert_eq!(matters(Path::new("/f"), &Path::new("/f").join(path)), expect, "{path}");
        check("main.py", true);
        check("one/mote.toml", true);
        check(".mote/data/mote.db", false);
        check("one/__pycache__/main.pyc", false);
        check("node_modules/x/i.js", false);
        check(".main.py.swp", false);
        check("main.py~", false);
        check(".#main.py", false);
        check("4913", false);
    }

    #[tokio::test]
    async fn a_save_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut watch = Watch::start(&root, Arc::new(SystemClock::new())).unwrap();
        let file = root.join("main.py");
        std::fs::write(root.join("main.py~"), "x = 0").unwrap();
        std::fs::write(&file, "x = 1").unwrap();
        std::fs::write(&file, "x = 2").unwrap();
        assert_eq!(watch.next().await.unwrap(), BTreeSet::from([file]));
    }
}
