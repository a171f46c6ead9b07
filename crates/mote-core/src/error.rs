//! The one error type that crosses seams.
//!
//! An [`Error`] has two readers. The client reads `code`, `detail` and `hint`; the log also reads
//! `source` and the function's own trace. Not here: how a dialect words it on its wire — each
//! dialect maps [`Code`] by a match without a `_` arm, so that a new code is a compile error there.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Id;
use crate::reply::Timing;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault it was: on the wire, in the log and in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The request can't succeed as it is.
    Caller,
    /// The function's code failed; the platform did its part.
    Function,
    /// mote, or the machine under it.
    Platform,
}

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request gets the same answer.
    Never,
    /// Nothing ran: safe to repeat at once or after `Retry-After`.
    Safe,
    /// The function may have run: safe only if it is idempotent.
    IfIdempotent,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $fault:ident, $retry:ident;)*) => {
        /// Every way in which a request can fail. Closed: a dialect maps each of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for the docs' test that each has its page.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The stable name on the wire and of the page `docs/errors/<slug>.md`.
            pub fn slug(self) -> &'static str { match self { $(Code::$name => $slug,)* } }
            pub fn fault(self) -> Fault { match self { $(Code::$name => Fault::$fault,)* } }
            pub fn retry(self) -> Retry { match self { $(Code::$name => Retry::$retry,)* } }
            pub fn from_slug(slug: &str) -> Option<Code> { match slug { $($slug => Some(Code::$name),)* _ => None } }
        }
    };
}

codes! {
    /// No function of that name, or no route for that path.
    FunctionNotFound = "function-not-found", Caller, Never;
    /// The function exists, that version or alias does not.
    VersionNotFound = "version-not-found", Caller, Never;
    /// The route exists, but not for this HTTP method.
    MethodNotAllowed = "method-not-allowed", Caller, Never;
    /// A parameter without a default was not given.
    ArgumentMissing = "argument-missing", Caller, Never;
    /// A parameter was given a value that its type can't take.
    ArgumentInvalid = "argument-invalid", Caller, Never;
    /// The body is not what its content type says.
    BodyInvalid = "body-invalid", Caller, Never;
    /// The body is larger than the function's limit.
    BodyTooLarge = "body-too-large", Caller, Never;
    /// The request itself is malformed or beyond a bound.
    RequestInvalid = "request-invalid", Caller, Never;
    /// A name that breaks the rules for names.
    NameInvalid = "name-invalid", Caller, Never;
    /// `mote.toml` (or a dialect's manifest) can't be read or says something impossible.
    ManifestInvalid = "manifest-invalid", Caller, Never;
    /// The uploaded archive is broken, escapes its root or is over a limit.
    BundleInvalid = "bundle-invalid", Caller, Never;
    /// The installer or the compiler refused the function's dependencies or source.
    BuildFailed = "build-failed", Caller, Never;
    /// This host can't run what the function asks for.
    Unsupported = "unsupported", Caller, Never;
    /// No credential, where one is needed.
    CredentialMissing = "credential-missing", Caller, Never;
    /// A credential that is not known or does not verify.
    CredentialInvalid = "credential-invalid", Caller, Never;
    /// A known caller without that right.
    Forbidden = "forbidden", Caller, Never;
    /// Somebody else changed the record first.
    Conflict = "conflict", Caller, Safe;
    /// No such bucket.
    BucketNotFound = "bucket-not-found", Caller, Never;
    /// A bucket that still holds objects can't be removed.
    BucketNotEmpty = "bucket-not-empty", Caller, Never;
    /// No such object.
    ObjectNotFound = "object-not-found", Caller, Never;
    /// No such multipart upload: finished, aborted or never begun.
    UploadNotFound = "upload-not-found", Caller, Never;
    /// A part of a multipart upload is missing, too small or not the one that was sent.
    PartInvalid = "part-invalid", Caller, Never;
    /// A condition of the request (`If-Match` and its kind) does not hold.
    PreconditionFailed = "precondition-failed", Caller, Never;
    /// The range asked for lies outside the object.
    RangeInvalid = "range-invalid", Caller, Never;
    /// The bytes that arrived are not those that the caller's digest names.
    ChecksumMismatch = "checksum-mismatch", Caller, Safe;
    /// No such call on the durable path, or its result has expired.
    CallNotFound = "call-not-found", Caller, Never;
    /// The call's event is not kept any more, so it can't be sent again.
    EventNotKept = "event-not-kept", Caller, Never;
    /// A topic has no such subscription.
    SubscriptionNotFound = "subscription-not-found", Caller, Never;
    /// A filter that says nothing that a subscription could want.
    FilterInvalid = "filter-invalid", Caller, Never;
    /// Nothing that an event could be sent to.
    DestinationInvalid = "destination-invalid", Caller, Never;
    /// An event that is not as CloudEvents has it.
    EventInvalid = "event-invalid", Caller, Never;
    /// A webhook's request without the signature of its provider.
    SignatureInvalid = "signature-invalid", Caller, Never;
    /// Who was posted to did not take the event.
    WebhookFailed = "webhook-failed", Function, IfIdempotent;
    /// Who was posted to will never take it, or must not be connected to.
    WebhookRefused = "webhook-refused", Function, Never;
    /// No such queue.
    QueueNotFound = "queue-not-found", Caller, Never;
    /// No such binding beside those of versions.
    BindingNotFound = "binding-not-found", Caller, Never;
    /// No such rule.
    RuleNotFound = "rule-not-found", Caller, Never;
    /// No such token.
    TokenNotFound = "token-not-found", Caller, Never;
    /// No such secret.
    SecretNotFound = "secret-not-found", Caller, Never;
    /// A live version uses the secret, so it can't be removed.
    SecretInUse = "secret-in-use", Caller, Never;
    /// The namespace has used up what it was given.
    QuotaExceeded = "quota-exceeded", Caller, Never;
    /// Functions called one another too many times in a row.
    LoopDetected = "loop-detected", Function, Never;
    /// A lease that was lost settles nothing.
    LeaseLost = "lease-lost", Caller, Never;
    /// Too many calls wait for this function already.
    Throttled = "throttled", Platform, Safe;
    /// The function raised an error.
    FunctionFailed = "function-failed", Function, IfIdempotent;
    /// The function's process ended in the middle of the call.
    FunctionCrashed = "function-crashed", Function, IfIdempotent;
    /// The function could not be loaded or started.
    FunctionStartFailed = "function-start-failed", Function, Never;
    /// The function did not answer before its deadline.
    FunctionTimeout = "function-timeout", Function, IfIdempotent;
    /// The function went beyond a limit of its manifest: memory, processes, disk, output.
    LimitExceeded = "limit-exceeded", Function, IfIdempotent;
    /// A flow ended itself as failed, or could not go on with what it had.
    FlowFailed = "flow-failed", Function, Never;
    /// A flow runs on, longer than its caller waits.
    FlowUnfinished = "flow-unfinished", Function, Never;
    /// What the function returned can't be sent.
    ReplyInvalid = "reply-invalid", Function, Never;
    /// mote is stopping.
    ShuttingDown = "shutting-down", Platform, Safe;
    /// The disk is full.
    StorageFull = "storage-full", Platform, Safe;
    /// The store failed in another way.
    StoreFailed = "store-failed", Platform, IfIdempotent;
    /// A defect in mote.
    Internal = "internal", Platform, IfIdempotent;
}

