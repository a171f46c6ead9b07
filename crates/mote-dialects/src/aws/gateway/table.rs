//! The routes of a stage: which of them a request takes, and what those answer that need no function.
//!
//! Kept as JSON in the route of the stage's binding, since the core has one route where a stage has
//! many: so a deployment changes all of them at once. As API Gateway has it, the path decides first: a
//! text goes before `{name}`, that before `{name+}`; then the method, where `ANY` comes last.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use mote_core::Body;
use mote_core::event::HttpRequest;
use mote_core::function::HttpRoute;
use mote_core::reply::Reply;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a route's `about` has it.
pub(in crate::aws) const ROUTES: &str = "routes";
/// Where it has what stands before the stage's own paths, unless the route itself is that.
pub(in crate::aws) const BASE: &str = "base";
/// Stands for every method that the path has no other route for.
pub(in crate::aws) const ANY: &str = "ANY";

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::aws) struct Entry {
    /// As API Gateway writes it: `/orders/{id}`, `/{proxy+}`.
    pub(in crate::aws) path: String,
    pub(in crate::aws) method: String,
    /// In place of a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::aws) says: Option<Said>,
}

/// An answer that is always the same: that of a mock integration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::aws) struct Said {
    pub(in crate::aws) status: u16,
    pub(in crate::aws) headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::aws) body: String,
}

/// Where a request leads.
#[derive(Debug, PartialEq)]
pub(in crate::aws) enum Led<'a> {
    /// To the function, by this path, with what its names stand for.
    Function {
        path: &'a str,
        params: Vec<(&'a str, String)>,
    },
    Said(Said),
    Nowhere,
}

/// `None`: the route has no table, and leads to its function alone.
pub(in crate::aws) fn led<'a>(route: &'a HttpRoute, request: &HttpRequest, path: &str) -> Option<Led<'a>> {
    let all = route.about.get(ROUTES)?.as_array()?;
    Some(lead(all, request.method.as_str(), path))
}

fn lead<'a>(all: &'a [Value], method: &str, path: &str) -> Led<'a> {
    let parts = parts(path);
    let word = |entry: &'a Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let ranked = all.iter().filter_map(|entry| Some((rank(word(entry, "path"), &parts)?, entry)));
    let mut best: Option<(Vec<Rank>, Vec<&Value>)> = None;
    for (rank, entry) in ranked {
        match &mut best {
            Some((known, entries)) if *known == rank => entries.push(entry),
            Some((known, _)) if *known < rank => {}
            _ => best = Some((rank, vec![entry])),
        }
    }
    let entries = best.map(|(_, entries)| entries).unwrap_or_default();
    let of = |method: &str| entries.iter().find(|entry| word(entry, "method") == method).copied();
    let Some(entry) = of(method).or_else(|| of(ANY)) else { return Led::Nowhere };
    match entry.get("says").map(Said::deserialize) {
        Some(Ok(said)) => Led::Said(said),
        Some(Err(_)) => Led::Nowhere,
        None => {
            let path = word(entry, "path");
            Led::Function { path, params: params(path, &parts) }
        }
    }
}

/// How near a part of a path is to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Text,
    Name,
    Rest,
}

/// What ends in a slash is as good as what does not.
fn parts(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() { Vec::new() } else { path.split('/').collect() }
}

/// `None`: it does not match.
fn rank(path: &str, asked: &[&str]) -> Option<Vec<Rank>> {
    let own = parts(path);
    let mut ranks = Vec::with_capacity(own.len());
    for (at, part) in own.iter().enumerate() {
        let asked = asked.get(at)?;
        match name(part) {
            Some((_, true)) => {
                ranks.push(Rank::Rest);
                return Some(ranks);
            }
            Some((_, false)) => ranks.push(Rank::Name),
            None if decoded(asked) == *part => ranks.push(Rank::Text),
            None => return None,
        }
    }
    (own.len() == asked.len()).then_some(ranks)
}

/// Of a part that stands for others; whether for all that follow.
fn name(part: &str) -> Option<(&str, bool)> {
    let inner = part.strip_prefix('{')?.strip_suffix('}')?;
    Some(inner.strip_suffix('+').map_or((inner, false), |name| (name, true)))
}

fn params<'a>(path: &'a str, asked: &[&str]) -> Vec<(&'a str, String)> {
    let named = parts(path).into_iter().enumerate().filter_map(|(at, part)| {
        let (name, rest) = name(part)?;
        let value = if rest { asked.get(at..).unwrap_or_default().join("/") } else { (*asked.get(at)?).to_owned() };
        Some((name, decoded(&value).into_owned()))
    });
    named.collect()
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

impl Said {
    pub(in crate::aws) fn reply(self) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut reply = Reply::new(status, Body::from(self.body));
        reply.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                reply.headers.insert(name, value);
            }
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_path_decides_first_and_then_the_method() {
        let says = json!({ "status": 200, "headers": { "a": "b" } });
        let all = [
            json!({ "path": "/", "method": "GET" }),
            json!({ "path": "/{proxy+}", "method": "ANY" }),
            json!({ "path": "/orders/{id}", "method": "GET" }),
            json!({ "path": "/orders/{id}", "method": "OPTIONS", "says": says }),
            json!({ "path": "/orders/new", "method": "ANY" }),
            json!({ "path": "/orders/new", "method": "PUT" }),
        ];
        let check = |method: &str, path: &str, expect: Option<(&str, &[(&str, &str)])>| {
            let expect = expect.map_or(Led::Nowhere, |(path, params)| Led::Function {
                path,
                params: params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            });
            assert_eq!(lead(&all, method, path), expect, "{method} {path}");
        };
        check("GET", "/", Some(("/", &[])));
        check("GET", "", Some(("/", &[])));
        // The path is known, so nothing else takes it.
        check("POST", "/", None);
        check("GET", "/orders/new", Some(("/orders/new", &[])));
        check("PUT", "/orders/new/", Some(("/orders/new", &[])));
        check("GET", "/orders/a%20b", Some(("/orders/{id}", &[("id", "a b")])));
        check("DELETE", "/orders/7", None);
        check("GET", "/orders", Some(("/{proxy+}", &[("proxy", "orders")])));
        check("GET", "/a/b%2Fc/d", Some(("/{proxy+}", &[("proxy", "a/b/c/d")])));
        let Led::Said(said) = lead(&all, "OPTIONS", "/orders/7") else { panic!() };
        let reply = said.reply();
        assert_eq!((reply.status.as_u16(), reply.headers["a"].to_str().unwrap()), (200, "b"));
        assert_eq!(lead(&[], "GET", "/"), Led::Nowhere);
        assert_eq!(lead(&[json!({ "path": "/", "method": "GET", "says": 1 }), json!(3)], "GET", "/"), Led::Nowhere);
    }
}
