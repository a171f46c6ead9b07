//! What is said of a call that failed: never why, which is its owner's to know.

use http::StatusCode;
use http::header::{self, HeaderValue};
use mote_core::clock::Id;
use mote_core::function::HttpRoute;
use mote_core::reply::Reply;
use mote_core::{Code, Error, Fault};

use super::{Form, mark};

const JSON: &str = "application/json";

/// `None`: mote's own words, of what has no others.
pub(in crate::aws) fn tell(route: Option<&HttpRoute>, id: Id, error: &Error) -> Option<Reply> {
    let form = Form::of(route);
    let (status, kind, text) = said(form, error)?;
    let mut reply = Reply::new(status, text);
    reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(wait) = error.wait() {
        reply.headers.insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
    }
    if let (Form::Rest | Form::Url, StatusCode::FORBIDDEN) = (form, status) {
        reply.headers.insert("x-amzn-errortype", HeaderValue::from_static("AccessDeniedException"));
    }
    mark(&mut reply, form, id);
    Some(reply)
}

fn said(form: Form, error: &Error) -> Option<(StatusCode, &'static str, &'static str)> {
    Some(match (form, error.code()) {
        (Form::Raw, _) => return None,
        (Form::Url, Code::CredentialMissing | Code::CredentialInvalid | Code::Forbidden) => {
            (StatusCode::FORBIDDEN, JSON, r#"{"Message":"Forbidden"}"#)
        }
        (_, Code::CredentialMissing | Code::CredentialInvalid | Code::Forbidden) => {
            (StatusCode::FORBIDDEN, JSON, r#"{"message":"Forbidden"}"#)
        }
        (Form::Url, Code::BodyTooLarge) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            JSON,
            r#"{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#,
        ),
        (Form::Rest, Code::BodyTooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, JSON, r#"{"message":"Request Too Long"}"#),
        (Form::HttpApi, Code::BodyTooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, JSON, r#"{"message":"Request Entity Too Large"}"#),
        (Form::Url, Code::Throttled | Code::QuotaExceeded) => {
            let text = r#"{"Type":"User","message":"Rate Exceeded.","Reason":"ConcurrentInvocationLimitExceeded"}"#;
            (StatusCode::TOO_MANY_REQUESTS, JSON, text)
        }
        (_, Code::Throttled | Code::QuotaExceeded) => (StatusCode::TOO_MANY_REQUESTS, JSON, r#"{"message":"Too Many Requests"}"#),
        (form, code) if code.fault() == Fault::Function => match form {
            Form::Rest => (StatusCode::BAD_GATEWAY, JSON, r#"{"message":"Internal server error"}"#),
            Form::HttpApi => (StatusCode::INTERNAL_SERVER_ERROR, JSON, r#"{"message":"Internal Server Error"}"#),
            Form::Url | Form::Raw => (StatusCode::BAD_GATEWAY, "text/plain", "Internal Server Error"),
        },
        _ => return None,
    })
}
