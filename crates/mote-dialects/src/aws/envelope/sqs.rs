//! Messages of a queue in SQS's words: as a receiver gets one, and as a function gets a batch of them;
//! and what the function's answer says of those that failed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use mote_core::access::sigv4::hex;
use mote_core::clock::Id;
use mote_core::engine::Invocation;
use mote_core::function::Function;
use mote_core::queues::batch::{BATCH, Batch};
use mote_core::queues::message::Received;
use mote_core::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::destination::MESSAGE_ATTRIBUTES;
use super::sns;
use crate::aws::arn::{self, Account};

/// The attribute of a message that holds what SQS says of it and mote has no place for.
pub(in crate::aws) const TYPED: &str = "aws.sqs";
/// Messages that one answer may name: no batch has more.
const NAMED_MAX: usize = 10_000;

/// A message, worded.
pub(in crate::aws) struct Worded {
    pub(in crate::aws) body: String,
    pub(in crate::aws) system: Vec<(&'static str, String)>,
    /// Its attributes, as a sender words them.
    pub(in crate::aws) typed: Map<String, Value>,
}

impl Worded {
    pub(in crate::aws) fn of(received: &Received, account: String) -> Worded {
        let Received { id, receives, message, .. } = received;
        let own: Value = message.attributes.get(TYPED).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let sent = message.sent.0.to_string();
        let mut system = vec![
            ("SenderId", account),
            ("SentTimestamp", sent.clone()),
            ("ApproximateReceiveCount", receives.to_string()),
            ("ApproximateFirstReceiveTimestamp", sent),
        ];
        if let Some(group) = &message.group {
            system.push(("MessageGroupId", group.clone()));
            system.push(("SequenceNumber", sequence(*id)));
        }
        if let Some(key) = own["dedup"].as_str() {
            system.push(("MessageDeduplicationId", key.to_owned()));
        }
        // What a subscription of SNS has put around it says its attributes as well.
        if let Some(body) = sns::enveloped(&message.event) {
            return Worded { body, system, typed: Map::new() };
        }
        // What is no text was sent by another API: its bytes are shown as SQS could have sent them.
        let body = match std::str::from_utf8(&message.event.body) {
            Ok(text) => text.to_owned(),
            Err(_) => STANDARD.encode(&message.event.body),
        };
        Worded { body, system, typed: typed(received, &own) }
    }

    pub(in crate::aws) fn md5_of_body(&self) -> String {
        hex(&Md5::digest(&self.body))
    }
}

fn typed(received: &Received, own: &Value) -> Map<String, Value> {
    let message = &received.message;
    let sent_on = message.event.extensions.get(MESSAGE_ATTRIBUTES).and_then(Value::as_str);
    if let Some(Value::Object(sent_on)) = sent_on.and_then(|text| serde_json::from_str(text).ok()) {
        return sent_on;
    }
    if let Some(own) = own["attributes"].as_object() {
        return own.clone();
    }
    // Sent by another API, whose attributes are texts.
    let texts = message.attributes.iter().filter(|(name, _)| *name != TYPED);
    texts.map(|(name, text)| (name.clone(), json!({ "DataType": "String", "StringValue": text }))).collect()
}

/// Ids grow with time, and so do these.
pub(in crate::aws) fn sequence(id: Id) -> String {
    format!("{:020}", (id.0 >> 64) as u64)
}

pub(super) fn is_batch(call: &Invocation) -> bool {
    call.event.kind == BATCH
}

/// What a function is called with; `None`: it is no batch of ours.
pub(super) fn records(data: &[u8], function: &Function, account: &Account) -> Option<String> {
    let Batch { queue, messages } = Batch::read(data)?;
    let region = arn::region_of(function);
    let account = account.of(&function.namespace);
    let source = arn::of_queue(&queue, region, &account);
    let records: Vec<Value> = messages.iter().map(|received| record(received, &account, &source, region)).collect();
    Some(json!({ "Records": records }).to_string())
}

fn record(received: &Received, account: &str, source: &str, region: &str) -> Value {
    let worded = Worded::of(received, account.to_owned());
    let md5_of_body = worded.md5_of_body();
    let Worded { body, system, typed } = worded;
    json!({
        "messageId": received.id,
        "receiptHandle": received.receipt,
        "body": body,
        "attributes": system.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<String, Value>>(),
        "messageAttributes": typed.into_iter().map(|(name, value)| (name, attribute(&value))).collect::<Map<String, Value>>(),
        "md5OfBody": md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": source,
        "awsRegion": region,
    })
}

fn attribute(value: &Value) -> Value {
    let mut told = json!({ "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"] });
    for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
        if let Some(text) = value.get(from) {
            told[to] = text.clone();
        }
    }
    told
}

