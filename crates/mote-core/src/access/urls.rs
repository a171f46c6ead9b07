//! Who may call a function by its URL or a route of its own: what the manifest's `access` says.
//!
//! Asked when the route has been found, since only then it is known whose it is. The credential is
//! taken off the request, also where none is asked for: the function has no use for it, and could
//! pass it on.

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderMap, ORIGIN};

use super::rights::{Need, Right, Rule};
use super::signed::Signed;
use super::tokens::is_marked;
use super::{Access, Caller, Credential};
use crate::error::{Code, Error, Result};
use crate::event::{Event, HttpRequest};
use crate::function::{Function, UrlAccess};

/// For callers whose `Authorization` is for the function itself.
const OWN_HEADER: &str = "x-mote-token";

/// How far a request by URL was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// To the function.
    Function,
    /// To the answer that the function's CORS rules give, and to no line of its code: a browser
    /// sends no credential with the question whether it may.
    Preflight,
}

impl Access {
    /// Judges a call that came by a route, and counts it.
    pub fn admit(&self, caller: &Caller, function: &Function, event: &mut Event) -> Result<Entry> {
        let Some(request) = event.request.as_mut().map(Arc::make_mut) else {
            return Err(Error::internal("a route was asked for an event without a request"));
        };
        let presented = take_token(&mut request.headers);
        let access = function.access_by(request.route.as_deref());
        if access == UrlAccess::Public {
            self.count(caller, function, request)?;
            return Ok(Entry::Function);
        }
        if is_preflight(function, request) {
            self.count(caller, function, request)?;
            return Ok(Entry::Preflight);
        }
        let presented = presented.map(|token| self.caller(&Credential::Token(token))).transpose()?;
        let caller = presented.as_ref().unwrap_or(caller);
        let now = self.clock.now();
        let signed = match access {
            UrlAccess::Signed => self.signing.verify(&function.reference(), request, now)?,
            UrlAccess::Public | UrlAccess::Token => None,
        };
        let signer = match signed {
            None => Some(caller.clone()),
            Some(Signed { signer: None }) => None,
            Some(Signed { signer: Some(id) }) => Some(Caller::Token(self.tokens.holder_of_id(&id, now)?)),
        };
        if let Some(answerable) = signer {
            let need = Need::Use(Right::Invoke, &function.namespace);
            let rule = Rule { need, verb: "call", about: function.name.as_str(), change: false };
            self.permit(&answerable, &rule).map_err(|error| worded(error, function, access))?;
        }
        self.count(caller, function, request)?;
        if presented.is_some() {
            event.lineage.caller = Some(caller.label());
        }
        Ok(Entry::Function)
    }

    fn count(&self, caller: &Caller, function: &Function, request: &HttpRequest) -> Result<()> {
        self.limits.request(&function.namespace, caller, &request.peer, || self.clock.monotonic())
    }
}

fn is_preflight(function: &Function, request: &HttpRequest) -> bool {
    let has = |name| request.headers.contains_key(name);
    function.cors_by(request.route.as_deref()).is_some()
        && request.method == http::Method::OPTIONS
        && has(ORIGIN)
        && has(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The token of `x-mote-token`, or of an `Authorization` that holds one of mote's. Both are taken off.
fn take_token(headers: &mut HeaderMap) -> Option<String> {
    // What is no text is no token either.
    let own = headers.remove(OWN_HEADER).map(|value| value.to_str().unwrap_or_default().trim().to_owned());
    own.or(take_bearer(headers))
}

fn take_bearer(headers: &mut HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || !is_marked(token) {
        return None;
    }
    let token = token.to_owned();
    headers.remove(AUTHORIZATION);
    Some(token)
}

fn worded(error: Error, function: &Function, access: UrlAccess) -> Error {
    match (error.code(), access) {
        (Code::CredentialMissing, UrlAccess::Signed) => {
            let detail = format!("{} wants a signed URL or a token, and the request has neither", function.reference());
            Error::new(Code::CredentialMissing, detail)
                .hint(format!("`mote sign {}` makes a URL; a token goes into `Authorization: Bearer TOKEN`.", function.name))
        }
        (Code::CredentialMissing, UrlAccess::Public | UrlAccess::Token) => {
            Error::new(Code::CredentialMissing, format!("{} wants a token, and the request has none", function.reference()))
                .hint("Send `Authorization: Bearer TOKEN`, or `x-mote-token: TOKEN` where the function has its own `Authorization`.")
        }
        _ => error,
    }
}
