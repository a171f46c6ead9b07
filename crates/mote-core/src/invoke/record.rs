//! The record of one attempt, from its begin to the last byte of its reply.
//!
//! A guard: whatever ends the call drops it, also a caller who goes away, and it writes down how
//! far the call came. What it costs the call is a few clones, of which none is of a request or a
//! body; the rest is done where records are kept. Not here: attempts that were turned away before
//! anything ran, or those would push the others out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http::Method;

use crate::body::Body;
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::event::{Event, StoredEvent};
use crate::function::Function;
use crate::reply::{Reply, Timing};
use crate::store::{CallEnd, CallRecord, Phases, Records};

/// The largest body of an event that is kept with its record.
pub const BODY_KEPT_BYTES_MAX: usize = 64 << 10;
const MESSAGE_BYTES_MAX: usize = 2 << 10;
const REPORT_BYTES_MAX: usize = 16 << 10;

/// See the module's text.
pub(super) struct Recording {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    begun: Duration,
    /// The reply has no body, whatever its headers say of one.
    head_only: bool,
    /// `None`: written, or not worth it.
    record: Option<Box<CallRecord>>,
}

impl Recording {
    /// Of a call that was let in.
    pub(super) fn begin(records: &Arc<dyn Records>, clock: &Arc<dyn Clock>, function: &Function, event: &Event, attempt: u32) -> Recording {
        let body = event.body.as_bytes().filter(|body| body.len() <= BODY_KEPT_BYTES_MAX && function.records.keep_body);
        let stored = StoredEvent {
            subject: event.subject.clone(),
            content_type: event.content_type.clone(),
            extensions: event.extensions.clone(),
            request: event.request.clone(),
            lineage: event.lineage.clone(),
            body: body.cloned().unwrap_or_default(),
            ..StoredEvent::new(event.id, event.source.as_str(), event.kind.as_str(), event.time)
        };
        let mut record = CallRecord::new(function.reference(), function.version, stored, clock.now());
        (record.attempt, record.artifact) = (attempt, Some(function.artifact));
        (record.body_bytes, record.body_kept) = (event.body.length(), body.is_some());
        Recording {
            records: records.clone(),
            clock: clock.clone(),
            begun: clock.monotonic(),
            head_only: event.request.as_ref().is_some_and(|request| request.method == Method::HEAD),
            record: Some(Box::new(record)),
        }
    }

    /// The same reply, whose body ends the record with its own end.
    pub(super) fn replied(mut self, mut reply: Reply) -> Reply {
        let content_type = reply.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let known = reply.body.as_bytes().map(|bytes| bytes.len() as u64).or(self.head_only.then_some(0));
        let end = CallEnd::Replied { status: reply.status.as_u16(), content_type, reply_bytes: known.unwrap_or_default() };
        self.phases(&reply.timing);
        if known.is_some() {
            self.end(end);
            return reply;
        }
        let length = reply.body.length();
        let pieces = stream::unfold((reply.body, self, end), async |(mut body, mut recording, mut end)| {
            let piece = body.chunk().await;
            match (&piece, &mut end) {
                (Some(Ok(bytes)), CallEnd::Replied { reply_bytes, .. }) => *reply_bytes += bytes.len() as u64,
                (Some(Err(error)), _) => recording.end(failure(error)),
                _ => {}
            }
            // After the last byte already, where that is known: a server asks for nothing behind it.
            if body.length() == Some(0) {
                recording.end(end.clone());
            }
            piece.map(|piece| (piece, (body, recording, end)))
        });
        reply.body = Body::stream(pieces, length);
        reply
    }

    /// It ran nothing.
    pub(super) fn discard(mut self) {
        self.record = None;
    }

    /// Gives the error the call's id, by which its record is found.
    pub(super) fn failed(mut self, error: &mut Error) {
        self.phases(error.timing().unwrap_or(&Timing::default()));
        match error.code() {
            Code::CredentialMissing | Code::Throttled => self.record = None,
            _ => {
                error.set_invocation(self.record.as_ref().map(|record| record.id));
                self.end(failure(error));
            }
        }
    }

