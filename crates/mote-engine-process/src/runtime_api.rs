//! The words of AWS Lambda's Runtime API: what a runtime asks, how it is refused, what it reports.
//!
//! Whatever comes here was written by code in a jail. No I/O and no state: who may ask what, and
//! when, is known to [`crate::instance`]`::pull`.

pub mod extensions;
mod report;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use mote_core::engine::pull::PullHead;

use extensions::{Wanted, Why};
pub use report::{BODY_TRAILER, TYPE_HEADER, broken_off, report, report_named, too_large};

/// Of an answer that is not streamed.
pub const RESPONSE_BYTES_MAX: u64 = (6 << 20) + 100;

const VERSION: &str = "/2018-06-01/runtime/";
const MODE: &str = "lambda-runtime-function-response-mode";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The next call.
    Next,
    /// The answer to the call of this id.
    Response(String),
    /// Its failure.
    Failure(String),
    /// It can't take any call.
    StartFailure,
    /// Of an extension.
    Extension(Wanted),
    /// To be sent logs and telemetry, by the name of the API.
    Subscription(&'static str),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoSuchPath,
    NoSuchMethod,
    /// No call of this id runs, or it is answered.
    UnknownCall,
    /// Not before the first call was asked for, or not after it, or not while one runs.
    NotNow,
    /// With the most there may be.
    TooLarge(u64),
    Mode,
    /// The request ended before its body did.
    Truncated,
    Extension(Why),
}

impl Asked {
    pub fn read(method: &Method, path: &str) -> Result<Asked, Refusal> {
        if let Some(wanted) = extensions::wanted(method, path) {
            return wanted.map(Asked::Extension);
        }
        match path {
            "/2022-07-01/telemetry" if *method == Method::PUT => return Ok(Asked::Subscription("Telemetry")),
            "/2020-08-15/logs" if *method == Method::PUT => return Ok(Asked::Subscription("Logs")),
            _ => {}
        }
        let rest = path.strip_prefix(VERSION).ok_or(Refusal::NoSuchPath)?;
        let (wanted, asked) = match rest.split_once("invocation/") {
            Some(("", "next")) => (Method::GET, Asked::Next),
            Some(("", call)) => match call.split_once('/') {
                Some((id, "response")) if !id.is_empty() => (Method::POST, Asked::Response(id.to_owned())),
                Some((id, "error")) if !id.is_empty() => (Method::POST, Asked::Failure(id.to_owned())),
                _ => return Err(Refusal::NoSuchPath),
            },
            _ if rest == "init/error" => (Method::POST, Asked::StartFailure),
            _ => return Err(Refusal::NoSuchPath),
        };
        if *method == wanted { Ok(asked) } else { Err(Refusal::NoSuchMethod) }
    }
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::NoSuchPath => StatusCode::NOT_FOUND,
            Refusal::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NotNow | Refusal::Extension(_) => StatusCode::FORBIDDEN,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnknownCall | Refusal::Mode | Refusal::Truncated => StatusCode::BAD_REQUEST,
        }
    }

    pub fn document(self) -> String {
        let (kind, message) = match self {
            Refusal::NoSuchPath => ("NotFound", "There is no such path".to_owned()),
            Refusal::NoSuchMethod => ("MethodNotAllowed", "The path takes another method".to_owned()),
            Refusal::UnknownCall => ("InvalidRequestID", "Invalid request ID".to_owned()),
            Refusal::NotNow => ("InvalidStateTransition", "The runtime can't do that in its present state".to_owned()),
            Refusal::TooLarge(max) => ("RequestEntityTooLarge", format!("Exceeded maximum allowed payload size ({max} bytes).")),
            Refusal::Mode => ("InvalidFunctionResponseMode", "Invalid function response mode".to_owned()),
            Refusal::Extension((kind, message)) => (kind, message.to_owned()),
            Refusal::Truncated => ("TruncatedHTTPRequest", "HTTP request detected as truncated".to_owned()),
        };
        format!(r#"{{"errorMessage":"{message}","errorType":"{kind}"}}"#)
    }
}

