//! Requests as honest clients send them: bodies both ways, ids, methods, keep-alive.

use futures_util::StreamExt;
use mote_core::{Body, Code, Error};
use tokio::sync::mpsc;

use crate::world::{World, ok, typed, within};

/// What the platform was given, and the body back again.
async fn echo() -> World {
    World::with(|request, body| async move {
        let form = if body.as_bytes().is_some() { "bytes" } else { "stream" };
        let mut reply = typed("application/octet-stream", body)?;
        let seen = format!("{} {}?{} {} {}", request.method, request.path, request.query, request.origin, request.peer);
        reply.headers.insert("x-seen", seen.parse().unwrap());
        reply.headers.insert("x-form", form.parse().unwrap());
        Ok(reply)
    })
    .await
}

#[tokio::test]
async fn a_request_reaches_the_platform_whole() {
    let world = echo().await;
    let answer = world.ask("POST /a%20b/c?x=1&y HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    assert_eq!(answer.header("x-seen"), Some("POST /a%20b/c?x=1&y http://h:1 127.0.0.1"));
    assert_eq!(answer.header("content-length"), Some("5"));
}

#[tokio::test]
async fn every_reply_carries_the_invocations_id() {
    let world = echo().await;
    let mut client = world.client().await;
    for id in 1..=2 {
        client.say("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n\r\n").await;
        let answer = client.answer(false).await;
        assert_eq!(answer.header("x-request-id"), Some(format!("00000000-0000-0000-0000-{id:012}").as_str()));
    }
}

#[tokio::test]
async fn small_bodies_are_bytes_and_the_others_are_streams() {
    let world = echo().await;
    let check = async |head: &str, body: &str, form: &str| {
        let answer = world.ask(&format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n{body}")).await;
        assert_eq!(answer.header("x-form"), Some(form), "{head}");
        answer.body
    };
    let (small, large) = ("x".repeat(64 << 10), "x".repeat((64 << 10) + 1));
    assert_eq!(check("Content-Length: 0", "", "bytes").await, b"");
    assert_eq!(check("Content-Length: 65536", &small, "bytes").await, small.as_bytes());
    assert_eq!(check("Content-Length: 65537", &large, "stream").await, large.as_bytes());
    assert_eq!(check("Transfer-Encoding: chunked", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "stream").await, b"abcde");
}

#[tokio::test]
async fn a_body_streams_through_while_it_is_sent() {
    let world = echo().await;
    let mut client = world.client().await;
    client.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 200);
    for piece in ["one", "two"] {
        client.say(format!("3\r\n{piece}\r\n")).await;
        assert_eq!(client.chunk().await.unwrap(), piece.as_bytes());
    }
    client.say("0\r\n\r\n").await;
    assert_eq!(client.chunk().await, None);
}

#[tokio::test]
async fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let world = World::with(|request, body| async move {
        if request.path == "/no" {
            return Err(Error::new(Code::BodyTooLarge, "no"));
        }
        ok(body.collect(1 << 20).await?)
    })
    .await;
    let mut client = world.client().await;
    client.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 100);
    client.say("x".repeat(70_000)).await;
    assert_eq!(client.answer(false).await.body.len(), 70_000);
    // Refused unread: the client never sends it.
    let answer = world.ask("POST /no HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (500, "body-too-large"));
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let world = World::with(|_, _| async { ok("hello") }).await;
    let mut client = world.client().await;
    client.say("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = client.answer(true).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    assert_eq!(client.answer(false).await.text(), "hello");
}

#[tokio::test]
async fn a_panic_is_the_requests_own_matter() {
    let world = World::with(|request, _| async move { if request.path == "/panic" { panic!("a test's") } else { ok("fine") } }).await;
    let mut client = world.client().await;
    client.say("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.text()), (500, "internal"));
    client.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(client.answer(false).await.text(), "fine");
}

#[tokio::test]
async fn websockets_and_proxying_are_refused_in_words() {
    let world = World::with(|_, _| async { ok("fine") }).await;
    let websocket = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(world.ask(websocket).await.text(), "request-invalid");
    assert_eq!(world.ask("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n").await.text(), "method-not-allowed");
    let h2c = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_eq!(world.ask(h2c).await.text(), "fine");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_reply_and_the_call() {
    let (ended, mut ends) = mpsc::unbounded_channel::<()>();
    let world = World::with(move |request, _| {
        let guard = ended.clone();
        async move {
            if request.path == "/waits" {
                let _held = guard;
                return std::future::pending().await;
            }
            let endless = futures_util::stream::repeat_with(move || {
                let _held = &guard;
                Ok(bytes::Bytes::from_static(&[b'x'; 1024]))
            });
            ok(Body::stream(endless.boxed(), None))
        }
    })
    .await;
    let mut reading = world.client().await;
    reading.say("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await;
    reading.head().await.unwrap();
    reading.chunk().await.unwrap();
    let mut waiting = world.client().await;
    waiting.say("GET /waits HTTP/1.1\r\nHost: h\r\n\r\n").await;
    within(world.clock.sleepers(2)).await;
    drop((reading, waiting));
    // The script holds one sender for good; the door gives up its own with the script.
    world.stopper.stop();
    within(world.served).await.unwrap().unwrap();
    assert_eq!(within(ends.recv()).await, None);
}

/// What a server of its own says of a body that it does not send.
#[tokio::test]
async fn a_reply_to_head_keeps_the_length_that_it_tells() {
    let world = World::with(|_, _| async {
        let mut reply = ok(Body::empty())?;
        reply.headers.insert("content-length", 5000.into());
        Ok(reply)
    })
    .await;
    assert_eq!(world.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").await.header("content-length"), Some("5000"));
}
