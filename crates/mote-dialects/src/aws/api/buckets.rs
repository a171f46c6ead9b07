//! S3's bucket notifications: whom a bucket tells of its objects. The rest of S3 is another crate's.
//!
//! Each configuration is a binding of its function that stands beside those of its versions, with a name made
//! of all that it says. So a new set is bound before the old one is let go, what is in both stays as it
//! is, and no upload between the two goes untold. What the function gets: [`crate::aws::envelope`]'s `object.rs`.

mod xml;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use http::header;
use http::{HeaderMap, Method, StatusCode, Uri};
use mote_core::access::sigv4::query_pairs;
use mote_core::action::{Action, Done};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Response, Turn};
use mote_core::function::delivery::Destination;
use mote_core::function::{BOUND_MAX, Binding, Bound, FunctionRef, Name, ObjectChange, Qualifier};
use mote_core::{Code, Error};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::xml::Node;
use super::wire::{self, Protocol, Refusal};
use super::{Ask, arn};
use crate::aws::rule;

const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// Of one bucket: they are bound one after the other.
const CONFIGURATIONS_MAX: usize = 25;
const ID_BYTES_MAX: usize = 255;
const VALUE_BYTES_MAX: usize = 1024;
/// What a binding that was made here remembers: its bucket, and the configuration as it was said.
const BUCKET: &str = "s3bucket";
const ID: &str = "s3id";
const EVENTS: &str = "s3events";

/// Whether a request to S3 is of this kind.
pub(super) fn is_one(uri: &Uri) -> bool {
    query_pairs(uri).is_ok_and(|pairs| pairs.iter().any(|(name, _)| name == "notification"))
}

type Outcome = Result<Turn, Refusal>;

/// One request for one bucket.
struct Asked {
    ask: Ask,
    bucket: String,
}

pub(super) fn answer(ask: Ask) -> Turn {
    let id = ask.stamp.id;
    told(route(ask), id)
}

fn told(outcome: Outcome, id: Id) -> Turn {
    outcome.unwrap_or_else(|refusal| Turn::Answer(refuse(&refusal, id)))
}

fn refuse(refusal: &Refusal, id: Id) -> Response {
    wire::refuse(Protocol::Rest, refusal, id)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

fn unexpected() -> Refusal {
    refusal(&Error::internal("an answer of another kind was expected"))
}

fn refusal(error: &Error) -> Refusal {
    match error.code() {
        Code::QuotaExceeded => invalid(error.detail()),
        _ => Refusal::of(Protocol::Rest, error),
    }
}

fn route(ask: Ask) -> Outcome {
    let bucket = bucket_of(&ask.uri, &ask.headers).ok_or_else(|| invalid("The request names no bucket"))?;
    let asked = Asked { ask, bucket };
    match asked.ask.method {
        Method::GET => Ok(asked.exists(|asked| Ok(asked.bound(|asked, bound| Ok(asked.describe(&bound)))))),
        Method::PUT => {
            let wanted = asked.read()?;
            Ok(asked.exists(move |asked| Ok(asked.bound(move |asked, before| Ok(replace(asked, wanted, before))))))
        }
        _ => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "A bucket's notifications are put and got")),
    }
}

/// In the path, or before `.localhost`.
fn bucket_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let in_path = uri.path().trim_matches('/');
    if !in_path.is_empty() {
        let plain = percent_encoding::percent_decode_str(in_path).decode_utf8().ok()?;
        return (!plain.contains('/')).then(|| plain.into_owned());
    }
    let host = uri.authority().map(|authority| authority.host()).or_else(|| headers.get(header::HOST)?.to_str().ok())?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = name.strip_suffix(".localhost").filter(|bucket| *bucket != "s3")?;
    Some(bucket.strip_suffix(".s3").unwrap_or(bucket).to_owned())
}

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    id: String,
    to: Destination,
    qualifier: Qualifier,
    /// As they were said; what never happens here is among them.
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

impl Asked {
    fn act(self, what: Action, then: impl FnOnce(Asked, Result<Done, Error>) -> Outcome + Send + 'static) -> Turn {
        let (who, id) = (self.ask.who.clone(), self.ask.stamp.id);
        Turn::act(who, what, move |done| told(then(self, done), id))
    }

