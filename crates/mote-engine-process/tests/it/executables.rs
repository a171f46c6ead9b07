//! Programs as functions: what goes in, what comes out, and how they may end.

use bytes::Bytes;
use mote_core::engine::{Answer, Engine};
use mote_core::{Body, Code};

use crate::house::{House, sleepers};

async fn deploy(house: &House, text: &str) -> std::sync::Arc<mote_core::function::Function> {
    house.deploy(house.function("executable", "f", |f| f.limits.timeout_ms = 5000), &[("f", text)]).await.unwrap().0
}

#[tokio::test]
async fn a_script_answers() {
    let house = House::new();
    let f = deploy(&house, "#!/bin/sh\nread line\necho \"$MOTE_QUERY $line\"\n").await;
    assert_eq!(house.call(&f, "a=1", "in").await.unwrap(), "a=1 in\n");
}

#[tokio::test]
async fn a_bad_exit_is_the_functions_failure_and_a_signal_a_crash() {
    let house = House::new();
    let f = deploy(&house, "#!/bin/sh\necho half\necho first >&2\necho why >&2\nexit 3\n").await;
    let Answer::Failed(failure) = house.run(&f, "", "").await.unwrap().answer else { panic!("it succeeded") };
    assert_eq!((failure.report.kind.as_str(), failure.report.message.as_str()), ("exit status 3", "why"));
    assert_eq!(failure.report.trace, "first\nwhy");
    let f = deploy(&house, "#!/bin/sh\nkill -SEGV $$\n").await;
    let error = house.run(&f, "", "").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionCrashed);
    assert!(error.detail().contains("SIGSEGV"), "{error:?}");
}

#[tokio::test]
async fn a_large_answer_is_streamed_and_a_large_body_goes_in() {
    let house = House::new();
    let f = deploy(&house, "#!/bin/sh\nexec cat\n").await;
    let sent = vec![b'x'; 3 << 20];
    let pieces: Vec<_> = sent.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let answer = house.call(&f, "", Body::stream(futures_util::stream::iter(pieces), None)).await.unwrap();
    assert_eq!(answer.len(), sent.len());
}

#[tokio::test]
async fn a_body_that_fails_is_the_callers_answer_at_once() {
    let house = House::new();
    for (script, size) in [("#!/bin/sh\nexec cat >/dev/null\n", 10), ("#!/bin/sh\nexec cat\n", 1 << 20)] {
        let f = deploy(&house, script).await;
        let pieces = [Ok(Bytes::from(vec![b'x'; size])), Err(mote_core::Error::new(Code::BodyTooLarge, "more than it may have"))];
        let error = match house.run(&f, "", Body::stream(futures_util::stream::iter(pieces), None)).await {
            Err(error) => error,
            Ok(output) => crate::house::text(output).await.unwrap_err(),
        };
        assert_eq!(error.code(), Code::BodyTooLarge);
    }
}

#[tokio::test]
async fn a_deadline_kills_it_and_all_its_children() {
    let house = House::new();
    let f = house.function("executable", "f", |f| f.limits.timeout_ms = 300);
    let (f, _) = house.deploy(f, &[("f", "#!/bin/sh\nsetsid sleep 86398 &\nsleep 86398\n")]).await.unwrap();
    let error = house.run(&f, "", "").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionTimeout);
    while sleepers(86398) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn motes_own_binary_is_no_interpreter() {
    let house = House::new();
    let f = deploy(&house, "#!/proc/self/exe\n").await;
    let error = house.run(&f, "", "").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionStartFailed, "{error:?}");
    assert!(error.detail().contains("own binary"), "{error:?}");
}

#[tokio::test]
async fn what_can_never_run_is_refused_at_deploy() {
    let house = House::new();
    let refused = async |entry: &str, text: &'static str, executable: bool, code: Code| {
        let mut bundle = mote_core::bundle::Bundle::default();
        bundle.insert("f", text, executable).unwrap();
        let f = house.function("executable", entry, |_| {});
        let error = house.engine.prepare(&f, &bundle, Default::default(), mote_core::engine::Progress::silent()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
    };
    refused("g", "#!/bin/sh\n", true, Code::ManifestInvalid).await;
    refused("f", "#!/bin/sh\n", false, Code::ManifestInvalid).await;
    refused("f", "echo\n", true, Code::ManifestInvalid).await;
    refused("f", "#!/nowhere/sh\n", true, Code::Unsupported).await;
    refused("f", "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0", true, Code::Unsupported).await;
    assert_eq!(std::fs::read_dir(house.place.path().join("artifacts")).unwrap().count(), 0, "nothing is left");
}
