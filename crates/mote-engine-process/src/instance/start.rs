//! From nothing to a runner that is ready: jail, wire, START, READY.

mod advice;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::BytesMut;
use mote_core::error::Report;
use mote_core::function::{Function, Signature};
use mote_core::store::LogSource;
use mote_core::{Code, Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::guard::{Parts, guard};
use super::{Contract, Instance, READ_BYTES};
use crate::artifact::Use;
use crate::gateway::Serving;
use crate::host::{Host, Launch};
use crate::jail::spec::{Channel, Program};
use crate::jail::{Exit, Jail};
use crate::limits::Limit;
use crate::lines;
use crate::pool::Pool;
use crate::wire::{Broken, FromRunner, Start, ToRunner};

/// An instance that is ready and in no pool yet. Dropped, it ends.
pub(crate) struct Started {
    pub(super) instance: Arc<Instance>,
    pub(crate) signature: Signature,
    pub(crate) took: Duration,
    pub(super) jail: Jail,
    /// To the runner, and what it said already.
    pub(super) wire: Option<(UnixStream, BytesMut)>,
    pub(super) printed: Vec<JoinHandle<()>>,
    pub(super) gateway: Serving,
    pub(super) used: Use,
}

/// Added to the function's timeout: loading code may take as long as a call, and an interpreter needs its time too.
const START_EXTRA: Duration = Duration::from_secs(10);

/// Of an environment that a standby is told of: in JSON it may take six times as much, and has to fit a frame.
const HANDED_BYTES_MAX: usize = 128 << 10;

pub(crate) async fn start(host: &Arc<Host>, function: &Arc<Function>, launch: Launch) -> Result<Started> {
    let limit = patience(function);
    tokio::select! {
        started = try_start(host, function, launch) => started,
        () = host.clock.sleep(limit) => {
            Err(failed(format!("it was not ready within {} s", limit.as_secs())).hint("Do less when the module is loaded, or raise `timeout` in the manifest."))
        }
    }
}

/// How long a start may take.
pub(super) fn patience(function: &Function) -> Duration {
    START_EXTRA + Duration::from_millis(function.limits.timeout_ms)
}

/// How long the wire of a process that has ended is read on.
const LAST_WORD: Duration = Duration::from_millis(200);

async fn try_start(host: &Arc<Host>, function: &Arc<Function>, mut launch: Launch) -> Result<Started> {
    let begun = host.clock.monotonic();
    let used = host.artifacts.hold(function.artifact);
    let broken = |error: std::io::Error| Error::internal("the wire to a runner can't be made").caused_by(error);
    let given = host.given(function).await?;
    if given.env.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HANDED_BYTES_MAX {
        launch.shell.standby = None;
    }
    let mut empty = host.stock.take(function.runtime.family, &launch.shell).await?;
    let instance = Instance::new(host.clone(), function.clone(), given.mask, Contract::Runner);
    let _ = instance.group.set(empty.jail.group());
    let printed = print(&instance, &mut empty.jail);
    let (wire, program, env) = match empty.wire.take() {
        Some(wire) => (wire, None, Some(given.env.into_iter().collect())),
        None => {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(broken)?;
            let program = Program { command: launch.command, env: given.env, channel: Channel::Wire };
            (ours, Some((program, OwnedFd::from(theirs))), None)
        }
    };
    let (program, channel) = program.unzip();
    empty.jail.fill(&host.fill(function, launch.data_bytes, program, given.files), channel)?;
    wire.set_nonblocking(true).map_err(broken)?;
    let mut socket = UnixStream::from_std(wire).map_err(broken)?;
    let hello = hello(function, env).map_err(|error| Error::internal(error.to_string()))?;
    // Not before the jail is complete: what comes now loads the function's code.
    let gateway = host.serve_gateway(empty.filled().await?, function.clone(), &instance.depth, None)?;
    socket.write_all(&hello).await.map_err(broken)?;
    let jail = &mut empty.jail;

    let mut buffer = BytesMut::new();
    let answer = tokio::select! {
        biased;
        answer = first_word(&instance, &mut socket, &mut buffer) => answer,
        exit = jail.exited() => {
            let exit = exit?;
            // Its last word may lie in the wire yet: whichever is seen first, the wire counts.
            tokio::select! {
                biased;
                answer = first_word(&instance, &mut socket, &mut buffer) => match answer {
                    Answer::Failed(report) => Answer::Failed(report),
                    _ => Answer::Exited(exit),
                },
                () = host.clock.sleep(LAST_WORD) => Answer::Exited(exit),
            }
        }
    };
    let ended = match answer {
        Answer::Ready(signature) => {
            let took = host.clock.monotonic() - begun;
            let jail = empty.into_started();
            return Ok(Started { instance, signature: *signature, took, jail, wire: Some((socket, buffer)), printed, gateway, used });
        }
        Answer::Failed(mut report) => {
            instance.mask.report(&mut report);
            let error = failed(format!("{}: {}", report.kind, report.message));
            let artifact = host.settings.artifacts.join(function.artifact.to_string());
            let error = advice::advised(error, &report, function.runtime.family, artifact).await;
            return Err(named(error, Limit::behind_failure(&report, jail.events()), function).with_report(report));
        }
        Answer::Broken(broken) => (format!("its runner broke the protocol: {broken}"), None),
        Answer::Closed => {
            let exit = jail.exited().await?;
            (format!("its process ended: {exit}"), Some(exit))
        }
        Answer::Exited(exit) => (format!("its process ended: {exit}"), Some(exit)),
    };
    let (ended, exit) = ended;
    Err(refused(&instance, empty.into_jail(), printed, ended, exit).await)
}

/// Ends what did not become ready; the error says how it ended, and its last words.
pub(super) async fn refused(instance: &Instance, jail: Jail, printed: Vec<JoinHandle<()>>, ended: String, exit: Option<Exit>) -> Error {
    let events = jail.events();
    jail.end().await;
    for task in printed {
        let _ = task.await;
    }
    let report = Report { kind: "start".into(), message: ended.clone(), trace: instance.last_words(), ..Report::default() };
    let limit = exit.and_then(|exit| Limit::behind_exit(exit, events, &report.trace));
    named(failed(ended), limit, &instance.function).with_report(report)
}

enum Answer {
    Ready(Box<Signature>),
    Failed(Report),
    Broken(Broken),
    Closed,
    Exited(Exit),
}

async fn first_word(instance: &Instance, socket: &mut UnixStream, buffer: &mut BytesMut) -> Answer {
    loop {
        match FromRunner::decode(buffer) {
            Ok(Some((0, FromRunner::Ready(signature)))) => return Answer::Ready(signature),
            Ok(Some((_, FromRunner::StartFailed(report)))) => return Answer::Failed(report),
            Ok(Some((_, FromRunner::Log { source, text }))) => {
                instance.take_log(0, source, text);
                continue;
            }
            Ok(Some(_)) => return Answer::Broken(Broken("it spoke of a call before it was ready".into())),
            Ok(None) => {}
            Err(broken) => return Answer::Broken(broken),
        }
        buffer.reserve(READ_BYTES);
        match socket.read_buf(buffer).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Answer::Closed,
        }
    }
}

