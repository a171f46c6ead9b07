//! The protocols of AWS's services: how an answer and a refusal look in each.
//!
//! Query: a form in, XML out. JSON: a target in a header, JSON both ways. Rest: XML both ways, as S3. Which service speaks which
//! is [`super::Service`]'s to say.

use std::fmt::Write;

use http::header::{self, HeaderValue};
use http::{HeaderMap, HeaderName, StatusCode};
use mote_core::access::sigv4::{Flaw, Refusal as Unbelieved};
use mote_core::clock::Id;
use mote_core::dialect::Response;
use mote_core::{Code, Error, Fault};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aws) enum Protocol {
    Query,
    Json,
    Rest,
}

/// A refusal in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::aws) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into() }
    }

    pub(super) fn unknown_service() -> Refusal {
        let message = "mote answers for API Gateway, Events, IAM, Lambda, Logs, S3, Scheduler, SNS, SQS and STS; the request is signed for another service";
        Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(super) fn unknown_action(action: &str) -> Refusal {
        let shown: String = action.chars().take(100).collect();
        Refusal::new(StatusCode::BAD_REQUEST, "InvalidAction", format!("Could not find operation {shown}"))
    }

    /// What every service of a protocol says in the same words.
    pub(in crate::aws) fn of(protocol: Protocol, error: &Error) -> Refusal {
        let words = Words::of(protocol);
        let source = std::error::Error::source(error);
        if let Some(unbelieved) = source.and_then(|source| source.downcast_ref::<Unbelieved>()) {
            return Refusal::new(StatusCode::FORBIDDEN, words.unbelieved(unbelieved.flaw), &unbelieved.text);
        }
        let (status, code) = match error.code() {
            Code::CredentialMissing => (StatusCode::FORBIDDEN, words.unsigned),
            Code::CredentialInvalid => (StatusCode::FORBIDDEN, words.unknown_key),
            Code::Forbidden => (StatusCode::FORBIDDEN, words.forbidden),
            Code::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, words.too_large),
            Code::Throttled => (words.throttled_status, words.throttled),
            Code::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            // Of whoever sends what leads to itself again.
            Code::LoopDetected => (StatusCode::BAD_REQUEST, words.invalid),
            code => match code.fault() {
                Fault::Caller => (StatusCode::BAD_REQUEST, words.invalid),
                Fault::Function | Fault::Platform => (StatusCode::INTERNAL_SERVER_ERROR, words.internal),
            },
        };
        Refusal::new(status, code, error.detail())
    }
}

/// A protocol's names for what may go wrong in any service; clients make their exceptions of them.
struct Words {
    unsigned: &'static str,
    unreadable: &'static str,
    unknown_key: &'static str,
    mismatch: &'static str,
    /// Signed too long ago, or for later.
    skewed: &'static str,
    expired: &'static str,
    /// What must be signed is not.
    uncovered: &'static str,
    forbidden: &'static str,
    too_large: &'static str,
    throttled: &'static str,
    throttled_status: StatusCode,
    invalid: &'static str,
    internal: &'static str,
}

const QUERY: Words = Words {
    unsigned: "MissingAuthenticationToken",
    unreadable: "IncompleteSignature",
    unknown_key: "InvalidClientTokenId",
    mismatch: "SignatureDoesNotMatch",
    skewed: "SignatureDoesNotMatch",
    expired: "SignatureDoesNotMatch",
    uncovered: "SignatureDoesNotMatch",
    forbidden: "AccessDenied",
    too_large: "RequestEntityTooLarge",
    throttled: "Throttling",
    throttled_status: StatusCode::TOO_MANY_REQUESTS,
    invalid: "ValidationError",
    internal: "InternalFailure",
};

const JSON: Words = Words {
    unsigned: "MissingAuthenticationTokenException",
    unreadable: "IncompleteSignatureException",
    unknown_key: "UnrecognizedClientException",
    mismatch: "InvalidSignatureException",
    skewed: "InvalidSignatureException",
    expired: "InvalidSignatureException",
    uncovered: "InvalidSignatureException",
    forbidden: "AccessDeniedException",
    too_large: "RequestEntityTooLargeException",
    throttled: "ThrottlingException",
    throttled_status: StatusCode::TOO_MANY_REQUESTS,
    invalid: "ValidationException",
    internal: "InternalFailure",
};

/// S3's; what it has no word for is as in its other operations (`mote-s3/src/fault.rs`).
const REST: Words = Words {
    unsigned: "AccessDenied",
    unreadable: "AuthorizationHeaderMalformed",
    unknown_key: "InvalidAccessKeyId",
    mismatch: "SignatureDoesNotMatch",
    skewed: "RequestTimeTooSkewed",
    expired: "AccessDenied",
    uncovered: "AccessDenied",
    forbidden: "AccessDenied",
    too_large: "EntityTooLarge",
    throttled: "SlowDown",
    throttled_status: StatusCode::SERVICE_UNAVAILABLE,
    invalid: "InvalidArgument",
    internal: "InternalError",
};

impl Words {
    fn of(protocol: Protocol) -> &'static Words {
        match protocol {
            Protocol::Query => &QUERY,
            Protocol::Json => &JSON,
            Protocol::Rest => &REST,
        }
    }

    fn unbelieved(&self, flaw: Flaw) -> &'static str {
        match flaw {
            Flaw::Unreadable | Flaw::HeaderMalformed | Flaw::QueryMalformed => self.unreadable,
            Flaw::UnknownKey => self.unknown_key,
            Flaw::Mismatch => self.mismatch,
            Flaw::Uncovered => self.uncovered,
            Flaw::Skewed => self.skewed,
            Flaw::Expired => self.expired,
        }
    }
}

/// What a client of any service speaks, by what its request brings.
pub(super) fn spoken(headers: &HeaderMap) -> Protocol {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") { Protocol::Query } else { Protocol::Json }
}

pub(in crate::aws) fn refuse(protocol: Protocol, refusal: &Refusal, id: Id) -> Response {
    let Refusal { status, code, message } = refusal;
    match protocol {
        Protocol::Query => {
            let side = if status.is_server_error() { "Receiver" } else { "Sender" };
            let message = escape(message);
            let text = format!(
                "<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>{id}</RequestId></ErrorResponse>"
            );
            answer(*status, "text/xml", text, id)
        }
        Protocol::Rest => {
            let message = escape(message);
            let text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>"
            );
            answer(*status, "application/xml", text, id)
        }
        Protocol::Json => {
            let text = json!({ "__type": code, "message": message }).to_string();
            let mut response = answer(*status, "application/json", text, id);
            response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
            response
        }
    }
}

/// The answer of an action of the Query protocol; `result` is XML.
pub(super) fn query(namespace: &str, action: &str, result: &str, id: Id) -> Response {
    let inside = if result.is_empty() { String::new() } else { format!("<{action}Result>{result}</{action}Result>") };
    let text = format!(
        "<{action}Response xmlns=\"{namespace}\">{inside}<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    );
    answer(StatusCode::OK, "text/xml", text, id)
}

/// The answer of an action of the JSON protocol.
pub(super) fn json(output: &serde_json::Value, id: Id) -> Response {
    answer(StatusCode::OK, "application/x-amz-json-1.0", output.to_string(), id)
}

pub(super) fn answer(status: StatusCode, kind: &'static str, text: String, id: Id) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

/// Text as XML has it. What XML can't say at all becomes a question mark.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => drop(write!(escaped, "&#13;")),
            '\t' | '\n' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' | '\0'..='\u{1f}' => escaped.push('?'),
            c => escaped.push(c),
        }
        escaped
    })
}
