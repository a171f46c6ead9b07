//! Requests of the control door, `/v1/…`, as actions.
//!
//! Who may is not judged here: the credential goes on as it came.

mod access;
mod calls;
pub(super) mod mqtt;
pub(super) mod queues;
mod rules;
mod topics;

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, request};
use mote_core::access::Credential;
use mote_core::action::{Action, Deploy, DeployWish, Expect, Files, Number, Qualifier, Target};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Parsed, Request, Stamp};
use mote_core::function::{FunctionRef, Name};
use mote_core::store::{LogQuery, ObjectListQuery, ObjectMeta};
use mote_core::{Body, Code, Error, Result};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::events::event;
use super::query::{Query, wrong};
use super::{invalid, wants_no_answer};
use crate::requests;

pub(super) use calls::wish;

const PREFIX: &str = "/v1/";
const PAGE: usize = 1000;
const TAIL: usize = 100;
/// Next runs of each timer.
const RUNS_MAX: usize = 100;
const TAIL_MAX: usize = 10_000;
const JSON_BYTES_MAX: usize = 64 << 10;
const KEY_BYTES_MAX: usize = 1024;

pub(in crate::plain) fn parse(request: Request, stamp: &Stamp) -> Result<Parsed> {
    if !request.uri().path().starts_with(PREFIX) {
        return Ok(Parsed::NotMine(request));
    }
    let (parts, body) = request.into_parts();
    requests::bounded(&parts.uri)?;
    let credential = credential(&parts.headers)?;
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let mut segments = Vec::new();
    for segment in path.splitn(5, '/') {
        segments.push(decode(segment)?);
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Ok(Parsed::Action(credential, action(&segments, &parts, body, stamp)?))
}

fn action(path: &[&str], parts: &request::Parts, body: Body, stamp: &Stamp) -> Result<Action> {
    let query = Query::new(&parts.uri)?;
    if let Some(action) = access::action(path, parts, &query, &body, stamp)? {
        return Ok(action);
    }
    if let Some(action) = calls::action(path, parts, &query, &body, stamp.time)? {
        return Ok(action);
    }
    if let Some(action) = queues::action(path, parts, &query, &body)? {
        return Ok(action);
    }
    if let Some(action) = rules::action(path, parts, &query)? {
        return Ok(action);
    }
    if let Some(action) = topics::action(path, parts, &query, &body, stamp)? {
        return Ok(action);
    }
    // A HEAD asks what GET would; the door leaves the body out.
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let of = |name: &str| Ok::<_, Error>(FunctionRef { namespace: query.namespace()?, name: Name::new(name)? });
    match (path, method.as_str()) {
        (["deploy"], "POST") => deploy(&query, body),
        (["functions"], "GET") => {
            let limit = query.count("limit", PAGE, PAGE)?;
            Ok(Action::List { namespace: query.namespace()?, after: query.text("after"), limit })
        }
        (["functions", name], "GET") => Ok(Action::Describe { function: of(name)?, version: Qualifier::Live }),
        (["functions", name], "DELETE") => Ok(Action::Remove { function: of(name)? }),
        (["functions", name, "invoke"], "POST") => {
            let version = query.parse::<u64>("version", "a version's number")?;
            let version = version.map_or(Qualifier::Live, Qualifier::Version);
            let to = Target::Function { function: of(name)?, version };
            let event = event(&parts.headers, body, stamp)?;
            if wants_no_answer(&parts.headers) {
                return Ok(Action::Send { to, event, wish: wish(&query, &parts.headers, stamp)? });
            }
            Ok(Action::Call { to, event })
        }
        (["functions", name, "send"], "POST") => {
            let wish = wish(&query, &parts.headers, stamp)?;
            Ok(Action::Send { to: Target::live(of(name)?), event: event(&parts.headers, body, stamp)?, wish })
        }
        (["queues", name, what @ ("messages" | "batch")], "POST") => queues::send(name, *what == "batch", parts, &query, body),
        (["topics", topic, "publish"], "POST") => topics::publish(topic, parts, &query, body, stamp),
        (["functions", name, "point"], "POST") => Ok(Action::Point { function: of(name)?, version: json::<Point>(&body)?.version }),
        (["logs"], "GET") => logs(&query, stamp.time),
        (["timers"], "GET") => Ok(Action::ListTimers { namespace: query.namespace()?, next: query.count("next", 1, RUNS_MAX)? }),
        (["mqtt"], "GET") => Ok(Action::ShowMqtt { namespace: query.namespace()? }),
        (["mqtt", "publish"], "POST") => mqtt::publish(&query, &parts.headers, body),
        (["status"], "GET") => Ok(Action::Status),
        (["whoami"], "GET") => Ok(Action::WhoAmI),
        (["buckets"], "GET") => Ok(Action::ListBuckets { namespace: query.namespace()? }),
        (["buckets", name], "PUT") => Ok(Action::CreateBucket { namespace: query.namespace()?, name: (*name).to_owned() }),
        (["buckets", name], "DELETE") => Ok(Action::DeleteBucket { namespace: query.namespace()?, name: (*name).to_owned() }),
        (["buckets", bucket, "objects"], "GET") => objects(bucket, &query),
        (["buckets", bucket, "objects", key @ ..], method) if !key.is_empty() => {
            object((query.namespace()?, bucket, key), method, parts, body)
        }
        (["secrets"], "GET") => Ok(Action::ListSecrets { namespace: query.namespace()? }),
        (["secrets", name], "PUT") => Ok(Action::SetSecret { namespace: query.namespace()?, name: Name::new(name)?, value: body }),
        (["secrets", name], "DELETE") => {
            Ok(Action::RemoveSecret { namespace: query.namespace()?, name: Name::new(name)?, force: query.flag("force")? })
        }
        (path, method) => Err(unknown(path, method)),
    }
}

fn deploy(query: &Query, archive: Body) -> Result<Action> {
    let wish = DeployWish {
        namespace: query.namespace()?,
        name: query.name("name")?,
        default_name: query.name("default_name")?,
        dev: query.flag("dev")?,
    };
    Ok(Action::Deploy(Box::new(Deploy {
        wish,
        files: Files::Archive(archive),
        declared: None,
        number: Number::Next,
        layers: Vec::new(),
        expect: Expect::Anything,
    })))
}

fn logs(query: &Query, now: Timestamp) -> Result<Action> {
    let log_query = LogQuery {
        namespace: None,
        function: query.name("function")?.map(String::from),
        invocation: query.parse::<Id>("invocation", "an invocation's id")?,
        since: query.get("since").map(|text| since("since", text, now)).transpose()?,
        tail: query.count("tail", TAIL, TAIL_MAX)?,
        follow: query.flag("follow")?,
        ..LogQuery::default()
    };
    Ok(Action::Logs { namespace: query.namespace()?, query: log_query })
}

/// Milliseconds since 1970, or so long ago: `90s`, `10m`, `2h`, `1d`.
fn since(key: &str, text: &str, now: Timestamp) -> Result<Timestamp> {
    let wrong = || wrong(key, text, "a time in ms since 1970, or a duration such as 10m,");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let unit_s = match unit {
        "" => return Ok(Timestamp(count)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let ago = Duration::from_secs(count.checked_mul(unit_s).ok_or_else(wrong)?);
    Ok(Timestamp(now.0.saturating_sub(u64::try_from(ago.as_millis()).map_err(|_| wrong())?)))
}

fn objects(bucket: &str, query: &Query) -> Result<Action> {
    let namespace = query.namespace()?;
    let query = ObjectListQuery {
        prefix: query.text("prefix").unwrap_or_default(),
        delimiter: query.text("delimiter"),
        after: query.text("after"),
        limit: query.count("limit", PAGE, PAGE)?,
    };
    Ok(Action::ListObjects { namespace, bucket: bucket.to_owned(), query })
}

fn object((namespace, bucket, key): (Name, &str, &[&str]), method: &str, parts: &request::Parts, body: Body) -> Result<Action> {
    let (bucket, key) = (bucket.to_owned(), key.join("/"));
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(invalid(format!("the object's key has {} bytes, and 1 to {KEY_BYTES_MAX} are wanted", key.len())));
    }
    match method {
        "PUT" => Ok(Action::PutObject { namespace, bucket, key, meta: meta(&parts.headers), body }),
        "GET" => Ok(Action::GetObject { namespace, bucket, key }),
        "DELETE" => Ok(Action::DeleteObject { namespace, bucket, key }),
        method => Err(not_allowed(method, "GET, HEAD, PUT, DELETE")),
    }
}

fn meta(headers: &HeaderMap) -> ObjectMeta {
    let kept = [header::CACHE_CONTROL, header::CONTENT_DISPOSITION, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::EXPIRES];
    let kept = kept.into_iter().filter_map(|name| Some((name.to_string(), requests::text(headers, name)?)));
    ObjectMeta { content_type: requests::text(headers, header::CONTENT_TYPE), headers: kept.collect(), ..Default::default() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    version: Option<u64>,
}

/// A small JSON body; the door has it at hand, since it collects what is small.
fn json<'b, T: Deserialize<'b>>(body: &'b Body) -> Result<T> {
    let bytes = body.as_bytes().filter(|bytes| bytes.len() <= JSON_BYTES_MAX);
    let bytes = bytes.ok_or_else(|| invalid(format!("a JSON body with a Content-Length of at most {JSON_BYTES_MAX} is wanted")))?;
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Code::BodyInvalid, format!("the body is not the JSON that is wanted: {error}")))
}

fn credential(headers: &HeaderMap) -> Result<Credential> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(Credential::Anonymous) };
    let token = value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| Credential::Token(token.trim().to_owned())).ok_or_else(|| {
        Error::new(Code::CredentialInvalid, "the Authorization header is not a bearer token").hint("Send `Authorization: Bearer TOKEN`.")
    })
}

