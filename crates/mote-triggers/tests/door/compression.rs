//! Compressed replies: when, how, and that a stream is never held back.

use std::io::Read;

use mote_core::Body;
use tokio::sync::{Mutex, mpsc};

use crate::world::{Answer, World, typed, within};

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

fn unbrotli(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).unwrap();
    plain
}

/// `/KIND/SIZE`: so many bytes of that type; `/…/stream` in pieces of unknown number.
async fn world() -> World {
    World::with(|request, _| async move {
        let mut parts = request.path.trim_start_matches('/').split('/');
        let kind = match parts.next() {
            Some("text") => "text/plain; charset=utf-8",
            Some("json") => "application/json",
            Some("problem") => "application/problem+json",
            _ => "image/png",
        };
        let size: usize = parts.next().unwrap().parse().unwrap();
        let mut reply = match parts.next() {
            Some("stream") => {
                let pieces = (0..3).map(move |_| Ok(bytes::Bytes::from(vec![b'a'; size])));
                typed(kind, Body::stream(futures_util::stream::iter(pieces), None))?
            }
            _ => typed(kind, vec![b'a'; size])?,
        };
        for (name, value) in request.headers.iter().filter_map(|(n, v)| Some((n.as_str().strip_prefix("x-set-")?, v))) {
            reply.headers.insert(http::HeaderName::try_from(name).unwrap(), value.clone());
        }
        Ok(reply)
    })
    .await
}

async fn get(world: &World, path: &str, headers: &str) -> Answer {
    world.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn the_client_chooses_the_coding() {
    let world = world().await;
    let check = async |accept: &str, expect: Option<&str>| {
        let answer = get(&world, "/text/5000", &format!("Accept-Encoding: {accept}\r\n")).await;
        assert_eq!(answer.header("content-encoding"), expect, "{accept}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        let plain = match expect {
            Some("gzip") => gunzip(&answer.body),
            Some("br") => unbrotli(&answer.body),
            _ => answer.body.clone(),
        };
        assert_eq!(plain, vec![b'a'; 5000], "{accept}");
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    };
    check("gzip", Some("gzip")).await;
    check("br", Some("br")).await;
    check("gzip, deflate, br", Some("br")).await;
    check("gzip;q=1.0, br;q=0.5", Some("gzip")).await;
    check("GZIP", Some("gzip")).await;
    check("*", Some("br")).await;
    check("*, br;q=0", Some("gzip")).await;
    check("gzip;q=0", None).await;
    check("gzip;q=x", None).await;
    check("identity, zstd", None).await;
    check("", None).await;
}

#[tokio::test]
async fn what_gains_nothing_stays_as_it_is() {
    let world = world().await;
    let check = async |path: &str, headers: &str, expect: Option<&str>| {
        let answer = get(&world, path, &format!("Accept-Encoding: gzip\r\n{headers}")).await;
        assert_eq!(answer.header("content-encoding"), expect, "{path} {headers}");
    };
    check("/json/1024", "", Some("gzip")).await;
    check("/problem/1024", "", Some("gzip")).await;
    check("/json/1023", "", None).await;
    check("/image/5000", "", None).await;
    check("/image/5000/stream", "", None).await;
    check("/text/5000", "X-Set-Content-Encoding: zstd\r\n", Some("zstd")).await;
    check("/text/5000", "X-Set-Cache-Control: no-transform\r\n", None).await;
    check("/text/5000", "X-Set-Content-Range: bytes 0-4999/9999\r\n", None).await;
}

#[tokio::test]
async fn a_strong_etag_becomes_weak() {
    let world = world().await;
    let answer = get(&world, "/text/5000", "Accept-Encoding: gzip\r\nX-Set-ETag: \"v1\"\r\n").await;
    assert_eq!(answer.header("etag"), Some("W/\"v1\""));
    let answer = get(&world, "/text/5000", "X-Set-ETag: \"v1\"\r\n").await;
    assert_eq!(answer.header("etag"), Some("\"v1\""));
}

#[tokio::test]
async fn large_bodies_and_streams_come_out_whole() {
    let world = world().await;
    for (path, size) in [("/text/3000000", 3_000_000), ("/text/1000000/stream", 3_000_000)] {
        let answer = get(&world, path, "Accept-Encoding: gzip\r\n").await;
        assert!(answer.body.len() < 100_000, "{path}: {}", answer.body.len());
        assert_eq!(gunzip(&answer.body), vec![b'a'; size], "{path}");
        let answer = get(&world, path, "Accept-Encoding: br\r\n").await;
        assert_eq!(unbrotli(&answer.body), vec![b'a'; size], "{path}");
    }
    // Among equals a stream is gzipped: its encoder is the smaller one.
    let answer = get(&world, "/text/1000/stream", "Accept-Encoding: br, gzip\r\n").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn an_event_arrives_before_the_next_is_made() {
    for coding in ["gzip", "br"] {
        let (events, source) = mpsc::unbounded_channel::<&'static str>();
        let source = std::sync::Arc::new(Mutex::new(source));
        let world = World::with(move |_, _| {
            let source = source.clone();
            async move {
                let stream = futures_util::stream::unfold(source, |source| async move {
                    let event = source.lock().await.recv().await?;
                    Some((Ok(event.into()), source))
                });
                typed("text/event-stream", Body::stream(stream, None))
            }
        })
        .await;
        let mut client = world.client().await;
        client.say(format!("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n\r\n")).await;
        assert_eq!(client.head().await.unwrap().header("content-encoding"), Some(coding));
        let mut compressed = Vec::new();
        let mut expect = String::new();
        for event in ["data: one\n\n", "data: two\n\n"] {
            events.send(event).unwrap();
            expect.push_str(event);
            while !partly(coding, &compressed).ends_with(expect.as_bytes()) {
                compressed.extend(within(client.chunk()).await.unwrap());
            }
        }
    }
}

/// What can be read of an unfinished stream.
fn partly(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        _ => Box::new(brotli::Decompressor::new(bytes, 4096)),
    };
    let (mut plain, mut byte) = (Vec::new(), [0]);
    while matches!(reader.read(&mut byte), Ok(1)) {
        plain.push(byte[0]);
    }
    plain
}
