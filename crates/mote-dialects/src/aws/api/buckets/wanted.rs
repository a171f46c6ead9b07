//! What a bucket's notifications are to be: read from the document, and as a binding each.

use std::collections::BTreeSet;

use http::StatusCode;
use mote_core::clock::Timestamp;
use mote_core::function::delivery::Destination;
use mote_core::function::{Binding, Bound, Name, ObjectChange, Qualifier};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::xml::{self, Node};
use super::{Asked, Refusal, invalid, refusal};
use crate::aws::api::events::DEFAULT_BUS;
use crate::aws::envelope::object::{BRIDGE, REGION};
use crate::aws::rule;

/// Of one bucket: they are bound one after the other.
const CONFIGURATIONS_MAX: usize = 25;
const ID_BYTES_MAX: usize = 255;
const VALUE_BYTES_MAX: usize = 1024;
/// What a binding that was made here remembers: its bucket, and the configuration as it was said.
pub(super) const BUCKET: &str = "s3bucket";
pub(super) const ID: &str = "s3id";
pub(super) const EVENTS: &str = "s3events";
const EVENTBRIDGE: &str = "EventBridgeConfiguration";

/// Who is told: the element of its configuration, and that of its ARN in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    Queue,
    Topic,
    /// The account's default bus, of all that happens.
    Bridge,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Topic, Kind::Queue, Kind::Function, Kind::Bridge];

    pub(super) fn element(self) -> &'static str {
        match self {
            Kind::Function => "CloudFunctionConfiguration",
            Kind::Queue => "QueueConfiguration",
            Kind::Topic => "TopicConfiguration",
            Kind::Bridge => EVENTBRIDGE,
        }
    }

    pub(super) fn arn(self) -> &'static str {
        match self {
            Kind::Function => "CloudFunction",
            Kind::Queue => "Queue",
            Kind::Topic => "Topic",
            Kind::Bridge => "",
        }
    }

    fn of_element(name: &str) -> Option<Kind> {
        // As later documents have it.
        let name = if name == "LambdaFunctionConfiguration" { Kind::Function.element() } else { name };
        Kind::ALL.into_iter().find(|kind| kind.element() == name)
    }

    pub(super) fn of(bound: &Bound) -> Option<Kind> {
        match &bound.to {
            _ if bound.about.contains_key(BRIDGE) => Some(Kind::Bridge),
            Destination::Function(_) => Some(Kind::Function),
            Destination::Queue(_) => Some(Kind::Queue),
            Destination::Topic(_) => Some(Kind::Topic),
            Destination::Webhook(_) => None,
        }
    }
}

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    id: String,
    to: Destination,
    qualifier: Qualifier,
    /// As they were said; what never happens here is among them.
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

pub(super) fn read(asked: &Asked) -> Result<Vec<Wanted>, Refusal> {
    let malformed = |why: &str| {
        let message = format!("The XML you provided was not well-formed or did not validate against our published schema: {why}");
        Refusal::new(StatusCode::BAD_REQUEST, "MalformedXML", message)
    };
    let root = xml::read(&asked.ask.body).map_err(|why| malformed(&why))?;
    if root.name != "NotificationConfiguration" {
        return Err(malformed(&format!("{:.60} is no NotificationConfiguration", root.name)));
    }
    let mut wanted = Vec::new();
    for node in &root.children {
        wanted.push(match Kind::of_element(&node.name) {
            Some(Kind::Bridge) => bridge()?,
            Some(kind) => configuration(asked, kind, node)?,
            None => return Err(malformed(&format!("{:.60} is no part of a NotificationConfiguration", node.name))),
        });
    }
    if wanted.len() > CONFIGURATIONS_MAX {
        return Err(invalid(format!("{} configurations; a bucket has at most {CONFIGURATIONS_MAX} here", wanted.len())));
    }
    let ids: BTreeSet<&str> = wanted.iter().map(|one| one.id.as_str()).collect();
    if ids.len() < wanted.len() {
        return Err(invalid("Configurations must have different ids"));
    }
    let apart = |(at, one): (usize, &Wanted)| wanted.iter().skip(at + 1).all(|other| !one.overlaps(other));
    if !wanted.iter().enumerate().all(apart) {
        return Err(invalid("Configurations overlap. Configurations on the same bucket cannot share a common event type."));
    }
    Ok(wanted)
}

