//! A function as Lambda tells of it.
//!
//! What the function's client said, and mote has no other use for, lies in its `about` under the
//! members' own names.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mote_core::clock::Timestamp;
use mote_core::function::{Family, Function};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::aws::arn::{self, Account};

/// Members that are echoed as they were given.
pub(super) const ECHOED: [&str; 8] = ["Description", "Role", "Handler", "Runtime", "KMSKeyArn", "CodeSize", "CodeSha256", "Architectures"];

pub(super) const TAGS: &str = "Tags";
pub(super) const DEAD_LETTERS: &str = "DeadLetterConfig";

/// Where a function stands on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Just made: its client asks again until it is active.
    Created,
    /// Just changed.
    Updated,
    At,
}

pub(super) fn of(function: &Function, account: &Account, moment: Moment) -> Map<String, Value> {
    let about = |name: &str| function.about.get(name).cloned();
    let region = arn::region_of(function);
    let partition = arn::partition(region);
    let version = (function.version != Function::DRAFT).then_some(&function.version as &dyn Display);
    let mut told = json!({
        "FunctionName": function.name,
        "FunctionArn": arn::of_function(function, account, version),
        "Runtime": runtime(function),
        "Role": format!("arn:{partition}:iam::{}:role/mote", account.of(&function.namespace)),
        "Handler": function.entry,
        "CodeSize": 0,
        "CodeSha256": BASE64.encode(function.artifact.0),
        "Architectures": ["x86_64"],
        "Description": "",
        "Timeout": function.limits.timeout_ms.div_ceil(1000),
        "MemorySize": function.limits.memory_bytes >> 20,
        "LastModified": modified(function.created),
        "Version": arn::version(function),
        "TracingConfig": about("TracingConfig").unwrap_or_else(|| json!({ "Mode": "PassThrough" })),
        "RevisionId": function.id,
        "PackageType": "Zip",
        "EphemeralStorage": { "Size": function.limits.tmp_bytes >> 20 },
        "SnapStart": snap_start(about("SnapStart")),
        "RuntimeVersionConfig": { "RuntimeVersionArn": runtime_arn(partition, region, &runtime(function)) },
        "LoggingConfig": logging(function, about("LoggingConfig")),
    });
    let Some(told) = told.as_object_mut() else { return Map::new() };
    for name in ECHOED {
        told.extend(about(name).map(|value| (name.to_owned(), value)));
    }
    for name in ["VpcConfig", "Layers", DEAD_LETTERS] {
        told.extend(about(name).map(|value| (name.to_owned(), value)));
    }
    if !function.env.is_empty() {
        told.insert("Environment".into(), json!({ "Variables": function.env }));
    }
    told.extend(state(moment));
    std::mem::take(told)
}

fn state(moment: Moment) -> Map<String, Value> {
    let state = match moment {
        Moment::Created => json!({
            "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
        }),
        Moment::Updated => json!({
            "State": "Active", "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.", "LastUpdateStatusReasonCode": "Creating",
        }),
        Moment::At => json!({ "State": "Active", "LastUpdateStatus": "Successful" }),
    };
    match state {
        Value::Object(state) => state,
        _ => Map::new(),
    }
}

pub(super) fn code_bytes(function: &Function) -> u64 {
    function.about.get("CodeSize").and_then(Value::as_u64).unwrap_or_default()
}

/// As it was given; of a function that was not made by this API, the nearest that there is.
pub(super) fn runtime(function: &Function) -> String {
    if let Some(runtime) = function.about.get("Runtime").and_then(Value::as_str) {
        return runtime.to_owned();
    }
    match function.runtime.family {
        Family::Python => format!("python{}", function.runtime.version),
        Family::Node => format!("nodejs{}.x", function.runtime.version),
        Family::Java => format!("java{}", function.runtime.version),
        Family::Executable | Family::Flow => "provided.al2023".to_owned(),
    }
}

pub(super) fn runtime_arn(partition: &str, region: &str, runtime: &str) -> String {
    let hash = mote_core::access::sigv4::hex(&Sha256::digest(runtime));
    format!("arn:{partition}:lambda:{region}::runtime:{hash}")
}

fn snap_start(given: Option<Value>) -> Value {
    let apply_on = given.and_then(|given| Some(given.get("ApplyOn")?.as_str()?.to_owned()));
    json!({ "ApplyOn": apply_on.as_deref().unwrap_or("None"), "OptimizationStatus": "Off" })
}

fn logging(function: &Function, given: Option<Value>) -> Value {
    let mut logging = json!({ "LogFormat": "Text", "LogGroup": log_group(function) });
    if let (Some(logging), Some(Value::Object(given))) = (logging.as_object_mut(), given) {
        logging.extend(given);
    }
    logging
}

pub(in crate::aws::api) fn log_group(function: &Function) -> String {
    let given = function.about.get("LoggingConfig").and_then(|logging| logging.get("LogGroup")?.as_str());
    given.map_or_else(|| format!("/aws/lambda/{}", function.name), str::to_owned)
}

/// `2026-01-02T03:04:05.678+0000`.
fn modified(time: Timestamp) -> String {
    time.rfc3339().replace('Z', "+0000")
}
