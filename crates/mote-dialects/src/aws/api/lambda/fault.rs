//! Refusals in Lambda's words.
//!
//! Clients go by the header `x-amzn-errortype`, people by the message; the body is written as the
//! service has it for each kind. What a function's own failure looks like: [`super::outcome`].

use http::StatusCode;
use http::header::{self, HeaderValue};
use mote_core::clock::Id;
use mote_core::dialect::Response;
use mote_core::{Code, Error};
use serde_json::{Value, json};

use crate::aws::api::wire::{Protocol, Refusal};

pub(in crate::aws::api) const TOO_LARGE: &str = "RequestTooLargeException";

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) message: String,
    reason: Option<&'static str>,
    wait_s: Option<u64>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Fault {
        Fault { status, kind, message: message.into(), reason: None, wait_s: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
    }

    /// A member that is not as the service's model has it.
    pub(super) fn constraint(value: &str, member: &str, constraint: impl std::fmt::Display) -> Fault {
        const SHOWN: usize = 200;
        let shown = &value[..value.floor_char_boundary(SHOWN)];
        let message = format!("1 validation error detected: Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}");
        Fault::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    pub(super) fn missing(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE, message)
    }

    /// Of what Lambda has and mote has not, so that nobody takes it for done.
    pub(super) fn absent(what: &str) -> Fault {
        Fault::new(StatusCode::NOT_IMPLEMENTED, "NotImplementedException", format!("mote has no {what} for Lambda functions"))
    }

    /// What the platform said to an action that is no call.
    pub(super) fn of(error: &Error) -> Fault {
        let detail = error.detail();
        match error.code() {
            Code::FunctionNotFound | Code::VersionNotFound => Fault::missing(format!("Function not found: {detail}")),
            Code::BundleInvalid => {
                Fault::invalid(format!("Could not unzip uploaded file. Please check your file, then try to upload again. ({detail})"))
            }
            Code::Unsupported | Code::ManifestInvalid | Code::BuildFailed | Code::NameInvalid => Fault::invalid(detail),
            Code::Conflict => Fault::new(StatusCode::CONFLICT, "ResourceConflictException", detail),
            Code::QuotaExceeded => Fault::new(StatusCode::BAD_REQUEST, "CodeStorageExceededException", detail),
            Code::BodyTooLarge => Fault::too_large(detail),
            Code::Throttled => Fault::throttled(error),
            Code::LoopDetected => Fault::new(StatusCode::BAD_REQUEST, "RecursiveInvocationException", detail),
            _ => {
                let Refusal { status, code, message } = Refusal::of(Protocol::Json, error);
                let kind = if status == StatusCode::INTERNAL_SERVER_ERROR { "ServiceException" } else { code };
                Fault::new(status, kind, message)
            }
        }
    }

    pub(super) fn throttled(error: &Error) -> Fault {
        // By the function's own reservation, which is named, or by what there is room for.
        let reason =
            if error.limit().is_some() { "ReservedFunctionConcurrentInvocationLimitExceeded" } else { "ConcurrentInvocationLimitExceeded" };
        let wait_s = error.wait().map(|wait| wait.as_secs().max(1));
        Fault { reason: Some(reason), wait_s, ..Fault::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.") }
    }

    pub(super) fn response(&self, id: Id) -> Response {
        let mut response = super::json(self.status, &self.body(), id);
        let headers = response.headers_mut();
        headers.insert("x-amzn-errortype", HeaderValue::from_static(self.kind));
        if let Some(wait_s) = self.wait_s {
            headers.insert(header::RETRY_AFTER, wait_s.into());
        }
        response
    }

    fn body(&self) -> Value {
        let side = if self.status.is_server_error() { "Service" } else { "User" };
        let message = &self.message;
        match (self.kind, self.reason) {
            ("ValidationException", _) => json!({ "message": message }),
            (_, Some(reason)) => json!({ "Type": side, "message": message, "Reason": reason }),
            ("ResourceNotFoundException", None) => json!({ "Type": side, "Message": message }),
            (_, None) => json!({ "Type": side, "message": message }),
        }
    }
}
