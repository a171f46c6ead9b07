//! The functions of the fault suite: some do their work, and each of the others fails in its own way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mote_core::Body;
use mote_core::clock::{Clock as _, Id};
use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::{Code, Error, Result};
use mote_core::function::Function;
use mote_core::function::delivery::{Delivery, Destination, KeyPath, Order, Retry};
use mote_core::invoke::deliver::EVENT_BYTES_MAX;
use mote_testkit::history::{Rules, Said};
use mote_testkit::{ScriptedEngine, Watcher};

use crate::clock::JumpingClock;

/// Those that are called from outside; `second` and `alarm` get what comes of others.
pub(crate) const CALLED: &[&str] = &["steady", "flaky", "broken", "hopeless", "hang", "late", "liar", "first"];
/// Its events of one key come in order.
pub(crate) const ORDERED: &str = "ordered";
const BROKEN_ATTEMPTS: u32 = 3;
/// Events have small data, or so much that they lie beside the queue.
pub(crate) const LARGE: usize = EVENT_BYTES_MAX as usize + 1;
const SMALL_MAX: usize = 64;
/// Of an event whose server died each time: the fewest attempts of all rules here, and 16 more.
const UNANSWERED_MAX: u32 = BROKEN_ATTEMPTS + 16;
/// Longer than any run believes to last.
const MONTH_MS: u64 = 30 * 24 * 3_600_000;

/// What may become of the items of a queue.
pub(crate) fn rules(queue: &str) -> Rules {
    let (attempts_max, hopeless): (_, &[_]) = match queue.rsplit('/').next() {
        Some("broken") => (Some(BROKEN_ATTEMPTS), &[]),
        Some("hopeless") => (None, &["argument-missing"]),
        _ => (None, &[]),
    };
    Rules { attempts_max, hopeless, unanswered_max: UNANSWERED_MAX, leaves_a_result: !queue.starts_with(mote_core::queues::QUEUES) }
}

pub(crate) fn all() -> Vec<Arc<Function>> {
    CALLED.iter().chain(&["second", "alarm", ORDERED]).map(|name| Arc::new(function(name))).collect()
}

fn function(name: &str) -> Function {
    let retry = Retry { backoff_ms: 2, backoff_max_ms: 20, age_max_ms: MONTH_MS, ..Retry::default() };
    let mut delivery = Delivery { retry, result_kept_ms: MONTH_MS, ..Delivery::default() };
    let to = |name: &str| Some(Destination::Function(name.parse().expect("a name")));
    match name {
        "broken" => {
            delivery.retry.attempts_max = BROKEN_ATTEMPTS;
            delivery.on_failure = to("alarm");
        }
        "first" => delivery.on_success = to("second"),
        ORDERED => delivery.order = Some(Order { by: KeyPath::Subject, width: 1, rate: None }),
        _ => {}
    }
    Function { dialect: "echo".into(), delivery, ..mote_testkit::function(name) }
}

pub(crate) fn engine(clock: Arc<JumpingClock>, watcher: Arc<dyn Watcher>) -> Arc<ScriptedEngine> {
    ScriptedEngine::new(move |function, attempt, input| {
        let (clock, watcher) = (clock.clone(), watcher.clone());
        async move {
            let body = input.body.collect(u64::MAX).await?;
            let Some(id) = std::str::from_utf8(&body).ok().and_then(|text| text.trim_end().parse().ok()) else {
                // What others sent on: it is not asked for its id.
                return reply(body);
            };
            if body.len() > SMALL_MAX && body.len() != LARGE {
                return Err(Error::new(Code::Internal, format!("the data of {id} are {} bytes", body.len())));
            }
            let answer = act(function.name.as_str(), id, attempt, &clock).await;
            if let Err(error) = &answer {
                watcher.hear(Said::Failed { id, attempt, error: error.detail().to_owned() });
            }
            answer.and_then(|()| if function.name.as_str() == "liar" && attempt < 3 { lie(attempt) } else { reply(body) })
        }
    })
}

/// What the function does, up to its answer.
async fn act(name: &str, id: Id, attempt: u32, clock: &JumpingClock) -> Result<()> {
    let fail = |code| Err(Error::new(code, format!("{name} failed for {id} at attempt {attempt}")));
    match name {
        "flaky" if attempt <= (id.0 % 4) as u32 => fail(Code::FunctionFailed),
        "broken" => match (id.0 as u32 ^ attempt) % 3 {
            0 => fail(Code::FunctionFailed),
            1 => fail(Code::FunctionTimeout),
            _ => fail(Code::FunctionCrashed),
        },
        "hopeless" => fail(Code::ArgumentMissing),
        "hang" if attempt == 1 => {
            clock.sleep(Duration::from_millis(15)).await;
            fail(Code::FunctionTimeout)
        }
        "late" => {
            // Past the end of its lease, if the clock jumps in this life: somebody else has it by
            // then, and takes longer still.
            tokio::select! {
                () = clock.jumped() => clock.sleep(Duration::from_millis(80)).await,
                () = clock.sleep(Duration::from_millis(20)) => {}
            }
            Ok(())
        }
        "ordered" if attempt == 1 && id.0.is_multiple_of(3) => fail(Code::FunctionCrashed),
        _ => Ok(()),
    }
}

fn reply(body: Bytes) -> Result<Answer> {
    Ok(Answer::Reply(Payload { head: Bytes::new(), body: body.into() }))
}

/// A reply that breaks off in the middle, and a failure that says nothing.
fn lie(attempt: u32) -> Result<Answer> {
    if attempt == 1 {
        return Ok(Answer::Failed(Failure::default()));
    }
    let pieces = [Ok(Bytes::from_static(b"half")), Err(Error::new(Code::FunctionCrashed, "it died in the middle of its reply"))];
    Ok(Answer::Reply(Payload { head: Bytes::new(), body: Body::stream(futures_util::stream::iter(pieces), None) }))
}
