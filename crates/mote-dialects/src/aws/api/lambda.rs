//! Lambda's REST API, version 2015-03-31 and the later ones of single paths: which operation a request is.
//!
//! Each operation is a conversation of its own file's. What Lambda has and mote has not is refused by
//! name; what was never set is told as not set, which is true. Names of functions: [`names`]; the words
//! of refusals: [`fault`]; those of a function's own failure: [`outcome`].

mod account;
mod aliases;
mod code;
mod concurrency;
mod configuration;
mod create;
mod fault;
mod functions;
mod invoke;
mod invoke_config;
mod kept;
mod layers;
mod logging;
mod make;
mod mappings;
mod names;
pub(in crate::aws) mod outcome;
mod policy;
mod provisioned;
mod runtime;
mod settings;
mod streaming;
mod tags;
mod urls;
mod versions;
mod wish;

use http::header::{self, HeaderValue};
use http::{HeaderName, Method, StatusCode};
use mote_core::access::sigv4::query_pairs;
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::dialect::{Response, Turn};
use mote_core::function::{Name, Qualifier};
use mote_core::{Body, Code, Error};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::fault::Fault;
pub(super) use self::fault::TOO_LARGE;
use self::invoke_config::Put;
use self::names::Address;
use super::Ask;

pub(super) use self::configuration::log_group;
pub(in crate::aws) use self::invoke_config::destination_of;
pub(in crate::aws) use self::mappings::pattern_of;
pub(super) use self::runtime::log_stream;
pub(in crate::aws) use self::runtime::{declared, environment, log_starting};
pub(in crate::aws) use self::wish::{check_member, deployment};

/// The function that a name or an ARN means, and which of its versions.
pub(super) fn function_of(text: &str) -> Option<(Name, Qualifier)> {
    Address::read(text).ok().map(|address| (address.name.clone(), address.version()))
}

/// A zip of 50 MB as base64 in JSON, with what stands around it.
pub(super) const CODE_BYTES_MAX: u64 = 70 << 20;

