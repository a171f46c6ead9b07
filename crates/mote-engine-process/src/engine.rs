//! The engine's seam: what core asks of it, handed to the part that does it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mote_core::bundle::Bundle;
use mote_core::engine::{Engine, Invocation, Output, Payload, Prepared, Preparing, Progress, Ready};
use mote_core::function::{Digest, Family, Function};
use mote_core::reply::Timing;
use mote_core::secret::GivenAs;
use mote_core::{BoxFuture, Code, Error, Result};
use tokio::sync::OnceCell;

use crate::artifact::Shelf;
use crate::executable::Executables;
use crate::host::{Host, Job, LAST_WORDS, Launch, Seams, Settings, standby_environment};
use crate::install::Installer;
use crate::instance::{self, Started, Unstarted};
use crate::jail::spec::{Channel, GATEWAY_PORT, Program};
use crate::jail::{ForkServer, Groups, Users};
use crate::pools::Pools;
use crate::running::Running;
use crate::runtime::{Interpreter, Interpreters};
use crate::stock::Stock;
use crate::{artifact, jail, runners};

/// See the crate's text.
pub struct ProcessEngine {
    pub(crate) workshop: Arc<Workshop>,
    pools: Pools,
    executables: Executables,
}

/// Instances that may end before they take a call, until the call fails: else code that dies when
/// it is idle would be started without an end.
const UNSTARTED_MAX: u32 = 5;

/// What starting an instance needs.
pub(crate) struct Workshop {
    pub(crate) host: Arc<Host>,
    pub(crate) interpreters: Interpreters,
    pub(crate) installer: Installer,
    /// Where each interpreter's runner lies.
    runners: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl ProcessEngine {
    /// Sweeps what a crash left in `settings.artifacts`, and makes what all jails share.
    pub fn new(settings: Settings, seams: Seams) -> Result<Arc<ProcessEngine>> {
        let Seams { clock, logs, gateway, secrets } = seams;
        let failed = |error: std::io::Error| Error::internal("the engine's directories can't be made ready").caused_by(error);
        let artifacts = Shelf::open(&settings.artifacts).map_err(failed)?;
        artifact::sweep(&settings.cache).map_err(failed)?;
        let etc = jail::etc::prepare(&settings.cache).map_err(failed)?;
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let name: String = clock.random()?.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let groups = Arc::new(Groups::open(&name));
        let fork_server = Arc::new(ForkServer::new(settings.executable.clone(), Users::open(clock.random()?)));
        let installer = Installer::new(&settings, etc.clone(), env.collect(), fork_server.clone(), groups.clone(), clock.clone());
        let stock = Stock::new(fork_server, groups.clone(), clock.clone(), settings.spares_max);
        let host = Arc::new(Host {
            settings,
            artifacts,
            groups,
            no_way_out: OnceCell::new(),
            turn: AtomicU32::new(0),
            etc,
            clock: clock.clone(),
            logs,
            gateway,
            secrets,
            outward: Arc::default(),
            stock,
            running: Running::default(),
        });
        let (interpreters, runners) = (Interpreters::new(clock.clone()), Mutex::default());
        let workshop = Arc::new(Workshop { host: host.clone(), interpreters, installer, runners });
        let starter = workshop.clone();
        let pools = Pools::new(
            Box::new(move |function| {
                let workshop = starter.clone();
                Box::pin(async move { workshop.start(&function).await })
            }),
            clock,
        );
        Ok(Arc::new(ProcessEngine { workshop, pools, executables: Executables::new(host) }))
    }

    /// Instances that live now, idle ones included; programs that run for one call are not counted.
    pub fn instances(&self) -> usize {
        self.pools.instances()
    }

    /// Jails that wait for a function.
    pub fn spares(&self) -> usize {
        self.workshop.host.stock.waiting()
    }

    async fn run_in_instance(&self, call: Job, mut input: Payload) -> Result<Output> {
        let clock = &self.workshop.host.clock;
        let arrived = clock.monotonic();
        let pool = self.pools.of(&call.function);
        // Also while it waits: its instance may have to be started yet.
        let _used = self.workshop.host.artifacts.hold(call.function.artifact);
        let mut unstarted = 0;
        loop {
            let granted = pool.enter(call.deadline.since(clock.now())).await?;
            if granted.started.is_some() {
                self.pools.trim();
            }
            let begun = clock.monotonic();
            let waited = begun - arrived;
            let start = granted.started.map_or(Duration::ZERO, |took| took.min(waited));
            let place = granted.place;
            let instance = place.instance.clone();
            call.opening.say();
            match instance.call(place, &call, input).await {
                Ok(answer) => {
                    let run = clock.monotonic() - begun;
                    let timing = Timing { queue: waited - start, start, run, cold: granted.started.is_some() };
                    return match answer {
                        Ok(answer) => Ok(Output { answer, timing }),
                        Err(mut error) => {
                            error.set_timing(timing);
                            Err(error)
                        }
                    };
                }
                // It died between the grant and the call: nothing ran, so another one may.
                Err(Unstarted(unused)) => {
                    input = unused;
                    unstarted += 1;
                    if unstarted == UNSTARTED_MAX {
                        let detail = format!("{unstarted} instances of {} ended before they took this call", call.function.reference());
                        return Err(instance::crashed(detail));
                    }
                }
            }
        }
    }
}

impl Workshop {
    /// Starts an instance of a version whose artifact is there.
    async fn start(&self, function: &Arc<Function>) -> Result<Started> {
        let interpreter = match function.runtime.family {
            Family::Executable | Family::Flow => None,
            Family::Python | Family::Node | Family::Java => Some(self.interpreters.find(&function.runtime).await?),
        };
        if function.pulls {
            let runner = match &interpreter {
                Some(interpreter) => Some(self.runner(interpreter).await?),
                None => None,
            };
            return instance::pull::start(&self.host, function, interpreter.as_deref(), runner, data_bytes(function)).await;
        }
        if let Some(port) = function.port {
            return instance::server::start(&self.host, function, port, interpreter.as_deref(), data_bytes(function)).await;
        }
        instance::start(&self.host, function, self.launch(function).await?).await
    }

