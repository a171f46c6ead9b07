//! What is sent on of a call that nobody waited for: the record that a destination gets, and what a
//! dead-letter queue is told beside the event.

use std::fmt::Display;

use bytes::Bytes;
use mote_core::Code;
use mote_core::Error;
use mote_core::clock::Id;
use mote_core::dialect::{Ended, Followed};
use mote_core::function::{Function, Qualifier};
use serde_json::{Map, Value, json};

use crate::aws::api::lambda::outcome;
use crate::aws::arn::{self, Account, LATEST};

/// Where an event carries typed attributes to a queue, as SQS's receivers read them.
pub(in crate::aws) const MESSAGE_ATTRIBUTES: &str = "motesnsattributes";

/// Of an error's text.
const ERROR_BYTES_MAX: usize = 1024;

pub(in crate::aws) fn record(function: &Function, account: &Account, ended: &Ended<'_>) -> Followed {
    let version = ended.version.map_or_else(|| arn::version(function), number);
    let (condition, payload) = match ended.end {
        Ok(reply) => ("Success", payload(&reply.body)),
        Err(error) => (if ended.aged { "EventAgeExceeded" } else { "RetriesExhausted" }, failure(function, error, ended.id)),
    };
    let mut record = json!({
        "version": "1.0",
        "timestamp": ended.now.rfc3339(),
        "requestContext": {
            "requestId": ended.id,
            "functionArn": arn::of_function(function, account, Some(&called(ended.called) as &dyn Display)),
            "condition": condition,
            "approximateInvokeCount": ended.attempts,
        },
        "requestPayload": self::payload(&super::received(ended.event, function, account)),
        "responseContext": { "statusCode": 200, "executedVersion": version },
        "responsePayload": payload,
    });
    if let (Err(_), Some(context)) = (ended.end, record.get_mut("responseContext").and_then(Value::as_object_mut)) {
        context.insert("functionError".into(), "Unhandled".into());
    }
    Followed { content_type: Some("application/json".into()), body: record.to_string().into(), ..Followed::default() }
}

/// Beside the event itself.
pub(in crate::aws) fn attributes(function: &Function, ended: &Ended<'_>) -> Map<String, Value> {
    let message = ended.end.err().map(|error| failure(function, error, ended.id));
    let message = message.as_ref().and_then(|payload| payload.get("errorMessage")?.as_str()).unwrap_or_default();
    let message = &message[..message.floor_char_boundary(ERROR_BYTES_MAX)];
    let mut typed = json!({
        "RequestID": { "DataType": "String", "StringValue": ended.id },
        "ErrorCode": { "DataType": "Number", "StringValue": "200" },
    });
    // No attribute's text is empty.
    if let (false, Some(typed)) = (message.is_empty(), typed.as_object_mut()) {
        typed.insert("ErrorMessage".into(), json!({ "DataType": "String", "StringValue": message }));
    }
    Map::from_iter([(MESSAGE_ATTRIBUTES.to_owned(), typed.to_string().into())])
}

fn failure(function: &Function, error: &Error, id: Id) -> Value {
    let document = match error.code() {
        Code::FunctionTimeout => Some(outcome::timeout(id, function.limits.timeout_ms)),
        _ => outcome::document(error, id),
    };
    match document {
        Some(document) => payload(&document.into()),
        None => json!({ "errorMessage": error.detail(), "errorType": error.code().slug() }),
    }
}

/// JSON as it is; of other bytes the text.
fn payload(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

fn called(qualifier: &Qualifier) -> String {
    match qualifier {
        Qualifier::Live => LATEST.to_owned(),
        Qualifier::Version(version) => number(*version),
        Qualifier::Alias(name) => name.to_string(),
    }
}

fn number(version: u64) -> String {
    if version == Function::DRAFT { LATEST.to_owned() } else { version.to_string() }
}

#[cfg(test)]
mod tests {
    use mote_core::clock::Timestamp;
    use mote_core::error::Report;
    use mote_core::event::StoredEvent;
    use mote_core::function::Name;
    use mote_core::invoke::deliver::outcome::KeptReply;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000007";

    fn told(called: &Qualifier, end: Result<&KeptReply, &Error>, aged: bool) -> (Value, Map<String, Value>) {
        let event = StoredEvent { body: r#"{"a":1}"#.into(), ..StoredEvent::new(Id(7), "/s", "k", Timestamp(1)) };
        let function = Function { version: Function::DRAFT, ..mote_testkit::function("f") };
        let ended = Ended { id: Id(7), event: &event, called, attempts: 3, aged, end, version: Some(0), now: Timestamp(1000) };
        let followed = record(&function, &Account::default(), &ended);
        (serde_json::from_slice(&followed.body).unwrap(), attributes(&function, &ended))
    }

    #[test]
    fn a_destination_is_told_the_whole_of_it() {
        let reply = KeptReply { status: 200, content_type: None, body_bytes: 4, body: "[2]".into() };
        let (record, _) = told(&Qualifier::Live, Ok(&reply), false);
        assert_eq!(
            record,
            json!({
                "version": "1.0",
                "timestamp": "1970-01-01T00:00:01.000Z",
                "requestContext": {
                    "requestId": ID,
                    "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                    "condition": "Success",
                    "approximateInvokeCount": 3,
                },
                "requestPayload": {"a": 1},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
                "responsePayload": [2],
            })
        );
    }

    #[test]
    fn a_failure_is_told_in_the_functions_own_words() {
        let document = r#"{"errorMessage":"boom!","errorType":"ValueError"}"#;
        let error = Error::new(Code::FunctionFailed, "x").with_report(Report { document: document.into(), ..Report::default() });
        let (record, attributes) = told(&Qualifier::Alias(Name::new("live").unwrap()), Err(&error), false);
        assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(record["requestContext"]["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live");
        assert_eq!(record["responseContext"], json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}));
        assert_eq!(record["responsePayload"], json!({"errorMessage": "boom!", "errorType": "ValueError"}));
        let typed: Value = serde_json::from_str(attributes[MESSAGE_ATTRIBUTES].as_str().unwrap()).unwrap();
        assert_eq!(typed["RequestID"], json!({"DataType": "String", "StringValue": ID}));
        assert_eq!(typed["ErrorCode"], json!({"DataType": "Number", "StringValue": "200"}));
        assert_eq!(typed["ErrorMessage"], json!({"DataType": "String", "StringValue": "boom!"}));
        let (record, _) = told(&Qualifier::Version(2), Err(&Error::new(Code::FunctionTimeout, "late")), true);
        assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
        assert_eq!(record["responsePayload"]["errorType"], "Sandbox.Timedout");
        let (record, _) = told(&Qualifier::Live, Err(&Error::new(Code::FunctionNotFound, "gone")), false);
        assert_eq!(record["responsePayload"]["errorMessage"], "gone");
    }
}