fn bridge() -> Result<Wanted, Refusal> {
    let to = Destination::Topic(Name::new(DEFAULT_BUS).map_err(|error| refusal(&error))?);
    let events = vec!["s3:ObjectCreated:*".to_owned(), "s3:ObjectRemoved:*".to_owned()];
    let (id, prefix, suffix) = (EVENTBRIDGE.to_owned(), String::new(), String::new());
    Ok(Wanted { kind: Kind::Bridge, id, to, qualifier: Qualifier::Live, events, prefix, suffix })
}

fn configuration(asked: &Asked, kind: Kind, node: &Node) -> Result<Wanted, Refusal> {
    let account = asked.ask.account.of(&asked.ask.namespace);
    let later = if kind == Kind::Function { "LambdaFunctionArn" } else { kind.arn() };
    let arn = node.text(kind.arn()).or_else(|| node.text(later)).unwrap_or_default();
    let (to, qualifier) = match (kind, rule::receiver(arn, &account)) {
        (Kind::Function, Ok((to @ Destination::Function(_), qualifier))) => (to, qualifier),
        (Kind::Queue, Ok((to @ Destination::Queue(_), qualifier))) => (to, qualifier),
        (Kind::Topic, Ok((to @ Destination::Topic(_), qualifier))) => (to, qualifier),
        _ => return Err(invalid("The ARN could not be parsed")),
    };
    if matches!(&to, Destination::Queue(name) if name.as_str().ends_with(".fifo")) {
        return Err(invalid(
            "Unable to validate the following destination configurations: FIFO SQS queues are not supported as a destination",
        ));
    }
    let events: Vec<String> = node.all("Event").map(|event| event.text.clone()).collect();
    if let Some(unknown) = events.iter().find(|event| changes(event).is_none()) {
        return Err(invalid(format!("The event is not supported for notifications: {unknown:.100}")));
    }
    if events.is_empty() {
        return Err(invalid("A configuration names one event at least"));
    }
    let (mut prefix, mut suffix) = (None, None);
    for rule in node.all("Filter").flat_map(|filter| filter.all("S3Key")).flat_map(|key| key.all("FilterRule")) {
        let (name, value) = (rule.text("Name").unwrap_or_default(), rule.text("Value").unwrap_or_default());
        let place = match name.to_ascii_lowercase().as_str() {
            "prefix" => &mut prefix,
            "suffix" => &mut suffix,
            _ => return Err(invalid("filter rule name must be either prefix or suffix")),
        };
        if value.len() > VALUE_BYTES_MAX || place.replace(value.to_owned()).is_some() {
            return Err(invalid(format!("Cannot specify more than one {name:.10} rule in a filter, or more than {VALUE_BYTES_MAX} bytes")));
        }
    }
    let (prefix, suffix) = (prefix.unwrap_or_default(), suffix.unwrap_or_default());
    let mut wanted = Wanted { kind, id: node.text("Id").unwrap_or_default().to_owned(), to, qualifier, events, prefix, suffix };
    if wanted.id.len() > ID_BYTES_MAX {
        return Err(invalid(format!("An id has at most {ID_BYTES_MAX} bytes")));
    }
    if wanted.id.is_empty() {
        wanted.id = wanted.digest(&asked.bucket);
    }
    Ok(wanted)
}

