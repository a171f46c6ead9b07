//! The words of the Extensions API: who registers for what, and what it is told.
//!
//! A runtime's own process registers its extensions (internal ones): they hear of calls, and the end
//! of their process by a signal, not by an event. Where they are in their lives: `instance::pull`.

use http::header::HeaderValue;
use http::{HeaderMap, Method};
use mote_core::engine::pull::PullHead;
use mote_core::function::Function;
use serde::Deserialize;
use serde_json::json;

use super::Refusal;

/// Of a body that registers.
pub const REGISTRATION_BYTES_MAX: u64 = 64 << 10;
pub const IDENTIFIER: &str = "lambda-extension-identifier";
pub const EVENT_IDENTIFIER: &str = "lambda-extension-event-identifier";
/// As a runtime's failures have it in a header of their own.
pub const FAILURE_TYPE: &str = "lambda-extension-function-error-type";

const NAME: &str = "lambda-extension-name";
const NAME_BYTES_MAX: usize = 128;
const VERSION: &str = "/2020-01-01/extension/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Register,
    /// The next event; who asks for it has nothing left to do.
    Event,
    /// It can't start.
    StartFailure,
    /// It leaves.
    Exit,
}

/// A kind of refusal and its text, as AWS words both.
pub type Why = (&'static str, &'static str);

pub const CLOSED: Why = ("Extension.RegistrationClosed", "Extension registration closed already");
pub const TOO_MANY: Why = ("Extension.TooManyExtensions", "Extension limit (10) reached");
pub const TAKEN: Why = ("Extension.InvalidExtensionName", "Extension with this name already registered");
pub const UNKNOWN: Why = ("Extension.UnknownExtensionIdentifier", "Unknown extension");
pub const NOT_NOW: Why = ("Extension.InvalidExtensionState", "The extension can't do that in its present state");
const NO_NAME: Why = ("Extension.InvalidExtensionName", "Empty extension name");
const NO_EVENT: Why = ("Extension.InvalidEventType", "An extension of the runtime's process can register for INVOKE alone");
const NO_IDENTIFIER: Why = ("Extension.MissingHeader", "Missing Lambda-Extension-Identifier header");
const NO_TYPE: Why = ("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
const NO_JSON: Why = ("InvalidRequestFormat", "The body is not a registration in JSON");

/// None if the path is another API's.
pub(super) fn wanted(method: &Method, path: &str) -> Option<Result<Wanted, Refusal>> {
    let (allowed, wanted) = match path.strip_prefix(VERSION)? {
        "register" => (Method::POST, Wanted::Register),
        "event/next" => (Method::GET, Wanted::Event),
        "init/error" => (Method::POST, Wanted::StartFailure),
        "exit/error" => (Method::POST, Wanted::Exit),
        _ => return Some(Err(Refusal::NoSuchPath)),
    };
    Some(if *method == allowed { Ok(wanted) } else { Err(Refusal::NoSuchMethod) })
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub name: String,
    /// It is told of every call, which is over when it is done with it too.
    pub invoked: bool,
}

pub fn registration(headers: &HeaderMap, body: &[u8]) -> Result<Registration, Refusal> {
    #[derive(Deserialize)]
    struct Wish {
        /// Go's client says `null` for none.
        #[serde(default)]
        events: Option<Vec<String>>,
    }
    let name = headers.get(NAME).and_then(|name| name.to_str().ok()).filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX);
    let name = name.ok_or(Refusal::Extension(NO_NAME))?.to_owned();
    let wish: Wish = serde_json::from_slice(body).map_err(|_| Refusal::Extension(NO_JSON))?;
    let events = wish.events.unwrap_or_default();
    if events.iter().any(|event| event != "INVOKE") {
        return Err(Refusal::Extension(NO_EVENT));
    }
    Ok(Registration { name, invoked: !events.is_empty() })
}

/// Who it says it is.
pub fn identifier(headers: &HeaderMap) -> Result<&str, Refusal> {
    headers.get(IDENTIFIER).map(HeaderValue::as_bytes).and_then(|id| str::from_utf8(id).ok()).ok_or(Refusal::Extension(NO_IDENTIFIER))
}

/// A failure is named.
pub fn is_named(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(FAILURE_TYPE) { Ok(()) } else { Err(Refusal::Extension(NO_TYPE)) }
}

/// What who has registered is told of the function.
pub fn registered(function: &Function) -> String {
    let said = |name: &str| function.contract_env.get(name).cloned();
    json!({
        "functionName": function.name,
        "functionVersion": said("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|| function.version.to_string()),
        "handler": said("_HANDLER").unwrap_or_else(|| function.entry.clone()),
    })
    .to_string()
}

pub fn invoke_event(call: &PullHead) -> String {
    json!({
        "eventType": "INVOKE",
        "deadlineMs": call.deadline_ms,
        "requestId": call.request_id,
        "invokedFunctionArn": call.arn,
        "tracing": { "type": "X-Amzn-Trace-Id", "value": call.trace },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    #[test]
    fn only_what_the_api_has_is_read() {
        let check = |method: Method, path: &str, expect| assert_eq!(wanted(&method, path), expect, "{path}");
        check(Method::POST, "/2020-01-01/extension/register", Some(Ok(Wanted::Register)));
        check(Method::GET, "/2020-01-01/extension/event/next", Some(Ok(Wanted::Event)));
        check(Method::POST, "/2020-01-01/extension/init/error", Some(Ok(Wanted::StartFailure)));
        check(Method::POST, "/2020-01-01/extension/exit/error", Some(Ok(Wanted::Exit)));
        check(Method::POST, "/2020-01-01/extension/event/next", Some(Err(Refusal::NoSuchMethod)));
        check(Method::POST, "/2020-01-01/extension/", Some(Err(Refusal::NoSuchPath)));
        check(Method::GET, "/2018-06-01/runtime/invocation/next", None);
    }

    #[test]
    fn a_registration_is_for_calls_or_for_nothing() {
        let named = |name: &str| HeaderMap::from_iter([(HeaderName::from_static(NAME), HeaderValue::from_str(name).unwrap())]);
        let check = |body: &str| registration(&named("e"), body.as_bytes()).map(|registration| registration.invoked);
        assert_eq!(check(r#"{"events":["INVOKE"]}"#), Ok(true));
        assert_eq!(check(r#"{"events":[]}"#), Ok(false));
        assert_eq!(check(r#"{"events":null}"#), Ok(false));
        assert_eq!(check("{}"), Ok(false));
        assert_eq!(check(r#"{"events":["INVOKE","SHUTDOWN"]}"#), Err(Refusal::Extension(NO_EVENT)));
        assert_eq!(check("[]x"), Err(Refusal::Extension(NO_JSON)));
        for headers in [HeaderMap::new(), named(""), named(&"x".repeat(NAME_BYTES_MAX + 1))] {
            assert_eq!(registration(&headers, b"{}"), Err(Refusal::Extension(NO_NAME)));
        }
    }
}
