//! Lambda's REST API, version 2015-03-31 and the later ones of single paths: which operation a request is.
//!
//! Each operation is a conversation of its own file's. What Lambda has and mote has not is refused by
//! name; what was never set is told as not set, which is true. Names of functions: [`names`]; the words
//! of refusals: [`fault`]; those of a function's own failure: [`outcome`].

mod account;
mod code;
mod configuration;
mod create;
mod fault;
mod functions;
mod invoke;
mod names;
mod outcome;
mod runtime;
mod wish;

use http::header::{self, HeaderValue};
use http::{HeaderName, StatusCode};
use mote_core::access::sigv4::query_pairs;
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::dialect::{Response, Turn};
use mote_core::{Body, Error};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::fault::Fault;
use self::names::Address;
use super::Ask;

pub(in crate::aws) use self::runtime::environment;

/// A zip of 50 MB as base64 in JSON, with what stands around it.
pub(super) const BODY_BYTES_MAX: u64 = 70 << 20;

/// Paths by which a request without a signature is known, as some tools for local work send it.
pub(super) fn is_path(path: &str) -> bool {
    const KINDS: [&str; 6] = ["functions", "layers", "tags", "event-source-mappings", "account-settings", "code-signing-configs"];
    let (date, rest) = path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
    let dated = date.len() == 10 && date.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    dated && KINDS.contains(&rest.split('/').next().unwrap_or_default())
}

pub(super) fn answer(ask: Ask) -> Turn {
    let id = ask.stamp.id;
    route(ask).unwrap_or_else(|fault| Turn::Answer(fault.response(id)))
}

fn route(ask: Ask) -> Result<Turn, Fault> {
    let segments = segments(ask.uri.path())?;
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = ask.method.clone();
    match (path.as_slice(), method.as_str()) {
        (["2015-03-31", "functions"], "POST") => create::create(ask),
        (["2015-03-31", "functions"], "GET") => functions::list(ask),
        (["2015-03-31", "functions", name], "GET") => functions::get(named(&ask, name)?, ask, functions::Told::Whole),
        (["2015-03-31", "functions", name], "DELETE") => functions::delete(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "configuration"], "GET") => {
            functions::get(named(&ask, name)?, ask, functions::Told::Configuration)
        }
        (["2015-03-31", "functions", name, "configuration"], "PUT") => code::configure(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "code"], "PUT") => code::update(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "invocations"], "POST") => invoke::invoke(named(&ask, name)?, ask),
        (["2014-11-13", "functions", name, "invoke-async"], "POST") => invoke::later(named(&ask, name)?, ask),
        (["2016-08-19", "account-settings"], "GET") => Ok(account::settings(ask, None, account::Usage::default())),
        (["2017-03-31", "tags", name], "GET") => functions::get(named(&ask, name)?, ask, functions::Told::Tags),
        // Nothing of these is ever set, and what reads it is told so.
        (["2015-03-31", "functions", name, "versions"], "GET") => functions::get(named(&ask, name)?, ask, functions::Told::Versions),
        (["2015-03-31", "functions", name, "aliases"], "GET") => empty(named(&ask, name)?, ask, json!({ "Aliases": [] })),
        (["2019-09-30", "functions", name, "concurrency"], "GET") => empty(named(&ask, name)?, ask, json!({})),
        (["2017-10-31", "functions", name, "concurrency"], "DELETE") => unset(named(&ask, name)?, ask),
        (["2019-09-25", "functions", name, "event-invoke-config", "list"], "GET") => {
            empty(named(&ask, name)?, ask, json!({ "FunctionEventInvokeConfigs": [] }))
        }
        (["2021-10-31", "functions", name, "urls"], "GET") => empty(named(&ask, name)?, ask, json!({ "FunctionUrlConfigs": [] })),
        (["2015-03-31", "functions", name, "policy"], "GET")
        | (["2019-09-25", "functions", name, "event-invoke-config"], "GET")
        | (["2021-10-31", "functions", name, "url"], "GET")
        | (["2015-03-31", "functions", name, "aliases", _], "GET") => nothing(named(&ask, name)?, ask),
        (["2015-03-31", "event-source-mappings"], "GET") => Ok(tell(StatusCode::OK, &json!({ "EventSourceMappings": [] }), ask.stamp.id)),
        (["2018-10-31", "layers"], "GET") => Ok(tell(StatusCode::OK, &json!({ "Layers": [] }), ask.stamp.id)),
        (path, _) => Err(Fault::absent(&missing(path))),
    }
}