    /// With an interpreter that waits already, unless the function says how it is to start.
    async fn launch(&self, function: &Function) -> Result<Launch> {
        let interpreter = self.interpreters.find(&function.runtime).await?;
        let runner = self.runner(&interpreter).await?;
        let command = runners::command(Path::new("/runner"), &interpreter);
        let secrets = function.secrets.iter().filter_map(|used| match &used.given_as {
            GivenAs::Env(name) => Some(name),
            GivenAs::File(_) => None,
        });
        let standby = match function.env.keys().chain(secrets).any(|name| runners::is_read_at_start(name)) {
            true => None,
            false => Some(Program { command: command.clone(), env: standby_environment(), channel: Channel::Wire }),
        };
        let shell = self.host.shell(function, &interpreter.mounts, Some(runner), standby).await;
        Ok(Launch { shell, command, data_bytes: data_bytes(function) })
    }

    async fn runner(&self, interpreter: &Arc<Interpreter>) -> Result<PathBuf> {
        let known = self.runners.lock().unwrap_or_else(PoisonError::into_inner).get(&interpreter.program).cloned();
        if let Some(runner) = known {
            return Ok(runner);
        }
        let (cache, wanted) = (self.host.settings.cache.clone(), interpreter.clone());
        let runner = blocking(move || runners_for(&cache, &wanted)).await?;
        self.runners.lock().unwrap_or_else(PoisonError::into_inner).insert(interpreter.program.clone(), runner.clone());
        Ok(runner)
    }
}

/// Whether its process outlives a call; else each call has one of its own, and there is nothing to keep.
fn lives_on(function: &Function) -> bool {
    match function.runtime.family {
        Family::Executable | Family::Flow => function.port.is_some() || function.pulls,
        Family::Python | Family::Node | Family::Java => true,
    }
}

fn check_port(function: &Function) -> Result<()> {
    if function.port == Some(GATEWAY_PORT) {
        return Err(Error::new(Code::ManifestInvalid, format!("`port` is {GATEWAY_PORT}, at which functions find the platform"))
            .hint("Set `port` to another one."));
    }
    Ok(())
}

/// The runner's files and their bytecode depend on what is in this binary and on the interpreter.
fn runners_for(cache: &Path, interpreter: &Interpreter) -> std::io::Result<PathBuf> {
    let program = interpreter.program.to_string_lossy();
    let parts = runners::FILES.iter().flat_map(|(path, text)| [*path, *text]).chain([&*program, &interpreter.version]);
    let name = format!("runner-{}", artifact::digest(parts.map(str::as_bytes)));
    artifact::build(cache, &name, |directory| runners::write(directory, interpreter))
}

/// The memory that each process may have, as its runtime counts it.
fn data_bytes(function: &Function) -> u64 {
    let extra = match function.runtime.family {
        // The threads of V8 and of a JVM reserve writable stacks and spaces that they hardly touch.
        Family::Node | Family::Java => 512 << 20,
        Family::Python | Family::Executable | Family::Flow => 0,
    };
    function.limits.memory_bytes.saturating_add(extra)
}

/// Files, away from the threads that serve calls.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal("work on files was lost").caused_by(error))?;
    done.map_err(|error| Error::internal("the engine's files can't be read or written").caused_by(error))
}

