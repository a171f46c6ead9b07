//! An API whose answers take several actions: the door does what it wants, and no more.

use std::sync::Arc;

use bytes::Bytes;
use mote_core::access::Credential;
use mote_core::action::{Action, Done, Target};
use mote_core::bundle::Bundle;
use mote_core::clock::Id;
use mote_core::dialect::{Dialect, Encoded, Manifest, Parameters, Parsed, Request, Response, Stamp, Turn};
use mote_core::engine::{Invocation, Output};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::Name;
use mote_core::reply::Reply;
use mote_core::{Error, Result};

use crate::world::{World, ok};

/// `/talk/N` calls N times, each with what the last one answered, and ends with the last answer.
pub(crate) struct Talker;

impl Dialect for Talker {
    fn name(&self) -> &'static str {
        "talker"
    }

    fn manifest(&self, _: &Bundle, _: &Parameters) -> Result<Option<Manifest>> {
        Ok(None)
    }

    fn encode(&self, _: &mut Invocation) -> Result<Encoded> {
        Err(Error::internal("no function is of this dialect"))
    }

    fn decode(&self, _: &Invocation, _: Output) -> Result<Reply> {
        Err(Error::internal("no function is of this dialect"))
    }

    fn parse(&self, request: Request, stamp: &Stamp) -> Result<Parsed> {
        let Some(times) = request.uri().path().strip_prefix("/talk/").and_then(|times| times.parse().ok()) else {
            return Ok(Parsed::NotMine(request));
        };
        let id = stamp.id;
        Ok(Parsed::Turn(Turn::read(request.into_body(), 8, move |read| match read {
            Ok(said) => say(times, id, said),
            Err(error) => Turn::Answer(worded(400, error.code().slug())),
        })))
    }

    fn render(&self, result: Result<Done>) -> Response {
        worded(500, result.err().map_or("no error", |error| error.code().slug()))
    }
}

fn say(times: u32, id: Id, said: Bytes) -> Turn {
    if times == 0 {
        return Turn::Answer(worded(200, said));
    }
    let mut event = Event::new(id, "/talk", "test.talk", Default::default(), said);
    event.request = Some(Arc::new(HttpRequest::default()));
    let what = Action::Call { to: Target::Route { namespace: Name::default_namespace() }, event };
    Turn::act(Credential::Anonymous, what, move |done| match done {
        Ok(Done::Reply(reply)) => say(times - 1, id, reply.body.as_bytes().cloned().unwrap_or_default()),
        _ => Turn::Answer(worded(502, "failed")),
    })
}

fn worded(status: u16, text: impl Into<mote_core::Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

async fn world() -> World {
    World::with(|_, body| async move {
        let said = body.collect(100).await?;
        if said.ends_with(b"!") { Err(Error::internal("no")) } else { ok([&said[..], b"."].concat()) }
    })
    .await
}

#[tokio::test]
async fn an_answer_may_take_several_actions() {
    let world = world().await;
    let check = async |request: &str, status: u16, text: &str| {
        let answer = world.ask(request).await;
        assert_eq!((answer.status, answer.text()), (status, text), "{request}");
    };
    check("POST /talk/3 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 200, "hi...").await;
    check("POST /talk/0 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 200, "hi").await;
    // An error of an action, and of the body, is the dialect's to word.
    check("POST /talk/3 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nhi!", 502, "failed").await;
    check("POST /talk/3 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789", 400, "body-too-large").await;
    // Whose it is not goes to the next one.
    check("POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 200, "hi.").await;
}

#[tokio::test]
async fn a_conversation_without_an_end_is_ended() {
    let answer = world().await.ask("POST /talk/1000 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!((answer.status, answer.text()), (500, "internal"));
}