    fn exists(self, then: impl FnOnce(Asked) -> Outcome + Send + 'static) -> Turn {
        let what = Action::ListBuckets { namespace: self.ask.namespace.clone() };
        self.act(what, move |asked, done| match done {
            Ok(Done::Buckets(buckets)) if buckets.iter().any(|bucket| bucket.name == asked.bucket) => then(asked),
            Ok(Done::Buckets(_)) => Err(Refusal::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist")),
            Ok(_) => Err(unexpected()),
            Err(error) => Err(refusal(&error)),
        })
    }

    /// Those of this bucket that were made here.
    fn bound(self, then: impl FnOnce(Asked, Vec<Arc<Bound>>) -> Outcome + Send + 'static) -> Turn {
        let what = Action::ListBound { namespace: self.ask.namespace.clone(), function: None, after: None, limit: BOUND_MAX };
        self.act(what, move |asked, done| match done {
            Ok(Done::Bound(mut all)) => {
                all.retain(|bound| bound.about.get(BUCKET).and_then(Value::as_str) == Some(&asked.bucket));
                then(asked, all)
            }
            Ok(_) => Err(unexpected()),
            Err(error) => Err(refusal(&error)),
        })
    }

    fn read(&self) -> Result<Vec<Wanted>, Refusal> {
        let malformed = |why: &str| {
            let message = format!("The XML you provided was not well-formed or did not validate against our published schema: {why}");
            Refusal::new(StatusCode::BAD_REQUEST, "MalformedXML", message)
        };
        let root = xml::read(&self.ask.body).map_err(|why| malformed(&why))?;
        if root.name != "NotificationConfiguration" {
            return Err(malformed(&format!("{:.60} is no NotificationConfiguration", root.name)));
        }
        let mut wanted = Vec::new();
        for node in &root.children {
            match node.name.as_str() {
                "CloudFunctionConfiguration" | "LambdaFunctionConfiguration" => wanted.push(self.configuration(node)?),
                "QueueConfiguration" | "TopicConfiguration" | "EventBridgeConfiguration" => {
                    let message = format!("mote's buckets tell functions; {} is not offered: let a function send it on", node.name);
                    return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
                }
                other => return Err(malformed(&format!("{other:.60} is no part of a NotificationConfiguration"))),
            }
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

    fn configuration(&self, node: &Node) -> Result<Wanted, Refusal> {
        let account = self.ask.account.of(&self.ask.namespace);
        let function = node.text("CloudFunction").or_else(|| node.text("LambdaFunctionArn")).unwrap_or_default();
        let (to, qualifier) = match rule::receiver(function, &account) {
            Ok((to @ Destination::Function(_), qualifier)) => (to, qualifier),
            _ => return Err(invalid("The ARN could not be parsed")),
        };
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
                return Err(invalid(format!(
                    "Cannot specify more than one {name:.10} rule in a filter, or more than {VALUE_BYTES_MAX} bytes"
                )));
            }
        }
        let mut wanted = Wanted {
            id: node.text("Id").unwrap_or_default().to_owned(),
            to,
            qualifier,
            events,
            prefix: prefix.unwrap_or_default(),
            suffix: suffix.unwrap_or_default(),
        };
        if wanted.id.len() > ID_BYTES_MAX {
            return Err(invalid(format!("An id has at most {ID_BYTES_MAX} bytes")));
        }
        if wanted.id.is_empty() {
            wanted.id = wanted.digest(&self.bucket);
        }
        Ok(wanted)
    }

    fn describe(&self, bound: &[Arc<Bound>]) -> Turn {
        let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NotificationConfiguration xmlns=\"{XMLNS}\">");
        let (account, region) = (self.ask.account.of(&self.ask.namespace), &self.ask.region);
        for bound in bound {
            let said = |name: &str| bound.about.get(name).and_then(Value::as_str).unwrap_or_default();
            let (Binding::Bucket { prefix, suffix, .. }, Destination::Function(name)) = (&bound.binding, &bound.to) else { continue };
            let qualifier = if bound.qualifier.is_live() { String::new() } else { format!(":{}", bound.qualifier) };
            let partition = arn::partition(region);
            let _ = write!(
                text,
                "<CloudFunctionConfiguration><Id>{}</Id>\
                 <CloudFunction>arn:{partition}:lambda:{region}:{account}:function:{name}{qualifier}</CloudFunction>",
                wire::escape(said(ID))
            );
            for event in bound.about.get(EVENTS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                let _ = write!(text, "<Event>{}</Event>", wire::escape(event));
            }
            let rules = [("prefix", prefix), ("suffix", suffix)].into_iter().filter(|(_, value)| !value.is_empty());
            let rules: String = rules
                .map(|(name, value)| format!("<FilterRule><Name>{name}</Name><Value>{}</Value></FilterRule>", wire::escape(value)))
                .collect();
            if !rules.is_empty() {
                let _ = write!(text, "<Filter><S3Key>{rules}</S3Key></Filter>");
            }
            text.push_str("</CloudFunctionConfiguration>");
        }
        text.push_str("</NotificationConfiguration>");
        Turn::Answer(wire::answer(StatusCode::OK, "application/xml", text, self.ask.stamp.id))
    }
}