impl Engine for ProcessEngine {
    fn families(&self) -> &'static [Family] {
        // A flow has no process; its arms below are never come to.
        &[Family::Python, Family::Node, Family::Java, Family::Executable]
    }

    fn prepare<'a>(
        &'a self,
        function: &'a Function,
        code: &'a Bundle,
        how: Preparing,
        progress: Progress,
    ) -> BoxFuture<'a, Result<Prepared>> {
        Box::pin(async move {
            check_port(function)?;
            jail::ladder::refuse_incomplete(function.isolation, &self.workshop.host.groups)?;
            jail::ladder::refuse_without_way_out(&function.egress, self.workshop.host.no_way_out().await)?;
            let built = crate::prepare::artifact(&self.workshop, function, code, how, &progress).await?;
            let function = Arc::new(Function { artifact: built.digest, ..function.clone() });
            let signature = match lives_on(&function) {
                true if !how.starts => Default::default(),
                false => {
                    self.workshop.host.stock.expect(Family::Executable, &self.workshop.host.bare_shell(&function).await);
                    Default::default()
                }
                true => {
                    progress.tell("starting it");
                    let started = match self.workshop.start(&function).await {
                        Ok(started) => started,
                        Err(error) => {
                            built.discard(&self.workshop.host).await;
                            return Err(error);
                        }
                    };
                    let signature = started.signature.clone();
                    let function = Arc::new(Function { signature: signature.clone(), ..(*function).clone() });
                    self.pools.of(&function).adopt(started);
                    self.pools.trim();
                    signature
                }
            };
            let isolation = jail::ladder::in_force(&function, &self.workshop.host.groups, self.workshop.host.network(&function).await);
            Ok(Prepared { artifact: built.digest, signature, isolation, dependencies: built.dependencies })
        })
    }

    fn run<'a>(&'a self, call: &'a Invocation, input: Payload) -> BoxFuture<'a, Result<Output>> {
        self.workshop.host.stock.called(call.function.runtime.family);
        match lives_on(&call.function) {
            false => Box::pin(self.executables.run(Job::from(call), input)),
            true => Box::pin(self.run_in_instance(Job::from(call), input)),
        }
    }

    fn keep_warm(&self, function: &Arc<Function>) {
        if lives_on(function) {
            self.pools.of(function).fill();
        }
    }

    fn keep_ready(&self, function: &Arc<Function>, instances: u32) {
        if lives_on(function) {
            self.pools.keep_ready(function, instances);
        }
    }

    fn ready(&self, function: &Function) -> Ready {
        self.pools.ready(function.id)
    }

    fn renew(&self, function: &Function) {
        self.pools.renew(function.id);
    }

    fn retire(&self, function: &Function) {
        self.pools.retire(function.id);
    }

    fn forget<'a>(&'a self, artifact: Digest) -> BoxFuture<'a, ()> {
        Box::pin(self.workshop.host.artifacts.forget(artifact))
    }

    fn keep_only<'a>(&'a self, artifacts: &'a HashSet<Digest>) -> BoxFuture<'a, ()> {
        Box::pin(self.workshop.host.artifacts.keep_only(artifacts))
    }

    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let host = &self.workshop.host;
            let instances = async {
                self.pools.stop(grace).await;
                // Until those whose calls were cut off have been told.
                tokio::select! { () = host.running.none() => {}, () = host.clock.sleep(LAST_WORDS) => {} }
            };
            futures_util::future::join(instances, self.executables.stop(grace)).await;
            host.stock.close().await;
        })
    }
}
