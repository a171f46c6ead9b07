//! Any program as a function: one process a call, the body on stdin, the answer on stdout.
//!
//! The answer is judged by the exit status, so it is held back until the program has ended; one
//! larger than [`HELD_BYTES_MAX`] is streamed from there on, and a bad end then breaks the stream
//! off. Parameters and headers come as environment variables, made by the dialect. How many run at
//! once is admission's concern.

mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mote_core::engine::in_time::overdue;
use mote_core::engine::{Answer, Failure, Output, Payload};
use mote_core::error::Report;
use mote_core::reply::Timing;
use mote_core::{Body, BoxFuture, Code, Error, Result};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use crate::host::{Host, Job};
use crate::jail::Exit;
use crate::running::Running;
use process::Process;

/// The largest answer that is held back until the exit status is known.
const HELD_BYTES_MAX: usize = 256 << 10;
/// Pieces of a streamed answer that wait for their reader.
const PIECES_MAX: usize = 4;

pub(crate) struct Executables {
    host: Arc<Host>,
    running: Running,
    stopping: AtomicBool,
    /// True once everything that still runs is to be killed.
    end: watch::Sender<bool>,
}

/// What the dialect's head tells a program.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    env: BTreeMap<String, String>,
}

impl Executables {
    pub(crate) fn new(host: Arc<Host>) -> Executables {
        Executables { host, running: Running::default(), stopping: AtomicBool::new(false), end: watch::Sender::new(false) }
    }

    pub(crate) async fn run(&self, call: Job, input: Payload) -> Result<Output> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::new(Code::ShuttingDown, "mote is stopping; the call did not run").retry_after(Duration::from_secs(1)));
        }
        let head: Head = serde_json::from_slice(&input.head)
            .map_err(|error| Error::internal("the dialect made a head that no executable can read").caused_by(error))?;
        let clock = &self.host.clock;
        let begun = clock.monotonic();
        let patience = call.deadline.since(clock.now());
        let mut end = self.end.subscribe();
        let spawned = async {
            let given = self.host.given(&call.function).await?;
            Process::spawn(&self.host, &call, given, head.env, input.body, self.running.enter()).await
        };
        let mut process = tokio::select! {
            biased;
            spawned = spawned => spawned?,
            () = clock.sleep(patience) => return Err(overdue(&call.function)),
            _ = end.wait_for(|end| *end) => return Err(crate::instance::cut_off(&call.function)),
        };
        let mut body_failed = process.body_failed();
        let mut timing = Timing { cold: true, ..Timing::default() };
        let answer = tokio::select! {
            biased;
            answer = async {
                process.ready().await?;
                timing.start = clock.monotonic() - begun;
                answer(&mut process).await
            } => answer,
            error = &mut body_failed => Err(error),
            () = clock.sleep((begun + patience).saturating_sub(clock.monotonic())) => Err(overdue(&call.function)),
            _ = end.wait_for(|end| *end) => Err(crate::instance::cut_off(&call.function)),
        };
        if answer.as_ref().is_err_and(|error| error.code() == Code::FunctionTimeout) {
            process.note_limits(call.id);
        }
        timing.run = clock.monotonic().saturating_sub(begun + timing.start);
        let outcome = match answer {
            Ok(Verdict::Whole(answer)) => Ok(answer),
            Ok(Verdict::More(first)) => Ok(self.stream(process, first, begun + patience, body_failed)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(answer) => Ok(Output { answer, timing }),
            Err(mut error) => {
                error.set_timing(timing);
                Err(error)
            }
        }
    }

    /// The rest of a large answer, from a task of its own: the deadline holds even if nobody reads.
    fn stream(&self, mut process: Process, first: Bytes, deadline: Duration, body_failed: BoxFuture<'static, Error>) -> Answer {
        let head = head(&first);
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let (clock, mut end) = (self.host.clock.clone(), self.end.subscribe());
        tokio::spawn(async move {
            let late = clock.sleep(deadline.saturating_sub(clock.monotonic()));
            let function = process.function.clone();
            let outcome = tokio::select! {
                biased;
                outcome = forward(&mut process, first, &pieces) => outcome,
                error = body_failed => Err(error),
                () = late => Err(overdue(&function)),
                () = pieces.closed() => Ok(()),
                _ = end.wait_for(|end| *end) => Err(crate::instance::cut_off(&function)),
            };
            drop(process);
            if let Err(error) = outcome {
                let _ = pieces.send(Err(error)).await;
            }
        });
        let body =
            futures_util::stream::unfold(received, |mut received| async move { received.recv().await.map(|piece| (piece, received)) });
        Answer::Reply(Payload { head, body: Body::stream(body, None) })
    }

    pub(crate) async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        tokio::select! {
            biased;
            () = self.running.none() => return,
            () = self.host.clock.sleep(grace) => {}
        }
        self.end.send_replace(true);
        // Until their callers have been told.
        tokio::select! { () = self.running.none() => {}, () = self.host.clock.sleep(crate::host::LAST_WORDS) => {} }
    }
}