/// What the function's own code reported: for the log, and for the caller in dev mode only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The error's class, in the function's language.
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// All of it as the contract of its dialect words it, for callers of that dialect; empty: it has no such words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub document: String,
}

/// See the module's text. One pointer wide, so that a `Result` on the hot path stays small.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    detail: String,
    hint: Option<String>,
    report: Option<Report>,
    headers: http::HeaderMap,
    retry_after: Option<Duration>,
    timing: Option<Timing>,
    invocation: Option<Id>,
    version: Option<u64>,
    limit: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `detail` says what was found and what was wanted; it may be shown to the client.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            code,
            detail: detail.into(),
            hint: None,
            report: None,
            headers: http::HeaderMap::new(),
            retry_after: None,
            timing: None,
            version: None,
            limit: None,
            invocation: None,
            source: None,
        }))
    }

    /// A defect or an unexpected failure below; `source` goes to the log alone.
    pub fn internal(detail: impl Into<String>) -> Self {
        Error::new(Code::Internal, detail)
    }

    /// What the reader should do, shown on its own line.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub fn with_report(mut self, report: Report) -> Self {
        self.0.report = Some(report);
        self
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The limit that the call met: a function's own `timeout`, in milliseconds, or its reserved concurrency.
    pub fn at_limit(mut self, limit: u64) -> Self {
        self.0.limit = Some(limit);
        self
    }

    pub fn set_timing(&mut self, timing: Timing) {
        self.0.timing = Some(timing);
    }

    /// The call whose record tells more.
    pub fn set_invocation(&mut self, id: Option<Id>) {
        self.0.invocation = id;
    }

    /// The version that was called.
    pub fn set_version(&mut self, version: u64) {
        self.0.version = Some(version);
    }

    /// Takes the function's own words off, so that no remote caller sees them.
    pub fn redact(&mut self) {
        self.0.report = None;
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn report(&self) -> Option<&Report> {
        self.0.report.as_ref()
    }

    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub fn timing(&self) -> Option<&Timing> {
        self.0.timing.as_ref()
    }

    pub fn invocation(&self) -> Option<Id> {
        self.0.invocation
    }

    pub fn version(&self) -> Option<u64> {
        self.0.version
    }

    pub fn limit(&self) -> Option<u64> {
        self.0.limit
    }

    /// Headers that the reply must carry beside the error (`Allow`, CORS).
    pub fn headers(&self) -> &http::HeaderMap {
        &self.0.headers
    }

    pub fn headers_mut(&mut self) -> &mut http::HeaderMap {
        &mut self.0.headers
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

/// The log's view: everything that is known, causes included.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.slug(), self.0.detail)?;
        if let Some(report) = &self.0.report {
            let between = if report.kind.is_empty() || report.message.is_empty() { "" } else { ": " };
            write!(f, ": {}{between}{}", report.kind, report.message)?;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> =
            self.0.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_names_one_code() {
        for code in Code::ALL {
            assert_eq!(Code::from_slug(code.slug()), Some(*code));
        }
    }

    #[test]
    fn the_log_sees_the_causes_and_the_client_does_not() {
        let error = Error::internal("the store failed").caused_by(std::io::Error::other("disk on fire"));
        assert_eq!(error.to_string(), "the store failed");
        assert_eq!(format!("{error:?}"), "internal: the store failed: disk on fire");
    }
}
