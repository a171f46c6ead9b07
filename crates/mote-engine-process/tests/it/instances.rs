//! One instance: how calls end, how it dies, and what a hostile or stuck function can do to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use mote_core::engine::Answer;
use mote_core::function::Function;
use mote_core::store::LogSource;
use mote_core::{Body, Code};

use crate::house::{House, text};

const CODE: &str = r#"
import os, struct, time, threading
made = 0
gate = threading.Event()

def f(what: str = "", body: bytes = b""):
    global made
    if what == "exit":
        os.write(2, b"last words\n")
        os._exit(3)
    if what == "garbage":
        os.write(3, b"\xff" * 64)
        time.sleep(60)
    if what == "twice":
        head = b'{"status":200,"type":"text/plain","headers":[]}'
        reply = struct.pack("<I", len(head)) + head + b"half"
        frame = lambda kind: struct.pack("<IBI", len(reply), kind, 1) + reply
        os.write(3, frame(67) + struct.pack("<IBI", 0, 68, 1) * 1000 + frame(66))
        time.sleep(60)
    if what == "close":
        os.close(3)
        time.sleep(60)
    if what == "hang":
        time.sleep(60)
    if what == "stall":
        gate.wait()
        return "woken"
    if what == "wake":
        gate.set()
    if what == "print":
        print("by print")
        os.write(1, b"by hand\n")
    if what == "made":
        return made
    if what == "stream":
        return stream()
    return what + str(len(body))

def stream():
    global made
    while True:
        made += 1
        yield bytes(65536)

def upload(body: "Iterator[bytes]"):
    time.sleep(60)
"#;

async fn deploy(house: &House, change: impl FnOnce(&mut Function)) -> Arc<Function> {
    house.deploy(house.function("python", "f.py:f", change), &[("f.py", CODE)]).await.unwrap().0
}

#[tokio::test]
async fn a_crash_is_told_and_the_next_call_gets_a_new_instance() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    let error = house.run(&f, "what=exit", "").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionCrashed);
    assert!(error.detail().ends_with("exit status 3"), "{error:?}");
    assert!(error.report().unwrap().trace.ends_with("last words"), "{error:?}");
    let output = house.run(&f, "what=a", "").await.unwrap();
    assert!(output.timing.cold);
    assert_eq!(text(output).await.unwrap(), "a0");
}

#[tokio::test]
async fn who_breaks_the_protocol_is_killed_with_a_line_that_says_how() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    let error = house.run(&f, "what=garbage", "").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionCrashed);
    let lines = house.logs.lines();
    assert!(lines.iter().any(|line| line.stream == LogSource::Platform && line.text.contains("claims 4294967295 bytes")), "{lines:?}");
    assert_eq!(house.run(&f, "what=close", "").await.unwrap_err().code(), Code::FunctionCrashed);
}

#[tokio::test]
async fn half_a_reply_never_looks_whole() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    let Answer::Reply(reply) = house.run(&f, "what=twice", "").await.unwrap().answer else { panic!("it failed") };
    let mut body = reply.body;
    assert_eq!(body.chunk().await.unwrap().unwrap(), "half");
    let broken = body.chunk().await.unwrap().unwrap_err();
    assert!(broken.detail().contains("twice"), "{broken:?}");
}

#[tokio::test]
async fn a_deadline_kills_the_instance_and_tells_the_others_why() {
    let house = House::new();
    let f = deploy(&house, |f| {
        f.limits.concurrency = 2;
        f.limits.timeout_ms = 1500;
    })
    .await;
    let mut slow = (*f).clone();
    slow.limits.timeout_ms = 20_000;
    let slow = Arc::new(slow);
    let (late, other) = tokio::join!(house.run(&f, "what=hang", ""), house.run(&slow, "what=hang", ""));
    assert_eq!(late.unwrap_err().code(), Code::FunctionTimeout);
    let other = other.unwrap_err();
    assert_eq!(other.code(), Code::FunctionCrashed);
    assert!(other.detail().contains("another call overran its deadline"), "{other:?}");
    assert_eq!(house.call(&f, "what=b", "").await.unwrap(), "b0");
}

