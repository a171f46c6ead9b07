//! Requests over HTTP as API Gateway and function URLs tell a function of them, and its results as
//! their replies.
//!
//! A route says in its `about` which of the forms is meant; what comes by a function's own URL has the
//! form of that. Each form's event has a file ([`v1`], [`v2`]); how a result is read stands in
//! [`result`], what is said of a failure in [`failure`]. Not here: who may ask, and CORS.

mod failure;
mod parts;
mod result;
mod v1;
mod v2;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use http::header::{self, HeaderName, HeaderValue};
use mote_core::clock::Id;
use mote_core::dialect::Reads;
use mote_core::engine::pull::PulledHead;
use mote_core::engine::{Invocation, Payload};
use mote_core::event::HttpRequest;
use mote_core::function::HttpRoute;
use mote_core::reply::Reply;
use mote_core::{Body, Code, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use self::parts::Content;
use super::PAYLOAD_BYTES_MAX;
use crate::aws::arn::Account;
use crate::aws::gateway;
use crate::aws::gateway::table::{self, Led};

pub(in crate::aws) use self::failure::tell;

/// What a route's `about` says to this dialect.
pub(crate) mod about {
    /// One of the words of [`super::Form`]; without one it is a function URL's.
    pub(crate) const PAYLOAD: &str = "payload";
    pub(crate) const STAGE: &str = "stage";
    /// Names and texts.
    pub(crate) const STAGE_VARIABLES: &str = "stage_variables";
    /// By which the URL is known, and the function as it is called by it.
    pub(crate) const URL_ID: &str = "url_id";
    pub(crate) const QUALIFIER: &str = "qualifier";
    /// Of a URL that lets nothing out before the whole result is there.
    pub(crate) const BUFFERED: &str = "buffered";
}

/// The content type of a stream that begins with what its reply's head is to be.
const WITH_PRELUDE: &str = "application/vnd.awslambda.http-integration-response";
/// Where that ends.
const PRELUDE_END: &[u8] = &[0; 8];
const PRELUDE_BYTES_MAX: u64 = 64 << 10;

/// How a function is told of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A REST API's proxy integration: 1.0.
    Rest,
    /// An HTTP API's: 2.0.
    HttpApi,
    /// The same, with a request context of its own.
    Url,
    /// The body alone.
    Raw,
}

impl Form {
    pub(crate) fn of_word(word: &str) -> Option<Form> {
        Some(match word {
            "1.0" => Form::Rest,
            "2.0" => Form::HttpApi,
            "url" => Form::Url,
            "raw" => Form::Raw,
            _ => return None,
        })
    }

    pub(super) fn of(route: Option<&HttpRoute>) -> Form {
        route.and_then(|route| Form::of_word(route.about.get(about::PAYLOAD)?.as_str()?)).unwrap_or(Form::Url)
    }
}

/// The way that a request came.
#[derive(Clone, Copy)]
pub(super) struct Way<'c> {
    form: Form,
    request: &'c HttpRequest,
    route: Option<&'c HttpRoute>,
}

impl<'c> Way<'c> {
    /// `None`: the event is the body alone.
    pub(super) fn of(call: &'c Invocation) -> Option<Way<'c>> {
        let request = call.event.request.as_deref()?;
        let route = request.route.as_deref();
        let form = Form::of(route);
        (form != Form::Raw).then_some(Way { form, request, route })
    }

    fn said(&self, key: &str) -> Option<&'c str> {
        self.route.and_then(|route| route.about.get(key)?.as_str())
    }

    fn variables(&self) -> Option<&'c Map<String, Value>> {
        self.route.and_then(|route| route.about.get(about::STAGE_VARIABLES)?.as_object())
    }

    /// What follows the part of the path that only leads to the function.
    fn path(&self) -> &'c str {
        let path = self.request.path.get(self.request.mount..).unwrap_or_default();
        let path = self.said(table::BASE).and_then(|base| path.strip_prefix(base)).unwrap_or(path);
        if path.is_empty() { "/" } else { path }
    }

    /// Where a stage's routes lead it.
    fn led(&self) -> Option<Led<'c>> {
        table::led(self.route?, self.request, self.path())
    }

    /// What is answered without the function.
    pub(super) fn answered(&self, id: Id) -> Option<Reply> {
        let mut reply = match self.led()? {
            Led::Function { .. } => return None,
            Led::Said(said) => said.reply(),
            Led::Nowhere => return Some(gateway::no_route(id)),
        };
        mark(&mut reply, self.form, id);
        Some(reply)
    }

    /// The route as API Gateway writes it, and what its names stand for.
    fn place(&self) -> (Option<Cow<'c, str>>, BTreeMap<&'c str, Cow<'c, str>>) {
        match self.led() {
            Some(Led::Function { path, params }) => {
                (Some(path.into()), params.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
            Some(Led::Said(_) | Led::Nowhere) | None => {
                let params = self.request.params.iter().map(|(name, value)| (name.as_str(), value.as_str().into()));
                (self.route.map(|route| resource(route).into()), params.collect())
            }
        }
    }

    /// The version or alias that is called.
    pub(super) fn qualifier(&self) -> Option<&'c str> {
        self.said(about::QUALIFIER)
    }

    fn buffered(&self) -> bool {
        self.route.and_then(|route| route.about.get(about::BUFFERED)?.as_bool()).unwrap_or_default()
    }

    fn streams(&self) -> bool {
        self.form == Form::Url && !self.buffered()
    }
}

