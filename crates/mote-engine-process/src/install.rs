//! Installs what a function depends on, once for each content: `requirements.txt`, the dependencies
//! of `pyproject.toml`, `package.json`.
//!
//! The result goes by the digest of everything that decides it: manifest, lock, interpreter,
//! platform. Artifacts share its files by hard links. The installer may run code of the packages
//! (a `setup.py`, an install script), and it needs the network, so it is not in the jail yet: it is
//! a plain child in its own process group, with limits, without new privileges, with a cleaned
//! environment, in a directory of its own. [`plan`] says what to run; [`child`] runs it.

mod child;
mod plan;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::engine::Progress;
use mote_core::function::Family;
use mote_core::{Code, Error, Result};

use crate::artifact::Building;
use crate::runtime::Interpreter;
use plan::Plan;

/// Installed packages, made once and shared.
pub struct Installer {
    cache: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Installer {
    /// `cache` must be on the artifacts' file system for the links; it is made when first needed.
    pub fn new(cache: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Installer { cache, clock }
    }

    /// Puts the dependencies of the code in `artifact` beside it. Gives the time that the installer
    /// took: zero if it had nothing to do.
    pub async fn install(&self, artifact: &Path, interpreter: &Interpreter, progress: &Progress) -> Result<Duration> {
        let Some(plan) = Plan::of(artifact, interpreter)? else { return Ok(Duration::ZERO) };
        let cached = self.cache.join(plan.key.to_string());
        let mut took = Duration::ZERO;
        if cached.is_dir() {
            progress.tell("the dependencies are in the cache");
        } else {
            let before = self.clock.monotonic();
            self.make(&plan, artifact, &cached, progress).await?;
            took = self.clock.monotonic().saturating_sub(before);
        }
        let target = artifact.join(plan.place);
        link(&cached.join(plan.product), &target).map_err(|error| failed("the dependencies can't be put beside the code", error))?;
        Ok(took)
    }

    async fn make(&self, plan: &Plan, artifact: &Path, cached: &Path, progress: &Progress) -> Result<()> {
        let failed = |error| failed("the dependencies can't be stored", error);
        let building = Building::new(&self.cache).map_err(failed)?;
        plan.stage(artifact, &building.path).map_err(failed)?;
        progress.tell(format!("installing the dependencies of {}", plan.manifest));
        for (step, command) in plan.commands(&building.path).into_iter().enumerate() {
            let ended = child::run(command, &building.path, &*self.clock, progress).await?;
            // The installer comes first; that bytecode for some file can't be made is no failure.
            if step == 0 && !ended.success {
                return Err(Error::new(Code::BuildFailed, format!("{} failed: {}", plan.installer, ended.tail)).hint(plan.hint()));
            }
        }
        // A manifest may name nothing that leaves a file.
        fs::create_dir_all(building.path.join(plan.product)).map_err(failed)?;
        plan.clean(&building.path).map_err(failed)?;
        building.finish(cached).map_err(failed)
    }

    /// Bytecode of the function's own Python, so that a cold start need not make it. It is never
    /// checked against the source: an artifact does not change.
    pub async fn compile(&self, artifact: &Path, interpreter: &Interpreter) -> Result<()> {
        if interpreter.family != Family::Python {
            return Ok(());
        }
        let command = plan::compile(interpreter, artifact, "/code");
        child::run(command, artifact, &*self.clock, &Progress::silent()).await.map(|_| ())
    }
}

/// A copy of a tree by hard links; by content where the file system can't.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            link(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn failed(what: &str, error: io::Error) -> Error {
    let code = if error.kind() == io::ErrorKind::StorageFull { Code::StorageFull } else { Code::Internal };
    Error::new(code, what).caused_by(error)
}

#[cfg(test)]
mod tests;
