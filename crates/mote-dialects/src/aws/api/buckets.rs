//! S3's bucket notifications: whom a bucket tells of its objects. The rest of S3 is another crate's.
//!
//! Each configuration is a binding that stands beside those of versions, with a name made of all that it
//! says ([`wanted`]). So a new set is bound before the old one is let go, what is in both stays as it
//! is, and no upload between the two goes untold. What receivers get: [`crate::aws::envelope`]'s `object.rs`.

mod wanted;
mod xml;

use std::fmt::Write as _;
use std::sync::Arc;

use http::header;
use http::{HeaderMap, Method, StatusCode, Uri};
use mote_core::access::sigv4::query_pairs;
use mote_core::action::{Action, Done, Outgoing};
use mote_core::clock::Id;
use mote_core::dialect::{Response, Turn};
use mote_core::function::delivery::Destination;
use mote_core::function::{BOUND_MAX, Binding, Bound, Name, Seen};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::queues::message::NewMessage;
use mote_core::{Code, Error};
use serde_json::Value;

pub(in crate::aws) use self::wanted::changes;
use self::wanted::{BUCKET, EVENTS, ID, Kind, Wanted};
use super::wire::{self, Protocol, Refusal};
use super::{Ask, arn};
use crate::aws::envelope::object;

const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// New receivers that one request tries out.
const TESTED_MAX: usize = 10;

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
        Method::GET => Ok(asked.exists(|asked| Ok(asked.bound(|asked, bound| Ok(describe(&asked, &bound)))))),
        Method::PUT => {
            let wanted = wanted::read(&asked)?;
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
}

fn describe(asked: &Asked, bound: &[Arc<Bound>]) -> Turn {
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NotificationConfiguration xmlns=\"{XMLNS}\">");
    let (account, region) = (asked.ask.account.of(&asked.ask.namespace), &asked.ask.region);
    let partition = arn::partition(region);
    for bound in bound {
        let said = |name: &str| bound.about.get(name).and_then(Value::as_str).unwrap_or_default();
        let (Binding::Bucket { prefix, suffix, .. }, Some(kind)) = (&bound.binding, Kind::of(bound)) else { continue };
        let (element, place) = (kind.element(), kind.arn());
        let receiver = match &bound.to {
            _ if kind == Kind::Bridge => {
                let _ = write!(text, "<{element}/>");
                continue;
            }
            Destination::Function(name) if bound.qualifier.is_live() => format!("lambda:{region}:{account}:function:{name}"),
            Destination::Function(name) => format!("lambda:{region}:{account}:function:{name}:{}", bound.qualifier),
            Destination::Queue(name) => format!("sqs:{region}:{account}:{name}"),
            Destination::Topic(name) => format!("sns:{region}:{account}:{name}"),
            Destination::Webhook(_) => continue,
        };
        let id = wire::escape(said(ID));
        let _ = write!(text, "<{element}><Id>{id}</Id><{place}>arn:{partition}:{receiver}</{place}>");
        for event in bound.about.get(EVENTS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let _ = write!(text, "<Event>{}</Event>", wire::escape(event));
        }
        let rules = [("Prefix", prefix), ("Suffix", suffix)].into_iter().filter(|(_, value)| !value.is_empty());
        let rules: String = rules
            .map(|(name, value)| format!("<FilterRule><Name>{name}</Name><Value>{}</Value></FilterRule>", wire::escape(value)))
            .collect();
        if !rules.is_empty() {
            let _ = write!(text, "<Filter><S3Key>{rules}</S3Key></Filter>");
        }
        let _ = write!(text, "</{element}>");
    }
    text.push_str("</NotificationConfiguration>");
    Turn::Answer(wire::answer(StatusCode::OK, "application/xml", text, asked.ask.stamp.id))
}

