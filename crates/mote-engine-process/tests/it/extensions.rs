//! Extensions of a runtime's own process: what they hear, how long a call is theirs, and how they end.

use std::sync::Arc;
use std::time::Duration;

use mote_core::engine::Engine;
use mote_core::function::Function;
use mote_core::{Code, Result};
use serde_json::json;

use crate::house::House;
use crate::pulls::said;

const BOOTSTRAP: &str = include_str!("extensions/bootstrap.py");

async fn deploy(house: &House, mode: &str) -> Result<Arc<Function>> {
    let function = house.function("executable", "bootstrap", |f| {
        f.pulls = true;
        f.limits.instances_max = 1;
        f.contract_env = [("MODE", mode), ("_HANDLER", "app.h"), ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    });
    Ok(house.deploy(function, &[("bootstrap", BOOTSTRAP)]).await?.0)
}

#[tokio::test]
async fn a_call_is_over_when_its_extensions_are_done_with_it_too() {
    let house = House::new();
    let f = deploy(&house, "").await.unwrap();
    for before in 0..4 {
        let answer = said(&house, &f, json!({})).await;
        assert_eq!(answer["told"], json!({"functionName": "f", "functionVersion": "$LATEST", "handler": "app.h"}));
        assert_eq!(answer["done"], before, "the one before was over");
    }
    let heard = &said(&house, &f, json!({})).await["heard"][0];
    assert_eq!(
        (&heard["eventType"], &heard["deadlineMs"], &heard["tracing"]["type"]),
        (&json!("INVOKE"), &json!(7), &json!("X-Amzn-Trace-Id"))
    );
    assert_eq!(heard["invokedFunctionArn"], "arn:aws:lambda:eu-x-1:1:function:f:live");
}

#[tokio::test]
async fn what_an_extension_may_not_say_is_refused_with_the_word_for_it() {
    let house = House::new();
    let f = deploy(&house, "refusals").await.unwrap();
    let refused = &said(&house, &f, json!({})).await["refused"];
    let check = |what: &str, kind: &str| assert_eq!(refused[what], json!([403, kind]), "{what}");
    check("twice", "Extension.InvalidExtensionName");
    check("shutdown", "Extension.InvalidEventType");
    check("unnamed", "Extension.InvalidExtensionName");
    check("unread", "InvalidRequestFormat");
    check("unknown", "Extension.UnknownExtensionIdentifier");
    check("nobody", "Extension.MissingHeader");
    check("untyped", "Extension.MissingHeader");
    check("many", "Extension.TooManyExtensions");
    check("late", "Extension.RegistrationClosed");
    assert_eq!(refused["telemetry"], json!([202, "Telemetry.NotSupported"]));
}

#[tokio::test]
async fn a_process_with_an_extension_is_asked_to_end() {
    for (mode, asked) in [("", true), ("none", false)] {
        let house = House::new();
        let f = deploy(&house, mode).await.unwrap();
        said(&house, &f, json!({})).await;
        house.engine.stop(Duration::from_secs(5)).await;
        assert_eq!(house.logs.lines().iter().any(|line| line.text == "asked to end"), asked, "{mode:?}");
    }
}

#[tokio::test]
async fn an_extension_that_fails_takes_the_instance_with_it() {
    let house = House::new();
    let error = deploy(&house, "fail").await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionStartFailed);
    let report = error.report().unwrap();
    assert_eq!((report.kind.as_str(), report.message.as_str()), ("Extension.Own", "the extension worker could not start: no key"));

    let f = deploy(&house, "").await.unwrap();
    assert_eq!(said(&house, &f, json!({"leave": true})).await["done"], 0);
    // Its answer counts, and the next call has a new process.
    assert_eq!(said(&house, &f, json!({})).await["done"], 0);
    let lines = house.logs.lines();
    assert!(lines.iter().any(|line| line.text.starts_with("Extension.Left: the extension worker left")), "{lines:?}");
}
