//! The requests about access: tokens, quotas, namespaces, signed URLs and the audit.

use std::time::Duration;

use http::{Method, request};
use mote_core::access::Patch;
use mote_core::access::audit::LINES_MAX;
use mote_core::access::rights::{Right, Scope};
use mote_core::access::tokens::TokenWish;
use mote_core::action::{Action, SignWish};
use mote_core::dialect::Stamp;
use mote_core::function::{FunctionRef, Name};
use mote_core::{Body, Code, Error, Result};
use serde::Deserialize;

use super::super::query::Query;
use super::json;

const TAIL: usize = 100;
/// A hundred years.
const EXPIRES_MAX_S: u64 = 100 * 365 * 86_400;

/// `None`: the path is none of these.
pub(super) fn action(path: &[&str], parts: &request::Parts, query: &Query, body: &Body, stamp: &Stamp) -> Result<Option<Action>> {
    let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
    Ok(Some(match (path, method) {
        (["tokens"], "GET") => Action::ListTokens { scope: scope(query)? },
        (["tokens"], "POST") => token(json(body)?, scope(query)?, stamp)?,
        (["tokens", name], "DELETE") => Action::RevokeToken { scope: scope(query)?, name: Name::new(name)? },
        (["quota"], "GET") => Action::ShowQuota { namespace: query.namespace()? },
        (["quota"], "PATCH") => Action::SetQuota { namespace: query.namespace()?, patch: json::<Patch>(body)? },
        (["namespaces"], "GET") => Action::ListNamespaces,
        (["audit"], "GET") => {
            let namespace = match scope(query)? {
                Scope::One(namespace) => Some(namespace),
                Scope::All => None,
            };
            Action::ReadAudit { namespace, tail: query.count("tail", TAIL, LINES_MAX)? }
        }
        (["functions", name, "sign"], "POST") => sign(json(body)?, FunctionRef { namespace: query.namespace()?, name: Name::new(name)? })?,
        (["signing", "rotate"], "POST") => Action::RotateSigning { namespace: query.namespace()? },
        _ => return Ok(None),
    }))
}

/// The methods of a path that is one of these.
pub(super) fn allows(path: &[&str]) -> Option<&'static str> {
    match path {
        ["tokens"] => Some("GET, HEAD, POST"),
        ["tokens", _] => Some("DELETE"),
        ["quota"] => Some("GET, HEAD, PATCH"),
        ["namespaces" | "audit"] => Some("GET, HEAD"),
        ["functions", _, "sign"] | ["signing", "rotate"] => Some("POST"),
        _ => None,
    }
}

/// `all=1`, or one namespace.
fn scope(query: &Query) -> Result<Scope> {
    Ok(if query.flag("all")? { Scope::All } else { Scope::One(query.namespace()?) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: Name,
    rights: Vec<Right>,
    /// From now on; absent: it does not expire.
    expires_s: Option<u64>,
    #[serde(default)]
    s3: bool,
}

fn token(asked: NewToken, scope: Scope, stamp: &Stamp) -> Result<Action> {
    if let Some(seconds) = asked.expires_s.filter(|seconds| !(1..=EXPIRES_MAX_S).contains(seconds)) {
        return Err(Error::new(Code::RequestInvalid, format!("`expires_s` is {seconds}, and 1 to {EXPIRES_MAX_S} are wanted"))
            .hint("Leave it out for a token that does not expire."));
    }
    let expires = asked.expires_s.map(|seconds| stamp.time.plus(Duration::from_secs(seconds)));
    let rights = asked.rights.into_iter().collect();
    Ok(Action::CreateToken(Box::new(TokenWish { name: asked.name, scope, rights, expires, s3: asked.s3 })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signing {
    #[serde(default = "get")]
    method: String,
    path: Option<String>,
    expires_s: u64,
}

fn get() -> String {
    "GET".to_owned()
}

fn sign(asked: Signing, function: FunctionRef) -> Result<Action> {
    let method = asked.method.parse().map_err(|_| {
        let shown: String = asked.method.chars().take(40).collect();
        Error::new(Code::RequestInvalid, format!("{shown:?} is no method of HTTP"))
    })?;
    let life = Duration::from_secs(asked.expires_s);
    Ok(Action::SignUrl(Box::new(SignWish { function, method, path: asked.path, life })))
}
