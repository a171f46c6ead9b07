//! The published clients of the Runtime API, unmodified, as a bundle brings them.
//!
//! `cargo xtask test --only runtimes` installs them, says where in `MOTE_RUNTIMES`, and runs these.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mote_core::bundle::Bundle;
use mote_core::engine::pull::PulledHead;
use mote_core::engine::{Answer, Engine, Payload, Preparing, Progress};
use mote_core::function::Function;
use mote_core::{Code, Error};
use serde_json::{Value, json};

use crate::house::House;
use crate::pulls::{failure, reply, run, said};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/runtimes");

fn installed(what: &str) -> PathBuf {
    let place = std::env::var_os("MOTE_RUNTIMES").expect("`cargo xtask test --only runtimes` says in MOTE_RUNTIMES where they are");
    Path::new(&place).join(what)
}

/// Everything below `from`, at `at` in the bundle.
fn add(bundle: &mut Bundle, from: &Path, at: &str) {
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())).flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let at = format!("{at}{name}");
        match path.is_dir() {
            true if name == "__pycache__" => {}
            true => add(bundle, &path, &format!("{at}/")),
            false => bundle.insert(&at, std::fs::read(&path).unwrap(), false).unwrap(),
        }
    }
}

async fn deploy(house: &House, runtime: &str, entry: &str, bundle: &Bundle) -> Result<Arc<Function>, Error> {
    let function = house.function(runtime, entry, |f| {
        f.pulls = true;
        f.limits.timeout_ms = 3000;
        let env = [
            ("_HANDLER", entry),
            ("LAMBDA_TASK_ROOT", "/code"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0"),
        ];
        f.contract_env.extend(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
    });
    let how = Preparing { installs: false, starts: true };
    let prepared = house.engine.prepare(&function, bundle, how, Progress::silent()).await?;
    Ok(Arc::new(Function { artifact: prepared.artifact, ..function }))
}

/// What holds of every client; `kind` and `document` are how it words `boom!`.
async fn holds(house: &House, f: &Arc<Function>, kind: &str, document: impl Fn(&Value)) {
    let first = said(house, f, json!({"a": "é"})).await;
    assert_eq!((&first["got"], &first["count"]), (&json!({"a": "é"}), &json!(1)));
    assert_eq!(first["rid"].as_str().map(str::len), Some(36));
    let report = failure(house, f, json!({"do": "fail"})).await;
    assert_eq!((report.kind.as_str(), report.message.as_str()), (kind, "boom!"));
    document(&serde_json::from_str(&report.document).unwrap());
    assert_eq!(said(house, f, json!({})).await["count"], 3, "a failure keeps it warm");
    let report = failure(house, f, json!({"do": "large"})).await;
    assert_eq!(report.kind, "Function.ResponseSizeTooLarge");
    let error = run(house, f, json!({"do": "exit"})).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionCrashed, "{error:?}");
    assert_eq!(said(house, f, json!({})).await["count"], 1);
    let error = run(house, f, json!({"do": "hang"})).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionTimeout, "{error:?}");
    assert_eq!(said(house, f, json!({})).await["count"], 1);
}

async fn program(name: &str) -> (House, Arc<Function>) {
    let house = House::new();
    let mut bundle = Bundle::default();
    bundle.insert("bootstrap", std::fs::read(installed(name).join("bootstrap")).unwrap(), true).unwrap();
    let f = deploy(&house, "executable", "bootstrap", &bundle).await.unwrap();
    (house, f)
}

fn python() -> Bundle {
    let mut bundle = Bundle::default();
    add(&mut bundle, &installed("python"), "");
    add(&mut bundle, &Path::new(HERE).join("python"), "");
    bundle
}

fn node(version: &str) -> Bundle {
    let mut bundle = Bundle::default();
    for package in ["aws-lambda-ric", "@aws"] {
        let from = installed(version).join("node_modules").join(package);
        if package == "aws-lambda-ric" || from.exists() {
            add(&mut bundle, &from, &format!("node_modules/{package}/"));
        }
    }
    add(&mut bundle, &Path::new(HERE).join("node"), "");
    bundle
}

#[tokio::test]
#[ignore = "needs awslambdaric: `cargo xtask test --only runtimes`"]
async fn awslambdaric() {
    let house = House::new();
    let f = deploy(&house, "python", "app.handler", &python()).await.unwrap();
    holds(&house, &f, "ValueError", |document| {
        assert_eq!(document["requestId"].as_str().map(str::len), Some(36));
        assert!(document["stackTrace"][0].as_str().unwrap().contains("app.py"), "{document}");
    })
    .await;
    let error = deploy(&house, "python", "app.nothing", &python()).await.unwrap_err();
    assert_eq!(error.report().unwrap().kind, "Runtime.HandlerNotFound", "{error:?}");
    assert!(error.report().unwrap().document.contains("Handler 'nothing' missing on module 'app'"), "{error:?}");
}