/// Whether the answer is to go out while it is made.
pub fn streams(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(MODE).map(HeaderValue::as_bytes) {
        None | Some(b"") => Ok(false),
        Some(mode) if mode.eq_ignore_ascii_case(b"buffered") => Ok(false),
        Some(mode) if mode.eq_ignore_ascii_case(b"streaming") => Ok(true),
        Some(_) => Err(Refusal::Mode),
    }
}

/// As what an answer is declared; nothing if it is not, or not in text.
pub fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// What goes with an event.
pub fn call_headers(call: &PullHead) -> HeaderMap {
    let deadline = call.deadline_ms.to_string();
    let own = [
        ("lambda-runtime-aws-request-id", Some(&call.request_id)),
        ("lambda-runtime-deadline-ms", Some(&deadline)),
        ("lambda-runtime-invoked-function-arn", Some(&call.arn)),
        ("lambda-runtime-trace-id", Some(&call.trace).filter(|trace| !trace.is_empty())),
        ("lambda-runtime-client-context", call.client_context.as_ref()),
        ("lambda-runtime-cognito-identity", call.identity.as_ref()),
        ("lambda-runtime-aws-tenant-id", call.tenant.as_ref()),
    ];
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for (name, value) in own {
        if let Some(value) = value.and_then(|text| HeaderValue::try_from(one_line(text)).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// JSON stays the same JSON: line ends are white space in it, and other than ASCII stands in strings alone.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' '..='~' => line.push(letter),
            '\0'..='\x7f' => line.push(' '),
            _ => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| line.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_api_has_is_read() {
        let read = |method: Method, path: &str| Asked::read(&method, path);
        assert_eq!(read(Method::GET, "/2018-06-01/runtime/invocation/next"), Ok(Asked::Next));
        assert_eq!(read(Method::POST, "/2018-06-01/runtime/invocation/a-1/response"), Ok(Asked::Response("a-1".into())));
        assert_eq!(read(Method::POST, "/2018-06-01/runtime/invocation/a-1/error"), Ok(Asked::Failure("a-1".into())));
        assert_eq!(read(Method::POST, "/2018-06-01/runtime/init/error"), Ok(Asked::StartFailure));
        assert_eq!(read(Method::POST, "/2018-06-01/runtime/invocation/next"), Err(Refusal::NoSuchMethod));
        for path in ["/", "/2018-06-01/runtime/", "/2018-06-01/runtime/invocation/", "/2018-06-01/runtime/invocation//error"] {
            assert_eq!(read(Method::POST, path), Err(Refusal::NoSuchPath), "{path}");
        }
        assert_eq!(read(Method::GET, "/2018-06-01/runtime/x/invocation/next"), Err(Refusal::NoSuchPath));
    }

    #[test]
    fn what_goes_with_an_event_fits_into_headers() {
        let call = PullHead {
            request_id: "r".into(),
            deadline_ms: 7,
            arn: "arn:aws:lambda:x".into(),
            client_context: Some("{\n\"a\": \"é😀\"}".into()),
            ..PullHead::default()
        };
        let headers = call_headers(&call);
        assert_eq!(headers["lambda-runtime-aws-request-id"], "r");
        assert_eq!(headers["lambda-runtime-deadline-ms"], "7");
        assert_eq!(headers["lambda-runtime-client-context"], r#"{ "a": "\u00e9\ud83d\ude00"}"#);
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key("lambda-runtime-trace-id") && !headers.contains_key("lambda-runtime-cognito-identity"));
    }

    #[test]
    fn an_answer_says_how_it_goes_out() {
        let mode = |mode: &'static str| streams(&HeaderMap::from_iter([(HeaderName::from_static(MODE), HeaderValue::from_static(mode))]));
        assert_eq!((mode("streaming"), mode("buffered"), mode("x")), (Ok(true), Ok(false), Err(Refusal::Mode)));
        assert_eq!(streams(&HeaderMap::new()), Ok(false));
    }
}
