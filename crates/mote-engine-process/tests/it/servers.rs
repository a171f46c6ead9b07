//! Functions that are HTTP servers of their own: what they get, and what they can't do to others.

mod hostile;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mote_core::engine::exchange::{RequestHead, ResponseHead};
use mote_core::engine::{Answer, Engine, Output, Payload};
use mote_core::function::Function;
use mote_core::{Body, Code, Result};

use crate::house::House;

const SERVER: &str = include_str!("servers/server.py");
const NODE: &str = r#"
import http from 'node:http';
const server = http.createServer((request, response) => response.end(`node ${request.url}`));
server.listen(Number(process.env.PORT) as number);
"#;

pub(crate) struct Reply {
    pub(crate) head: ResponseHead,
    pub(crate) body: Body,
    pub(crate) cold: bool,
}

impl Reply {
    pub(crate) async fn text(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.body.collect(64 << 20).await?).into_owned())
    }
}

pub(crate) async fn deploy(house: &House, port: u16, code: &str, change: impl FnOnce(&mut Function)) -> Result<Arc<Function>> {
    let function = house.function("python", "main.py", |f| {
        f.port = Some(port);
        f.limits.concurrency = 100;
        f.limits.instances_max = 1;
        change(f);
    });
    Ok(house.deploy(function, &[("main.py", code)]).await?.0)
}

async fn server(house: &House) -> Arc<Function> {
    deploy(house, 3837, SERVER, |_| {}).await.unwrap()
}

pub(crate) async fn send(house: &House, f: &Arc<Function>, method: &str, target: &str, body: impl Into<Body>) -> Result<Reply> {
    let mut head = RequestHead { method: method.parse().unwrap(), target: target.parse().unwrap(), headers: Default::default() };
    head.headers.insert("host", "h".parse().unwrap());
    let Output { answer, timing } = house.engine.run(&house.invocation(f), Payload { head: head.write()?, body: body.into() }).await?;
    let Answer::Reply(Payload { head, body }) = answer else { panic!("a server reports no failure") };
    Ok(Reply { head: ResponseHead::read(&head)?, body, cold: timing.cold })
}

pub(crate) async fn get(house: &House, f: &Arc<Function>, target: &str) -> Result<String> {
    send(house, f, "GET", target, "").await?.text().await
}

#[tokio::test]
async fn a_call_and_its_reply_go_through_whole() {
    let house = House::new();
    let f = server(&house).await;
    let reply = send(&house, &f, "PUT", "/echo?a=%20", "{\"b\": 1}").await.unwrap();
    assert_eq!((reply.head.status.as_u16(), reply.cold), (201, false));
    assert_eq!(reply.head.headers["x-own"], "1");
    let said: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    assert_eq!((&said["method"], &said["target"], &said["body"]), (&"PUT".into(), &"/echo?a=%20".into(), &"{\"b\": 1}".into()));
    assert_eq!(said["headers"], serde_json::json!([["host", "h"], ["content-length", "8"]]));

    let head = send(&house, &f, "HEAD", "/peer", "").await.unwrap();
    assert!(head.head.headers["content-length"].to_str().unwrap().parse::<u32>().unwrap() > 3);
    assert_eq!(head.text().await.unwrap(), "");
    assert_eq!(send(&house, &f, "GET", "/nothing", "").await.unwrap().head.status, 404);
    assert_eq!(get(&house, &f, "/hints").await.unwrap(), "done");
    assert!(house.logs.lines().iter().any(|line| line.text == "listening on 3837"));
}

#[tokio::test]
async fn two_servers_listen_on_one_port() {
    let house = House::new();
    let other = "from http.server import *\nHTTPServer(('', 3837), type('H', (BaseHTTPRequestHandler,), \
                 {'do_GET': lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(b'other'))})).serve_forever()\n";
    let (f, g) = tokio::join!(server(&house), async { deploy(&house, 3837, other, |_| {}).await.unwrap() });
    let (f, g) = tokio::join!(get(&house, &f, "/env"), get(&house, &g, "/"));
    assert_eq!((f.unwrap().as_str(), g.unwrap().as_str()), ("3837 None", "other"));
    assert_eq!(house.engine.instances(), 2);
}

