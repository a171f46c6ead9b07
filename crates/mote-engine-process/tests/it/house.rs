//! An engine in a directory of its own, and short words for deploying and calling.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mote_core::bundle::Bundle;
use mote_core::clock::{Clock, Id, SystemClock};
use mote_core::engine::{Answer, Connection, Engine, Gateway, Invocation, Origin, Output, Payload, Prepared, Progress, Service};
use mote_core::event::Event;
use mote_core::function::{Function, Name};
use mote_core::secret::NoSecrets;
use mote_core::{Body, BoxFuture, Result};
use mote_engine_process::{ProcessEngine, Seams, Settings};
use mote_testkit::MemoryStore;
use tokio::io::AsyncWriteExt;

/// The binary that becomes a jail; a copy of it for a user who can't read the build's directory.
pub(crate) fn jail() -> PathBuf {
    std::env::var_os("MOTE_TEST_JAIL").map_or_else(|| env!("CARGO_BIN_EXE_mote-jail-for-tests").into(), PathBuf::from)
}

/// The same on a kernel without a packet filter.
pub(crate) fn without_filter() -> PathBuf {
    std::env::var_os("MOTE_TEST_JAIL_WITHOUT_FILTER")
        .map_or_else(|| env!("CARGO_BIN_EXE_mote-jail-without-filter-for-tests").into(), PathBuf::from)
}

pub(crate) struct House {
    pub(crate) engine: Arc<ProcessEngine>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) logs: Arc<MemoryStore>,
    pub(crate) place: tempfile::TempDir,
    /// Whether jails are made ahead of need.
    pub(crate) spares: bool,
}

impl House {
    pub(crate) fn new() -> House {
        House::with_clock(Arc::new(SystemClock::new()))
    }

    /// Nothing is made ahead of need, so that a test sees its own processes and sleepers alone.
    pub(crate) fn with_clock(clock: Arc<dyn Clock>) -> House {
        House::with_spares(clock, 0)
    }

    /// On a kernel without a packet filter.
    pub(crate) fn without_filter() -> House {
        House::of(Arc::new(SystemClock::new()), 0, without_filter())
    }

    pub(crate) fn with_spares(clock: Arc<dyn Clock>, spares_max: usize) -> House {
        House::of(clock, spares_max, jail())
    }

    fn of(clock: Arc<dyn Clock>, spares_max: usize, executable: PathBuf) -> House {
        let place = tempfile::tempdir().unwrap();
        let logs = MemoryStore::new(clock.clone());
        let settings = Settings {
            artifacts: place.path().join("artifacts"),
            cache: place.path().join("cache"),
            executable,
            hidden: vec![place.path().to_owned(), "/usr/share".into(), "/usr/nowhere".into()],
            spares_max,
        };
        let engine = {
            let seams = Seams { clock: clock.clone(), logs: logs.clone(), gateway: Arc::new(Greeter), secrets: Arc::new(NoSecrets) };
            ProcessEngine::new(settings, seams).unwrap()
        };
        House { engine, clock, logs, place, spares: spares_max > 0 }
    }

    /// A function as the directory would make it, its limits changed by `change`.
    pub(crate) fn function(&self, runtime: &str, entry: &str, change: impl FnOnce(&mut Function)) -> Function {
        let mut function = Function {
            id: self.clock.id(),
            runtime: runtime.parse().unwrap(),
            entry: entry.into(),
            dev: true,
            created: self.clock.now(),
            ..mote_testkit::function("f")
        };
        change(&mut function);
        function
    }

    pub(crate) async fn deploy(&self, function: Function, files: &[(&str, &str)]) -> Result<(Arc<Function>, Prepared)> {
        let prepared = self.engine.prepare(&function, &bundle(files), Default::default(), Progress::silent()).await?;
        let function = Function { artifact: prepared.artifact, signature: prepared.signature.clone(), ..function };
        Ok((Arc::new(function), prepared))
    }

    pub(crate) fn invocation(&self, function: &Arc<Function>) -> Invocation {
        let id = self.clock.id();
        let timeout = Duration::from_millis(function.limits.timeout_ms);
        Invocation {
            id,
            function: function.clone(),
            event: event(id, &*self.clock),
            deadline: self.clock.now().plus(timeout),
            attempt: 1,
            called: Default::default(),
            opening: Default::default(),
        }
    }

    pub(crate) async fn run(&self, function: &Arc<Function>, query: &str, body: impl Into<Body>) -> Result<Output> {
        let call = self.invocation(function);
        let head = serde_json::json!({
            "id": call.id.to_string(), "deadline": call.deadline.0, "attempt": 1, "params": [], "query": query, "type": "application/json",
            "env": { "MOTE_QUERY": query },
        });
        self.engine.run(&call, Payload { head: head.to_string().into(), body: body.into() }).await
    }

    /// The whole reply as text.
    pub(crate) async fn call(&self, function: &Arc<Function>, query: &str, body: impl Into<Body>) -> Result<String> {
        text(self.run(function, query, body).await?).await
    }
}

pub(crate) fn bundle(files: &[(&str, &str)]) -> Bundle {
    let mut bundle = Bundle::default();
    for (path, text) in files {
        bundle.insert(path, text.as_bytes().to_vec(), text.starts_with("#!")).unwrap();
    }
    bundle
}

pub(crate) async fn text(output: Output) -> Result<String> {
    match output.answer {
        Answer::Reply(payload) => Ok(String::from_utf8_lossy(&payload.body.collect(64 << 20).await?).into_owned()),
        Answer::Failed(failure) => Ok(format!("failed: {} {} {}", failure.code, failure.report.kind, failure.report.message)),
    }
}

fn event(id: Id, clock: &dyn Clock) -> Event {
    Event::new(id, "test", "mote.test", clock.now(), "")
}

/// Processes of the host that sleep for so long, which only a test's function does.
pub(crate) fn sleepers(seconds: u32) -> usize {
    let line = format!("sleep\0{seconds}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line.as_bytes())).count()
}

/// Says whose connection it is.
struct Greeter;

impl Gateway for Greeter {
    fn serve(&self, from: Origin, _: Service, mut connection: Box<dyn Connection>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = connection.write_all(format!("hello {}", from.function.name).as_bytes()).await;
            let _ = connection.shutdown().await;
        })
    }

    fn sibling(&self, _: &Function, name: &str) -> Option<Name> {
        (name == "g").then(|| name.parse().ok()).flatten()
    }
}
