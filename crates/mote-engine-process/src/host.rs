//! What every instance shares: where things lie, and the seams of core that an engine is given.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::egress::Egress;
use mote_core::engine::opening::Opening;
use mote_core::engine::{Depth, Gateway, Invocation, Origin, Standing};
use mote_core::function::{Family, Function, Limits};
use mote_core::secret::Secrets;
use mote_core::store::{LogLine, LogSource, Logs};
use mote_core::{Error, Result};
use tokio::sync::OnceCell;

use crate::artifact::Shelf;
use crate::egress;
use crate::gateway::{self, RuntimeApi, Serving};
use crate::jail::spec::{CodeTree, Cores, Fill, GATEWAY_PORT, GroupLimits, JailLimits, Network, Program, SecretFile, Shell, Shown};
use crate::jail::{Controller, Doors, Groups, missing_way_out};
use crate::runners;
use crate::running::Running;
use crate::stock::Stock;

/// Where the engine keeps and finds what it needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One directory for each artifact, by digest.
    pub artifacts: PathBuf,
    /// What can be made again: runners, the jail's `/etc`, installed dependencies.
    pub cache: PathBuf,
    /// The `mote` binary, executed again as what jails are forked from.
    pub executable: PathBuf,
    /// What no function may see, wherever it lies: the data directory.
    pub hidden: Vec<PathBuf>,
    /// The most jails that wait for a function, of each kind.
    pub spares_max: usize,
}

/// So many more than a group allows does the limit of each process allow.
const PROCESSES_EXTRA: u32 = 16;

/// The seams of core that the engine stands between.
pub struct Seams {
    pub clock: Arc<dyn Clock>,
    pub logs: Arc<dyn Logs>,
    pub gateway: Arc<dyn Gateway>,
    pub secrets: Arc<dyn Secrets>,
}

pub(crate) struct Host {
    pub(crate) settings: Settings,
    pub(crate) artifacts: Arc<Shelf>,
    pub(crate) etc: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) logs: Arc<dyn Logs>,
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) secrets: Arc<dyn Secrets>,
    /// What all jails together take on their way out.
    pub(crate) outward: Arc<egress::Shared>,
    pub(crate) groups: Arc<Groups>,
    /// Why no function has a way out here, if none can; once it has been asked, and told for good.
    pub(crate) no_way_out: OnceCell<Option<String>>,
    /// Whose turn it is to be held to which cores.
    pub(crate) turn: AtomicU32,
    pub(crate) stock: Arc<Stock>,
    /// Instances, until the last call in each has been told how it ended.
    pub(crate) running: Running,
}

/// How long mote waits, when it stops, for what it has killed.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(3);

/// What the engine needs of an [`Invocation`]; the event itself stays where it is.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) id: Id,
    pub(crate) function: Arc<Function>,
    pub(crate) deadline: Timestamp,
    /// What it is to whatever it calls.
    pub(crate) standing: Standing,
    pub(crate) opening: Opening,
}

impl From<&Invocation> for Job {
    fn from(call: &Invocation) -> Job {
        Job {
            id: call.id,
            function: call.function.clone(),
            deadline: call.deadline,
            standing: call.standing(),
            opening: call.opening.clone(),
        }
    }
}

/// How an instance is to be started.
pub(crate) struct Launch {
    pub(crate) shell: Shell,
    /// What to execute when the function is in, unless the shell comes with a standby.
    pub(crate) command: Vec<String>,
    pub(crate) data_bytes: u64,
}

impl Host {
    /// A jail for functions of one runtime, ready but for the function: nothing else of it may be in
    /// here, or no other could have it.
    pub(crate) async fn shell(&self, function: &Function, show: &[PathBuf], runner: Option<PathBuf>, standby: Option<Program>) -> Shell {
        Shell {
            code: CodeTree::Below(self.settings.artifacts.clone()),
            runner,
            etc: self.etc.clone(),
            show: show.iter().cloned().map(Shown::in_place).collect(),
            hide: self.settings.hidden.clone(),
            network: self.network(function).await,
            profile: function.runtime.family.into(),
            isolation: function.isolation,
            tmp_bytes: Limits::default().tmp_bytes,
            standby,
        }
    }

    /// Of every executable.
    pub(crate) async fn bare_shell(&self, function: &Function) -> Shell {
        self.shell(function, &[], None, None).await
    }

    /// Where there is no way out, a function that wants none has what is left; one that asks for it
    /// is told so by its jail.
    pub(crate) async fn network(&self, function: &Function) -> Network {
        match function.egress {
            Egress::None if self.no_way_out().await.is_some() => Network::Sealed,
            Egress::None | Egress::Public | Egress::Rules(_) => Network::Redirected,
        }
    }

