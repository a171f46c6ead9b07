//! Function URLs at the public door: which request is one's, and who has signed it.
//!
//! A URL is a path, `/lambda-url/<id>/…`, so that it works without set-up; or a host name, as AWS has
//! it: `<id>.lambda-url.<region>.…`. Both lead to the route of a binding, which says what else is to be
//! known ([`super::envelope::over_http`]). How they are made: `api/lambda/urls.rs`.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use mote_core::access::Credential;
use mote_core::access::sigv4::{Claim, SignedRequest};
use mote_core::action::{Action, Done, Target};
use mote_core::clock::Id;
use mote_core::dialect::{Parsed, Request, Response, Stamp, Turn};
use mote_core::function::{Cors, HttpRoute, Name, UrlAccess};
use mote_core::{Body, Code, Error, Result};
use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::api::wire::{self, Protocol, Refusal};
use super::envelope::PAYLOAD_BYTES_MAX;
use super::envelope::over_http::about;
use crate::{plain, requests};

/// What all paths of function URLs begin with.
const PREFIX: &str = "/lambda-url/";
const HOST: &str = "lambda-url";
const ID_LETTERS: usize = 32;

/// Of a function, or of one of its aliases: the same whenever it is made, and nobody else's.
pub(super) fn id(namespace: &Name, function: &Name, alias: Option<&str>) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(format!("{namespace}/{function}/{}", alias.unwrap_or_default()));
    digest.iter().take(ID_LETTERS).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// Of its route.
pub(super) fn path(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The route of one. `streams`: an answer is passed on as it comes.
pub(super) fn route(id: &str, alias: Option<&str>, access: UrlAccess, streams: bool, cors: Option<Cors>) -> HttpRoute {
    let mut said = Map::from_iter([(about::PAYLOAD.to_owned(), "url".into()), (about::URL_ID.to_owned(), id.into())]);
    if let Some(alias) = alias {
        said.insert(about::QUALIFIER.into(), alias.into());
    }
    if !streams {
        said.insert(about::BUFFERED.into(), true.into());
    }
    HttpRoute { below: true, access: Some(access), cors, about: said, ..HttpRoute::new(path(id), Vec::new()) }
}

/// As a client calls it.
pub(super) fn address(public: &str, namespace: &Name, id: &str) -> String {
    format!("{}{}{}/", public.trim_end_matches('/'), mount(namespace), path(id))
}

fn mount(namespace: &Name) -> String {
    if namespace.as_str() == Name::DEFAULT { String::new() } else { format!("/@{namespace}") }
}

pub(super) fn parse(request: Request, stamp: &Stamp) -> Result<Parsed> {
    let Some(path) = routed(request.uri(), request.headers()) else { return Ok(Parsed::NotMine(request)) };
    let claim = Claim::read((request.method(), request.uri(), request.headers()).into()).ok().flatten();
    let (parts, body) = request.into_parts();
    let Some(claim) = claim else {
        return Ok(Parsed::Action(Credential::Anonymous, call(parts, body, path, stamp)?));
    };
    let key = Credential::AccessKey(claim.key_id.clone());
    let (stamp, id) = (stamp.clone(), stamp.id);
    let read = move || {
        Turn::read(body, PAYLOAD_BYTES_MAX, move |read| {
            let asked = read.and_then(|body| {
                let who = Credential::Signed(SignedRequest::new(claim, (&parts).into(), &body).into());
                Ok((who, call(parts, body.into(), path, &stamp)?))
            });
            match asked {
                Ok((who, what)) => Turn::act(who, what, move |called| Turn::Answer(render(called, id))),
                Err(error) => Turn::Answer(render(Err(error), id)),
            }
        })
    };
    // As at the aws door, a body is worth its room where a known key is named.
    Ok(Parsed::Turn(Turn::act(key, Action::WhoAmI, move |known| match known {
        Ok(_) => read(),
        Err(error) => Turn::Answer(render(Err(error), id)),
    })))
}

pub(super) fn call(parts: Parts, body: Body, path: String, stamp: &Stamp) -> Result<Action> {
    let mut event = requests::event(parts, body, stamp)?;
    if let Some(request) = event.request.as_mut().map(std::sync::Arc::make_mut) {
        request.path = path;
    }
    Ok(Action::Call { to: Target::Route { namespace: Name::default_namespace() }, event })
}

/// The path by which the core finds it. `None`: it is no function URL's.
fn routed(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let (mount, below) = mounted(uri.path());
    if below.starts_with(PREFIX) {
        return Some(uri.path().to_owned());
    }
    let (mount, id) = by_host(uri, headers, HOST).filter(|_| mount.is_empty())?;
    Some(format!("{mount}{}{}", path(&id), uri.path()))
}

/// A path's namespace, as it is written there, and what follows.
pub(super) fn mounted(path: &str) -> (&str, &str) {
    let end = path.strip_prefix("/@").map_or(0, |rest| rest.find('/').map_or(path.len(), |end| end + 2));
    path.split_at(end)
}

/// `<id>[-<namespace>].<what>.…`: the path that leads to the namespace, and the id.
pub(super) fn by_host(uri: &Uri, headers: &HeaderMap, what: &str) -> Option<(String, String)> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host())?;
    let (label, rest) = host.split_once('.')?;
    if !rest.split(['.', ':']).next().is_some_and(|label| label.eq_ignore_ascii_case(what)) {
        return None;
    }
    let label = label.to_ascii_lowercase();
    let (id, namespace) = label.split_once('-').unwrap_or((&label, Name::DEFAULT));
    let sound = id.bytes().all(|b| b.is_ascii_alphanumeric());
    // What can be nobody's is somebody's who is not there.
    Some(match Name::new(namespace) {
        Ok(namespace) if sound => (mount(&namespace), id.to_owned()),
        _ => (String::new(), "none".to_owned()),
    })
}

