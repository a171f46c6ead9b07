//! Installs what a function depends on, once for each content: `requirements.txt`, the dependencies
//! of `pyproject.toml`, `package.json`.
//!
//! The result goes by the digest of everything that decides it: manifest, lock, interpreter,
//! platform. Artifacts share its files by hard links. The installer may run code of the packages
//! (a `setup.py`, an install script), so it runs in a jail like a function's, with two differences:
//! it is in the host's network, and it may write to the directory that is being built, which is its
//! `/code`. [`plan`] says what to run, [`surroundings`] what it sees of the host; [`child`] runs it.

mod child;
mod plan;
mod surroundings;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::engine::Progress;
use mote_core::function::{Family, Isolation};
use mote_core::{Code, Error, Result};

use crate::artifact::{Building, foreign};
use crate::engine::blocking;
use crate::host::Settings;
use crate::jail::spec::{Channel, CodeTree, Network, Profile, Program, Shell, Shown};
use crate::jail::{ForkServer, Groups};
use crate::runtime::Interpreter;
use child::Ended;
use plan::Plan;
use surroundings::Surroundings;

/// Installed packages, made once and shared.
pub(crate) struct Installer {
    /// On the artifacts' file system, for the links; made when first needed.
    cache: PathBuf,
    /// The `/etc` of jails that have no network.
    etc: PathBuf,
    fork_server: Arc<ForkServer>,
    groups: Arc<Groups>,
    hidden: Vec<PathBuf>,
    /// mote's own environment.
    env: BTreeMap<String, String>,
    clock: Arc<dyn Clock>,
}

impl Installer {
    pub(crate) fn new(
        settings: &Settings,
        etc: PathBuf,
        env: BTreeMap<String, String>,
        fork_server: Arc<ForkServer>,
        groups: Arc<Groups>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let cache = settings.cache.join("dependencies");
        Installer { cache, etc, fork_server, groups, hidden: settings.hidden.clone(), env, clock }
    }

    /// Puts the dependencies of the code in `artifact` beside it, and bytecode too. Gives the time
    /// that the installer took: zero if it had nothing to do.
    pub(crate) async fn install(&self, artifact: &Building, interpreter: &Interpreter, progress: &Progress) -> Result<Duration> {
        let plan = Plan::of(&artifact.path, interpreter)?;
        // Before the packages' files are there: they are shared, and no process may write to them.
        let (mut took, mut cached) = (Duration::ZERO, None);
        if let Some(plan) = &plan {
            let entry = self.cache.join(plan.key.to_string());
            if entry.is_dir() {
                progress.tell("the dependencies are in the cache");
            } else {
                let before = self.clock.monotonic();
                self.make(plan, &artifact.path, &entry, interpreter, progress).await?;
                took = self.clock.monotonic().saturating_sub(before);
            }
            cached = Some((entry.join(plan.product), artifact.path.join(plan.place)));
        }
        if interpreter.family == Family::Python {
            self.compile(artifact, interpreter).await?;
        }
        if let Some((from, to)) = cached {
            let linked = tokio::task::spawn_blocking(move || link(&from, &to)).await.map_err(lost)?;
            linked.map_err(|error| failed("the dependencies can't be put beside the code", error))?;
        }
        Ok(took)
    }

    async fn make(&self, plan: &Plan, artifact: &Path, cached: &Path, interpreter: &Interpreter, progress: &Progress) -> Result<()> {
        let failed = |error| failed("the dependencies can't be stored", error);
        let building = Building::new(&self.cache).map_err(failed)?;
        let mut around = Surroundings::gather(&self.env, interpreter, &self.hidden, &self.cache).map_err(failed)?;
        plan.needs().into_iter().for_each(|tree| around.also(tree));
        plan.stage(artifact, &building.path).map_err(failed)?;
        around.furnish(&building.path).map_err(failed)?;
        foreign::lend(&building.path).map_err(failed)?;
        progress.tell(format!("installing the dependencies of {}", plan.manifest));
        let shell = Shell { show: around.show.clone(), etc: around.etc.clone(), network: Network::Host, ..self.shell(&building) };
        let ended = self.run(shell, program(plan.command(), around.env.clone()), &building, progress).await?;
        if !ended.success {
            return Err(Error::new(Code::BuildFailed, format!("{} failed: {}", plan.installer, ended.tail)).hint(plan.hint()));
        }
        if interpreter.family == Family::Python {
            let command = plan::compile(interpreter, &format!("/code/{}", plan.product), "/code/.mote/site-packages");
            let show = interpreter.mounts.iter().cloned().map(Shown::in_place).collect();
            // That bytecode for some file can't be made is no failure.
            self.run(Shell { show, ..self.shell(&building) }, program(command, environment()), &building, progress).await?;
        }
        let (product, cached) = (building.path.join(plan.product), cached.to_owned());
        let plan_product = plan.product;
        let settled = tokio::task::spawn_blocking(move || {
            foreign::take_back(&building.path)?;
            // A manifest may name nothing that leaves a file; what is no directory was put there to be followed.
            match fs::symlink_metadata(&product) {
                Ok(meta) if !meta.is_dir() => return Err(io::Error::other(format!("{plan_product} is no directory"))),
                Ok(_) => {}
                Err(_) => fs::create_dir(&product)?,
            }
            plan::clean(&building.path, plan_product)?;
            building.finish(&cached)
        });
        settled.await.map_err(lost)?.map_err(|error| match error.kind() {
            io::ErrorKind::Other => Error::new(Code::BuildFailed, format!("what {} left can't be kept: {error}", plan.installer)),
            _ => failed(error),
        })
    }

    /// Bytecode of the function's own Python, so that a cold start need not make it. It is never
    /// checked against the source: an artifact does not change.
    async fn compile(&self, artifact: &Building, interpreter: &Interpreter) -> Result<()> {
        let lend = artifact.path.clone();
        blocking(move || foreign::lend(&lend)).await?;
        let command = plan::compile(interpreter, "/code", "/code");
        let show = interpreter.mounts.iter().cloned().map(Shown::in_place).collect();
        let shell = Shell { show, ..self.shell(artifact) };
        let ended = self.run(shell, program(command, environment()), artifact, &Progress::silent()).await;
        let back = artifact.path.clone();
        blocking(move || foreign::take_back(&back)).await?;
        ended.map(|_| ())
    }

    async fn run(&self, shell: Shell, program: Program, building: &Building, progress: &Progress) -> Result<Ended> {
        child::run(&self.fork_server, &self.groups, &shell, program, building.hold(), &*self.clock, progress).await
    }

    /// What all commands have in common; the network, unless they say otherwise, is none.
    fn shell(&self, building: &Building) -> Shell {
        Shell {
            code: CodeTree::Building(building.path.clone()),
            runner: None,
            etc: self.etc.clone(),
            show: Vec::new(),
            hide: self.hidden.clone(),
            network: Network::Sealed,
            profile: Profile::Any,
            isolation: Isolation::Standard,
            tmp_bytes: child::LIMITS.tmp_bytes,
            standby: None,
        }
    }
}

fn program(command: Vec<String>, env: Vec<(String, String)>) -> Program {
    Program { command, env, channel: Channel::Stdin }
}

/// Of a command that needs nothing of mote's surroundings.
fn environment() -> Vec<(String, String)> {
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
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

fn lost(error: tokio::task::JoinError) -> Error {
    Error::internal("work on files was lost").caused_by(error)
}
