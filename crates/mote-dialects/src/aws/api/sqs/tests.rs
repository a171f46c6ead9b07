//! What SQS's input becomes, and what it may not be; real clients: `tests/aws`.

use std::time::Duration;

use mote_core::queues::settings::Settings;
use serde_json::{Value, json};

use super::{attributes, before, message, number};

#[test]
fn attributes_are_settings() {
    let check = |given: Value, expect: Value| assert_eq!(Value::from(attributes::read(&given, "000000000000").unwrap()), expect, "{given}");
    check(json!({ "VisibilityTimeout": "45", "DelaySeconds": "0" }), json!({ "visibility_ms": 45_000, "delay_ms": 0 }));
    check(json!({ "FifoQueue": "true", "ContentBasedDeduplication": "false" }), json!({ "fifo": true, "dedup_by_content": false }));
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead", "maxReceiveCount": "3" }).to_string();
    check(json!({ "RedrivePolicy": policy }), json!({ "dead_letters": { "queue": "dead", "receives_max": 3 } }));
    check(json!({ "RedrivePolicy": "" }), json!({ "dead_letters": null }));
    check(json!({ "Policy": "{}" }), json!({ "about": { "Policy": "{}" } }));
    check(json!({ "SqsManagedSseEnabled": "false" }), json!({}));
    let refused = |given: Value| attributes::read(&given, "000000000000").unwrap_err().code;
    assert_eq!(refused(json!({ "SqsManagedSseEnabled": "true" })), "InvalidAttributeName");
    for wrong in ["43201", "-1", "x", "1.5", ""] {
        assert_eq!(refused(json!({ "VisibilityTimeout": wrong })), "InvalidAttributeValue", "{wrong:?}");
    }
    for wrong in
        ["{}", "[", r#"{"deadLetterTargetArn":"a:b/c","maxReceiveCount":1}"#, r#"{"deadLetterTargetArn":"a:b","maxReceiveCount":0}"#]
    {
        assert_eq!(refused(json!({ "RedrivePolicy": wrong })), "InvalidAttributeValue", "{wrong}");
    }
}

#[test]
fn a_second_creation_agrees_or_does_not() {
    let settings = Settings { visibility_ms: 45_000, ..Settings::default() };
    let agrees = |given: Value| attributes::agrees(&settings, &attributes::read(&given, "000000000000").unwrap());
    assert!(agrees(json!({})));
    assert!(agrees(json!({ "VisibilityTimeout": "45", "Policy": "{}" })));
    assert!(!agrees(json!({ "VisibilityTimeout": "46" })));
    assert!(!agrees(json!({ "FifoQueue": "true" })));
}

#[test]
fn a_message_is_text_with_typed_attributes() {
    let input = json!({
        "MessageBody": "b", "DelaySeconds": 5, "MessageGroupId": "g", "MessageDeduplicationId": "k",
        "MessageAttributes": { "n": { "DataType": "Number", "StringValue": "7" }, "raw": { "DataType": "Binary", "BinaryValue": "AP8=" } },
    });
    let (message, _) = message::read(&input).unwrap_or_else(|refused| panic!("{refused:?}"));
    assert_eq!((&message.body[..], message.delay), (&b"b"[..], Some(Duration::from_secs(5))));
    assert_eq!((message.group.as_deref(), message.key.as_deref()), (Some("g"), Some("k")));
    // What is text, every receiver reads.
    assert_eq!(message.attributes.get("n").map(String::as_str), Some("7"));
    assert!(!message.attributes.contains_key("raw"));
    let refused = |input: Value| message::read(&input).err().map(|refused| refused.code);
    assert_eq!(refused(json!({})), Some("MissingParameter"));
    assert_eq!(refused(json!({ "MessageBody": "\u{7}" })), Some("InvalidMessageContents"));
    assert_eq!(refused(json!({ "MessageBody": "b".repeat((1 << 20) + 1) })), Some("InvalidParameterValue"));
    for wrong in [
        json!({ "DataType": "Colour", "StringValue": "x" }),
        json!({ "DataType": "String" }),
        json!({ "DataType": "Binary", "BinaryValue": "?" }),
    ] {
        assert_eq!(refused(json!({ "MessageBody": "b", "MessageAttributes": { "a": wrong } })), Some("InvalidParameterValue"));
    }
}

#[test]
fn numbers_come_as_numbers_or_as_text() {
    let check = |value: Value, expect: Option<Option<u64>>| assert_eq!(number(&json!({ "n": value }), "n", 1..=10).ok(), expect);
    check(json!(3), Some(Some(3)));
    check(json!("3"), Some(Some(3)));
    check(Value::Null, Some(None));
    for wrong in [json!(0), json!(11), json!(-1), json!("x"), json!([]), json!(1.5)] {
        check(wrong, None);
    }
}

#[test]
fn a_list_begins_at_its_prefix() {
    let start = before("jobs-b").unwrap();
    for less in ["a", "jobs", "jobs-", "jobs-a", "jobs-azzz", "jobs-a_9"] {
        assert!(*less < *start, "{less}");
    }
    for more in ["jobs-b", "jobs-b-", "jobs-bz"] {
        assert!(*more > *start, "{more}");
    }
    assert_eq!((before(""), before("é"), before("a ")), (None, None, None));
}