#[tokio::test]
async fn any_family_can_be_a_server() {
    let house = House::new();
    let function = house.function("node", "src/main.ts", |f| f.port = Some(80));
    let (node, _) = house.deploy(function, &[("src/main.ts", NODE), ("package.json", r#"{"type":"module"}"#)]).await.unwrap();
    assert_eq!(get(&house, &node, "/a").await.unwrap(), "node /a");
    let function = house.function("executable", "serve", |f| {
        f.port = Some(8080);
        f.env.insert("OWN".into(), "x".into());
        f.env.insert("PORT".into(), "1".into());
    });
    let (program, _) = house.deploy(function, &[("serve", &format!("#!/usr/bin/env python3\n{SERVER}"))]).await.unwrap();
    assert_eq!(get(&house, &program, "/env").await.unwrap(), "8080 x");
    // It stays, as a program without a port would not.
    assert!(!send(&house, &program, "GET", "/env", "").await.unwrap().cold);
}

#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    let house = House::new();
    let f = deploy(&house, 3837, SERVER, |f| f.limits.concurrency = 1).await.unwrap();
    let first = get(&house, &f, "/peer").await.unwrap();
    for _ in 0..20 {
        assert_eq!(get(&house, &f, "/peer").await.unwrap(), first);
    }
}

#[tokio::test]
async fn as_many_calls_as_the_manifest_says_run_at_a_time() {
    let house = House::new();
    let f = server(&house).await;
    let calls = (0..100).map(|_| get(&house, &f, "/busy"));
    let most = futures_util::future::join_all(calls).await.into_iter().map(|most| most.unwrap().parse::<u32>().unwrap()).max().unwrap();
    assert!((20..=100).contains(&most), "{most} at a time");
    let one = deploy(&house, 3837, SERVER, |f| f.limits.concurrency = 1).await.unwrap();
    let calls = (0..5).map(|_| get(&house, &one, "/busy"));
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|most| most.unwrap() == "1"));
}

#[tokio::test]
async fn a_reply_arrives_while_it_is_made() {
    let house = House::new();
    let f = server(&house).await;
    let mut body = send(&house, &f, "GET", "/stream", "").await.unwrap().body;
    assert_eq!(body.chunk().await.unwrap().unwrap(), "one");
    get(&house, &f, "/go").await.unwrap();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "two");
    assert!(body.chunk().await.is_none());
}

#[tokio::test]
async fn what_is_large_passes_through_in_pieces() {
    const PIECES: usize = 1024;
    let house = House::new();
    let f = server(&house).await;
    for length in [Some((PIECES << 16) as u64), None] {
        let pieces = futures_util::stream::iter((0..PIECES).map(|_| Ok(Bytes::from_static(&[7; 1 << 16]))));
        let said = send(&house, &f, "POST", "/sink", Body::stream(pieces, length)).await.unwrap().text().await.unwrap();
        assert!(said.starts_with(&format!("{} ", PIECES << 16)), "{said}");
    }
    let mut reply = send(&house, &f, "GET", "/big?64", "").await.unwrap();
    assert_eq!(reply.body.length(), Some(64 << 20));
    let mut read = 0;
    while let Some(piece) = reply.body.chunk().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= 256 << 10, "{} bytes at once", piece.len());
        read += piece.len();
    }
    assert_eq!(read, 64 << 20);
}

/// Nobody reads: the server is held up by its socket, and mote holds no more than a buffer.
#[tokio::test]
async fn nobody_runs_ahead_of_a_slow_reader() {
    let house = House::new();
    let f = deploy(&house, 3837, SERVER, |f| f.limits.timeout_ms = 1000).await.unwrap();
    let taken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = taken.clone();
    let endless = futures_util::stream::repeat_with(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Bytes::from_static(&[0; 65536]))
    });
    let error = send(&house, &f, "POST", "/hang", Body::stream(endless, None)).await.err().unwrap();
    assert_eq!(error.code(), Code::FunctionTimeout);
    let taken = taken.load(std::sync::atomic::Ordering::Relaxed);
    // The kernel's own buffers hold some megabytes.
    assert!((1..=200).contains(&taken), "{taken} pieces of 64 KiB were fetched");
}

#[tokio::test]
async fn who_leaves_in_the_middle_frees_the_server() {
    let house = House::new();
    let f = server(&house).await;
    let mut reply = send(&house, &f, "GET", "/endless", "").await.unwrap();
    reply.body.chunk().await.unwrap().unwrap();
    drop(reply);
    assert_eq!(get(&house, &f, "/abandoned").await.unwrap(), "yes");
}

#[tokio::test]
async fn a_slow_start_is_waited_for() {
    let house = House::new();
    let slow = format!("import time\ntime.sleep(0.5)\n{SERVER}");
    let f = deploy(&house, 3837, &slow, |_| {}).await.unwrap();
    assert_eq!(get(&house, &f, "/env").await.unwrap(), "3837 None");
}

#[tokio::test]
async fn a_server_that_never_listens_is_refused_with_its_words() {
    let house = House::new();
    let never = "import sys, time\nprint('no port today', file=sys.stderr)\ntime.sleep(600)\n";
    let error = deploy(&house, 3837, never, |f| f.limits.timeout_ms = 1).await.err().unwrap();
    assert_eq!(error.code(), Code::FunctionStartFailed);
    assert!(error.detail().contains("did not listen on port 3837 within 10 s"), "{error:?}");
    assert!(error.report().unwrap().trace.contains("no port today"), "{error:?}");

    let error = deploy(&house, 3837, "raise ValueError('no luck')\n", |_| {}).await.err().unwrap();
    assert!(error.detail().contains("ended before it listened on port 3837: exit status 1"), "{error:?}");
    assert!(error.report().unwrap().trace.contains("no luck"), "{error:?}");
    assert_eq!(std::fs::read_dir(house.place.path().join("artifacts")).unwrap().count(), 0);

    let error = deploy(&house, 4566, SERVER, |_| {}).await.err().unwrap();
    assert_eq!(error.code(), Code::ManifestInvalid);
}