/// Whether a request may bring a zip.
pub(super) fn takes_code(method: &Method, path: &str) -> bool {
    match (method.as_str(), path.trim_end_matches('/').rsplit('/').next()) {
        ("POST", Some("functions")) | ("PUT", Some("code")) => true,
        ("POST", Some("versions")) => path.contains("/layers/"),
        _ => false,
    }
}

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
        (["2021-11-15", "functions", name, "response-streaming-invocations"], "POST") => streaming::invoke(named(&ask, name)?, ask),
        (["2014-11-13", "functions", name, "invoke-async"], "POST") => invoke::later(named(&ask, name)?, ask),
        (["2016-08-19", "account-settings"], "GET") => Ok(account::settings(ask, None, account::Usage::default())),
        (["2017-03-31", "tags", name], verb @ ("GET" | "POST" | "DELETE")) => {
            if let Some(id) = mappings::uuid_of(name, &ask.account.of(&ask.namespace)) {
                return mappings::tags(ask, id, verb);
            }
            let address = named(&ask, name)?;
            match verb {
                "GET" => tags::list(address, ask),
                "POST" => tags::add(address, ask),
                _ => tags::remove(address, ask),
            }
        }
        (["2015-03-31", "functions", name, "versions"], "POST") => versions::publish(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "versions"], "GET") => versions::list(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "aliases"], "POST") => aliases::create(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "aliases"], "GET") => aliases::list(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "aliases", alias], "GET") => aliases::get(named(&ask, name)?, ask, alias),
        (["2015-03-31", "functions", name, "aliases", alias], "PUT") => aliases::update(named(&ask, name)?, ask, alias),
        (["2015-03-31", "functions", name, "aliases", alias], "DELETE") => aliases::delete(named(&ask, name)?, ask, alias),
        (["2015-03-31", "functions", name, "policy"], "POST") => policy::add(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "policy"], "GET") => policy::get(named(&ask, name)?, ask),
        (["2015-03-31", "functions", name, "policy", sid], "DELETE") => policy::remove(named(&ask, name)?, ask, sid),
        (["2019-09-30", "functions", name, "concurrency"], "GET") => concurrency::get(named(&ask, name)?, ask),
        (["2017-10-31", "functions", name, "concurrency"], "PUT") => concurrency::put(named(&ask, name)?, ask),
        (["2017-10-31", "functions", name, "concurrency"], "DELETE") => concurrency::delete(named(&ask, name)?, ask),
        (["2019-09-30", "functions", name, "provisioned-concurrency"], "GET") if query(&ask, "List").is_some() => {
            provisioned::list(named(&ask, name)?, ask)
        }
        (["2019-09-30", "functions", name, "provisioned-concurrency"], verb @ ("GET" | "PUT" | "DELETE")) => {
            let address = named(&ask, name)?;
            match verb {
                "GET" => provisioned::get(address, ask),
                "PUT" => provisioned::put(address, ask),
                _ => provisioned::delete(address, ask),
            }
        }
        (["2019-09-25", "functions", name, "event-invoke-config"], verb @ ("GET" | "PUT" | "POST" | "DELETE")) => {
            let address = named(&ask, name)?;
            match verb {
                "GET" => invoke_config::get(address, ask),
                "PUT" => invoke_config::put(address, ask, Put::Whole),
                "POST" => invoke_config::put(address, ask, Put::Changed),
                _ => invoke_config::delete(address, ask),
            }
        }
        (["2019-09-25", "functions", name, "event-invoke-config", "list"], "GET") => invoke_config::list(named(&ask, name)?, ask),
        (["2021-10-31", "functions", name, "urls"], "GET") => urls::list(named(&ask, name)?, ask),
        (["2021-10-31", "functions", name, "url"], verb @ ("POST" | "GET" | "PUT" | "DELETE")) => {
            let address = named(&ask, name)?;
            match verb {
                "POST" => urls::create(address, ask),
                "GET" => urls::get(address, ask),
                "PUT" => urls::update(address, ask),
                _ => urls::delete(address, ask),
            }
        }
        (["2024-08-31", "functions", name, "recursion-config"], "GET") => kept::get_recursion(named(&ask, name)?, ask),
        (["2024-08-31", "functions", name, "recursion-config"], "PUT") => kept::put_recursion(named(&ask, name)?, ask),
        (["2021-07-20", "functions", name, "runtime-management-config"], "GET") => kept::get_runtimes(named(&ask, name)?, ask),
        (["2021-07-20", "functions", name, "runtime-management-config"], "PUT") => kept::put_runtimes(named(&ask, name)?, ask),
        (["2020-06-30", "functions", name, "code-signing-config"], verb @ ("GET" | "PUT" | "DELETE")) => {
            let address = named(&ask, name)?;
            match verb {
                "GET" => kept::get_signing(address, ask),
                "PUT" => kept::put_signing(address, ask),
                _ => kept::delete_signing(address, ask),
            }
        }
        (["2015-03-31", "event-source-mappings"], "POST") => mappings::create(ask),
        (["2015-03-31", "event-source-mappings"], "GET") => mappings::list(ask),
        (["2015-03-31", "event-source-mappings", id], "GET") => Ok(mappings::get(ask, (*id).to_owned())),
        (["2015-03-31", "event-source-mappings", id], "PUT") => mappings::update(ask, (*id).to_owned()),
        (["2015-03-31", "event-source-mappings", id], "DELETE") => Ok(mappings::delete(ask, (*id).to_owned())),
        (["2015-03-31", "functions", name, "code"], "GET") => functions::zip(named(&ask, name)?, ask),
        (["2018-10-31", "layers"], "GET") if query(&ask, "find").as_deref() == Some("LayerVersion") => layers::find(ask),
        (["2018-10-31", "layers"], "GET") => layers::list(ask),
        (["2018-10-31", "layers", name, "versions"], "POST") => layers::publish(ask, name),
        (["2018-10-31", "layers", name, "versions"], "GET") => layers::versions(ask, name),
        (["2018-10-31", "layers", name, "versions", number], "GET") => layers::get(ask, name, number),
        (["2018-10-31", "layers", name, "versions", number], "DELETE") => layers::delete(ask, name, number),
        (["2018-10-31", "layers", name, "versions", number, "content"], "GET") => layers::content(ask, name, number),
        (["2018-10-31", "layers", name, "versions", number, "policy"], "POST") => layers::permissions::add(ask, name, number),
        (["2018-10-31", "layers", name, "versions", number, "policy"], "GET") => layers::permissions::get(ask, name, number),
        (["2018-10-31", "layers", name, "versions", number, "policy", sid], "DELETE") => {
            layers::permissions::remove(ask, name, number, sid)
        }
        (path, _) => Err(Fault::absent(&missing(path))),
    }
}

/// What a path is for, in the words of whoever wants it.
fn missing(path: &[&str]) -> String {
    format!("operation at /{}", path.iter().take(5).copied().collect::<Vec<_>>().join("/"))
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
    let what = Action::Describe { function: address.reference(&ask), version: address.version() };
    Turn::act(ask.who.clone(), what, move |described| match described {
        Ok(Done::Function(description)) => then(address, ask, *description),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if is_missing(&error) => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

/// The same for what is of a version or an alias: one that is not there is told as such.
fn describe_named(
    address: Address,
    ask: Ask,
    then: impl FnOnce(Address, Ask, mote_core::action::Description) -> Turn + Send + 'static,
) -> Turn {
    let what = Action::Describe { function: address.reference(&ask), version: address.version() };
    if let Err(fault) = address.is_known(&ask) {
        return Turn::Answer(fault.response(ask.stamp.id));
    }
    Turn::act(ask.who.clone(), what, move |described| match described {
        Ok(Done::Function(description)) => then(address, ask, *description),
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) if is_missing(&error) && matches!(address.version(), Qualifier::Alias(_)) => {
            refuse(&Fault::missing(format!("Cannot find alias arn: {}", address.arn(&ask))), ask.stamp.id)
        }
        Err(error) if is_missing(&error) => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn is_missing(error: &Error) -> bool {
    matches!(error.code(), Code::FunctionNotFound | Code::VersionNotFound)
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

/// A zip, for whoever wants it back.
fn zipped(zip: Body, id: Id) -> Turn {
    let mut response = bare(StatusCode::OK, id);
    *response.body_mut() = zip;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    Turn::Answer(response)
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
