//! Many calls and few instances: starts, order, idleness, retirement, the end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mote_core::Code;
use mote_core::engine::Engine;
use mote_core::function::Function;
use mote_testkit::FakeClock;

use crate::house::{House, sleepers};

const CODE: &str = r#"
import os, threading
count = 0

def f(meet: int = 0, die: bool = False):
    global count
    count += 1
    if die:
        os._exit(1)
    return count
"#;

async fn deploy(house: &House, change: impl FnOnce(&mut Function)) -> Arc<Function> {
    house.deploy(house.function("python", "f.py:f", change), &[("f.py", CODE)]).await.unwrap().0
}

/// The same code as another version, which has no instance yet.
fn cold(house: &House, f: &Arc<Function>) -> Arc<Function> {
    Arc::new(Function { id: mote_core::clock::Clock::id(&*house.clock), ..(**f).clone() })
}

#[tokio::test]
async fn a_burst_starts_as_many_instances_as_it_needs() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.concurrency = 4).await;
    let f = cold(&house, &f);
    let before = house.engine.instances();
    let outputs = join_all((0..10).map(|_| house.run(&f, "", ""))).await;
    assert!(outputs.iter().all(|output| output.as_ref().is_ok_and(|output| output.timing.cold || output.timing.start.is_zero())));
    let started = house.engine.instances() - before;
    assert!((1..=3).contains(&started), "{started} instances for 10 calls at 4 a time");
}

#[tokio::test]
async fn a_short_wait_behind_a_living_instance_starts_no_other() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |_| {}).await;
    // The first call runs until its body ends, which is for the test to say.
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let body = futures_util::stream::once(async move {
        let _ = ended.await;
        Ok("{}".into())
    });
    let first = house.call(&f, "", mote_core::Body::stream(body, None));
    let second = house.call(&f, "", "");
    tokio::pin!(first, second);
    let waited = async {
        // Two guards' deadlines are armed by now, and the pool's alarm is the third.
        clock.sleepers(3).await;
        assert_eq!(house.engine.instances(), 1);
        clock.advance(Duration::from_millis(10));
    };
    tokio::select! {
        biased;
        answer = &mut first => panic!("the first call ended before its body: {answer:?}"),
        answer = async { tokio::join!(&mut second, waited).0 } => assert_eq!(answer.unwrap(), "1", "a new instance counts from one"),
    }
    end.send(()).unwrap();
    assert_eq!(first.await.unwrap(), "1");
    assert_eq!(house.engine.instances(), 2);
}

/// Quick calls have drawn together on as many instances as there are cores; then these get slow ones.
#[tokio::test]
async fn who_waits_beside_an_idle_instance_gets_it() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |f| f.limits.instances_max = cores as u32 + 1).await;
    for _ in 0..100 {
        house.call(&f, "", "").await.unwrap();
    }
    let (end, ended) = tokio::sync::watch::channel(false);
    let slow = (0..cores).map(|_| {
        let mut ended = ended.clone();
        let body = futures_util::stream::once(async move {
            let _ = ended.wait_for(|ended| *ended).await;
            Ok("{}".into())
        });
        house.call(&f, "", mote_core::Body::stream(body, None))
    });
    let (slow, last) = (join_all(slow), house.call(&f, "", ""));
    tokio::pin!(slow, last);
    let time = async {
        // Far less than any call's timeout, and enough for each of the pool's own waits.
        for _ in 0..200 {
            clock.advance(Duration::from_millis(1));
            tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.unwrap_err();
        }
        panic!("it waits still");
    };
    tokio::select! {
        biased;
        _ = &mut slow => panic!("they ended before their bodies"),
        answer = &mut last => assert_eq!(answer.unwrap(), "1", "a new instance counts from one"),
        () = time => {}
    }
    end.send(true).unwrap();
    assert!(slow.await.iter().all(Result::is_ok));
    assert_eq!(house.engine.instances(), cores + 1);
}

#[tokio::test]
async fn only_so_many_functions_keep_an_idle_instance() {
    let house = House::new();
    let first = deploy(&house, |_| {}).await;
    for _ in 0..64 {
        deploy(&house, |_| {}).await;
    }
    assert_eq!(house.engine.instances(), 64);
    assert!(house.run(&first, "", "").await.unwrap().timing.cold, "the idlest was the first");
}

#[tokio::test]
async fn who_waits_is_served_in_order() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.instances_max = 1).await;
    let f = cold(&house, &f);
    let answers = join_all((0..20).map(|_| house.call(&f, "", ""))).await;
    let expect: Vec<String> = (1..=20).map(|number: u32| number.to_string()).collect();
    assert_eq!(answers.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), expect);
}

