//! One program in its jail, with its three pipes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::BytesMut;
use mote_core::clock::Id;
use mote_core::engine::Depth;
use mote_core::function::{Family, Function};
use mote_core::store::LogSource;
use mote_core::{Body, BoxFuture, Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::artifact::Use;
use crate::gateway::Serving;
use crate::given::Given;
use crate::host::{Host, Job};
use crate::jail::spec::{Channel, Program};
use crate::jail::{Events, Exit};
use crate::limits::{Limit, LogBudget};
use crate::lines::{self, Tail};
use crate::running::Counted;
use crate::stock::Empty;

const READ_BYTES: usize = 64 << 10;

/// Dropped, it is killed; nobody waits for that.
pub(super) struct Process {
    pub(super) function: Arc<Function>,
    host: Arc<Host>,
    /// Until it is dropped.
    held: Option<Held>,
    stdout: Option<pipe::Receiver>,
    input: JoinHandle<()>,
    body_failed: Option<oneshot::Receiver<Error>>,
    errors: JoinHandle<()>,
    tail: Arc<Tail>,
    gateway: Option<Serving>,
    /// Bytes of its output so far.
    replied: u64,
    depth: Depth,
}

/// What is given back when the last process is dead.
struct Held {
    jail: Empty,
    _used: Use,
    _counted: Counted,
}

impl Process {
    pub(super) async fn spawn(
        host: &Arc<Host>,
        call: &Job,
        given: Given,
        env: BTreeMap<String, String>,
        body: Body,
        counted: Counted,
    ) -> Result<Process> {
        let function = &call.function;
        let depth = Depth::default();
        depth.enter(call.standing.clone(), true);
        let used = host.artifacts.hold(function.artifact);
        let piped = |error: io::Error| Error::internal("a pipe to a function's process can't be made").caused_by(error);
        let (stdin, ours) = io::pipe().map_err(piped)?;
        let input = pipe::Sender::from_owned_fd(OwnedFd::from(ours)).map_err(piped)?;
        let Given { env: mut all, files, mask } = given;
        all.retain(|(name, _)| !env.contains_key(name));
        all.extend(env);
        let program = Program { command: vec![format!("/code/{}", function.entry)], env: all, channel: Channel::Stdin };
        let mut empty = host.stock.take(Family::Executable, &host.bare_shell(function).await).await?;
        empty.jail.fill(&host.fill(function, function.limits.memory_bytes, Some(program), files), Some(OwnedFd::from(stdin)))?;

        let tail = Arc::new(Tail::default());
        let errors = {
            let (host, function, tail, id) = (host.clone(), function.clone(), tail.clone(), call.id);
            let stderr = empty.jail.stderr.take();
            tokio::spawn(async move {
                let mut budget = LogBudget::of(&function);
                if let Some(stderr) = stderr {
                    lines::read(stderr, |line| {
                        let line = mask.apply(line);
                        tail.push(&line);
                        if budget.take(&line) {
                            host.log(&function, Some(id), LogSource::Stderr, line);
                        }
                    })
                    .await;
                }
                if let Some(text) = budget.told(&function) {
                    host.log(&function, Some(id), LogSource::Platform, text);
                }
            })
        };
        let (failed, body_failed) = oneshot::channel();
        let input = tokio::spawn(feed(input, body, failed));
        let stdout = empty.jail.stdout.take();
        Ok(Process {
            function: function.clone(),
            host: host.clone(),
            held: Some(Held { jail: empty, _used: used, _counted: counted }),
            stdout,
            input,
            body_failed: Some(body_failed),
            errors,
            tail,
            gateway: None,
            replied: 0,
            depth,
        })
    }

    pub(super) async fn ready(&mut self) -> Result<()> {
        let Some(Held { jail, .. }) = &mut self.held else { return Ok(()) };
        let doors = jail.filled().await?;
        jail.has_started();
        self.gateway = Some(self.host.serve_gateway(doors, self.function.clone(), &self.depth, None)?);
        Ok(())
    }

    /// Resolves if the body fails on its way: the caller is to hear that, and not what the program
    /// made of a part of it.
    pub(super) fn body_failed(&mut self) -> BoxFuture<'static, Error> {
        let failed = self.body_failed.take();
        Box::pin(async move {
            match failed {
                Some(failed) => match failed.await {
                    Ok(error) => error,
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        })
    }

    /// More of its output; false at the end of it.
    pub(super) async fn read(&mut self, into: &mut BytesMut) -> Result<bool> {
        let Some(stdout) = &mut self.stdout else { return Ok(false) };
        into.reserve(READ_BYTES);
        let read = stdout.read_buf(into).await;
        let read = read.map_err(|error| Error::internal("a function's output can't be read").caused_by(error))?;
        self.replied += read as u64;
        if self.replied > self.function.limits.reply_bytes {
            return Err(Limit::Reply.error(&self.function));
        }
        Ok(read > 0)
    }

    /// Waits for its end, and for the last line on stderr.
    pub(super) async fn end(&mut self) -> Result<Exit> {
        let Some(Held { jail, .. }) = &mut self.held else { return Ok(Exit::Killed) };
        let exit = jail.jail.exited().await?;
        // Every process that could still write to it is dead or dying, so it ends by itself.
        let _ = (&mut self.errors).await;
        Ok(exit)
    }

    /// What it came up against, if that is why it ended so.
    pub(super) fn limit(&self, exit: Exit) -> Option<Limit> {
        let events = self.events();
        let unforked = || (exit != Exit::Code(0) && events.unforked > 0).then_some(Limit::Processes);
        Limit::behind_exit(exit, events, &self.stderr()).or_else(unforked)
    }

    /// Says in the log what else happened to a process that has to be killed.
    pub(super) fn note_limits(&self, invocation: Id) {
        if self.events().unforked > 0 {
            let text = format!("the function {}", Limit::Processes.text(&self.function));
            self.host.log(&self.function, Some(invocation), LogSource::Platform, text);
        }
    }

    fn events(&self) -> Events {
        self.held.as_ref().map(|held| held.jail.jail.events()).unwrap_or_default()
    }

    pub(super) fn stderr(&self) -> String {
        self.tail.text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input.abort();
        // Without a runtime mote is ending, and the jail ends with its line.
        if let (Some(held), Ok(runtime)) = (self.held.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let Held { jail, _used, _counted } = held;
                jail.into_jail().end().await;
            });
        }
    }
}

/// A program may end, or close its input, without reading it: that is its own affair. A body that
/// fails on its way looks like a short one to the program, so it does not get to see its end.
async fn feed(mut input: pipe::Sender, mut body: Body, failed: oneshot::Sender<Error>) {
    while let Some(chunk) = body.chunk().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                let _ = failed.send(error);
                return std::future::pending().await;
            }
        };
        if input.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