enum Verdict {
    Whole(Answer),
    /// It has written so much already, and goes on.
    More(Bytes),
}

async fn answer(process: &mut Process) -> Result<Verdict> {
    let mut held = BytesMut::new();
    while process.read(&mut held).await? {
        if held.len() > HELD_BYTES_MAX {
            return Ok(Verdict::More(held.freeze()));
        }
    }
    Ok(Verdict::Whole(match process.end().await? {
        Exit::Code(0) => {
            let body = held.freeze();
            Answer::Reply(Payload { head: head(&body), body: body.into() })
        }
        exit if let Some(limit) = process.limit(exit) => {
            return Err(limit.error(&process.function).with_report(process.report(exit)));
        }
        exit @ Exit::Code(_) => Answer::Failed(Failure { code: String::new(), report: process.report(exit) }),
        exit => return Err(crate::instance::crashed(format!("the function's process ended: {exit}")).with_report(process.report(exit))),
    }))
}

async fn forward(process: &mut Process, first: Bytes, pieces: &mpsc::Sender<Result<Bytes>>) -> Result<()> {
    let mut next = BytesMut::from(first);
    loop {
        if pieces.send(Ok(next.split().freeze())).await.is_err() {
            return Ok(());
        }
        if !process.read(&mut next).await? {
            break;
        }
    }
    match process.end().await? {
        Exit::Code(0) => Ok(()),
        exit if let Some(limit) = process.limit(exit) => Err(limit.error(&process.function).with_report(process.report(exit))),
        exit => Err(Error::new(Code::FunctionFailed, format!("the function failed in the middle of its reply: {exit}"))
            .with_report(process.report(exit))),
    }
}

/// JSON if it begins like it, text if it is UTF-8, else just bytes.
fn head(start: &[u8]) -> Bytes {
    let kind = match start.trim_ascii_start() {
        [b'{' | b'[', ..] => "application/json",
        _ => match std::str::from_utf8(start) {
            Err(error) if error.error_len().is_some() => "application/octet-stream",
            // A character cut in the middle is still text.
            _ => "text/plain; charset=utf-8",
        },
    };
    serde_json::json!({ "status": 200, "type": kind, "headers": [] }).to_string().into()
}

impl Process {
    fn report(&self, exit: Exit) -> Report {
        let trace = self.stderr();
        let message = trace.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        Report { kind: exit.to_string(), message, trace, ..Report::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_seen_in_the_first_bytes() {
        let check = |start: &[u8], kind: &str| {
            let head: serde_json::Value = serde_json::from_slice(&head(start)).unwrap();
            assert_eq!(head["type"], kind, "{start:?}");
        };
        check(b" \n{\"a\":1}", "application/json");
        check(b"[1]", "application/json");
        check(b"9.0\n", "text/plain; charset=utf-8");
        check(b"", "text/plain; charset=utf-8");
        check(b"caf\xc3", "text/plain; charset=utf-8");
        check(b"\x89PNG\xff", "application/octet-stream");
    }
}
