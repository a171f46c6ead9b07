//! Who uses which artifact, so that none is deleted under a process that may still read it.
//!
//! Core says what no version needs any more; here it is deleted once nobody runs it. Not here: how
//! an artifact is made (`prepare.rs`), and that no deploy is under way meanwhile, which core sees to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use mote_core::function::Digest;

use super::{UNFINISHED, foreign, sweep};

pub(crate) struct Shelf {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<Digest, usize>,
    /// To be deleted as soon as nobody uses it.
    condemned: HashSet<Digest>,
    /// There since before the start, and not claimed by a deploy since.
    found: HashSet<Digest>,
}

/// While it lives, the artifact stays where it is.
pub(crate) struct Use {
    shelf: Arc<Shelf>,
    digest: Digest,
}

impl Shelf {
    /// Sweeps what a crash left half made or half deleted.
    pub(crate) fn open(directory: &Path) -> io::Result<Arc<Shelf>> {
        let found = sweep(directory)?.into_iter().filter_map(|name| Digest::try_from(name).ok()).collect();
        Ok(Arc::new(Shelf { directory: directory.to_owned(), state: Mutex::new(State { found, ..State::default() }) }))
    }

    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.to_string())
    }

    pub(crate) fn hold(self: &Arc<Self>, digest: Digest) -> Use {
        *self.state().users.entry(digest).or_default() += 1;
        Use { shelf: self.clone(), digest }
    }

    /// A deploy is about to refer to it. True if it was about to be deleted.
    pub(crate) fn claim(&self, digest: Digest) -> bool {
        let mut state = self.state();
        state.found.remove(&digest);
        state.condemned.remove(&digest)
    }

    /// Deletes it, now or when its last user is gone.
    pub(crate) async fn forget(self: &Arc<Self>, digest: Digest) {
        self.state().condemned.insert(digest);
        let shelf = self.clone();
        // It is lost only when the runtime ends, and then the next start finds what is left.
        let _ = tokio::task::spawn_blocking(move || shelf.delete(digest)).await;
    }

    /// Forgets what was there before the start, except for these and for what was claimed since.
    pub(crate) async fn keep_only(self: &Arc<Self>, kept: &HashSet<Digest>) {
        let orphans = {
            let mut state = self.state();
            let orphans: Vec<_> = std::mem::take(&mut state.found).into_iter().filter(|digest| !kept.contains(digest)).collect();
            // In the same breath, so that a deploy either claimed it before, or takes it back.
            state.condemned.extend(&orphans);
            orphans
        };
        let shelf = self.clone();
        let _ = tokio::task::spawn_blocking(move || orphans.into_iter().for_each(|digest| shelf.delete(digest))).await;
    }

    /// Out of its place under the lock, so that nobody finds half of it; the rest takes its time.
    fn delete(&self, digest: Digest) {
        let away = {
            let mut state = self.state();
            if state.users.contains_key(&digest) || !state.condemned.remove(&digest) {
                return;
            }
            let away = self.directory.join(aside());
            match fs::rename(self.path(digest), &away) {
                Ok(()) => away,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) => return tracing::warn!(%digest, %error, "an artifact that nothing needs any more stays on disk"),
            }
        };
        if let Err(error) = foreign::remove(&away) {
            tracing::warn!(%digest, %error, "an artifact can't be removed whole; the next start tries again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that the next start sweeps away.
fn aside() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{UNFINISHED}{}-gone-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Drop for Use {
    fn drop(&mut self) {
        let condemned = {
            let mut state = self.shelf.state();
            if let Some(users) = state.users.get_mut(&self.digest) {
                *users -= 1;
                if *users > 0 {
                    return;
                }
            }
            state.users.remove(&self.digest);
            state.condemned.contains(&self.digest)
        };
        // Without a runtime mote is ending, and the next start deletes it.
        if condemned && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (shelf, digest) = (self.shelf.clone(), self.digest);
            runtime.spawn_blocking(move || shelf.delete(digest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    struct Scene(tempfile::TempDir);

    impl Scene {
        fn new(artifacts: &[Digest]) -> (Scene, Arc<Shelf>) {
            let scene = Scene(tempfile::tempdir().unwrap());
            artifacts.iter().for_each(|artifact| fs::create_dir(scene.0.path().join(artifact.to_string())).unwrap());
            fs::create_dir(scene.0.path().join(format!("{UNFINISHED}1-gone-0"))).unwrap();
            fs::create_dir(scene.0.path().join("somebody's")).unwrap();
            let shelf = Shelf::open(scene.0.path()).unwrap();
            (scene, shelf)
        }

        fn left(&self) -> Vec<String> {
            let mut left: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            left.sort();
            left
        }
    }

    #[tokio::test]
    async fn what_is_used_is_deleted_after_its_last_use() {
        let (scene, shelf) = Scene::new(&[A]);
        let (one, other) = (shelf.hold(A), shelf.hold(A));
        shelf.forget(A).await;
        drop(one);
        assert_eq!(scene.left(), [A.to_string(), "somebody's".into()]);
        drop(other);
        while scene.left() != ["somebody's"] {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_deploy_takes_back_what_was_to_be_deleted() {
        let (scene, shelf) = Scene::new(&[A]);
        let used = shelf.hold(A);
        shelf.forget(A).await;
        assert!(shelf.claim(A));
        assert!(!shelf.claim(A));
        drop(used);
        // Deletions take turns with this one, which has nothing to delete either.
        shelf.delete(A);
        assert!(shelf.path(A).is_dir());
        shelf.forget(A).await;
        assert_eq!(scene.left(), ["somebody's"]);
    }

    #[tokio::test]
    async fn only_what_was_there_and_is_not_needed_is_an_orphan() {
        let (kept, claimed, made) = (Digest([3; 32]), Digest([4; 32]), Digest([5; 32]));
        let (scene, shelf) = Scene::new(&[A, B, kept, claimed]);
        shelf.claim(claimed);
        fs::create_dir(shelf.path(made)).unwrap();
        let used = shelf.hold(B);
        shelf.keep_only(&HashSet::from([kept])).await;
        assert!(!shelf.path(A).exists() && shelf.path(B).exists());
        drop(used);
        while shelf.path(B).exists() {
            tokio::task::yield_now().await;
        }
        // A second time there is nothing left to judge.
        shelf.keep_only(&HashSet::new()).await;
        assert!([kept, claimed, made].iter().all(|digest| shelf.path(*digest).is_dir()), "{:?}", scene.left());
    }
}
