//! Conversations: requests whose answer takes a body read whole, or more than one action.
//!
//! What they hold in memory is bounded for all of them together: a body takes its room before it is
//! read, and gives it back when the answer is there, or when the last of it has gone out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mote_core::action::Platform;
use mote_core::body::Body;
use mote_core::clock::{Clock, Id};
use mote_core::dialect::{Response, TURNS_MAX, Then, Turn};
use mote_core::{BoxFuture, Code, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::note;

/// Of all bodies that are held at one time.
const HELD_BYTES_MAX: u64 = 512 << 20;
/// A smaller one takes no room: there are as many connections as fit.
const SMALL_BYTES: u64 = 64 << 10;
/// The room's unit, since a semaphore counts to 2^29 only.
const UNIT_BYTES: u64 = 1 << 10;
/// Who has found no room after so long is sent away.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Talks {
    platform: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
    room: Arc<Semaphore>,
}

impl Talks {
    pub(super) fn new(platform: Arc<dyn Platform>, clock: Arc<dyn Clock>) -> Talks {
        Talks { platform, clock, room: Arc::new(Semaphore::new((HELD_BYTES_MAX / UNIT_BYTES) as usize)) }
    }

    /// Does what a dialect wants, until it has an answer.
    pub(super) async fn converse(self: &Arc<Self>, mut turn: Turn, id: Id) -> Result<Response> {
        let mut held = Vec::new();
        for _ in 0..TURNS_MAX {
            turn = match turn {
                Turn::Read { body, bytes_max, then } => then(self.read(body, bytes_max, &mut held).await),
                Turn::Do { who, what, then } => {
                    let result = match self.platform.execute(who, what).await {
                        Ok(done) => done.whole().await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = &result {
                        note(id, error);
                    }
                    then(result)
                }
                Turn::Answer(response) => return Ok(response),
                Turn::Pour { response, then } => {
                    return Ok(response.map(|body| pour(body, then, self.going_on(id)).holding(held)));
                }
            };
        }
        Err(Error::internal(format!("a request came to no answer in {TURNS_MAX} turns")))
    }

    fn going_on(self: &Arc<Self>, id: Id) -> GoOn {
        let talks = self.clone();
        Box::new(move |turn| Box::pin(async move { talks.converse(turn, id).await }))
    }

    async fn read(&self, body: Body, bytes_max: u64, held: &mut Vec<OwnedSemaphorePermit>) -> Result<Bytes> {
        let bytes = body.length().unwrap_or(bytes_max).min(bytes_max);
        if bytes > SMALL_BYTES {
            let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min((HELD_BYTES_MAX / UNIT_BYTES) as u32);
            let room = tokio::select! {
                biased;
                room = self.room.clone().acquire_many_owned(units) => room.map_err(|_| Error::internal("the room for bodies was closed"))?,
                () = self.clock.sleep(PATIENCE) => return Err(full()),
            };
            held.push(room);
        }
        body.collect(bytes_max).await
    }
}

/// To the answer of that turn.
type GoOn = Box<dyn FnOnce(Turn) -> BoxFuture<'static, Result<Response>> + Send>;

/// The body, and behind it that of what is answered to how it has ended.
fn pour(first: Body, then: Then<()>, go_on: GoOn) -> Body {
    let pieces = futures_util::stream::unfold((first, Some((then, go_on))), |(mut body, mut rest)| async move {
        let mut piece = body.chunk().await;
        if !matches!(piece, Some(Ok(_)))
            && let Some((then, go_on)) = rest.take()
        {
            // What it held is given back before anything else is done.
            drop(std::mem::take(&mut body));
            match go_on(then(piece.map_or(Ok(()), |piece| piece.map(drop)))).await {
                Ok(response) => {
                    body = response.into_body();
                    piece = body.chunk().await;
                }
                Err(error) => piece = Some(Err(error)),
            }
        }
        piece.map(|piece| (piece, (body, rest)))
    });
    Body::stream(pieces, None)
}

fn full() -> Error {
    Error::new(Code::Throttled, format!("the server holds {HELD_BYTES_MAX} bytes of other requests, and may hold no more"))
        .hint("Send it again later.")
        .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::stream::pending;
    use mote_core::BoxFuture;
    use mote_core::access::Credential;
    use mote_core::action::{Action, Done};
    use mote_testkit::FakeClock;

    use super::*;

    struct Nothing;

    impl Platform for Nothing {
        fn execute(&self, _: Credential, _: Action) -> BoxFuture<'_, Result<Done>> {
            Box::pin(async { Ok(Done::Nothing) })
        }
    }

    fn reading(body: Body, bytes_max: u64) -> Turn {
        Turn::read(body, bytes_max, |read| {
            let code = read.err().map(|error| error.code());
            Turn::Answer(Response::new(Body::from(format!("{code:?}"))))
        })
    }

    #[tokio::test]
    async fn the_rest_of_a_conversation_is_the_last_of_its_answer() {
        let talks = Arc::new(Talks::new(Arc::new(Nothing), Arc::new(FakeClock::default())));
        let check = async |pieces: Vec<Result<Bytes>>, expect: &str| {
            let first = Body::stream(futures_util::stream::iter(pieces), None);
            let turn = Turn::pour(Response::new(first), |end| {
                Turn::act(Credential::Anonymous, Action::Status, move |done| {
                    let told = format!("|{:?} {}", end.err().map(|error| error.code()), done.is_ok());
                    Turn::pour(Response::new(told.into()), |_| Turn::Answer(Response::new("|end".into())))
                })
            });
            let response = talks.converse(turn, Id(1)).await.unwrap();
            assert_eq!(response.into_body().collect(100).await.unwrap(), expect);
        };
        check(vec![Ok("a".into()), Ok("b".into())], "ab|None true|end").await;
        check(vec![Ok("a".into()), Err(Error::internal("x"))], "a|Some(Internal) true|end").await;
        check(vec![], "|None true|end").await;
    }

    #[tokio::test]
    async fn what_all_conversations_hold_is_bounded() {
        let clock = Arc::new(FakeClock::default());
        let talks = Arc::new(Talks::new(Arc::new(Nothing), clock.clone()));
        // It says nothing of its size, and never comes.
        let slow = |talks: Arc<Talks>| async move {
            talks.converse(reading(Body::stream(pending::<Result<Bytes>>(), None), HELD_BYTES_MAX), Id(1)).await
        };
        let first = tokio::spawn(slow(talks.clone()));
        while talks.room.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let large = tokio::spawn({
            let talks = talks.clone();
            async move { talks.converse(reading(Body::from(vec![0; 1 << 20]), 2 << 20), Id(2)).await.unwrap() }
        });
        clock.sleepers(1).await;
        // What is small goes on meanwhile.
        let small = talks.converse(reading("x".into(), 8 << 20), Id(3)).now_or_never().unwrap().unwrap();
        assert_eq!(small.body().as_bytes().unwrap(), "None");
        clock.advance(PATIENCE);
        assert_eq!(large.await.unwrap().body().as_bytes().unwrap(), "Some(Throttled)");
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let late = talks.converse(reading(Body::from(vec![0; 1 << 20]), 2 << 20), Id(4)).await.unwrap();
        assert_eq!(late.body().as_bytes().unwrap(), "None");
    }
}