/// The event, with the request's body in it.
pub(super) fn event(way: Way<'_>, call: &Invocation, account: &Account) -> Result<Vec<u8>> {
    let body = call.event.body.as_bytes().ok_or_else(|| Error::internal("a request's body was not read"))?;
    let content = Content::of(body, call.event.content_type.as_deref(), way.form);
    let text = match way.form {
        Form::Rest => json(&v1::event(way, call, account, content)),
        Form::HttpApi | Form::Url | Form::Raw => json(&v2::event(way, call, account, content)),
    }?;
    if text.len() as u64 > PAYLOAD_BYTES_MAX {
        return Err(Error::new(
            Code::BodyTooLarge,
            format!("the request as an event has {} bytes, more than {PAYLOAD_BYTES_MAX}", text.len()),
        )
        .hint("Send less; what is no text grows by a third in an event."));
    }
    Ok(text)
}

fn json(event: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(event).map_err(|error| Error::internal("an event can't be written").caused_by(error))
}

pub(super) fn reads(way: Way<'_>, head: &[u8]) -> Option<Reads> {
    // What can't be read is told by whoever makes the reply.
    let head = PulledHead::read(head).unwrap_or_default();
    match head.content_type.as_str() {
        WITH_PRELUDE if !way.buffered() => Some(Reads::UpTo { mark: PRELUDE_END, bytes_max: PRELUDE_BYTES_MAX }),
        _ if head.streams && way.streams() => None,
        _ => Some(Reads::Whole { bytes_max: PAYLOAD_BYTES_MAX }),
    }
}

/// A function's result as the reply that it means.
pub(super) fn reply(way: Way<'_>, call: &Invocation, head: &PulledHead, payload: Payload) -> Result<Reply> {
    let mut reply = match head.content_type.as_str() {
        WITH_PRELUDE => with_prelude(payload.body)?,
        kind if head.streams && way.streams() => passed_on(kind, payload.body)?,
        _ => {
            let whole = payload.body.as_bytes().ok_or_else(|| Error::internal("a result was not read"))?;
            match way.form {
                Form::Rest => result::rest(whole),
                Form::HttpApi => result::http_api(whole, "text/plain;charset=UTF-8"),
                Form::Url | Form::Raw => result::http_api(whole, "application/json"),
            }
            .map_err(malformed)?
        }
    };
    mark(&mut reply, way.form, call.id);
    Ok(reply)
}

fn with_prelude(mut body: Body) -> Result<Reply> {
    let begun = body.take_begun();
    let end = begun.windows(PRELUDE_END.len()).position(|window| window == PRELUDE_END);
    let end = end.ok_or_else(|| malformed(format!("its stream has no end of the prelude within {PRELUDE_BYTES_MAX} bytes")))?;
    let mut reply = result::prelude(begun.get(..end).unwrap_or_default()).map_err(malformed)?;
    body.put_back(begun.slice(end + PRELUDE_END.len()..));
    reply.body = body;
    Ok(reply)
}

fn passed_on(kind: &str, body: Body) -> Result<Reply> {
    let mut reply = Reply::new(http::StatusCode::OK, body);
    let kind = if kind.is_empty() { "application/octet-stream" } else { kind };
    reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).map_err(|_| malformed("its content type is not one"))?);
    Ok(reply)
}

/// The name of the call that AWS gives to whoever asked.
fn mark(reply: &mut Reply, form: Form, id: Id) {
    let name = if form == Form::HttpApi { "apigw-requestid" } else { "x-amzn-requestid" };
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        reply.headers.insert(HeaderName::from_static(name), id);
    }
}

fn malformed(why: impl Display) -> Error {
    Error::new(Code::ReplyInvalid, format!("what the function returned is no answer to a request: {why}"))
        .hint("`docs/reference/aws.md` has the forms that it may have.")
}

/// The API that a route belongs to, or the URL.
fn api_id<'a>(way: &Way<'a>, call: &'a Invocation) -> &'a str {
    way.said(about::URL_ID).unwrap_or(call.function.name.as_str())
}

fn account_id(call: &Invocation, account: &Account) -> String {
    account.of(&call.function.namespace)
}

/// A route as API Gateway writes it: `{*rest}` is its `{rest+}`.
fn resource(route: &HttpRoute) -> String {
    let mut written = String::with_capacity(route.path.len());
    for part in route.path.split_inclusive('}') {
        match part.split_once("{*") {
            Some((before, name)) => {
                written.push_str(before);
                written.push('{');
                written.push_str(name.trim_end_matches('}'));
                written.push_str("+}");
            }
            None => written.push_str(part),
        }
    }
    written
}

#[cfg(test)]
mod tests;