#[tokio::test]
async fn a_caller_who_leaves_takes_no_place_along() {
    let house = House::new();
    let f = deploy(&house, |f| {
        f.limits.concurrency = 2;
        f.limits.instances_max = 1;
    })
    .await;
    {
        let stalled = house.run(&f, "what=stall", "");
        tokio::pin!(stalled);
        // Far enough that the call is out, then its caller goes away.
        tokio::select! {
            biased;
            _ = &mut stalled => panic!("it did not stall"),
            made = house.call(&f, "what=made", "") => assert_eq!(made.unwrap(), "0"),
        }
    }
    house.call(&f, "what=wake", "").await.unwrap();
    // Two places again: both calls run, and on the same instance.
    let (a, b) = tokio::join!(house.call(&f, "what=a", ""), house.call(&f, "what=b", ""));
    assert_eq!((a.unwrap().as_str(), b.unwrap().as_str()), ("a0", "b0"));
    assert_eq!(house.engine.instances(), 1);
}

#[tokio::test]
async fn a_reply_runs_no_further_ahead_than_its_window() {
    let house = House::new();
    let f = deploy(&house, |f| {
        f.limits.concurrency = 2;
        f.limits.instances_max = 1;
    })
    .await;
    let Answer::Reply(reply) = house.run(&f, "what=stream", "").await.unwrap().answer else { panic!("it failed") };
    let mut body = reply.body;
    let mut read = 0;
    while read < 4 << 20 {
        read += body.chunk().await.unwrap().unwrap().len();
    }
    let made: usize = house.call(&f, "what=made", "").await.unwrap().parse().unwrap();
    assert!(made <= read / 65536 + 4 + 4, "{made} pieces made, {} read", read / 65536);
    drop(body);
    // The stream was cancelled, so both places are free again.
    let (a, b) = tokio::join!(house.call(&f, "what=a", ""), house.call(&f, "what=b", ""));
    assert!(a.is_ok() && b.is_ok());
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_fetched() {
    let house = House::new();
    let function = house.function("python", "f.py:upload", |f| f.limits.timeout_ms = 1000);
    let (f, _) = house.deploy(function, &[("f.py", CODE)]).await.unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let endless = futures_util::stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from_static(&[0; 65536]))
    });
    let error = house.run(&f, "", Body::stream(endless, None)).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionTimeout);
    let taken = taken.load(Ordering::Relaxed);
    assert!((4..=8).contains(&taken), "{taken} pieces of 64 KiB were fetched into a window of 256 KiB");
}

#[tokio::test]
async fn a_large_body_and_a_large_head_arrive_whole() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    assert_eq!(house.call(&f, "what=x", vec![b'y'; 3 << 20]).await.unwrap(), format!("x{}", 3 << 20));
    let error = house.run(&f, &format!("what={}", "z".repeat(2 << 20)), "").await.unwrap_err();
    assert_eq!(error.code(), Code::RequestInvalid);
    assert_eq!(house.call(&f, "what=x", "").await.unwrap(), "x0");
}

#[tokio::test]
async fn what_a_call_prints_is_logged_as_its_own() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    house.call(&f, "what=print", "").await.unwrap();
    // The line by hand goes through a pipe, not through the wire: a crash drains both.
    house.run(&f, "what=exit", "").await.unwrap_err();
    let lines = house.logs.lines();
    assert!(lines.iter().any(|line| line.text == "by print" && line.invocation.is_some()), "{lines:?}");
    assert!(lines.iter().any(|line| line.text == "by hand"), "{lines:?}");
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing() {
    let house = House::new();
    let function = house.function("python", "f.py:f", |_| {});
    let error = house.deploy(function, &[("f.py", "raise ValueError('no luck')\n")]).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionStartFailed);
    assert!(error.detail().contains("no luck"), "{error:?}");
    assert_eq!(std::fs::read_dir(house.place.path().join("artifacts")).unwrap().count(), 0);
    assert_eq!(house.engine.instances(), 0);
}

#[tokio::test]
async fn a_start_that_fails_tells_what_to_do() {
    let house = House::new();
    let check = async |runtime: &str, entry: &str, file: &str, code: &'static str, expect: &str| {
        let error = house.deploy(house.function(runtime, entry, |_| {}), &[(file, code)]).await.unwrap_err();
        assert_eq!(error.code(), Code::FunctionStartFailed);
        let told = format!("{} {}", error.detail(), error.hint_text().unwrap_or_default());
        assert!(told.contains(expect), "{told}");
    };
    check("python", "f.py:f", "f.py", "import no_such_package\n", "requirements.txt").await;
    check("node", "f.mjs:f", "f.mjs", "import 'no-such-package';\n", "package.json").await;
    check("node", "f.mjs:f", "f.mjs", "export const a = 1;\nexport const = 2;\n", "f.mjs:2:14: ").await;
}