#[tokio::test]
async fn a_server_that_dies_is_told_and_replaced() {
    let house = House::new();
    let f = server(&house).await;
    let error = get(&house, &f, "/exit").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionCrashed);
    assert!(error.detail().ends_with("exit status 3"), "{error:?}");
    assert!(error.report().unwrap().trace.ends_with("last words"), "{error:?}");
    let next = send(&house, &f, "GET", "/env", "").await.unwrap();
    assert!(next.cold);

    let error = get(&house, &f, "/half?exit").await.unwrap_err();
    assert!(error.detail().ends_with("exit status 4"), "{error:?}");
    assert!(error.report().unwrap().trace.ends_with("in the middle"), "{error:?}");
    // Half a reply of a server that lives on is no whole one either.
    let error = get(&house, &f, "/half").await.unwrap_err();
    assert!(error.detail().contains("before its reply was whole"), "{error:?}");
    assert_eq!(get(&house, &f, "/env").await.unwrap(), "3837 None");
}

#[tokio::test]
async fn a_server_that_stops_listening_is_replaced_and_nothing_is_lost() {
    let house = House::new();
    // On another connection it would still be heard.
    let f = deploy(&house, 3837, SERVER, |f| f.limits.concurrency = 1).await.unwrap();
    let first = get(&house, &f, "/pid").await.unwrap();
    assert_eq!(get(&house, &f, "/deaf").await.unwrap(), "deaf from now on");
    let next = send(&house, &f, "GET", "/pid", "").await.unwrap();
    assert!(next.cold);
    assert_ne!(next.text().await.unwrap(), first);
    assert!(house.logs.lines().iter().any(|line| line.text.contains("does not listen on port 3837 any more")));
}

#[tokio::test]
async fn a_deadline_cuts_the_call_and_spares_a_server_that_notices() {
    let house = House::new();
    let f = deploy(&house, 3837, SERVER, |f| f.limits.timeout_ms = 400).await.unwrap();
    let mut patient = (*f).clone();
    patient.limits.timeout_ms = 20_000;
    let patient = Arc::new(patient);
    // A call that is served meanwhile is not harmed.
    let (late, other) = tokio::join!(get(&house, &f, "/wait"), send(&house, &patient, "GET", "/stream", ""));
    assert_eq!(late.unwrap_err().code(), Code::FunctionTimeout);
    get(&house, &f, "/go").await.unwrap();
    assert_eq!(other.unwrap().text().await.unwrap(), "onetwo");

    // A stream is cut, too, whether its reader reads or not.
    let mut body = send(&house, &f, "GET", "/endless", "").await.unwrap().body;
    let error = loop {
        match body.chunk().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::FunctionTimeout);
    assert_eq!(get(&house, &f, "/abandoned").await.unwrap(), "yes");
    assert!(house.logs.lines().iter().all(|line| !line.text.contains("overran")), "the instance was replaced");
}

#[tokio::test]
async fn a_server_that_does_not_notice_a_deadline_is_replaced() {
    let house = House::new();
    let f = deploy(&house, 3837, SERVER, |f| f.limits.timeout_ms = 500).await.unwrap();
    let mut patient = (*f).clone();
    patient.limits.timeout_ms = 20_000;
    let patient = Arc::new(patient);
    let (late, other) = tokio::join!(get(&house, &f, "/hang"), get(&house, &patient, "/hang"));
    assert_eq!(late.unwrap_err().code(), Code::FunctionTimeout);
    let other = other.unwrap_err();
    assert_eq!(other.code(), Code::FunctionCrashed);
    assert!(other.detail().contains("another call overran its deadline"), "{other:?}");
    assert_eq!(get(&house, &f, "/env").await.unwrap(), "3837 None");
}

#[tokio::test]
async fn a_body_that_fails_is_what_the_caller_hears_of() {
    let house = House::new();
    let f = server(&house).await;
    let pieces = [Ok(Bytes::from_static(b"half")), Err(mote_core::Error::new(Code::BodyTooLarge, "too much"))];
    let error = send(&house, &f, "POST", "/sink", Body::stream(futures_util::stream::iter(pieces), None)).await.err().unwrap();
    assert_eq!(error.code(), Code::BodyTooLarge);
}

#[tokio::test]
async fn a_retired_server_ends_and_an_idle_one_too() {
    let house = House::new();
    let f = deploy(&house, 3837, SERVER, |f| (f.limits.idle_ms, f.limits.timeout_ms) = (300, 1000)).await.unwrap();
    get(&house, &f, "/env").await.unwrap();
    let gone = async {
        while house.engine.instances() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    assert!(send(&house, &f, "GET", "/env", "").await.unwrap().cold);
    house.engine.retire(&f);
    let gone = async {
        while house.engine.instances() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