/// What a path is for, in the words of whoever wants it.
fn missing(path: &[&str]) -> String {
    let what = match path {
        [_, "functions", _, "versions"] => "versions (PublishVersion)",
        [_, "functions", _, "aliases", ..] => "aliases",
        [_, "functions", _, "policy", ..] => "resource policies",
        [_, "functions", _, "concurrency"] => "reserved concurrency",
        [_, "functions", _, "provisioned-concurrency"] => "provisioned concurrency",
        [_, "functions", _, "event-invoke-config", ..] => "configuration of asynchronous calls",
        [_, "functions", _, "url"] => "function URLs",
        [_, "functions", _, "response-streaming-invocations"] => "InvokeWithResponseStream",
        [_, "layers", ..] => "layers",
        [_, "tags", ..] => "tags beside those that a function is created with",
        [_, "event-source-mappings", ..] => "event source mappings",
        _ => return format!("operation at /{}", path.iter().take(5).copied().collect::<Vec<_>>().join("/")),
    };
    what.to_owned()
}

fn segments(path: &str) -> Result<Vec<String>, Fault> {
    // Older clients end a path in a slash.
    let path = path.trim_start_matches('/').trim_end_matches('/');
    let decoded = path.split('/').map(|part| percent_decode_str(part).decode_utf8().map(|part| part.into_owned()));
    decoded.collect::<Result<_, _>>().map_err(|_| Fault::constraint(path, "path", "Member must be UTF-8"))
}

fn named(ask: &Ask, name: &str) -> Result<Address, Fault> {
    Address::read(name)?.qualified(query(ask, "Qualifier"))
}

fn query(ask: &Ask, name: &str) -> Option<String> {
    let pairs = query_pairs(&ask.uri).unwrap_or_default();
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value).filter(|value| !value.is_empty())
}

fn number(ask: &Ask, name: &'static str, max: usize) -> Result<usize, Fault> {
    let Some(text) = query(ask, name) else { return Ok(max) };
    let wrong = || Fault::constraint(&text, name, format_args!("Member must have value between 1 and {max}"));
    text.parse().ok().filter(|number| (1..=max).contains(number)).ok_or_else(wrong)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    let wrong = |error| Fault::new(StatusCode::BAD_REQUEST, "SerializationException", format!("Could not parse request body: {error}"));
    serde_json::from_slice(body).map_err(wrong)
}

/// The function that an address means, or why not.
fn describe(address: Address, ask: Ask, then: impl FnOnce(Address, Ask, mote_core::action::Description) -> Turn + Send + 'static) -> Turn {
    if let Err(fault) = address.is_known(&ask) {
        return Turn::Answer(fault.response(ask.stamp.id));
    }
    let what = Action::Describe { function: address.reference(&ask) };
    Turn::act(ask.who.clone(), what, move |described| match described {
        Ok(Done::Function(description)) => then(address, ask, *description),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if error.code() == mote_core::Code::FunctionNotFound => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn empty(address: Address, ask: Ask, answer: Value) -> Result<Turn, Fault> {
    Ok(describe(address, ask, move |_, ask, _| tell(StatusCode::OK, &answer, ask.stamp.id)))
}

fn unset(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, _| Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id))))
}

fn nothing(address: Address, ask: Ask) -> Result<Turn, Fault> {
    Ok(describe(address, ask, |_, ask, _| refuse(&Fault::missing("The resource you requested does not exist."), ask.stamp.id)))
}

fn unexpected() -> Error {
    Error::internal("an action was answered with what belongs to another")
}

fn refuse(fault: &Fault, id: Id) -> Turn {
    Turn::Answer(fault.response(id))
}

fn tell(status: StatusCode, answer: &Value, id: Id) -> Turn {
    Turn::Answer(json(status, answer, id))
}

fn json(status: StatusCode, answer: &Value, id: Id) -> Response {
    let mut response = bare(status, id);
    *response.body_mut() = Body::from(answer.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Without a body; the id is the call's, where there was one.
fn bare(status: StatusCode, id: Id) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

#[cfg(test)]
mod tests;
