//! A change of an object as S3 words it for a function: one record.
//!
//! Who sent the request, and from where, core does not keep; what stands there says so. The sequencer is
//! made of the event's id, which grows with time as S3's does.

use mote_core::clock::{Id, Timestamp};
use mote_core::event::lineage::BINDING;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::{Function, ObjectChange};
use mote_core::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::aws::arn::{self, Account};

const NAMES: [(ObjectChange, &str); 4] = [
    (ObjectChange::Put, "ObjectCreated:Put"),
    (ObjectChange::Copy, "ObjectCreated:Copy"),
    (ObjectChange::CompleteMultipartUpload, "ObjectCreated:CompleteMultipartUpload"),
    (ObjectChange::Removed, "ObjectRemoved:Delete"),
];

/// What a form leaves as it is; a space becomes a plus after that.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

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

pub(super) fn record(event: &Change<'_>, function: &Function, account: &Account) -> Result<Vec<u8>> {
    let data: Value = serde_json::from_slice(event.body).map_err(|e| Error::internal("an object's event can't be read").caused_by(e))?;
    let removed = event.kind == ObjectChange::Removed.kind();
    let name = NAMES.iter().find(|(change, _)| data["operation"] == change.operation()).map(|(_, name)| *name);
    let name = name.unwrap_or(if removed { "ObjectRemoved:Delete" } else { "ObjectCreated:Put" });
    let (owner, region) = (account.of(&function.namespace), arn::region_of(function));
    let bucket = data["bucket"].as_str().unwrap_or_default();
    let mut object = json!({ "key": encoded(data["key"].as_str().unwrap_or_default()), "sequencer": sequencer(event) });
    if !removed {
        object["size"] = data["size"].clone();
        object["eTag"] = data["etag"].clone();
    }
    let configuration = event.extensions.get(BINDING).and_then(Value::as_str).unwrap_or(function.name.as_str());
    let id = event.id.to_string();
    let record = json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": event.time.rfc3339(),
        "eventName": name,
        "userIdentity": { "principalId": owner },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": id.replace('-', "").to_uppercase().get(..16), "x-amz-id-2": id },
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
    }] });
    serde_json::to_vec(&record).map_err(|error| Error::internal("a record can't be written").caused_by(error))
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
    fn a_key_is_written_as_in_a_form() {
        for (key, expect) in [("a b+c", "a+b%2Bc"), ("ö/&=", "%C3%B6/%26%3D"), ("a.b-c_d*e~", "a.b-c_d*e%7E")] {
            assert_eq!(encoded(key), expect);
        }
    }
}
