//! A change of an object as S3 words it: one record for a function, a queue or a topic, an event of its own for EventBridge.
//!
//! Who sent the request, and from where, core does not keep; what stands there says so. The sequencer is
//! made of the event's id, which grows with time as S3's does.

use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::Stamp;
use mote_core::event::lineage::BINDING;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::{Bound, Function, ObjectChange};
use mote_core::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::sns;
use crate::aws::arn::{self, Account};

/// Each with its event, and the operation that EventBridge has for a reason.
const NAMES: [(ObjectChange, &str, &str); 4] = [
    (ObjectChange::Put, "ObjectCreated:Put", "PutObject"),
    (ObjectChange::Copy, "ObjectCreated:Copy", "CopyObject"),
    (ObjectChange::CompleteMultipartUpload, "ObjectCreated:CompleteMultipartUpload", "CompleteMultipartUpload"),
    (ObjectChange::Removed, "ObjectRemoved:Delete", "DeleteObject"),
];

/// What a binding for others than functions remembers: its region, and that it is for EventBridge.
pub(in crate::aws) const REGION: &str = "s3region";
pub(in crate::aws) const BRIDGE: &str = "s3eventbridge";
const SUBJECT: &str = "Amazon S3 Notification";

/// What a form leaves as it is; a space becomes a plus after that.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

impl Change<'_> {
    fn data(&self) -> Result<Value> {
        serde_json::from_slice(self.body).map_err(|e| Error::internal("an object's event can't be read").caused_by(e))
    }

    fn is_removal(&self) -> bool {
        self.kind == ObjectChange::Removed.kind()
    }

    fn named(&self, data: &Value) -> (&'static str, &'static str) {
        let known = NAMES.iter().find(|(change, ..)| data["operation"] == change.operation());
        let other = if self.is_removal() { ("ObjectRemoved:Delete", "DeleteObject") } else { ("ObjectCreated:Put", "PutObject") };
        known.map_or(other, |(_, name, reason)| (*name, *reason))
    }
}

pub(super) fn is_one(kind: &str) -> bool {
    kind == ObjectChange::Created.kind() || kind == ObjectChange::Removed.kind()
}

/// What an event is made of that this needs, stored or not.
pub(super) struct Change<'e> {
    id: Id,
    time: Timestamp,
    kind: &'e str,
    extensions: &'e Map<String, Value>,
    body: &'e [u8],
}

impl<'e> Change<'e> {
    /// Its body has been read.
    pub(super) fn of(event: &'e Event) -> Change<'e> {
        let body = event.body.as_bytes().map(|bytes| &bytes[..]).unwrap_or_default();
        Change { id: event.id, time: event.time, kind: &event.kind, extensions: &event.extensions, body }
    }

    pub(super) fn stored(event: &'e StoredEvent) -> Change<'e> {
        Change { id: event.id, time: event.time, kind: &event.kind, extensions: &event.extensions, body: &event.body }
    }
}

/// What a function is called with.
pub(super) fn record(event: &Change<'_>, function: &Function, account: &Account) -> Result<Vec<u8>> {
    let owner = account.of(&function.namespace);
    serde_json::to_vec(&records(event, arn::region_of(function), &owner, function.name.as_str())?).map_err(unwritten)
}

/// What a queue, a topic or a bus gets.
pub(in crate::aws) fn tell(bound: &Bound, event: &StoredEvent, account: &Account) -> Result<StoredEvent> {
    let owner = account.of(&bound.namespace);
    let region = bound.about.get(REGION).and_then(Value::as_str).unwrap_or(arn::REGION);
    let change = Change::stored(event);
    if bound.about.contains_key(BRIDGE) {
        return bridged(&change, event, region, &owner);
    }
    let body = records(&change, region, &owner, bound.id.as_str())?.to_string();
    Ok(StoredEvent { body: body.into(), ..noticed(event.clone()) })
}

/// As a topic's subscribers are told of it.
fn noticed(event: StoredEvent) -> StoredEvent {
    let (kind, content_type) = (sns::PUBLISHED.to_owned(), Some("application/json".to_owned()));
    StoredEvent { kind, content_type, subject: Some(SUBJECT.to_owned()), ..event }
}

/// What S3 sends to a queue or a topic when a bucket is to tell it.
pub(in crate::aws) fn test(bucket: &str, stamp: &Stamp) -> StoredEvent {
    let body = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": stamp.time.rfc3339(), "Bucket": bucket,
        "RequestId": request(stamp.id), "HostId": stamp.id,
    });
    let event = StoredEvent::new(stamp.id, format!("/buckets/{bucket}"), sns::PUBLISHED, stamp.time);
    StoredEvent { body: body.to_string().into(), ..noticed(event) }
}

