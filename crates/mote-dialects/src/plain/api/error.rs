//! An error as a response: status by code, and one JSON form everywhere.

use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use mote_core::clock::Id;
use mote_core::dialect::Response;
use mote_core::error::{Report, Retry};
use mote_core::{Code, Error, Fault};
use serde::Serialize;

use super::render::server_timing;

#[derive(Serialize)]
pub(super) struct Wording<'e> {
    code: &'static str,
    message: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'e str>,
    fault: Fault,
    retry: &'static str,
    /// Of the call, for `mote trace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'e Report>,
}

impl<'e> Wording<'e> {
    pub(super) fn of(error: &'e Error) -> Self {
        Wording {
            code: error.code().slug(),
            message: error.detail(),
            hint: error.hint_text().filter(|hint| !hint.is_empty()),
            fault: error.code().fault(),
            retry: match error.code().retry() {
                Retry::Never => "never",
                Retry::Safe => "safe",
                Retry::IfIdempotent => "if-idempotent",
            },
            invocation: error.invocation(),
            report: error.report(),
        }
    }
}

#[derive(Serialize)]
struct Body<'e> {
    error: Wording<'e>,
}

pub(super) fn render(mut error: Error) -> Response {
    let mut headers: HeaderMap = std::mem::take(error.headers_mut());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-mote-error", HeaderValue::from_static(error.code().slug()));
    if let Some(wait) = error.wait() {
        // Whole seconds, rounded up: a client that comes too early is turned away again.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000) as u64));
    }
    if error.code() == Code::CredentialMissing || error.code() == Code::CredentialInvalid {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(timing) = error.timing() {
        headers.append("server-timing", server_timing(timing));
    }
    let body = serde_json::to_vec(&Body { error: Wording::of(&error) }).unwrap_or_default();
    let mut response = Response::new(body.into());
    *response.status_mut() = status(error.code());
    *response.headers_mut() = headers;
    response
}

pub(super) fn status(code: Code) -> StatusCode {
    match code {
        Code::FunctionNotFound
        | Code::VersionNotFound
        | Code::BucketNotFound
        | Code::ObjectNotFound
        | Code::UploadNotFound
        | Code::CallNotFound
        | Code::QueueNotFound
        | Code::BindingNotFound
        | Code::RuleNotFound
        | Code::TokenNotFound
        | Code::SecretNotFound
        | Code::SubscriptionNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::ArgumentMissing
        | Code::ArgumentInvalid
        | Code::BodyInvalid
        | Code::RequestInvalid
        | Code::NameInvalid
        | Code::ManifestInvalid
        | Code::BundleInvalid
        | Code::PartInvalid
        | Code::ChecksumMismatch
        | Code::FilterInvalid
        | Code::DestinationInvalid
        | Code::EventInvalid => StatusCode::BAD_REQUEST,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::BuildFailed | Code::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
        Code::CredentialMissing | Code::CredentialInvalid | Code::SignatureInvalid => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::QuotaExceeded => StatusCode::FORBIDDEN,
        Code::EventNotKept | Code::Conflict | Code::BucketNotEmpty | Code::SecretInUse | Code::LeaseLost => StatusCode::CONFLICT,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Code::FunctionFailed | Code::FlowFailed | Code::StoreFailed | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::FunctionCrashed
        | Code::LimitExceeded
        | Code::FunctionStartFailed
        | Code::ReplyInvalid
        | Code::WebhookFailed
        | Code::WebhookRefused => StatusCode::BAD_GATEWAY,
        Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Code::FunctionTimeout | Code::FlowUnfinished => StatusCode::GATEWAY_TIMEOUT,
        Code::LoopDetected => StatusCode::LOOP_DETECTED,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}
