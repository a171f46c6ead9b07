//! An engine that does what the test says.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::bundle::Bundle;
use mote_core::engine::{Answer, Engine, Invocation, Output, Payload, Prepared, Preparing, Progress};
use mote_core::error::Result;
use mote_core::function::{Digest, Family, Function};
use mote_core::reply::Timing;

/// What the engine does with a call: its function, its body, its answer.
pub type Script = Arc<dyn Fn(Arc<Function>, u32, Payload) -> BoxFuture<'static, Result<Answer>> + Send + Sync>;

/// Runs every Python function by one script, and keeps a diary of what it was told.
pub struct ScriptedEngine {
    script: Script,
    diary: Mutex<Vec<String>>,
    /// Whoever holds it makes every build wait.
    pub building: tokio::sync::Mutex<()>,
}

impl ScriptedEngine {
    /// The script gets the function, the attempt and the payload.
    pub fn new<F>(script: impl Fn(Arc<Function>, u32, Payload) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        let script: Script = Arc::new(move |function, attempt, payload| Box::pin(script(function, attempt, payload)));
        Arc::new(ScriptedEngine { script, diary: Mutex::default(), building: Default::default() })
    }

    /// Answers with the body it is given.
    pub fn echo() -> Arc<Self> {
        ScriptedEngine::new(|_, _, payload| async { Ok(Answer::Reply(payload)) })
    }

    /// `prepare NAME vN`, `run NAME vN`, `retire NAME vN`, `forget`, `keep only COUNT`, in order.
    pub fn diary(&self) -> Vec<String> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resolves once the diary holds the line.
    pub async fn wrote(&self, line: &str) {
        while !self.diary().iter().any(|written| written == line) {
            tokio::task::yield_now().await;
        }
    }

    fn write(&self, verb: &str, function: &Function) {
        let line = format!("{verb} {} v{}", function.name, function.version);
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Engine for ScriptedEngine {
    fn families(&self) -> &'static [Family] {
        &[Family::Python]
    }

    fn prepare<'a>(&'a self, function: &'a Function, code: &'a Bundle, _: Preparing, _: Progress) -> BoxFuture<'a, Result<Prepared>> {
        self.write("prepare", function);
        Box::pin(async move {
            drop(self.building.lock().await);
            Ok(Prepared { artifact: code.digest(), signature: Default::default(), isolation: Vec::new(), dependencies: Duration::ZERO })
        })
    }

    fn run<'a>(&'a self, call: &'a Invocation, input: Payload) -> BoxFuture<'a, Result<Output>> {
        self.write("run", &call.function);
        let answer = (self.script)(call.function.clone(), call.attempt, input);
        Box::pin(async move { Ok(Output { answer: answer.await?, timing: Timing::default() }) })
    }

    fn keep_warm(&self, function: &Arc<Function>) {
        self.write("keep warm", function);
    }

    fn keep_ready(&self, function: &Arc<Function>, instances: u32) {
        let line = format!("keep {instances} ready of {} v{}", function.name, function.version);
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn renew(&self, function: &Function) {
        self.write("renew", function);
    }

    fn retire(&self, function: &Function) {
        self.write("retire", function);
    }

    fn forget<'a>(&'a self, _: Digest) -> BoxFuture<'a, ()> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).push("forget".into());
        Box::pin(async {})
    }

    fn keep_only<'a>(&'a self, artifacts: &'a HashSet<Digest>) -> BoxFuture<'a, ()> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).push(format!("keep only {}", artifacts.len()));
        Box::pin(async {})
    }

    fn stop(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
