//! What stands before the operations: the caller is known, the body is held to its promises, and
//! nothing of signatures or framing is left in the request.
//!
//! `s3s` could verify signatures as well. It is not asked to: it reads the machine's clock, keeps
//! a whole chunk of a body in memory, lets a bearer add unsigned `x-amz-` headers, and takes
//! Signature Version 2 without a time limit; and a jail's connection needs no signature at all.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::TryStreamExt;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, RANGE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyDataStream, StreamBody};
use mote_core::access::sigv4::{Claim, Signer};
use mote_core::access::{Access, Caller, Credential};
use mote_core::clock::Clock;
use mote_core::store::Objects;
use percent_encoding::percent_decode_str;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, s3_error};

use crate::chunked::{self, Trailers};
use crate::fault::refused;
use crate::host::LocalHosts;
use crate::offered;
use crate::ops::{NoContent, Store};
use crate::payload::{self, Framing, Promises, Verdict};
use crate::sigv2;

/// See the module's text.
pub(crate) struct Gate {
    objects: Arc<dyn Objects>,
    access: Arc<Access>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Gate {
    pub(crate) fn new(objects: Arc<dyn Objects>, access: Arc<Access>, clock: Arc<dyn Clock>) -> Gate {
        Gate { objects, access, clock }
    }

    pub(crate) fn over(&self, objects: Arc<dyn Objects>) -> Gate {
        Gate { objects, access: self.access.clone(), clock: self.clock.clone() }
    }

    /// The operations on what this caller may touch of its namespace.
    fn service(&self, caller: Caller) -> S3Service {
        let namespace = caller.namespace();
        let mut builder = S3ServiceBuilder::new(Store::new(self.access.objects(self.objects.clone(), caller, namespace)));
        builder.set_host(LocalHosts);
        builder.build()
    }

    pub(crate) async fn answer<B>(&self, known: Option<Credential>, request: Request<B>) -> Response<s3s::Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let id = self.clock.id().to_string();
        let verdict = Verdict::default();
        let outcome = match self.admit(known, request, verdict.clone()) {
            Ok((caller, request)) => self.service(caller).call(request).await.map_err(|error| {
                tracing::error!(?error, "an S3 reply could not be made");
                s3_error!(InternalError)
            }),
            Err(error) => Err(error),
        };
        // Whatever the operation made of a broken body, the reason is known here.
        let outcome = verdict.take_broken().map_or(outcome, Err);
        let mut response = outcome.unwrap_or_else(|error| refusal(error, &id));
        // s3s leaves the HEAD of a part at 200.
        if response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if response.extensions().get::<NoContent>().is_some() {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response
    }

    fn admit<B>(&self, known: Option<Credential>, request: Request<B>, verdict: Verdict) -> Result<(Caller, Request<s3s::Body>), S3Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let (mut parts, body) = request.into_parts();
        let framing = Framing::read(&parts.headers)?;
        let (who, signer) = match known {
            Some(who) if !(matches!(who, Credential::Local { .. }) && self.names_known_key(&parts)) => (who, None),
            Some(_) | None => self.identify(&parts)?,
        };
        let caller = self.access.caller(&who).map_err(crate::fault::wire)?;
        self.access.throttle(&caller, &caller.namespace()).map_err(crate::fault::wire)?;
        plain_query(&mut parts)?;
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
            // Not so a framed one, whose end has a signature and trailers to be judged.
            Framing::Plain | Framing::Hashed(_) if promises.length == Some(0) && promises.is_trivial() => s3s::Body::empty(),
            Framing::Plain | Framing::Hashed(_) => held(body, promises, trailers, verdict.clone()),
        };
        parts.extensions.insert(verdict);
        Ok((caller, Request::from_parts(parts, body)))
    }

    /// Who signs with a key of this server has to sign well, wherever he is.
    fn names_known_key(&self, parts: &Parts) -> bool {
        let key = match Claim::read(parts.into()) {
            Ok(claim) => claim.map(|claim| claim.key_id).or_else(|| sigv2::key_of(parts)),
            Err(_) => None,
        };
        key.is_some_and(|key| self.access.secret_of(&key).is_some())
    }

    fn identify(&self, parts: &Parts) -> Result<(Credential, Option<Signer>), S3Error> {
        if let Some(key_id) = sigv2::verify(parts, &self.access, self.clock.now())? {
            return Ok((Credential::AccessKey(key_id), None));
        }
        let claim = Claim::read(parts.into())
            .map_err(refused)?
            .ok_or_else(|| s3_error!(AccessDenied, "The request is not signed, and this door needs a signature"))?;
        if claim.service != "s3" {
            return Err(s3_error!(AuthorizationHeaderMalformed, "The request is signed for the service {:?}, not for s3", claim.service));
        }
        let hash = match payload::text(&parts.headers, "x-amz-content-sha256")? {
            // A presigned URL can't know the body; a hash beside it is held against the body all the same.
            _ if claim.is_presigned() => "UNSIGNED-PAYLOAD",
            Some(hash) => hash,
            None => return Err(s3_error!(InvalidRequest, "Missing required header for this request: x-amz-content-sha256")),
        };
        let signer = claim.verify(parts.into(), hash, &self.access, self.clock.now()).map_err(refused)?;
        Ok((Credential::AccessKey(claim.key_id), Some(signer)))
    }
}

fn held<B>(body: B, promises: Promises, trailers: Trailers, verdict: Verdict) -> s3s::Body
where
    B: Stream<Item = Result<Bytes, S3Error>> + Send + 'static,
{
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
    Ok(())
}

/// The query without a signature, and what a presigned URL carries in the place of headers as
/// headers. Checksums stay where they are: SDKs put the one of an empty body into such URLs.
fn plain_query(parts: &mut Parts) -> Result<(), S3Error> {
    const SIGNATURE: [&str; 10] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "AWSAccessKeyId",
        "Signature",
        "Expires",
    ];
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let mut left = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let checksum = name.starts_with("x-amz-checksum-") || name.starts_with("x-amz-sdk-");
        if (name.starts_with("x-amz-") && !checksum) || name == "content-type" || name == "content-md5" {
            let value = percent_decode_str(value).decode_utf8().ok().and_then(|text| HeaderValue::from_str(&text).ok());
            let header = HeaderName::try_from(name).ok().zip(value);
            let (name, value) = header.ok_or_else(|| s3_error!(InvalidArgument, "The query parameter {name:?} is no header"))?;
            parts.headers.entry(name).or_insert(value);
        } else if !SIGNATURE.contains(&name) {
            left.push(pair);
        }
    }
    // HTTP/2 names the host in the address, which is written anew here.
    if let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
        parts.headers.entry(HOST).or_insert(host);
    }
    let path = parts.uri.path();
    let text = if left.is_empty() { path.to_owned() } else { format!("{path}?{}", left.join("&")) };
    parts.uri = text.parse().map_err(|error| s3_error!(error, InvalidURI, "The request's address can't be read"))?;
    Ok(())
}

fn refusal(mut error: S3Error, id: &str) -> Response<s3s::Body> {
    error.set_request_id(id);
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