fn bridged(change: &Change<'_>, event: &StoredEvent, region: &str, owner: &str) -> Result<StoredEvent> {
    let data = change.data()?;
    let bucket = data["bucket"].as_str().unwrap_or_default();
    let (_, reason) = change.named(&data);
    let mut object = json!({ "key": data["key"], "sequencer": sequencer(change) });
    if !change.is_removal() {
        (object["size"], object["etag"]) = (data["size"].clone(), data["etag"].clone());
    }
    let mut detail = json!({
        "version": "0", "bucket": { "name": bucket }, "object": object, "request-id": request(change.id), "requester": owner,
        "source-ip-address": "127.0.0.1", "reason": reason,
    });
    let kind = match change.is_removal() {
        true => {
            detail["deletion-type"] = "Permanently Deleted".into();
            "Object Deleted"
        }
        false => "Object Created",
    };
    let told = json!({
        "version": "0", "id": change.id, "detail-type": kind, "source": "aws.s3", "account": owner,
        "time": format!("{}Z", change.time.rfc3339().get(..19).unwrap_or_default()), "region": region,
        "resources": [format!("arn:{}:s3:::{bucket}", arn::partition(region))], "detail": detail,
    });
    let (source, content_type) = ("aws.s3".to_owned(), Some("application/json".to_owned()));
    Ok(StoredEvent { source, kind: kind.to_owned(), subject: None, content_type, body: told.to_string().into(), ..event.clone() })
}

/// `configuration`: what stands there where the event says nothing of its binding.
fn records(event: &Change<'_>, region: &str, owner: &str, configuration: &str) -> Result<Value> {
    let data = event.data()?;
    let (name, _) = event.named(&data);
    let removed = event.is_removal();
    let bucket = data["bucket"].as_str().unwrap_or_default();
    let mut object = json!({ "key": encoded(data["key"].as_str().unwrap_or_default()), "sequencer": sequencer(event) });
    if !removed {
        object["size"] = data["size"].clone();
        object["eTag"] = data["etag"].clone();
    }
    let configuration = event.extensions.get(BINDING).and_then(Value::as_str).unwrap_or(configuration);
    Ok(json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": event.time.rfc3339(),
        "eventName": name,
        "userIdentity": { "principalId": owner },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": request(event.id), "x-amz-id-2": event.id },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": bucket,
                "ownerIdentity": { "principalId": owner },
                "arn": format!("arn:{}:s3:::{bucket}", arn::partition(region)),
            },
            "object": object,
        },
    }] }))
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::internal("a record can't be written").caused_by(error)
}

fn request(id: Id) -> Option<String> {
    id.to_string().replace('-', "").to_uppercase().get(..16).map(str::to_owned)
}

/// As S3 writes a key in an event, and its readers undo it with `unquote_plus`.
fn encoded(key: &str) -> String {
    utf8_percent_encode(key, &KEPT).to_string().replace(' ', "+")
}