async fn aws_lambda_ric(version: &str) {
    let house = House::new();
    let f = deploy(&house, "node", "app.handler", &node(version)).await.unwrap();
    holds(&house, &f, "TypeError", |document| assert!(document["trace"][0].as_str().unwrap().contains("boom!"), "{document}")).await;
    let error = deploy(&house, "node", "app.nothing", &node(version)).await.unwrap_err();
    assert_eq!(error.report().unwrap().kind, "Runtime.HandlerNotFound", "{error:?}");

    let f = deploy(&house, "node", "app.stream", &node(version)).await.unwrap();
    let (head, mut body) = reply(&house, &f, json!({})).await.unwrap();
    assert_eq!(head, PulledHead { content_type: "application/vnd.awslambda.http-integration-response".into(), streams: true });
    let mut all = Vec::new();
    while let Some(piece) = body.chunk().await {
        all.push(piece.unwrap());
    }
    assert!(all.len() > 1, "it came at once");
    assert_eq!(String::from_utf8(all.concat()).unwrap(), "{\"statusCode\":201,\"headers\":{\"x-a\":\"b\"}}\0\0\0\0\0\0\0\0onetwo");
    let (_, body) = reply(&house, &f, json!({"do": "break off"})).await.unwrap();
    let error = body.collect(1 << 20).await.unwrap_err();
    assert_eq!((error.code(), error.report().unwrap().message.as_str()), (Code::FunctionFailed, "midway"));
}

#[tokio::test]
#[ignore = "needs aws-lambda-ric 3: `cargo xtask test --only runtimes`"]
async fn aws_lambda_ric_3() {
    aws_lambda_ric("node-3").await;
    // Its client posts the failure and ends the process at once; the stand-in sees that it arrives.
    let house = House::new();
    let f = deploy(&house, "node", "app.handler", &node("node-3")).await.unwrap();
    let report = failure(&house, &f, json!({"do": "throw later"})).await;
    assert_eq!((report.kind.as_str(), report.message.as_str()), ("RangeError", "in a timer"));
    assert_eq!(said(&house, &f, json!({})).await["count"], 1, "and it ended");
}

#[tokio::test]
#[ignore = "needs aws-lambda-ric 4: `cargo xtask test --only runtimes`"]
async fn aws_lambda_ric_4() {
    aws_lambda_ric("node-4").await;
    let house = House::new();
    let f = deploy(&house, "node", "app.handler", &node("node-4")).await.unwrap();
    let error = run(&house, &f, json!({"do": "throw later"})).await.unwrap_err();
    assert!(error.code() == Code::FunctionCrashed && error.detail().ends_with("exit status 1"), "{error:?}");
}

#[tokio::test]
#[ignore = "needs a function on lambda_runtime: `cargo xtask test --only runtimes`"]
async fn lambda_runtime() {
    let (house, f) = program("rust").await;
    holds(&house, &f, "&alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>", |_| {}).await;
}

#[tokio::test]
#[ignore = "needs a function on aws-lambda-go: `cargo xtask test --only runtimes`"]
async fn aws_lambda_go() {
    let (house, f) = program("go").await;
    holds(&house, &f, "errorString", |_| {}).await;
    // It declares its trailers for every answer, and never that it streams.
    let report = failure(&house, &f, json!({"do": "break off"})).await;
    assert_eq!(report.message, "midway");
    let Answer::Reply(Payload { head, .. }) = run(&house, &f, json!({})).await.unwrap().answer else { panic!("it failed") };
    assert_eq!(PulledHead::read(&head).unwrap().content_type, "application/json");
    // It has registered an extension, which is how a process here hears of its end.
    house.engine.stop(Duration::from_secs(5)).await;
    assert!(house.logs.lines().iter().any(|line| line.text == "asked to end"));
}

#[tokio::test]
#[ignore = "needs a function on AWS's client for Java: `cargo xtask test --only runtimes`"]
async fn aws_lambda_java() {
    let house = House::new();
    let mut bundle = Bundle::default();
    add(&mut bundle, &installed("java"), "");
    let f = deploy(&house, "java", "app.Handler::handleRequest", &bundle).await.unwrap();
    holds(&house, &f, "java.lang.IllegalStateException", |document| {
        assert!(document["stackTrace"][0].as_str().unwrap().contains("app.Handler.handleRequest(Handler.java:"), "{document}");
    })
    .await;
    said(&house, &f, json!({"do": "print"})).await;
    let lines = house.logs.lines();
    for text in ["one", "two"] {
        assert!(lines.iter().any(|line| line.text == text && line.invocation.is_some()), "{text}: {lines:?}");
    }
    // It looks for its handler, and tells at the first call what it did not find.
    let f = deploy(&house, "java", "app.Nothing", &bundle).await.unwrap();
    assert_eq!(failure(&house, &f, json!({})).await.kind, "java.lang.ClassNotFoundException");
}
