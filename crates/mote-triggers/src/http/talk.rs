//! Conversations: requests whose answer takes a body read whole, or more than one action.
//!
//! What they hold in memory is bounded for all of them together: a body takes its [`Room`] before it is
//! read, keeps what it fills, and gives that back when the answer is there, or when the last of it has
//! gone out. What a function has answered has room of its own: it must not wait for requests that wait
//! for functions.

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

/// Of all bodies of requests that are held at one time, and of all that answer them.
const HELD_BYTES_MAX: u64 = 512 << 20;
/// A smaller one takes no room: there are as many connections as fit.
const SMALL_BYTES: u64 = 64 << 10;
/// The room's unit, since a semaphore counts to 2^29 only.
const UNIT_BYTES: u64 = 1 << 10;
/// Who has found no room after so long is sent away.
const PATIENCE: Duration = Duration::from_secs(10);
/// What has been done by then would be done again. Whoever holds that room is being read by a client, or is closed as stalled.
const PATIENCE_ANSWERED: Duration = Duration::from_secs(120);

/// For bodies that are held in memory, by one door or by several that share it.
#[derive(Clone)]
pub struct Room {
    bytes_max: u64,
    asked: Arc<Semaphore>,
    answered: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Room {
        Room::of(HELD_BYTES_MAX)
    }
}

impl Room {
    /// For so many bytes of requests, and as many of answers.
    pub fn of(bytes_max: u64) -> Room {
        let half = || Arc::new(Semaphore::new((bytes_max / UNIT_BYTES) as usize));
        Room { bytes_max, asked: half(), answered: half() }
    }

    /// Whether somebody else has it, too.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.asked) > 1
    }

    async fn take(&self, clock: &dyn Clock, bytes: u64, answered: bool) -> Result<OwnedSemaphorePermit> {
        let (room, patience) = if answered { (&self.answered, PATIENCE_ANSWERED) } else { (&self.asked, PATIENCE) };
        tokio::select! {
            biased;
            taken = room.clone().acquire_many_owned(units(bytes.min(self.bytes_max))) => {
                taken.map_err(|_| Error::internal("the room for bodies was closed"))
            }
            () = clock.sleep(patience) => Err(if answered { Error::internal("there was no room for an answer") } else { self.full() }),
        }
    }

    fn full(&self) -> Error {
        Error::new(Code::Throttled, format!("{} bytes of other requests are held here, and no more may be", self.bytes_max))
            .hint("Send it again later.")
            .retry_after(Duration::from_secs(1))
    }
}

pub(super) struct Talks {
    platform: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
    room: Room,
}

impl Talks {
    pub(super) fn new(platform: Arc<dyn Platform>, clock: Arc<dyn Clock>, room: Room) -> Talks {
        Talks { platform, clock, room }
    }

    /// Does what a dialect wants, until it has an answer.
    pub(super) async fn converse(self: &Arc<Self>, mut turn: Turn, id: Id) -> Result<Response> {
        let (mut held, mut asked) = (Vec::new(), false);
        for _ in 0..TURNS_MAX {
            turn = match turn {
                Turn::Read { body, bytes_max, then } => {
                    // The first is the request's own; what follows answers it.
                    let answered = std::mem::replace(&mut asked, true);
                    then(self.read(body, bytes_max, answered, &mut held).await)
                }
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

    async fn read(&self, body: Body, bytes_max: u64, answered: bool, held: &mut Vec<OwnedSemaphorePermit>) -> Result<Bytes> {
        let bytes = body.length().unwrap_or(bytes_max).min(bytes_max);
        if bytes <= SMALL_BYTES {
            return body.collect(bytes_max).await;
        }
        let mut room = self.room.take(&*self.clock, bytes, answered).await?;
        let body = body.collect(bytes_max).await?;
        // One that did not say its length had room for the longest.
        drop(room.split(room.num_permits().saturating_sub(units(body.len() as u64) as usize)));
        held.push(room);
        Ok(body)
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
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
        let talks = Arc::new(Talks::new(Arc::new(Nothing), Arc::new(FakeClock::default()), Room::default()));
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
        let talks = Arc::new(Talks::new(Arc::new(Nothing), clock.clone(), Room::default()));
        // It says nothing of its size, and never comes.
        let slow = |talks: Arc<Talks>| async move {
            talks.converse(reading(Body::stream(pending::<Result<Bytes>>(), None), HELD_BYTES_MAX), Id(1)).await
        };
        let first = tokio::spawn(slow(talks.clone()));
        while talks.room.asked.available_permits() > 0 {
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

    #[tokio::test]
    async fn what_was_taken_and_not_filled_is_given_back() {
        let talks = Arc::new(Talks::new(Arc::new(Nothing), Arc::new(FakeClock::default()), Room::default()));
        let of_unknown_length = |bytes: usize| Body::stream(futures_util::stream::iter([Ok(Bytes::from(vec![0; bytes]))]), None);
        let (read, mut held) = (HELD_BYTES_MAX, Vec::new());
        talks.read(of_unknown_length(100 << 10), read, false, &mut held).await.unwrap();
        let free = talks.room.asked.available_permits() as u64;
        assert_eq!(free, HELD_BYTES_MAX / UNIT_BYTES - 100);
        // All the rest, to its last kilobyte.
        talks.read(Body::from(vec![0; 1 << 20]), read, false, &mut held).await.unwrap();
        let rest = talks.room.take(&*talks.clock, talks.room.asked.available_permits() as u64 * UNIT_BYTES, false).await.unwrap();
        // An answer waits for none of it.
        talks.read(of_unknown_length(1 << 20), read, true, &mut held).now_or_never().unwrap().unwrap();
        drop((rest, held));
        assert_eq!(talks.room.asked.available_permits() as u64, HELD_BYTES_MAX / UNIT_BYTES);
    }
}
