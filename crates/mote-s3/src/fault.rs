//! The words of S3 for mote's errors: one match over [`Code`], without a `_` arm.

use mote_core::access::sigv4::{Flaw, Refusal};
use mote_core::error::{Code, Error, Fault};
use s3s::{S3Error, S3ErrorCode};

/// The error as an S3 client reads it; what only the log may see is logged here.
pub(crate) fn wire(error: Error) -> S3Error {
    if error.code().fault() == Fault::Platform {
        tracing::error!(?error, "an S3 request failed");
    }
    let message = match error.hint_text() {
        Some(hint) => format!("{error}. {hint}"),
        None => error.to_string(),
    };
    S3Error::with_message(code(error.code()), message)
}

/// Why a signature is not believed, as S3 says it.
pub(crate) fn refused(refusal: Refusal) -> S3Error {
    let code = match refusal.flaw {
        Flaw::Unreadable => S3ErrorCode::InvalidRequest,
        Flaw::HeaderMalformed => S3ErrorCode::AuthorizationHeaderMalformed,
        Flaw::QueryMalformed => S3ErrorCode::AuthorizationQueryParametersError,
        Flaw::Uncovered | Flaw::Expired => S3ErrorCode::AccessDenied,
        Flaw::UnknownKey => S3ErrorCode::InvalidAccessKeyId,
        Flaw::Mismatch => S3ErrorCode::SignatureDoesNotMatch,
        Flaw::Skewed => S3ErrorCode::RequestTimeTooSkewed,
    };
    S3Error::with_message(code, refusal.text)
}

fn code(code: Code) -> S3ErrorCode {
    match code {
        Code::BucketNotFound => S3ErrorCode::NoSuchBucket,
        Code::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
        Code::ObjectNotFound => S3ErrorCode::NoSuchKey,
        Code::UploadNotFound => S3ErrorCode::NoSuchUpload,
        Code::PartInvalid => S3ErrorCode::InvalidPart,
        Code::PreconditionFailed => S3ErrorCode::PreconditionFailed,
        Code::RangeInvalid => S3ErrorCode::InvalidRange,
        Code::ChecksumMismatch => S3ErrorCode::BadDigest,
        Code::BodyTooLarge => S3ErrorCode::EntityTooLarge,
        Code::NameInvalid | Code::ArgumentInvalid | Code::ArgumentMissing => S3ErrorCode::InvalidArgument,
        Code::RequestInvalid | Code::BodyInvalid | Code::LoopDetected => S3ErrorCode::InvalidRequest,
        Code::MethodNotAllowed => S3ErrorCode::MethodNotAllowed,
        Code::Conflict => S3ErrorCode::ConditionalRequestConflict,
        Code::CredentialMissing | Code::Forbidden | Code::QuotaExceeded => S3ErrorCode::AccessDenied,
        Code::CredentialInvalid => S3ErrorCode::InvalidAccessKeyId,
        Code::Unsupported => S3ErrorCode::NotImplemented,
        Code::Throttled => S3ErrorCode::SlowDown,
        Code::ShuttingDown => S3ErrorCode::ServiceUnavailable,
        // S3 has no word for a full disk; the message says it, and a client may try again.
        Code::StorageFull => S3ErrorCode::ServiceUnavailable,
        Code::StoreFailed | Code::Internal => S3ErrorCode::InternalError,
        // Nothing that an object store does ends in these.
        Code::FunctionNotFound
        | Code::VersionNotFound
        | Code::ManifestInvalid
        | Code::BundleInvalid
        | Code::BuildFailed
        | Code::FlowFailed
        | Code::FlowUnfinished
        | Code::LeaseLost
        | Code::CallNotFound
        | Code::EventNotKept
        | Code::QueueNotFound
        | Code::BindingNotFound
        | Code::RuleNotFound
        | Code::TokenNotFound
        | Code::SecretNotFound
        | Code::SecretInUse
        | Code::SubscriptionNotFound
        | Code::FilterInvalid
        | Code::DestinationInvalid
        | Code::EventInvalid
        | Code::SignatureInvalid
        | Code::WebhookFailed
        | Code::WebhookRefused
        | Code::LimitExceeded
        | Code::FunctionFailed
        | Code::FunctionCrashed
        | Code::FunctionStartFailed
        | Code::FunctionTimeout
        | Code::ReplyInvalid => S3ErrorCode::InternalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_that_names_the_right_side() {
        for one in Code::ALL {
            let status = code(*one).status_code().expect("a status");
            if one.fault() == Fault::Platform {
                assert!(status.is_server_error(), "{one:?} is {status}");
            }
        }
    }
}
