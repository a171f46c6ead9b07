//! `http://events.mote` in a jail: code in a function publishes and sends, as its namespace, with
//! nothing but HTTP. `POST /topics/NAME`, `POST /functions/NAME`, `POST /queues/NAME` and, to devices,
//! `POST /mqtt?topic=…`.
//!
//! How deep the function's own call is goes on with what it sends ([`crate::depth`]).

use http::Method;
use http::request::Parts;
use mote_core::access::Credential;
use mote_core::action::{Action, Outgoing, Target};
use mote_core::dialect::{Parsed, Request, Stamp};
use mote_core::engine::Depth;
use mote_core::function::{FunctionRef, Name};
use mote_core::{Body, Code, Error, Result};

use super::control::{mqtt, queues, wish};
use super::events;
use super::query::Query;
use crate::depth::deepen;
use crate::requests;

pub(in crate::plain) fn parse(request: Request, stamp: &Stamp, namespace: &Name, depth: &Depth) -> Result<Parsed> {
    let (parts, body) = request.into_parts();
    requests::bounded(&parts.uri)?;
    let mut what = action(&parts, body, stamp, namespace.clone())?;
    deepen(&mut what, depth)?;
    Ok(Parsed::Action(Credential::Instance(namespace.clone()), what))
}

fn action(parts: &Parts, body: Body, stamp: &Stamp, namespace: Name) -> Result<Action> {
    let query = Query::new(&parts.uri)?;
    if parts.uri.path() == "/mqtt" && parts.method == Method::POST {
        let message = mqtt::message(&query, &parts.headers)?.into();
        return Ok(Action::PublishMqtt { namespace, message, body });
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
    if kind == "queues" {
        let message = queues::message(&parts.headers, &query)?;
        return Ok(Action::SendMessages { namespace, name, what: Outgoing::One(message.into(), body) });
    }
    let wish = wish(&query, &parts.headers, stamp)?;
    let mut event = events::event(&parts.headers, body, stamp)?;
    if !parts.headers.contains_key("ce-source") {
        event.source = format!("/namespaces/{namespace}");
    }
    Ok(match kind {
        "topics" => Action::Publish { namespace, topic: name, event, wish },
        _ => Action::Send { to: Target::live(FunctionRef { namespace, name }), event, wish },
    })
}