fn decode(segment: &str) -> Result<String> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| invalid("the path is not UTF-8"))?;
    if text.contains('\0') {
        return Err(invalid("the path holds a NUL"));
    }
    Ok(text.into_owned())
}

/// A path that is none, or one that takes other methods.
fn unknown(path: &[&str], method: &str) -> Error {
    let allow = match path {
        ["deploy"] | ["mqtt", "publish"] | ["functions", _, "invoke" | "send" | "point"] => "POST",
        ["functions" | "logs" | "status" | "whoami" | "buckets" | "secrets" | "timers" | "mqtt"] | ["buckets", _, "objects"] => "GET, HEAD",
        ["functions", _] => "GET, HEAD, DELETE",
        ["buckets" | "secrets", _] => "PUT, DELETE",
        path if let Some(allow) = access::allows(path) => allow,
        path if let Some(allow) = calls::allows(path) => allow,
        path if let Some(allow) = queues::allows(path) => allow,
        path if let Some(allow) = rules::allows(path) => allow,
        path if let Some(allow) = topics::allows(path) => allow,
        _ => {
            let shown: String = path.join("/").chars().take(100).collect();
            return Error::new(Code::FunctionNotFound, format!("the control API has nothing at {PREFIX}{shown}"))
                .hint("Functions answer on the public door; the control API is in docs/reference/control-api.md.");
        }
    };
    not_allowed(method, allow)
}

fn not_allowed(method: &str, allow: &'static str) -> Error {
    let mut error = Error::new(Code::MethodNotAllowed, format!("{method} is not among the methods {allow}"));
    error.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    error
}