impl Wanted {
    /// The name of its binding, without its dash.
    fn digest(&self, bucket: &str) -> String {
        let Wanted { id, to, qualifier, events, prefix, suffix } = self;
        let parts = [bucket, id, &to.to_string(), &qualifier.to_string(), &events.join(" "), prefix, suffix];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn bound(self, bucket: &str, namespace: &Name) -> Result<Bound, Refusal> {
        let id = Name::new(&format!("s3-{}", self.digest(bucket))).map_err(|error| refusal(&error))?;
        let mut changes: Vec<ObjectChange> = Vec::new();
        for change in self.events.iter().filter_map(|event| self::changes(event)).flatten() {
            if !changes.contains(change) {
                changes.push(*change);
            }
        }
        let Wanted { id: label, to, qualifier, events, prefix, suffix } = self;
        let about = [(BUCKET, bucket.into()), (ID, label.as_str().into()), (EVENTS, events.into())];
        Ok(Bound {
            id,
            namespace: namespace.clone(),
            to,
            qualifier,
            binding: Binding::Bucket { bucket: bucket.to_owned(), events: changes, prefix, suffix, retry: None },
            enabled: true,
            since: Timestamp::default(),
            label: Some(label),
            about: about.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
        })
    }

    /// Whether an object could be told to both by one event.
    fn overlaps(&self, other: &Wanted) -> bool {
        let either = |one: &str, other: &str, holds: fn(&str, &str) -> bool| holds(one, other) || holds(other, one);
        let alike = |one: &String| other.events.iter().any(|other| shares(one, other));
        self.events.iter().any(alike)
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

/// Binds what is new, then lets go what is no longer wanted.
fn replace(asked: Asked, wanted: Vec<Wanted>, before: Vec<Arc<Bound>>) -> Turn {
    let id = asked.ask.stamp.id;
    let bound: Result<Vec<Bound>, Refusal> = wanted.into_iter().map(|one| one.bound(&asked.bucket, &asked.ask.namespace)).collect();
    let bound = match bound {
        Ok(bound) => bound,
        Err(refusal) => return Turn::Answer(refuse(&refusal, id)),
    };
    let stays = |old: &Arc<Bound>| bound.iter().any(|new| new.id == old.id);
    let goes: Vec<Name> = before.iter().filter(|old| !stays(old)).map(|old| old.id.clone()).collect();
    let new = bound.into_iter().filter(|new| !before.iter().any(|old| old.id == new.id)).collect();
    bind(asked, new, Vec::new(), goes)
}

fn bind(asked: Asked, mut new: Vec<Bound>, mut done: Vec<Name>, goes: Vec<Name>) -> Turn {
    let Some(bound) = new.pop() else { return unbind(asked, goes, None) };
    let id = bound.id.clone();
    let named = bound.function().map(|function: FunctionRef| function.name);
    asked.act(Action::Bind { bound: Box::new(bound) }, move |asked, outcome| {
        match outcome {
            Ok(_) => {
                done.push(id);
                Ok(bind(asked, new, done, goes))
            }
            Err(error) => {
                let refusal = match error.code() {
                    Code::FunctionNotFound | Code::VersionNotFound => {
                        let named = named.map(|name| name.to_string()).unwrap_or_default();
                        invalid(format!("Unable to validate the following destination configurations: {named}: {}", error.detail()))
                    }
                    _ => refusal(&error),
                };
                // As it was before.
                Ok(unbind(asked, done, Some(refusal)))
            }
        }
    })
}

/// One that is gone already is as wanted.
fn unbind(asked: Asked, mut goes: Vec<Name>, refused: Option<Refusal>) -> Turn {
    let Some(id) = goes.pop() else {
        let request = asked.ask.stamp.id;
        return Turn::Answer(match refused {
            Some(refusal) => refuse(&refusal, request),
            None => wire::answer(StatusCode::OK, "application/xml", String::new(), request),
        });
    };
    let what = Action::Unbind { namespace: asked.ask.namespace.clone(), id };
    asked.act(what, move |asked, outcome| match outcome {
        Err(error) if error.code() != Code::BindingNotFound => Err(refused.unwrap_or_else(|| refusal(&error))),
        _ => Ok(unbind(asked, goes, refused)),
    })
}

#[cfg(test)]
mod tests;
