//! Clients that stall, leave, lie or send noise: each costs its own connection and no more.

use mote_core::Body;
use mote_core::trigger::shares::Shares;
use mote_triggers::http::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{STALL, World, ok, within};

async fn world() -> World {
    World::with(|_, body| async move { ok(body.collect(1 << 20).await?) }).await
}

#[tokio::test]
async fn clients_that_stall_are_closed() {
    let beginnings = [
        "",
        "G",
        "PRI * HTTP/2.0\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\nhe",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ];
    for beginning in beginnings {
        let world = world().await;
        let mut client = world.client().await;
        client.say(beginning).await;
        assert!(world.look_until(client.is_closed()).await, "{beginning:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_reply() {
    let world = world().await;
    let mut client = world.client().await;
    client.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.answer(false).await;
    assert!(world.look_until(client.is_closed()).await);
}

#[tokio::test]
async fn a_quiet_reply_is_no_stall() {
    let (events, source) = tokio::sync::watch::channel(());
    let world = World::with(move |_, _| {
        let mut source = source.clone();
        async move {
            let late = async move {
                source.changed().await.map(|()| "late".into()).map_err(|e| mote_core::Error::internal("no event").caused_by(e))
            };
            ok(Body::stream(futures_util::stream::once(Box::pin(late)), None))
        }
    })
    .await;
    let mut client = world.client().await;
    client.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await.unwrap();
    for _ in 0..5 {
        world.look().await;
    }
    events.send(()).unwrap();
    assert_eq!(client.chunk().await.unwrap(), b"late");
}

#[tokio::test]
async fn a_reply_that_nobody_reads_is_given_up() {
    // The drain would end the call too: here it has all the time there is.
    let limits = HttpLimits { drain: std::time::Duration::from_secs(1 << 40), ..HttpLimits::default() };
    let world = World::limited(limits, |_, _| async {
        let endless = futures_util::stream::repeat_with(|| Ok(bytes::Bytes::from_static(&[b'x'; 65536])));
        ok(Body::stream(endless, None))
    })
    .await;
    let mut client = world.client().await;
    client.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await.unwrap();
    world.stopper.stop();
    let World { clock, served, .. } = world;
    // Nothing is read from here on: the socket's buffers fill up, and then a look finds no progress.
    let looks = async {
        loop {
            clock.sleepers(2).await;
            clock.advance(STALL);
            tokio::task::yield_now().await;
        }
    };
    within(async {
        tokio::select! { end = served => end.unwrap().unwrap(), () = looks => {} }
    })
    .await;
}

#[tokio::test]
async fn heads_beyond_the_bounds_are_refused() {
    let world = world().await;
    let many: String = (0..200).map(|i| format!("X-{i}: 1\r\n")).collect();
    let check = async |request: String, expect: &[u16]| {
        let mut client = world.client().await;
        client.say(&request).await;
        let status = client.head().await.unwrap().status;
        assert!(expect.contains(&status), "{status} for {}", &request[..60]);
    };
    check(format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), &[431]).await;
    check(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000)), &[431]).await;
    check(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000)), &[414, 431]).await;
    check("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".into(), &[400]).await;
    check("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n hello, hello, hello".into(), &[400]).await;
    check("GET / HTTP/9.9\r\nHost: h\r\n\r\n                         ".into(), &[400]).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_runs_nothing_to_its_end() {
    let world = world().await;
    let mut client = world.client().await;
    client.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n").await;
    assert!(client.head().await.is_none_or(|answer| answer.status >= 400));
}

#[tokio::test]
async fn the_connection_limit_makes_the_next_one_wait() {
    let limits = HttpLimits { connections_max: 1, ..HttpLimits::default() };
    let world = World::limited(limits, |_, _| async { ok("fine") }).await;
    let mut first = world.client().await;
    first.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    first.answer(false).await;
    let mut second = world.client().await;
    second.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    // The first is still being served, and the second has no answer, until the first has left.
    first.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(first.answer(false).await.text(), "fine");
    drop(first);
    assert_eq!(second.answer(false).await.text(), "fine");
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_turned_away_until_one_ends() {
    let world = World::shared(HttpLimits::default(), Some(Shares::of_all(1)), |_, _| async { ok("fine") }).await;
    let mut first = world.client().await;
    first.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(first.answer(false).await.text(), "fine");
    assert!(world.client().await.is_closed().await, "it is not left to wait");
    first.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(first.answer(false).await.text(), "fine");
    drop(first);
    // The door sees the end of the first some time after the client does.
    let let_in = async {
        loop {
            let mut next = world.client().await;
            next.try_say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
            if let Some(answer) = next.head().await {
                return answer.status;
            }
        }
    };
    assert_eq!(within(let_in).await, 200);
}

/// xorshift: the same noise for the same seed, and no crate for it.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[tokio::test]
async fn noise_costs_one_connection_and_no_more() {
    let seed = std::env::var("MOTE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x6d6f7465);
    println!("MOTE_TEST_SEED={seed}");
    let mut noise = Noise(seed);
    let world = world().await;
    let valid: [&[u8]; 3] = [
        b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x01\x05\0\0\0\x01\x82\x84\x86\x41",
    ];
    for round in 0..300 {
        let mut bytes = valid[round % 3].to_vec();
        for _ in 0..noise.next() % 6 {
            let at = noise.next() as usize % bytes.len();
            match noise.next() % 3 {
                0 => bytes[at] = noise.next() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, noise.next() as u8),
            }
        }
        let mut socket = world.client().await.into_socket();
        // The server may close before all is written.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let _ = within(socket.read_to_end(&mut Vec::new())).await;
    }
    assert_eq!(world.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok").await.text(), "ok");
}