#[tokio::test]
async fn an_idle_instance_ends_and_the_minimum_stays() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |f| f.limits.idle_ms = 60_000).await;
    let _kept = deploy(&house, |f| {
        f.limits.idle_ms = 60_000;
        f.limits.instances_min = 1;
    })
    .await;
    house.call(&f, "", "").await.unwrap();
    assert_eq!(house.engine.instances(), 2);
    clock.advance(Duration::from_secs(61));
    while house.engine.instances() > 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        clock.sleepers(1).await;
        clock.advance(Duration::from_secs(61));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(house.engine.instances(), 1, "the minimum was kept");
    }
    assert!(house.run(&f, "", "").await.unwrap().timing.cold);
}

#[tokio::test]
async fn an_instance_that_a_call_has_started_ends_after_its_idle_time_too() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |f| {
        f.limits.idle_ms = 1000;
        f.limits.timeout_ms = 900_000;
    })
    .await;
    for _ in 0..3 {
        clock.advance(Duration::from_millis(1001));
        // Long before the deadline of the call that was its first.
        while house.engine.instances() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(house.run(&f, "", "").await.unwrap().timing.cold);
    }
}

#[tokio::test]
async fn the_minimum_is_there_before_the_first_call_and_after_a_crash() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |f| f.limits.instances_min = 2).await;
    house.engine.retire(&f);
    let restarted = cold(&house, &f);
    house.engine.keep_warm(&restarted);
    while house.engine.instances() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!house.run(&restarted, "", "").await.unwrap().timing.cold);
    // It died young, so its replacement is not made in a loop, but it is made.
    assert_eq!(house.run(&restarted, "die=true", "").await.unwrap_err().code(), Code::FunctionCrashed);
    assert_eq!(house.engine.instances(), 1);
    // One guard's deadline is armed, and the pool's look at its minimum is the second.
    clock.sleepers(2).await;
    clock.advance(Duration::from_millis(250));
    while house.engine.instances() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_minimum_that_can_not_start_is_tried_again_without_a_call() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |f| f.limits.instances_min = 1).await;
    let artifact = house.place.path().join("artifacts").join(f.artifact.to_string());
    let away = house.place.path().join("away");
    std::fs::rename(&artifact, &away).unwrap();
    let restarted = cold(&house, &f);
    house.engine.keep_warm(&restarted);
    let error = house.run(&restarted, "", "").await.unwrap_err();
    assert_eq!(error.code(), Code::Unsupported, "{error:?}");
    std::fs::rename(&away, &artifact).unwrap();
    let before = house.engine.instances();
    clock.advance(Duration::from_millis(250));
    while house.engine.instances() == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_to_be_ready_is_so_live_or_not() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.instances_max = 2).await;
    house.engine.retire(&f);
    let named = cold(&house, &f);
    assert_eq!(house.engine.ready(&named).instances, 0);
    // More than the version's own most.
    house.engine.keep_ready(&named, 3);
    while house.engine.ready(&named).instances < 3 {
        tokio::task::yield_now().await;
    }
    assert!(!house.run(&named, "", "").await.unwrap().timing.cold);
    house.engine.retire(&named);
    assert_eq!(house.engine.ready(&named).instances, 3, "that it is live no more changes nothing");
    house.engine.keep_ready(&named, 1);
    house.engine.retire(&named);
    assert_eq!(house.engine.ready(&named).instances, 1);
    house.engine.keep_ready(&named, 0);
    house.engine.retire(&named);
    while house.engine.instances() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_version_that_is_not_live_has_no_minimum() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.instances_min = 2).await;
    house.engine.retire(&f);
    // Somebody names it: an instance for that call, which may grow idle and end.
    let named = cold(&house, &f);
    while house.engine.instances() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.call(&named, "", "").await.unwrap(), "1");
    assert_eq!(house.call(&named, "", "").await.unwrap(), "2");
    assert_eq!(house.engine.instances(), 1);
}

/// Tells when the engine warns of something, on this thread.
struct Warnings(Arc<tokio::sync::Notify>);

impl Warnings {
    fn begin() -> (Arc<tokio::sync::Notify>, tracing::subscriber::DefaultGuard) {
        let told = Arc::new(tokio::sync::Notify::new());
        (told.clone(), tracing::subscriber::set_default(Warnings(told)))
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("mote_engine_process")
    }
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.notify_one();
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn who_outlived_the_last_instance_is_served_after_the_pause() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |_| {}).await;
    let artifact = house.place.path().join("artifacts").join(f.artifact.to_string());
    let away = house.place.path().join("away");
    std::fs::rename(&artifact, &away).unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let body = futures_util::stream::once(async move {
        let _ = ended.await;
        Ok("{}".into())
    });
    let first = house.call(&f, "die=true", mote_core::Body::stream(body, None));
    let second = house.call(&f, "", "");
    let scene = async {
        clock.sleepers(3).await;
        // The second grows impatient; its instance can't start.
        let (warnings, _guard) = Warnings::begin();
        clock.advance(Duration::from_millis(10));
        warnings.notified().await;
        std::fs::rename(&away, &artifact).unwrap();
        end.send(()).unwrap();
        while house.engine.instances() > 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_millis(250));
    };
    let (first, second, ()) = tokio::join!(first, second, scene);
    assert_eq!(first.unwrap_err().code(), Code::FunctionCrashed);
    assert_eq!(second.unwrap(), "1");
}