/// `{"batchItemFailures":[{"itemIdentifier":"ID"}]}` as core has it: `{"failed":["ID"]}`. What names no
/// message as it should becomes what names none of the batch, for which all of them come again.
pub(super) fn failed(answer: &[u8]) -> Result<Vec<u8>> {
    let answer = answer.trim_ascii();
    let named = match answer {
        // A function that returns nothing names nobody.
        b"" | b"\"\"" => Named(Vec::new()),
        _ => serde_json::from_slice::<Option<Answer>>(answer)
            .map_or(Named(vec![None]), |answer| answer.and_then(|answer| answer.batch_item_failures).unwrap_or(Named(Vec::new()))),
    };
    serde_json::to_vec(&json!({ "failed": named.0 })).map_err(|error| Error::internal("an answer can't be written").caused_by(error))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: Option<Named>,
}

/// Ids; `None` for what has none.
struct Named(Vec<Option<String>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: Option<String>,
}

/// Counted as they are read: a function's code chooses how many there are.
impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Named, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Named;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(to, "a list of at most {NAMED_MAX} failures")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Named, A::Error> {
                let mut named = Vec::new();
                while let Some(Failure { item_identifier }) = list.next_element()? {
                    if named.len() == NAMED_MAX {
                        return Err(A::Error::invalid_length(NAMED_MAX + 1, &self));
                    }
                    named.push(item_identifier);
                }
                Ok(Named(named))
            }
        }
        from.deserialize_seq(Few)
    }
}

#[cfg(test)]
mod tests {
    use mote_core::clock::Timestamp;
    use mote_core::event::StoredEvent;
    use mote_core::function::Name;
    use mote_core::queues::batch;
    use mote_core::queues::message::Message;

    use super::*;

    fn function() -> Function {
        let mut function = mote_testkit::function("f");
        function.about.insert("region".into(), "eu-west-1".into());
        function
    }

    fn message(body: &'static str) -> Message {
        let event = StoredEvent { body: body.into(), ..StoredEvent::new(Id(7), "/queues/q", "k", Timestamp(5)) };
        Message { sent: Timestamp(5), group: None, attributes: Default::default(), from: None, hops: 0, event }
    }

    fn told(message: &Message) -> Value {
        let data = Batch::write(&Name::new("q").unwrap(), vec![batch::told(message, Id(7), 2, Some("r".into()))]);
        let records = records(data.as_bytes(), &function(), &Account::default()).unwrap();
        serde_json::from_str::<Value>(&records).unwrap()["Records"][0].take()
    }

    #[test]
    fn a_function_gets_records() {
        assert_eq!(
            told(&message("hello")),
            json!({
                "messageId": "00000000-0000-0000-0000-000000000007",
                "receiptHandle": "r",
                "body": "hello",
                "attributes": {
                    "ApproximateReceiveCount": "2", "SentTimestamp": "5", "SenderId": "000000000000",
                    "ApproximateFirstReceiveTimestamp": "5",
                },
                "messageAttributes": {},
                "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:q",
                "awsRegion": "eu-west-1",
            })
        );
    }

    #[test]
    fn attributes_keep_their_types_and_order_is_told() {
        let mut message = message("b");
        message.group = Some("g".into());
        let own = json!({ "attributes": { "n": { "DataType": "Number", "StringValue": "7" } }, "dedup": "k" });
        message.attributes = [("n".to_owned(), "7".to_owned()), (TYPED.to_owned(), own.to_string())].into();
        let record = told(&message);
        let number = json!({ "stringValue": "7", "stringListValues": [], "binaryListValues": [], "dataType": "Number" });
        assert_eq!(record["messageAttributes"], json!({ "n": number }));
        assert_eq!((&record["attributes"]["MessageGroupId"], &record["attributes"]["MessageDeduplicationId"]), (&json!("g"), &json!("k")));
        message.attributes.remove(TYPED);
        assert_eq!(told(&message)["messageAttributes"]["n"]["dataType"], "String", "sent by another API");
        assert_eq!(records(b"{}", &function(), &Account::default()), None);
    }

    #[test]
    fn what_a_function_says_of_failures() {
        let check = |answer: &str, expect: Value| {
            let told: Value = serde_json::from_slice(&failed(answer.as_bytes()).unwrap()).unwrap();
            assert_eq!(told, json!({ "failed": expect }), "{answer:.80}");
        };
        for nobody in ["null", "", "\"\"", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#, r#"{"statusCode":200}"#] {
            check(nobody, json!([]));
        }
        check(r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#, json!(["a", "b"]));
        // None of these is an id of any batch.
        check(r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, json!([""]));
        check(r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":null}]}"#, json!(["a", null]));
        check(r#"{"batchItemFailures":[{"messageId":"a"}]}"#, json!([null]));
        let many = format!(r#"{{"batchItemFailures":[{}{{}}]}}"#, "{},".repeat(NAMED_MAX));
        for unreadable in ["{", "ok", "\"ok\"", "[]", "7", r#"{"batchItemFailures":"a"}"#, r#"{"batchItemFailures":["a"]}"#, &many] {
            check(unreadable, json!([null]));
        }
    }
}
