//! Limits that are reached: the caller hears which one, and nobody else hears anything.

use std::sync::Arc;

use mote_core::function::{Function, Limits};
use mote_core::store::LogSource;
use mote_core::{Body, Code, Error};

use crate::house::House;

const CODE: &str = r#"
import os, subprocess, sys, threading, time
gate = threading.Event()
started = time.monotonic()

def f(what: str = "", n: int = 1):
    if what == "memory":
        return len(bytearray(1 << 40 if n > 1 else 1 << 30))
    if what == "processes":
        kept = [subprocess.Popen(["/bin/sleep", "60"]) for _ in range(100)]
    if what == "threads":
        for _ in range(100):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    if what == "disk":
        with open("/tmp/full", "wb") as file:
            for _ in range(64):
                file.write(bytes(1 << 20))
    if what == "files":
        kept = [open("/dev/null") for _ in range(1000)]
    if what == "reply":
        return "x" * n
    if what == "stream":
        return stream(n)
    if what == "log":
        for line in range(n):
            print("line", line)
    if what == "raw":
        for line in range(n):
            os.write(2, b"by hand %d\n" % line)
    if what == "stall":
        gate.wait()
        return "woken"
    if what == "wake":
        gate.set()
    if what == "pid":
        return str(started)
    return what

def stream(n):
    for _ in range(n):
        yield b"x" * 1000
"#;

async fn function(house: &House, change: impl FnOnce(&mut Limits)) -> Arc<Function> {
    let function = house.function("python", "f.py", |f| {
        f.limits.memory_bytes = 256 << 20;
        f.limits.processes = 16;
        f.limits.tmp_bytes = 4 << 20;
        f.limits.open_files = 64;
        f.limits.reply_bytes = 100_000;
        f.limits.log_bytes = 4096;
        change(&mut f.limits);
    });
    house.deploy(function, &[("f.py", CODE)]).await.unwrap().0
}

async fn refused(house: &House, f: &Arc<Function>, query: &str) -> Error {
    let error = house.call(f, query, Body::empty()).await.unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded, "{query}: {error:?}");
    assert!(error.hint_text().is_some(), "{query}");
    error
}

#[tokio::test]
async fn a_caller_hears_which_limit_it_was_and_the_next_one_gets_a_new_instance() {
    let house = House::new();
    let f = function(&house, |_| {}).await;
    let mut before = house.call(&f, "what=pid", "").await.unwrap();
    for (query, says) in [
        ("what=memory", "256 MiB"),
        ("what=processes", "16 of an instance"),
        ("what=threads", "16 of an instance"),
        ("what=disk", "/tmp holds 4 MiB"),
        ("what=files", "the 64 of a process"),
    ] {
        let error = refused(&house, &f, query).await;
        assert!(error.detail().contains(says), "{query}: {error}");
        assert!(error.report().is_some(), "{query}");
        let after = house.call(&f, "what=pid", "").await.unwrap();
        assert_ne!(before, after, "{query}: the instance was replaced");
        before = after;
    }
}

#[tokio::test]
async fn a_reply_has_a_largest_size_whole_or_in_pieces() {
    let house = House::new();
    let f = function(&house, |_| {}).await;
    assert_eq!(house.call(&f, "what=reply&n=90000", "").await.unwrap().len(), 90_000);
    assert!(refused(&house, &f, "what=reply&n=100001").await.detail().contains("100 kB"));
    assert_eq!(house.call(&f, "what=stream&n=100", "").await.unwrap().len(), 100_000);
    refused(&house, &f, "what=stream&n=101").await;
    // Too much all the same if nobody could hold it: the writer is told to stop.
    refused(&house, &f, "what=stream&n=1000000").await;
    assert_eq!(house.call(&f, "what=x", "").await.unwrap(), "x");
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_one_line_says_so() {
    let house = House::new();
    let f = function(&house, |_| {}).await;
    house.call(&f, "what=log&n=20000", "").await.unwrap();
    let lines = house.logs.lines();
    let kept: usize = lines.iter().filter(|line| line.text.starts_with("line ")).count();
    assert!((1..=4096 / 64).contains(&kept), "{kept} lines");
    let told: Vec<_> = lines.iter().filter(|line| line.text.contains("more lines")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].invocation.is_some() && told[0].stream == LogSource::Platform);
    assert!(told[0].text.starts_with(&format!("{} more lines", 20000 - kept)), "{}", told[0].text);
    // Past the runner, and with its own budget for each call.
    house.call(&f, "what=raw&n=20000", "").await.unwrap();
    house.call(&f, "what=x", "").await.unwrap();
    let raw = house.logs.lines().iter().filter(|line| line.text.starts_with("by hand")).count();
    assert!(raw <= 3 * 4096 / 64, "{raw} lines");
}