/// An answer, or why there is none where no function had a say.
pub(super) fn render(called: Result<Done>, id: Id) -> Response {
    match called {
        Err(error) if matches!(error.code(), Code::FunctionNotFound | Code::VersionNotFound) => nobody(),
        Err(error) if matches!(error.code(), Code::CredentialMissing | Code::CredentialInvalid | Code::Forbidden) => unbelieved(&error, id),
        called => plain::render(called),
    }
}

fn nobody() -> Response {
    let mut response = Response::new(r#"{"Message":null}"#.into());
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static("AccessDeniedException"));
    response
}

fn unbelieved(error: &Error, id: Id) -> Response {
    wire::refuse(Protocol::Json, &Refusal::of(Protocol::Json, error), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_path_or_a_host_name() {
        let id = id(&Name::default_namespace(), &Name::new("f").unwrap(), None);
        let check = |host: &str, path: &str, expect: Option<&str>| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let expect = expect.map(|path| path.replace("ID", &id));
            assert_eq!(routed(&path.replace("ID", &id).parse().unwrap(), &headers), expect, "{host} {path}");
        };
        check("127.0.0.1:8080", "/lambda-url/ID/a%20b?c=d", Some("/lambda-url/ID/a%20b"));
        check("127.0.0.1:8080", "/@team/lambda-url/ID", Some("/@team/lambda-url/ID"));
        check("127.0.0.1:8080", "/f", None);
        check("127.0.0.1:8080", "/lambda-url", None);
        check(&format!("{id}.lambda-url.us-east-1.localhost:8080"), "/", Some("/lambda-url/ID/"));
        check(&format!("{}.LAMBDA-URL.x", id.to_uppercase()), "/a/b", Some("/lambda-url/ID/a/b"));
        check(&format!("{id}-team.lambda-url"), "/", Some("/@team/lambda-url/ID/"));
        // Nobody's, whatever the path: it must not lead elsewhere.
        check("a_b.lambda-url.x", "/f", Some("/lambda-url/none/f"));
        check("ID-.lambda-url.x", "/f", Some("/lambda-url/none/f"));
        check(".lambda-url.x", "/f", Some("/lambda-url//f"));
        check("x.lambda-urls.y", "/f", None);
        check("lambda-url.x", "/f", None);
    }

    #[test]
    fn an_id_is_one_functions_or_aliass() {
        let (default, team) = (Name::default_namespace(), Name::new("team").unwrap());
        let (f, g) = (Name::new("f").unwrap(), Name::new("g").unwrap());
        let all = [id(&default, &f, None), id(&default, &g, None), id(&team, &f, None), id(&default, &f, Some("live"))];
        assert!(all.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())), "{all:?}");
        assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])), "{all:?}");
        assert_eq!(address("http://h:1/", &team, "x"), "http://h:1/@team/lambda-url/x/");
    }

    #[test]
    fn nobodys_body_is_read_before_a_known_key_is_named() {
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature={}",
            "0".repeat(64)
        );
        let request = http::Request::post("/lambda-url/anything").header("host", "evil.example").header("x-amz-date", "20260101T000000Z");
        let request = request.header("authorization", signed).body("{}".into()).unwrap();
        let stamp = Stamp { id: Id(7), time: mote_core::clock::Timestamp(1), peer: "127.0.0.1".into(), origin: String::new() };
        let Ok(Parsed::Turn(turn)) = parse(request, &stamp) else { panic!("it is not ours") };
        let Turn::Do { who: Credential::AccessKey(key), what: Action::WhoAmI, then } = turn else { panic!("it is read first") };
        assert_eq!(key, "test");
        let Turn::Answer(refused) = then(Err(Error::new(Code::CredentialInvalid, "nobody's key"))) else { panic!("it is read after all") };
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn who_is_nobody_is_not_told_so() {
        let told = |code| {
            let response = render(Err(Error::new(code, "secret")), Id(7));
            (response.status().as_u16(), String::from_utf8(response.body().as_bytes().unwrap().to_vec()).unwrap())
        };
        assert_eq!(told(Code::FunctionNotFound), (403, r#"{"Message":null}"#.to_owned()));
        assert_eq!(told(Code::CredentialInvalid).0, 403);
        assert_eq!(told(Code::ShuttingDown).0, 503);
    }
}