impl Wanted {
    /// The name of its binding, without its dash.
    fn digest(&self, bucket: &str) -> String {
        let Wanted { kind: _, id, to, qualifier, events, prefix, suffix } = self;
        let parts = [bucket, id, &to.to_string(), &qualifier.to_string(), &events.join(" "), prefix, suffix];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    pub(super) fn bound(self, bucket: &str, namespace: &Name, region: &str) -> Result<Bound, Refusal> {
        let id = Name::new(&format!("s3-{}", self.digest(bucket))).map_err(|error| refusal(&error))?;
        let mut changes: Vec<ObjectChange> = Vec::new();
        for change in self.events.iter().filter_map(|event| self::changes(event)).flatten() {
            if !changes.contains(change) {
                changes.push(*change);
            }
        }
        let Wanted { kind, id: label, to, qualifier, events, prefix, suffix } = self;
        let mut about = Map::from_iter([
            (BUCKET.to_owned(), bucket.into()),
            (ID.to_owned(), label.as_str().into()),
            (EVENTS.to_owned(), Value::from(events)),
        ]);
        // A function's words are its own dialect's.
        let dialect = (kind != Kind::Function).then(|| {
            about.insert(REGION.to_owned(), region.into());
            crate::aws::NAME.to_owned()
        });
        if kind == Kind::Bridge {
            about.insert(BRIDGE.to_owned(), true.into());
        }
        Ok(Bound {
            id,
            namespace: namespace.clone(),
            to,
            qualifier,
            binding: Binding::Bucket { bucket: bucket.to_owned(), events: changes, prefix, suffix, retry: None },
            enabled: true,
            since: Timestamp::default(),
            label: Some(label),
            dialect,
            about,
        })
    }

    /// Whether an object could be told to both by one event. EventBridge hears of all beside them.
    fn overlaps(&self, other: &Wanted) -> bool {
        let either = |one: &str, other: &str, holds: fn(&str, &str) -> bool| holds(one, other) || holds(other, one);
        let alike = |one: &String| other.events.iter().any(|other| shares(one, other));
        self.kind != Kind::Bridge
            && other.kind != Kind::Bridge
            && self.events.iter().any(alike)
            && either(&self.prefix, &other.prefix, |one, other| one.starts_with(other))
            && either(&self.suffix, &other.suffix, |one, other| one.ends_with(other))
    }
}

/// `s3:ObjectCreated:*` is all of its kind.
fn shares(one: &str, other: &str) -> bool {
    let all = |pattern: &str, event: &str| pattern.strip_suffix('*').is_some_and(|kind| event.starts_with(kind));
    one == other || all(one, other) || all(other, one)
}

/// What here is an event of S3's; of what never happens here, nothing. `None`: S3 has no such event.
pub(in crate::aws) fn changes(event: &str) -> Option<&'static [ObjectChange]> {
    Some(match event {
        "s3:ObjectCreated:*" => &[ObjectChange::Created],
        "s3:ObjectCreated:Put" => &[ObjectChange::Put],
        "s3:ObjectCreated:Copy" => &[ObjectChange::Copy],
        "s3:ObjectCreated:CompleteMultipartUpload" => &[ObjectChange::CompleteMultipartUpload],
        "s3:ObjectRemoved:*" | "s3:ObjectRemoved:Delete" => &[ObjectChange::Removed],
        "s3:ObjectCreated:Post"
        | "s3:ObjectRemoved:DeleteMarkerCreated"
        | "s3:ReducedRedundancyLostObject"
        | "s3:ObjectRestore:*"
        | "s3:ObjectRestore:Post"
        | "s3:ObjectRestore:Completed"
        | "s3:ObjectRestore:Delete"
        | "s3:Replication:*"
        | "s3:Replication:OperationFailedReplication"
        | "s3:Replication:OperationNotTracked"
        | "s3:Replication:OperationMissedThreshold"
        | "s3:Replication:OperationReplicatedAfterThreshold"
        | "s3:LifecycleExpiration:*"
        | "s3:LifecycleExpiration:Delete"
        | "s3:LifecycleExpiration:DeleteMarkerCreated"
        | "s3:LifecycleTransition"
        | "s3:IntelligentTiering"
        | "s3:ObjectTagging:*"
        | "s3:ObjectTagging:Put"
        | "s3:ObjectTagging:Delete"
        | "s3:ObjectAcl:Put" => &[],
        _ => return None,
    })
}