    /// Why no function has a way out here, if none can.
    pub(crate) async fn no_way_out(&self) -> Option<&str> {
        let look = || async {
            let Settings { executable, cache, .. } = self.settings.clone();
            tokio::task::spawn_blocking(move || missing_way_out(&executable, &cache)).await.map_err(io::Error::other)?
        };
        match self.no_way_out.get_or_try_init(look).await {
            Ok(why) => why.as_deref(),
            // Not remembered. Until somebody can look again, it is the jail's to say what is missing.
            Err(error) => {
                tracing::warn!(%error, "whether functions can have a way out here can't be told now");
                None
            }
        }
    }

    /// What an instance of `function` brings into one.
    pub(crate) fn fill(&self, function: &Function, data_bytes: u64, program: Option<Program>, secrets: Vec<SecretFile>) -> Fill {
        let limits = &function.limits;
        Fill {
            artifact: Some(function.artifact.to_string()),
            program,
            secrets,
            limits: JailLimits {
                data_bytes,
                // Where the group counts them it also notes that there were too many, so it comes first.
                processes: limits.processes.saturating_add(if self.groups.has(Controller::Pids) { PROCESSES_EXTRA } else { 0 }),
                open_files: limits.open_files,
                tmp_bytes: limits.tmp_bytes,
                file_bytes: limits.tmp_bytes,
                cores: self.cores(limits),
                cpu_seconds: self.cpu_seconds(function),
                group: GroupLimits { memory_bytes: limits.memory_bytes, cpu_millis: limits.cpu_millis, processes: limits.processes },
            },
        }
    }

    /// The closest to a CPU quota where there is none: no more cores than it would come to.
    fn cores(&self, limits: &Limits) -> Option<Cores> {
        let wanted = limits.cpu_millis > 0 && !self.groups.has(Controller::Cpu);
        let turn = || self.turn.fetch_add(1, Ordering::Relaxed);
        wanted.then(|| Cores { first: turn(), count: limits.cpu_millis.div_ceil(1000) })
    }

    /// Beside that, of a program that runs for one call: what the quota would come to over the longest one.
    fn cpu_seconds(&self, function: &Function) -> Option<u64> {
        let limits = &function.limits;
        let wanted =
            limits.cpu_millis > 0 && !self.groups.has(Controller::Cpu) && function.runtime.family == Family::Executable && !function.pulls;
        wanted.then(|| (limits.timeout_ms.saturating_mul(u64::from(limits.cpu_millis)) / 1_000_000).max(1))
    }

    pub(crate) fn log(&self, function: &Function, invocation: Option<Id>, source: LogSource, text: impl Into<String>) {
        self.logs.append(line(&*self.clock, function, invocation, source, text.into()));
    }

    /// Serves what one jail asks for, until the guard is dropped.
    pub(crate) fn serve_gateway(
        &self,
        doors: Option<Doors>,
        function: Arc<Function>,
        depth: &Depth,
        runtime_api: Option<RuntimeApi>,
    ) -> Result<Serving> {
        let doors = doors.ok_or_else(|| Error::internal("the jail sent no sockets"))?;
        let (logs, clock, of) = (self.logs.clone(), self.clock.clone(), function.clone());
        let tell = Box::new(move |text| logs.append(line(&*clock, &of, None, LogSource::Platform, text)));
        let sealed = function.egress == Egress::None && matches!(self.no_way_out.get(), Some(Some(_)));
        let seams = gateway::Seams {
            sealed,
            gateway: self.gateway.clone(),
            clock: self.clock.clone(),
            shared: self.outward.clone(),
            tell,
            runtime_api,
        };
        gateway::serve(doors, Origin { function, depth: depth.clone() }, seams)
    }
}

fn line(clock: &dyn Clock, function: &Function, invocation: Option<Id>, source: LogSource, text: String) -> LogLine {
    LogLine {
        time: clock.now(),
        namespace: function.namespace.to_string(),
        function: function.name.to_string(),
        version: function.version,
        invocation,
        stream: source,
        text,
    }
}

/// The manifest's own words win over ours, except for what says where the function is.
pub(crate) fn environment(function: &Function) -> Vec<(String, String)> {
    let gateway = format!("http://127.0.0.1:{GATEWAY_PORT}");
    let mut env = function.contract_env.clone();
    env.extend(function.env.clone());
    let platform = [
        ("AWS_ENDPOINT_URL", gateway.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "function"),
        ("AWS_SECRET_ACCESS_KEY", "function"),
    ];
    for (name, value) in PLACES.iter().copied().chain(platform) {
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    env.insert("MOTE_FUNCTION".into(), function.name.to_string());
    env.insert("MOTE_VERSION".into(), function.version.to_string());
    env.insert("MOTE_NAMESPACE".into(), function.namespace.to_string());
    env.into_iter().collect()
}

/// What an interpreter starts with before there is a function; its own environment takes its place then.
pub(crate) fn standby_environment() -> Vec<(String, String)> {
    PLACES.iter().chain(&[(runners::STANDBY, "1")]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const PLACES: &[(&str, &str)] =
    &[("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];
