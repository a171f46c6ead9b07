//! `http://events.mote` in a jail: code in a function publishes and sends, as its namespace, with
//! nothing but HTTP. `POST /topics/NAME`, `POST /functions/NAME`, `POST /queues/NAME` and, to devices,
//! `POST /mqtt?topic=…`.
//!
//! How deep the function's own call is goes on with what it sends, so that a circle ends.

use http::Method;
use mote_core::access::Credential;
use mote_core::action::{Action, Outgoing, Target};
use mote_core::dialect::{Parsed, Request, Stamp};
use mote_core::engine::Depth;
use mote_core::event::Event;
use mote_core::function::{FunctionRef, Name};
use mote_core::{Body, Code, Error, Result};

use super::control::{mqtt, queues, wish};
use super::query::Query;
use super::{deeper, events};
use crate::requests;

pub(in crate::plain) fn parse(request: Request, stamp: &Stamp, namespace: &Name, depth: &Depth) -> Result<Parsed> {
    let (parts, body) = request.into_parts();
    requests::bounded(&parts.uri)?;
    if parts.uri.path() == "/mqtt" && parts.method == Method::POST {
        let mut message = mqtt::message(&Query::new(&parts.uri)?, &parts.headers)?;
        let event = led_to(stamp, depth, message.topic.as_str())?;
        (message.hops, message.lineage) = (event.depth, event.lineage);
        let action = Action::PublishMqtt { namespace: namespace.clone(), message: message.into(), body };
        return Ok(Parsed::Action(Credential::Instance(namespace.clone()), action));
    }
    let (kind, name) = parts.uri.path().strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
    if !matches!(kind, "topics" | "functions" | "queues") {
        return Err(Error::new(Code::FunctionNotFound, "events.mote has nothing at this path")
            .hint("It takes POST /topics/NAME, POST /functions/NAME, POST /queues/NAME and POST /mqtt?topic=TOPIC."));
    }
    if parts.method != Method::POST {
        return Err(Error::new(Code::MethodNotAllowed, format!("{} is not among the methods POST", parts.method)));
    }
    let name = Name::new(name)?;
    let query = Query::new(&parts.uri)?;
    if kind == "queues" {
        let mut message = queues::message(&parts.headers, &query)?;
        let event = led_to(stamp, depth, name.as_str())?;
        (message.hops, message.lineage, message.trace_parent) =
            (event.depth, event.lineage.clone(), event.trace_parent().map(str::to_owned));
        let what = Outgoing::One(message.into(), body);
        let action = Action::SendMessages { namespace: namespace.clone(), name, what };
        return Ok(Parsed::Action(Credential::Instance(namespace.clone()), action));
    }
    let wish = wish(&query, &parts.headers, stamp)?;
    let mut event = events::event(&parts.headers, body, stamp)?;
    if !parts.headers.contains_key("ce-source") {
        event.source = format!("/namespaces/{namespace}");
    }
    deeper(&mut event, depth, name.as_str())?;
    let namespace = namespace.clone();
    let action = match kind {
        "topics" => Action::Publish { namespace: namespace.clone(), topic: name, event, wish },
        _ => Action::Send { to: Target::live(FunctionRef { namespace: namespace.clone(), name }), event, wish },
    };
    Ok(Parsed::Action(Credential::Instance(namespace), action))
}

/// As an event without content: what led to something that is none yet.
fn led_to(stamp: &Stamp, depth: &Depth, to: &str) -> Result<Event> {
    let mut event = Event::new(stamp.id, "", "", stamp.time, Body::empty());
    deeper(&mut event, depth, to)?;
    Ok(event)
}