fn sequencer(event: &Change<'_>) -> String {
    format!("{:018X}", event.id.0 >> 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: &str, data: Value) -> Value {
        let mut event = Event::new(Id(7 << 64), "/buckets/photos", kind, Timestamp(1_767_225_600_123), data.to_string());
        event.extensions.insert(BINDING.into(), "thumbs".into());
        let written = record(&Change::of(&event), &mote_testkit::function("f"), &Account::default()).unwrap();
        serde_json::from_slice::<Value>(&written).unwrap()["Records"][0].take()
    }

    #[test]
    fn an_object_that_came() {
        let data = json!({"bucket": "photos", "key": "photos/a b.jpg", "size": 3, "etag": "abc", "operation": "put"});
        let record = told("mote.object.created", data);
        assert_eq!((&record["eventName"], &record["eventSource"]), (&json!("ObjectCreated:Put"), &json!("aws:s3")));
        assert_eq!(record["eventTime"], "2026-01-01T00:00:00.123Z");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::photos");
        assert_eq!(record["s3"]["configurationId"], "thumbs");
        let object = &record["s3"]["object"];
        assert_eq!((&object["key"], &object["size"], &object["eTag"]), (&json!("photos/a+b.jpg"), &json!(3), &json!("abc")));
    }

    #[test]
    fn an_object_that_went_has_no_size() {
        let data = json!({"bucket": "photos", "key": "a", "size": 3, "etag": "abc", "operation": "delete"});
        let record = told("mote.object.removed", data);
        assert_eq!(record["eventName"], "ObjectRemoved:Delete");
        assert_eq!(record["s3"]["object"].as_object().unwrap().keys().collect::<Vec<_>>(), ["key", "sequencer"]);
    }

    #[test]
    fn each_way_of_coming_has_its_name() {
        for (operation, name) in [("copy", "ObjectCreated:Copy"), ("complete-multipart-upload", "ObjectCreated:CompleteMultipartUpload")] {
            assert_eq!(told("mote.object.created", json!({"key": "a", "operation": operation}))["eventName"], name);
        }
    }

    #[test]
    fn others_than_functions_are_told_the_same_and_eventbridge_an_event_of_its_own() {
        let data = json!({"bucket": "photos", "key": "a b", "size": 3, "etag": "abc", "operation": "copy"});
        let mut event = StoredEvent::new(Id(7), "/buckets/photos", "mote.object.created", Timestamp(1));
        event.body = data.to_string().into();
        let bound = |about: Value| Bound {
            id: "s3-1".parse().unwrap(),
            namespace: mote_core::function::Name::default_namespace(),
            to: mote_core::function::delivery::Destination::Queue("q".parse().unwrap()),
            qualifier: Default::default(),
            binding: mote_core::function::Binding::http("/", Vec::new()),
            enabled: true,
            since: Timestamp(0),
            label: None,
            dialect: None,
            about: about.as_object().unwrap().clone(),
        };
        let told = tell(&bound(json!({ REGION: "eu-west-1" })), &event, &Account::default()).unwrap();
        assert_eq!((told.id, told.subject.as_deref(), told.kind.as_str()), (Id(7), Some(SUBJECT), sns::PUBLISHED));
        let records: Value = serde_json::from_slice(&told.body).unwrap();
        let record = &records["Records"][0];
        assert_eq!((&record["awsRegion"], &record["eventName"]), (&json!("eu-west-1"), &json!("ObjectCreated:Copy")));
        assert_eq!((&record["s3"]["object"]["key"], &record["s3"]["configurationId"]), (&json!("a+b"), &json!("s3-1")));
        let told = tell(&bound(json!({ REGION: "eu-west-1", BRIDGE: true })), &event, &Account::default()).unwrap();
        assert_eq!((told.source.as_str(), told.kind.as_str()), ("aws.s3", "Object Created"));
        let told: Value = serde_json::from_slice(&told.body).unwrap();
        assert_eq!((&told["resources"], &told["detail"]["reason"]), (&json!(["arn:aws:s3:::photos"]), &json!("CopyObject")));
        let object = told["detail"]["object"].as_object().unwrap();
        assert_eq!((&object["key"], &object["size"], &object["etag"]), (&json!("a b"), &json!(3), &json!("abc")));
    }

    #[test]
    fn a_key_is_written_as_in_a_form() {
        for (key, expect) in [("a b+c", "a+b%2Bc"), ("ö/&=", "%C3%B6/%26%3D"), ("a.b-c_d*e~", "a.b-c_d*e%7E")] {
            assert_eq!(encoded(key), expect);
        }
    }
}