    fn phases(&mut self, timing: &Timing) {
        let us = |time: Duration| time.as_micros() as u64;
        if let Some(record) = &mut self.record {
            let Timing { queue, start, run, cold } = *timing;
            record.phases = Phases { queue_us: us(queue), start_us: us(start), run_us: us(run), cold, whole_us: 0 };
        }
    }

    fn end(&mut self, end: CallEnd) {
        if let Some(mut record) = self.record.take() {
            record.phases.whole_us = (self.clock.monotonic() - self.begun).as_micros() as u64;
            record.end = end;
            self.records.append(record);
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end(CallEnd::Abandoned);
    }
}

fn failure(error: &Error) -> CallEnd {
    let report = error.report().map(|report| {
        let between = if report.kind.is_empty() || report.message.is_empty() { "" } else { ": " };
        let head = format!("{}{between}{}", report.kind, report.message);
        // Most traces end with the error itself.
        if report.trace.contains(&head) { report.trace.clone() } else { format!("{head}\n{}", report.trace) }
    });
    CallEnd::Failed {
        code: error.code().slug().to_owned(),
        message: cut(error.detail(), MESSAGE_BYTES_MAX),
        report: cut(report.unwrap_or_default().trim_end(), REPORT_BYTES_MAX),
    }
}

fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::BoxFuture;
    use crate::clock::{Id, SystemClock, Timestamp};
    use crate::engine::{Depth, Standing};
    use crate::error::Result;
    use crate::event::HttpRequest;
    use crate::store::{RecordPage, RecordQuery};

    struct Nowhere;

    impl Records for Nowhere {
        fn append(&self, record: Box<CallRecord>) {
            black_box(record);
        }

        fn attempts(&self, _: Id) -> BoxFuture<'_, Result<Vec<CallRecord>>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn search(&self, _: RecordQuery) -> BoxFuture<'_, Result<RecordPage>> {
            Box::pin(async { Ok(RecordPage::default()) })
        }

        fn dropped(&self) -> u64 {
            0
        }
    }

    /// As a browser's: a dozen headers.
    fn event() -> Event {
        let mut request =
            HttpRequest { path: "/orders/7".into(), query: "page=2".into(), origin: "http://127.0.0.1:8080".into(), ..Default::default() };
        for number in 0..12 {
            let name = http::HeaderName::try_from(format!("x-header-{number}")).unwrap();
            request.headers.insert(name, "a value of some thirty characters".parse().unwrap());
        }
        let mut event = Event::new(Id(1), "/http", "mote.http.request", Timestamp(1), "{\"a\":1}");
        event.extensions.insert("requestid".into(), "7".into());
        event.lineage.caller = Some("token shop/ci".into());
        event.request = Some(Arc::new(request));
        event
    }

    fn ns_each(what: &str, mut work: impl FnMut()) {
        const ROUNDS: u32 = 200_000;
        let begun = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        println!("{what}: {} ns", begun.elapsed().as_nanos() / u128::from(ROUNDS));
    }

    #[test]
    #[ignore = "a measurement: cargo test --release -p mote-core --lib what_a_record_costs_its_call -- --ignored --nocapture"]
    fn what_a_record_costs_its_call() {
        let (records, clock): (Arc<dyn Records>, Arc<dyn Clock>) = (Arc::new(Nowhere), Arc::new(SystemClock::new()));
        let function = json!({
            "id": Id(1), "namespace": "default", "name": "f", "version": 1, "runtime": "python", "dialect": "plain", "entry": "f.py",
            "artifact": "0".repeat(64), "created": 0,
        });
        let function: Function = serde_json::from_value(function).unwrap();
        let event = event();
        let begin = || Recording::begin(&records, &clock, &function, &event, 1);
        ns_each("from begin to end", || drop(black_box(begin().replied(Reply::new(http::StatusCode::OK, Body::from("ok"))))));
        ns_each("a request copied", || drop(black_box(HttpRequest::clone(event.request.as_ref().unwrap()))));
        let (depth, standing) = (Depth::default(), Standing { depth: 1, call: Some(Id(1)), trace: None });
        ns_each("the instance's standing", || depth.enter(black_box(standing.clone()), true));
    }
}