fn hello(function: &Function, env: Option<BTreeMap<String, String>>) -> Result<BytesMut, Broken> {
    let start = Start {
        dialect: function.dialect.clone(),
        entry: function.entry.clone(),
        function: function.name.to_string(),
        version: function.version,
        namespace: function.namespace.to_string(),
        concurrency: function.limits.concurrency,
        dev: function.dev,
        env,
    };
    let mut frame = BytesMut::new();
    ToRunner::Start(&start).encode(0, &mut frame)?;
    Ok(frame)
}

/// Sends what the process prints to the log, line by line.
pub(super) fn print(instance: &Arc<Instance>, jail: &mut Jail) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    if let Some(stdout) = jail.stdout.take() {
        let instance = instance.clone();
        tasks.push(tokio::spawn(lines::read(stdout, move |line| instance.printed(LogSource::Stdout, line))));
    }
    if let Some(stderr) = jail.stderr.take() {
        let instance = instance.clone();
        tasks.push(tokio::spawn(lines::read(stderr, move |line| instance.printed(LogSource::Stderr, line))));
    }
    tasks
}

/// For a process without a wire: an input that has ended already.
pub(super) fn no_input() -> Result<OwnedFd> {
    let (input, _) = std::io::pipe().map_err(|error| Error::internal("a pipe to a function's process can't be made").caused_by(error))?;
    Ok(input.into())
}

/// Where an installer put Python's dependencies. Node finds its own beside the code.
pub(super) const PACKAGES: &str = "/code/.mote/site-packages";

/// Of a process without a wire: what mote has to say about a variable, given what the function says.
pub(super) fn set(env: &mut Vec<(String, String)>, name: &str, value: impl FnOnce(Option<&str>) -> String) {
    match env.iter_mut().find(|(own, _)| own == name) {
        Some((_, own)) => *own = value(Some(own)),
        None => env.push((name.to_owned(), value(None))),
    }
}

/// It is still a start that failed, and no repetition helps; but the way out is the limit's.
fn named(error: Error, limit: Option<Limit>, function: &Function) -> Error {
    match limit {
        Some(limit) => Error::new(error.code(), format!("{}: it {}", error.detail(), limit.text(function))).hint(limit.hint(function)),
        None => error,
    }
}

pub(super) fn failed(detail: String) -> Error {
    Error::new(Code::FunctionStartFailed, format!("the function could not be started: {detail}"))
}

impl Started {
    /// Sets its tasks going; from now on it belongs to `pool`.
    pub(crate) fn run(self, pool: Weak<Pool>) -> Arc<Instance> {
        let Started { instance, jail, wire, printed, gateway, used, .. } = self;
        // It has been idle since now, not since it was created.
        instance.state().idle_since = instance.host.clock.monotonic();
        let wire = wire.map(|(socket, buffer)| {
            let (reader, writer) = socket.into_split();
            (tokio::spawn(instance.clone().read(reader, buffer)), tokio::spawn(instance.clone().write(writer)))
        });
        let counted = instance.host.running.enter();
        let parts = Parts { jail, wire, printed, _gateway: gateway, _used: used, _counted: counted };
        tokio::spawn(guard(instance.clone(), parts, pool));
        instance
    }
}