#[tokio::test]
async fn a_retired_version_serves_late_calls_and_keeps_nothing() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    house.engine.retire(&f);
    assert_eq!(house.engine.instances(), 0);
    assert_eq!(house.call(&f, "", "").await.unwrap(), "1");
    while house.engine.instances() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_broken_start_is_not_tried_at_once_again() {
    let clock = Arc::new(FakeClock::default());
    let house = House::with_clock(clock.clone());
    let f = deploy(&house, |_| {}).await;
    let broken = Arc::new(Function { entry: "f.py:missing".into(), ..(*cold(&house, &f)).clone() });
    let first = house.run(&broken, "", "").await.unwrap_err();
    assert_eq!(first.code(), Code::FunctionStartFailed, "{first:?}");
    assert!(first.wait().is_none());
    let second = house.run(&broken, "", "").await.unwrap_err();
    assert!(second.wait().is_some_and(|wait| !wait.is_zero()), "told at once, and when to come again: {second:?}");
    clock.advance(Duration::from_secs(1));
    assert!(house.run(&broken, "", "").await.unwrap_err().wait().is_none(), "tried anew");
}

#[tokio::test]
async fn stopping_refuses_what_comes_and_ends_what_is_there() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await;
    house.engine.stop(Duration::from_secs(5)).await;
    assert_eq!(house.engine.instances(), 0);
    assert_eq!(house.run(&f, "", "").await.unwrap_err().code(), Code::ShuttingDown);
}

#[tokio::test]
async fn a_call_cut_off_by_the_stop_is_not_the_functions_fault() {
    let house = House::new();
    let code = "import time\n\ndef f():\n    print('begun', flush=True)\n    time.sleep(60)\n";
    let (python, _) = house.deploy(house.function("python", "f.py:f", |_| {}), &[("f.py", code)]).await.unwrap();
    let script = "#!/bin/sh\necho begun >&2\nexec sleep 60\n";
    let (program, _) = house.deploy(house.function("executable", "f", |_| {}), &[("f", script)]).await.unwrap();
    let stopped = async {
        while house.logs.lines().iter().filter(|line| line.text == "begun").count() < 2 {
            tokio::task::yield_now().await;
        }
        house.engine.stop(Duration::ZERO).await;
    };
    let (python, program, ()) = tokio::join!(house.run(&python, "", ""), house.run(&program, "", ""), stopped);
    assert_eq!(python.unwrap_err().code(), Code::ShuttingDown);
    assert_eq!(program.unwrap_err().code(), Code::ShuttingDown);
}

#[tokio::test]
async fn a_removed_version_keeps_its_files_until_its_last_call_has_ended() {
    let house = House::new();
    let code = "def f(body: 'Iterator[bytes]'):\n    for piece in body:\n        pass\n    import late\n    return late.WORD\n";
    let files = [("f.py", code), ("late.py", "WORD = 'late'\n")];
    let (f, _) = house.deploy(house.function("python", "f.py:f", |_| {}), &files).await.unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let begun = Arc::new(tokio::sync::Notify::new());
    let told = begun.clone();
    let body = futures_util::stream::once(async move {
        told.notify_one();
        let _ = ended.await;
        Ok("".into())
    });
    let artifact = house.place.path().join("artifacts").join(f.artifact.to_string());
    let removed = async {
        begun.notified().await;
        house.engine.retire(&f);
        house.engine.forget(f.artifact).await;
        assert!(artifact.is_dir());
        end.send(()).unwrap();
    };
    let (answer, ()) = tokio::join!(house.call(&f, "", mote_core::Body::stream(body, None)), removed);
    assert_eq!(answer.unwrap(), "late");
    while artifact.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_killed_jail_leaves_no_process() {
    let house = House::new();
    let code = "import subprocess\n\ndef f():\n    subprocess.Popen(['sleep', '86399'], start_new_session=True)\n    return 'ok'\n";
    let (f, _) = house.deploy(house.function("python", "f.py:f", |_| {}), &[("f.py", code)]).await.unwrap();
    assert_eq!(house.call(&f, "", "").await.unwrap(), "ok");
    // Its command line shows a moment after it has been executed.
    while sleepers(86399) == 0 {
        tokio::task::yield_now().await;
    }
    house.engine.retire(&f);
    while sleepers(86399) > 0 {
        tokio::task::yield_now().await;
    }
}