/// Binds what is new, then lets go what is no longer wanted.
fn replace(asked: Asked, wanted: Vec<Wanted>, before: Vec<Arc<Bound>>) -> Turn {
    let id = asked.ask.stamp.id;
    let bound: Result<Vec<Bound>, Refusal> =
        wanted.into_iter().map(|one| one.bound(&asked.bucket, &asked.ask.namespace, &asked.ask.region)).collect();
    let bound = match bound {
        Ok(bound) => bound,
        Err(refusal) => return Turn::Answer(refuse(&refusal, id)),
    };
    let stays = |old: &Arc<Bound>| bound.iter().any(|new| new.id == old.id);
    let goes: Vec<Name> = before.iter().filter(|old| !stays(old)).map(|old| old.id.clone()).collect();
    let new: Vec<Bound> = bound.into_iter().filter(|new| !before.iter().any(|old| old.id == new.id)).collect();
    let mut heard: Vec<Destination> = Vec::new();
    for bound in new.iter().filter(|new| matches!(Kind::of(new), Some(Kind::Queue | Kind::Topic))) {
        if heard.len() < TESTED_MAX && !heard.contains(&bound.to) {
            heard.push(bound.to.clone());
        }
    }
    bind(asked, (new, heard), Vec::new(), goes)
}

/// One after the other; `heard`: who is new, and is told of that when all are bound.
fn bind(asked: Asked, (mut new, heard): (Vec<Bound>, Vec<Destination>), mut done: Vec<Name>, goes: Vec<Name>) -> Turn {
    let Some(bound) = new.pop() else { return unbind(asked, goes, Ok(heard)) };
    let id = bound.id.clone();
    let named = bound.to.to_string();
    asked.act(Action::Bind { bound: Box::new(bound), seen: Seen::Whatever }, move |asked, outcome| {
        match outcome {
            Ok(_) => {
                done.push(id);
                Ok(bind(asked, (new, heard), done, goes))
            }
            Err(error) => {
                let refusal = match error.code() {
                    Code::FunctionNotFound | Code::VersionNotFound | Code::QueueNotFound => {
                        invalid(format!("Unable to validate the following destination configurations: {named}: {}", error.detail()))
                    }
                    _ => refusal(&error),
                };
                // As it was before.
                Ok(unbind(asked, done, Err(refusal)))
            }
        }
    })
}

/// One that is gone already is as wanted.
fn unbind(asked: Asked, mut goes: Vec<Name>, bound: Result<Vec<Destination>, Refusal>) -> Turn {
    let Some(id) = goes.pop() else {
        return match bound {
            Err(refusal) => Turn::Answer(refuse(&refusal, asked.ask.stamp.id)),
            Ok(heard) => try_out(asked, heard),
        };
    };
    let what = Action::Unbind { namespace: asked.ask.namespace.clone(), id };
    asked.act(what, move |asked, outcome| match outcome {
        Err(error) if error.code() != Code::BindingNotFound => Err(bound.err().unwrap_or_else(|| refusal(&error))),
        _ => Ok(unbind(asked, goes, bound)),
    })
}

/// As S3 does: a queue and a topic that are told of a bucket from now on are told that first. Whether they
/// have room for it makes no difference.
fn try_out(asked: Asked, mut heard: Vec<Destination>) -> Turn {
    let request = asked.ask.stamp.id;
    let Some(to) = heard.pop() else {
        return Turn::Answer(wire::answer(StatusCode::OK, "application/xml", String::new(), request));
    };
    let said = object::test(&asked.bucket, &asked.ask.stamp);
    let namespace = asked.ask.namespace.clone();
    let what = match to {
        Destination::Queue(name) => {
            let message = NewMessage { body: said.body, content_type: said.content_type, ..NewMessage::default() };
            Action::SendMessages { namespace, name, what: Outgoing::Ready(vec![message]) }
        }
        Destination::Topic(topic) => Action::Publish { namespace, topic, event: said.into(), wish: Wish::default() },
        Destination::Function(_) | Destination::Webhook(_) => return try_out(asked, heard),
    };
    asked.act(what, |asked, _| Ok(try_out(asked, heard)))
}

#[cfg(test)]
mod tests;
