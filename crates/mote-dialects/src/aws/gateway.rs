//! Stages of REST APIs at the public door: which request is one's, and what it is told where no function
//! has a say.
//!
//! A stage is a path, `/execute-api/<api>/<stage>/…`, so that it works without set-up; the same by the
//! paths that other local tools have for it, or by a host name, as AWS has it:
//! `<api>.execute-api.<region>.…/<stage>/…`. All lead to one binding, whose route knows the stage's own
//! paths ([`table`]). How they are made: `api/gateway.rs`.

pub(super) mod table;

use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode, Uri};
use mote_core::access::Credential;
use mote_core::action::Done;
use mote_core::clock::Id;
use mote_core::dialect::{Parsed, Request, Response, Stamp, Turn};
use mote_core::reply::Reply;
use mote_core::{Code, Error, Result};

use super::urls;
use crate::plain;

/// What all paths of stages begin with.
const PREFIX: &str = "/execute-api/";
const HOST: &str = "execute-api";
/// The same in the words of other local tools.
const FOREIGN: &str = "/_aws/execute-api/";
const REST_APIS: &str = "/restapis/";
const USER_REQUEST: &str = "_user_request_";

const ID_LETTERS: usize = 10;

/// Made of what only one request is known by.
pub(super) fn id(of: Id, what: &str, letters: usize) -> String {
    use sha2::{Digest as _, Sha256};
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(format!("{what}/{of}"));
    digest.iter().take(letters).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

pub(super) fn api_id(of: Id) -> String {
    id(of, "rest-api", ID_LETTERS)
}

/// Whether it can be an API's: it is part of paths and keys.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_LETTERS && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Of a stage's routes.
pub(super) fn path(api: &str, stage: &str) -> String {
    format!("{PREFIX}{api}/{stage}")
}

pub(super) fn parse(request: Request, stamp: &Stamp) -> Result<Parsed> {
    let Some(path) = routed(request.uri(), request.headers()) else { return Ok(Parsed::NotMine(request)) };
    let id = stamp.id;
    let (parts, body) = request.into_parts();
    Ok(Parsed::Turn(match urls::call(parts, body, path, stamp) {
        Ok(call) => Turn::act(Credential::Anonymous, call, move |called| Turn::Answer(render(called, id))),
        Err(error) => Turn::Answer(render(Err(error), id)),
    }))
}

/// The path by which the core finds it. `None`: it is no stage's.
fn routed(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let (mount, below) = urls::mounted(uri.path());
    if below.starts_with(PREFIX) {
        return Some(uri.path().to_owned());
    }
    if let Some(rest) = below.strip_prefix(FOREIGN) {
        return Some(format!("{mount}{PREFIX}{rest}"));
    }
    if let Some((api, stage, rest)) = below.strip_prefix(REST_APIS).and_then(user_request) {
        return Some(format!("{mount}{PREFIX}{api}/{stage}{rest}"));
    }
    let (mount, api) = urls::by_host(uri, headers, HOST).filter(|_| mount.is_empty())?;
    Some(format!("{mount}{PREFIX}{api}{}", uri.path()))
}

/// `ID/STAGE/_user_request_/…`
fn user_request(path: &str) -> Option<(&str, &str, &str)> {
    let (api, rest) = path.split_once('/')?;
    let (stage, rest) = rest.split_once('/')?;
    let rest = rest.strip_prefix(USER_REQUEST)?;
    (rest.is_empty() || rest.starts_with('/')).then_some((api, stage, rest))
}

/// An answer, or why there is none where no function had a say.
fn render(called: Result<Done>, id: Id) -> Response {
    let refused = match called.as_ref().err().map(Error::code) {
        Some(Code::FunctionNotFound | Code::VersionNotFound) => ("ForbiddenException", FORBIDDEN),
        Some(Code::MethodNotAllowed) => ("MissingAuthenticationTokenException", NO_ROUTE),
        _ => return plain::render(called),
    };
    plain::render(Ok(Done::Reply(refusal(refused, id))))
}

const FORBIDDEN: &str = r#"{"message":"Forbidden"}"#;
const NO_ROUTE: &str = r#"{"message":"Missing Authentication Token"}"#;

/// What the stage has no route for.
pub(super) fn no_route(id: Id) -> Reply {
    refusal(("MissingAuthenticationTokenException", NO_ROUTE), id)
}

fn refusal((kind, text): (&'static str, &'static str), id: Id) -> Reply {
    let mut reply = Reply::new(StatusCode::FORBIDDEN, text);
    reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply.headers.insert("x-amzn-errortype", HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        reply.headers.insert("x-amzn-requestid", id);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_a_path_or_a_host_name() {
        let check = |host: &str, path: &str, expect: Option<&str>| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(routed(&path.parse().unwrap(), &headers).as_deref(), expect, "{host} {path}");
        };
        let here = "127.0.0.1:8080";
        check(here, "/execute-api/abc/api/a%20b?c=d", Some("/execute-api/abc/api/a%20b"));
        check(here, "/@team/execute-api/abc/api", Some("/@team/execute-api/abc/api"));
        check(here, "/restapis/abc/api/_user_request_/a/b", Some("/execute-api/abc/api/a/b"));
        check(here, "/@team/restapis/abc/api/_user_request_", Some("/@team/execute-api/abc/api"));
        check(here, "/restapis/abc/api/_user_requests_", None);
        check(here, "/restapis/abc/api", None);
        check(here, "/_aws/execute-api/abc/api/a", Some("/execute-api/abc/api/a"));
        check(here, "/f", None);
        check("abc.execute-api.localhost:8080", "/api/a", Some("/execute-api/abc/api/a"));
        check("abc-team.Execute-Api.us-east-1.x", "/api", Some("/@team/execute-api/abc/api"));
        check("abc.lambda-url.x", "/api", None);
        // Nobody's, whatever the path: it must not lead elsewhere.
        check("a_b.execute-api.x", "/f", Some("/execute-api/none/f"));
    }

    #[test]
    fn an_id_can_be_one_and_is_nobody_elses() {
        let (one, other) = (api_id(Id(1)), api_id(Id(2)));
        assert!(is_id(&one) && is_id(&other) && one != other && one == api_id(Id(1)));
        assert!(!is_id("a/../../bc") && !is_id("abc") && !is_id("ABCDEFGHIJ"));
    }

    #[test]
    fn who_is_nobody_is_not_told_so() {
        let told = |code| {
            let response = render(Err(Error::new(code, "secret")), Id(7));
            (response.status().as_u16(), String::from_utf8(response.body().as_bytes().unwrap().to_vec()).unwrap())
        };
        assert_eq!(told(Code::FunctionNotFound), (403, FORBIDDEN.to_owned()));
        assert_eq!(told(Code::MethodNotAllowed), (403, NO_ROUTE.to_owned()));
        assert_eq!(told(Code::ShuttingDown).0, 503);
    }
}
