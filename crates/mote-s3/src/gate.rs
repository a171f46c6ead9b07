//! What stands before the operations: the caller is known, the body is held to its promises, and
//! nothing of signatures or framing is left in the request.
//!
//! `s3s` could verify signatures as well. It is not asked to: it reads the machine's clock, keeps
//! a whole chunk of a signed body in memory, takes Signature Version 2 without a time limit and
//! lets a bearer add unsigned `x-amz-` headers; and a jail's connection needs no signature at all.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::TryStreamExt;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, RANGE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Frame;
use http_body_util::{BodyDataStream, StreamBody};
use mote_core::access::{Access, Credential};
use mote_core::clock::Clock;
use mote_core::store::Objects;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, s3_error};

use crate::chunked::{self, Trailers};
use crate::host::LocalHosts;
use crate::offered;
use crate::ops::Store;
use crate::payload::{self, Framing, Promises, Verdict};
use crate::sigv4::{Claim, Signer};

/// See the module's text.
pub(crate) struct Gate {
    service: S3Service,
    access: Arc<Access>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Gate {
    pub(crate) fn new(objects: Arc<dyn Objects>, access: Arc<Access>, clock: Arc<dyn Clock>) -> Gate {
        let mut builder = S3ServiceBuilder::new(Store::new(objects));
        builder.set_host(LocalHosts);
        Gate { service: builder.build(), access, clock }
    }

    pub(crate) async fn answer<B>(&self, known: Option<Credential>, request: Request<B>) -> Response<s3s::Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let id = self.clock.id().to_string();
        let verdict = Verdict::default();
        let outcome = match self.admit(known, request, verdict.clone()) {
            Ok(request) => self.service.call(request).await.map_err(|error| {
                tracing::error!(?error, "an S3 reply could not be made");
                s3_error!(InternalError)
            }),
            Err(error) => Err(error),
        };
        // Whatever the operation made of a broken body, the reason is known here.
        let outcome = verdict.take_broken().map_or(outcome, Err);
        let mut response = outcome.unwrap_or_else(|error| refusal(error, &id));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response
    }

    fn admit<B>(&self, known: Option<Credential>, request: Request<B>, verdict: Verdict) -> Result<Request<s3s::Body>, S3Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let (mut parts, body) = request.into_parts();
        let framing = Framing::read(&parts.headers)?;
        let (who, signer) = match known {
            Some(who) => (who, None),
            None => self.identify(&parts)?,
        };
        self.access.caller(&who).map_err(crate::fault::wire)?;
        offered::check(&parts)?;
        let promises = Promises::read(&parts.headers, &framing, !completes_upload(&parts))?;
        plain(&mut parts, &framing, promises.length)?;
        let trailers = Trailers::default();
        let body = BodyDataStream::new(body).map_err(|error| s3_error!(error, IncompleteBody, "The body broke off"));
        let body = match framing {
            Framing::Chunked { signed } => {
                let signer = signer.filter(|_| signed);
                held(chunked::decode(body, signer, trailers.clone()), promises, trailers, verdict.clone())
            }
            Framing::Plain | Framing::Hashed(_) => held(body, promises, trailers, verdict.clone()),
        };
        parts.extensions.insert(verdict);
        Ok(Request::from_parts(parts, body))
    }

    fn identify(&self, parts: &Parts) -> Result<(Credential, Option<Signer>), S3Error> {
        let claim =
            Claim::read(parts)?.ok_or_else(|| s3_error!(AccessDenied, "The request is not signed, and this door needs a signature"))?;
        if claim.service != "s3" {
            return Err(s3_error!(AuthorizationHeaderMalformed, "The request is signed for the service {:?}, not for s3", claim.service));
        }
        let hash = match payload::text(&parts.headers, "x-amz-content-sha256")? {
            // A presigned URL can't know the body; a hash beside it is held against the body all the same.
            _ if claim.is_presigned() => "UNSIGNED-PAYLOAD",
            Some(hash) => hash,
            None => return Err(s3_error!(InvalidRequest, "Missing required header for this request: x-amz-content-sha256")),
        };
        let signer = claim.verify(parts, hash, &self.access, self.clock.now())?;
        Ok((Credential::AccessKey(claim.key_id), Some(signer)))
    }
}

fn held<B>(body: B, promises: Promises, trailers: Trailers, verdict: Verdict) -> s3s::Body
where
    B: Stream<Item = Result<Bytes, S3Error>> + Send + 'static,
{
    if promises.length == Some(0) && promises.is_trivial() {
        return s3s::Body::empty();
    }
    let body = payload::hold(body, promises, trailers, verdict);
    s3s::Body::http_body_unsync(StreamBody::new(body.map_ok(Frame::data)))
}

/// There, `x-amz-checksum-…` is of the object and not of the list of parts.
fn completes_upload(parts: &Parts) -> bool {
    let names = || parts.uri.query().unwrap_or_default().split('&');
    parts.method == Method::POST && names().any(|pair| pair.starts_with("uploadId="))
}

/// Takes signature and framing off, so that what goes on is as if it had come plainly.
fn plain(parts: &mut Parts, framing: &Framing, length: Option<u64>) -> Result<(), S3Error> {
    let headers = &mut parts.headers;
    for name in [AUTHORIZATION.as_str(), "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amz-decoded-content-length"] {
        headers.remove(name);
    }
    if let Framing::Chunked { .. } = framing {
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length.unwrap_or_default()));
        let rest = payload::text(headers, "content-encoding")?.unwrap_or_default();
        let rest: Vec<&str> = rest.split(',').map(str::trim).filter(|e| !e.is_empty() && *e != "aws-chunked").collect();
        let rest = rest.join(",");
        headers.remove(CONTENT_ENCODING);
        if let Some(value) = HeaderValue::from_str(&rest).ok().filter(|value| !value.is_empty()) {
            headers.insert(CONTENT_ENCODING, value);
        }
    }
    if headers.get(CONTENT_TYPE).is_some_and(HeaderValue::is_empty) {
        headers.remove(CONTENT_TYPE);
    }
    // HTTP has a server ignore a range that it does not understand.
    if headers.get(RANGE).is_some_and(|range| range.to_str().ok().and_then(|r| s3s::dto::Range::parse(r).ok()).is_none()) {
        headers.remove(RANGE);
    }
    if !headers.contains_key(HOST)
        && let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok())
    {
        headers.insert(HOST, host);
    }
    parts.uri = without_signature(&parts.uri)?;
    Ok(())
}

fn without_signature(uri: &Uri) -> Result<Uri, S3Error> {
    let signs = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        ![
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-SignedHeaders",
            "X-Amz-Signature",
            "X-Amz-Security-Token",
        ]
        .contains(&name)
    };
    let query: Vec<&str> = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).filter(signs).collect();
    let text = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), query.join("&")) };
    text.parse().map_err(|error| s3_error!(error, InvalidURI, "The request's address can't be read"))
}

fn refusal(mut error: S3Error, id: &str) -> Response<s3s::Body> {
    error.set_request_id(id);
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
