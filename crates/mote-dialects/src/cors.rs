//! CORS of one function, or of one way to it: what a page of another origin may do, told to its browser.
//!
//! Headers only advise the browser; who may call is judged in the core's access.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use mote_core::Body;
use mote_core::function::{Binding, Cors, Function};
use mote_core::reply::Reply;

/// The question of a browser whether it may ask, and not yet what its page wants.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight; [`dress`] adds the origin, or does not.
pub(crate) fn preflight(cors: &Cors, function: &Function, request: &HeaderMap) -> Reply {
    let mut reply = Reply::new(StatusCode::NO_CONTENT, Body::empty());
    if allowed(cors, request).is_none() {
        return reply;
    }
    let headers = &mut reply.headers;
    let methods = if cors.methods.is_empty() { methods_of(function) } else { cors.methods.join(", ") };
    let methods = if methods.is_empty() { request.get(header::ACCESS_CONTROL_REQUEST_METHOD).cloned() } else { value(&methods) };
    put(headers, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let asked = || request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    put(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, if cors.headers.is_empty() { asked() } else { value(&cors.headers.join(", ")) });
    if cors.max_age_s > 0 {
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, cors.max_age_s.into());
    }
    headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers"));
    reply
}

/// On every reply of the function, errors too: else a page can't even read why it failed.
pub(crate) fn dress(cors: &Cors, request: &HeaderMap, headers: &mut HeaderMap) {
    if !cors.origins.iter().any(|origin| origin == "*") {
        // Also without an origin in this request: a cache must not hand this reply to a page.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Some(origin) = allowed(cors, request) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if !cors.expose.is_empty() {
        put(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, value(&cors.expose.join(", ")));
    }
}

/// The value of `Access-Control-Allow-Origin`, if the request's origin has one.
fn allowed(cors: &Cors, request: &HeaderMap) -> Option<HeaderValue> {
    let origin = request.get(header::ORIGIN)?;
    if cors.origins.iter().any(|allowed| allowed == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    cors.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// Every method by which the function can be reached; empty: all.
fn methods_of(function: &Function) -> String {
    let routes = function.bindings.iter().filter_map(|binding| match binding {
        Binding::Http(route) => Some(&route.methods),
        Binding::Bucket { .. } | Binding::Timer(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Webhook(_) | Binding::Mqtt(_) => None,
    });
    let mut all: Vec<&str> = Vec::new();
    for methods in routes.chain(function.http.url.then_some(&function.http.methods)) {
        if methods.is_empty() {
            return String::new();
        }
        all.extend(methods.iter().map(String::as_str));
    }
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}
