//! What is published to a topic, as those who are subscribed by SNS get it: a function in `Records`,
//! a queue in an envelope or raw.
//!
//! Which subscription brought it stands in the event, since core adds there what the subscription has.
//! Nothing is signed: the members for it are there, and empty.

use mote_core::clock::{Id, Timestamp};
use mote_core::event::cloudevents::SENDERS_ID;
use mote_core::event::{Event, StoredEvent};
use mote_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::destination::MESSAGE_ATTRIBUTES;

/// CloudEvents `type` of what is published to a topic.
pub(in crate::aws) const PUBLISHED: &str = "aws.sns.notification";
/// Where an event says by which subscription it came, and whether its receiver wants it as it is.
pub(in crate::aws) const SUBSCRIPTION: &str = "motesnssubscription";
pub(in crate::aws) const RAW: &str = "motesnsraw";
/// Message attributes by their values alone, for filter policies.
pub(in crate::aws) const FILTERED: &str = "motesnsfiltered";

/// What an event is made of that this needs, stored or not.
pub(in crate::aws) struct Notice<'e> {
    id: Id,
    time: Timestamp,
    subject: Option<&'e str>,
    extensions: &'e Map<String, Value>,
    body: &'e [u8],
}

/// The subscription's ARN, if it came by one.
pub(in crate::aws) fn subscription(extensions: &Map<String, Value>) -> Option<&str> {
    extensions.get(SUBSCRIPTION).and_then(Value::as_str)
}

/// The text of the message that a queue has; `None`: it is what was published.
pub(in crate::aws) fn enveloped(event: &StoredEvent) -> Option<String> {
    let arn = subscription(&event.extensions)?;
    if event.extensions.get(RAW).is_some_and(|raw| raw == true) {
        return None;
    }
    serde_json::to_string_pretty(&Notice::stored(event).told(arn, Receiver::Queue)).ok()
}

/// What a function is called with.
pub(in crate::aws) fn record(notice: &Notice<'_>, arn: &str) -> Result<Vec<u8>> {
    let record = json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": arn,
        "Sns": notice.told(arn, Receiver::Function),
    }] });
    serde_json::to_vec(&record).map_err(|error| Error::internal("a notification can't be written").caused_by(error))
}

/// They differ in how two members are written, and in what is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Function,
    Queue,
}

impl<'e> Notice<'e> {
    /// Its body has been read.
    pub(in crate::aws) fn of(event: &'e Event) -> Notice<'e> {
        let body = event.body.as_bytes().map(|bytes| &bytes[..]).unwrap_or_default();
        Notice { id: event.id, time: event.time, subject: event.subject.as_deref(), extensions: &event.extensions, body }
    }

    pub(in crate::aws) fn stored(event: &'e StoredEvent) -> Notice<'e> {
        let subject = event.subject.as_deref();
        Notice { id: event.id, time: event.time, subject, extensions: &event.extensions, body: &event.body }
    }

    fn told(&self, subscription: &str, to: Receiver) -> Value {
        let topic = subscription.rsplit_once(':').map_or(subscription, |(topic, _)| topic);
        let url = if to == Receiver::Function { "Url" } else { "URL" };
        // Each delivery has an id of its own; what was published has one for all of them.
        let id = self.extensions.get(SENDERS_ID).and_then(Value::as_str).map_or_else(|| self.id.to_string(), str::to_owned);
        let mut told = json!({
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": topic,
            "Message": String::from_utf8_lossy(self.body),
            "Timestamp": self.time.rfc3339(),
            "SignatureVersion": "1",
            "Signature": "",
            format!("SigningCert{url}"): "",
            format!("Unsubscribe{url}"): "",
        });
        let attributes = self.attributes();
        if let Some(subject) = self.subject {
            told["Subject"] = subject.into();
        } else if to == Receiver::Function {
            told["Subject"] = Value::Null;
        }
        if !attributes.is_empty() || to == Receiver::Function {
            told["MessageAttributes"] = attributes.into();
        }
        told
    }

    fn attributes(&self) -> Map<String, Value> {
        let typed = self.extensions.get(MESSAGE_ATTRIBUTES).and_then(Value::as_str);
        let typed: Option<Map<String, Value>> = typed.and_then(|text| serde_json::from_str(text).ok());
        let told = typed.into_iter().flatten().map(|(name, value)| {
            let text = value.get("StringValue").or_else(|| value.get("BinaryValue"));
            let told = json!({ "Type": value.get("DataType"), "Value": text });
            (name, told)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-west-1:123456789012:orders:00000000-0000-0000-0000-000000000001";

    fn event() -> StoredEvent {
        let mut event = StoredEvent::new(Id(7), "arn", "k", Timestamp(1));
        event.subject = Some("S".into());
        event.body = "{\"a\":1}".into();
        let typed = json!({ "n": { "DataType": "Number", "StringValue": "7" }, "b": { "DataType": "Binary", "BinaryValue": "AAE=" } });
        event.extensions.insert(MESSAGE_ATTRIBUTES.into(), typed.to_string().into());
        event.extensions.insert(SUBSCRIPTION.into(), ARN.into());
        event.extensions.insert(SENDERS_ID.into(), "the-first".into());
        event
    }

    #[test]
    fn a_queue_gets_an_envelope_or_what_was_published() {
        let mut event = event();
        let told: Value = serde_json::from_str(&enveloped(&event).unwrap()).unwrap();
        assert_eq!(
            told,
            json!({
                "Type": "Notification", "MessageId": "the-first", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders",
                "Subject": "S", "Message": "{\"a\":1}", "Timestamp": "1970-01-01T00:00:00.001Z", "SignatureVersion": "1",
                "Signature": "", "SigningCertURL": "", "UnsubscribeURL": "",
                "MessageAttributes": { "n": { "Type": "Number", "Value": "7" }, "b": { "Type": "Binary", "Value": "AAE=" } },
            })
        );
        event.extensions.insert(RAW.into(), true.into());
        assert_eq!(enveloped(&event), None);
        event.extensions.remove(SUBSCRIPTION);
        event.extensions.remove(RAW);
        assert_eq!(enveloped(&event), None, "it came by no subscription of SNS");
    }

    #[test]
    fn a_function_gets_a_record() {
        let extensions = Map::new();
        let notice = Notice { id: Id(7), time: Timestamp(1), subject: None, extensions: &extensions, body: b"hi" };
        let told: Value = serde_json::from_slice(&record(&notice, ARN).unwrap()).unwrap();
        let record = &told["Records"][0];
        assert_eq!(
            (&record["EventSource"], &record["EventVersion"], &record["EventSubscriptionArn"]),
            (&json!("aws:sns"), &json!("1.0"), &json!(ARN))
        );
        let sns = &record["Sns"];
        assert_eq!((&sns["Message"], &sns["MessageId"], &sns["Subject"]), (&json!("hi"), &json!(Id(7)), &Value::Null));
        assert_eq!((&sns["MessageAttributes"], &sns["UnsubscribeUrl"]), (&json!({}), &json!("")));
    }
}