#[tokio::test]
async fn another_call_in_the_same_instance_never_notices() {
    let house = House::new();
    let f = function(&house, |limits| limits.concurrency = 3).await;
    let stalled = house.call(&f, "what=stall", "");
    let others = async {
        refused(&house, &f, "what=disk").await;
        refused(&house, &f, "what=reply&n=200000").await;
    };
    tokio::pin!(stalled);
    tokio::select! { _ = &mut stalled => panic!("it waits"), () = others => {} }
    // A new instance by now, whose gate is its own: the stalled one ends by its deadline alone.
    assert_eq!(house.call(&f, "what=x", "").await.unwrap(), "x");
    let error = tokio::time::timeout(std::time::Duration::from_millis(100), stalled).await;
    assert!(error.is_err(), "it still runs: {error:?}");
}

/// The kernel kills the largest process of the group; without groups each process has its own limit.
#[tokio::test]
async fn processes_share_the_memory_of_their_instance() {
    let house = House::new();
    let code = "#!/bin/sh\nfor i in 1 2 3 4 5 6; do /usr/bin/python3 -c 'b = bytearray(b\"x\") * (50 << 20); import time; time.sleep(5)' & \
                done\nfor i in 1 2 3 4 5 6; do wait -n 2>/dev/null || wait; done\nexit 1\n";
    let function = house.function("executable", "f", |f| f.limits.memory_bytes = 128 << 20);
    let (f, prepared) = house.deploy(function, &[("f", code)]).await.unwrap();
    let error = house.call(&f, "", "").await;
    if prepared.isolation.iter().any(|barrier| barrier == "memory of all processes together") {
        let error = error.unwrap_err();
        assert_eq!(error.code(), Code::LimitExceeded, "{error:?}");
        assert!(error.detail().contains("128 MiB"), "{error}");
    } else {
        // Each keeps within its own limit, and together they may have more: the script ends as it wants to.
        assert!(error.unwrap().starts_with("failed: "));
    }
}

#[tokio::test]
async fn programs_hear_of_theirs_too() {
    let house = House::new();
    let check = async |script: &str, says: &str| {
        let function = house.function("executable", "f", |f| {
            f.limits.processes = 16;
            f.limits.tmp_bytes = 1 << 20;
            f.limits.reply_bytes = 10_000;
            f.limits.memory_bytes = 64 << 20;
            f.limits.log_bytes = 1000;
        });
        let (f, _) = house.deploy(function, &[("f", script)]).await.unwrap();
        let error = refused(&house, &f, "").await;
        assert!(error.detail().contains(says), "{script}: {error}");
    };
    check("#!/bin/sh\nhead -c 20000 /dev/zero\n", "10 kB").await;
    check("#!/bin/sh\nfor i in 1 2; do head -c 700000 /dev/zero > /tmp/$i || exit 1; done\n", "/tmp holds 1 MiB").await;
    check("#!/bin/sh\nhead -c 9000000 /dev/zero > /tmp/large\n", "/tmp holds 1 MiB").await;
    check("#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9 a b c d e f g h i; do sleep 60 & done\n", "processes").await;
    check("#!/usr/bin/python3\nbytearray(1 << 28)\n", "64 MiB").await;
    let flood = "#!/bin/sh\ni=0; while [ $i -lt 5000 ]; do echo a line on standard error >&2; i=$((i+1)); done\nexit 1\n";
    let (f, _) = house.deploy(house.function("executable", "f", |f| f.limits.log_bytes = 1000), &[("f", flood)]).await.unwrap();
    assert!(house.call(&f, "", "").await.unwrap().starts_with("failed:"));
    let lines = house.logs.lines();
    assert!(lines.iter().filter(|line| line.text.starts_with("a line")).count() < 20);
    assert!(lines.iter().any(|line| line.text.contains("more lines") && line.stream == LogSource::Platform));
}
