//! A server that lies in its HTTP: its own callers hear so, and nobody else notices.

use std::time::Duration;

use mote_core::{Body, Code};

use super::{deploy, get, send};
use crate::house::House;

const HOSTILE: &str = include_str!("hostile.py");

#[tokio::test]
async fn what_is_not_http_is_refused_by_its_name() {
    let house = House::new();
    let f = deploy(&house, 3837, HOSTILE, |_| {}).await.unwrap();
    let check = async |path: &str, code: Code, words: &str| {
        let error = get(&house, &f, path).await.unwrap_err();
        assert_eq!(error.code(), code, "{path}: {error:?}");
        assert!(error.detail().contains(words), "{path}: {error:?}");
    };
    for path in ["/garbage", "/silent-garbage", "/lengths", "/negative", "/huge", "/folded", "/old"] {
        check(path, Code::ReplyInvalid, "not HTTP/1.1").await;
    }
    check("/headers", Code::ReplyInvalid, "more than 200 headers").await;
    check("/endless-headers", Code::ReplyInvalid, "larger than 64 KiB").await;
    check("/switch", Code::ReplyInvalid, "changed the protocol").await;
    for path in ["/close", "/reset", "/chunk"] {
        check(path, Code::FunctionCrashed, "closed the connection before").await;
    }
    assert_eq!(get(&house, &f, "/good").await.unwrap(), "good");
    assert_eq!(house.engine.instances(), 1);
}

/// What it says beyond the reply that it was asked for never reaches another call: the connection is not used again.
#[tokio::test]
async fn a_second_reply_answers_nobody() {
    let house = House::new();
    let f = deploy(&house, 3837, HOSTILE, |f| f.limits.concurrency = 1).await.unwrap();
    for path in ["/two", "/long"] {
        for _ in 0..20 {
            assert_eq!(get(&house, &f, path).await.unwrap(), "good", "{path}");
            assert_eq!(get(&house, &f, "/good").await.unwrap(), "good", "after {path}");
        }
    }
    // Chunked wins over a length: what comes after its end is no reply to anybody.
    for _ in 0..20 {
        assert_eq!(get(&house, &f, "/both").await.unwrap(), "");
        assert_eq!(get(&house, &f, "/good").await.unwrap(), "good");
    }
}

#[tokio::test]
async fn who_never_comes_to_an_end_meets_the_deadline() {
    let house = House::new();
    let f = deploy(&house, 3837, HOSTILE, |f| f.limits.timeout_ms = 5000).await.unwrap();
    let (hints, trickle, good) = tokio::join!(get(&house, &f, "/endless-hints"), get(&house, &f, "/trickle"), get(&house, &f, "/good"));
    assert!(matches!(hints.unwrap_err().code(), Code::FunctionTimeout | Code::ReplyInvalid));
    assert_eq!(trickle.unwrap_err().code(), Code::FunctionTimeout);
    assert_eq!(good.unwrap(), "good");
}

/// An answer before the question is out: it counts, and the rest of the body is not waited for.
#[tokio::test]
async fn an_early_answer_ends_the_call() {
    let house = House::new();
    let f = deploy(&house, 3837, HOSTILE, |_| {}).await.unwrap();
    let body = Body::stream(futures_util::stream::pending(), None);
    let reply = tokio::time::timeout(Duration::from_secs(5), send(&house, &f, "POST", "/early", body)).await.unwrap().unwrap();
    assert_eq!(reply.text().await.unwrap(), "good");
}
