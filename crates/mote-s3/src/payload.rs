//! What a request promises about its body, held against the body while it streams by.
//!
//! Length, payload hash, `Content-MD5` and a checksum in a header or trailer. What does not hold
//! fails the stream, so that nothing is stored; the reason waits in the [`Verdict`], since the
//! error has to cross code that knows only that the body broke.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use http::HeaderMap;
use mote_core::access::sigv4::hex;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Error, s3_error};
use sha2::{Digest, Sha256};

use crate::checksum::{Algorithm, Tally};
use crate::chunked::Trailers;

/// The largest body of one request: what S3 allows a part.
pub(crate) const BODY_MAX: u64 = 5 << 30;

/// How the body is framed and hashed, by `x-amz-content-sha256`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Plain,
    /// Plain, with this SHA-256.
    Hashed(String),
    Chunked {
        signed: bool,
    },
}

impl Framing {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Framing, S3Error> {
        match text(headers, "x-amz-content-sha256")? {
            None | Some("UNSIGNED-PAYLOAD") => Ok(Framing::Plain),
            Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Ok(Framing::Chunked { signed: false }),
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => {
                Ok(Framing::Chunked { signed: true })
            }
            Some(hash) if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Framing::Hashed(hash.to_ascii_lowercase())),
            Some(value) if value.starts_with("STREAMING-") => {
                Err(s3_error!(NotImplemented, "x-amz-content-sha256: {value} is not offered"))
            }
            Some(_) => Err(s3_error!(InvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- form or a SHA-256")),
        }
    }
}

/// See the module's text.
pub(crate) struct Promises {
    /// Of the body itself, without framing.
    pub(crate) length: Option<u64>,
    sha256: Option<String>,
    md5: Option<[u8; 16]>,
    checksum: Option<(Algorithm, Option<String>)>,
}

impl Promises {
    /// `of_body` is false where `x-amz-checksum-…` speaks of something else than this body.
    pub(crate) fn read(headers: &HeaderMap, framing: &Framing, of_body: bool) -> Result<Promises, S3Error> {
        let (name, sha256) = match framing {
            Framing::Chunked { .. } => ("x-amz-decoded-content-length", None),
            Framing::Hashed(hash) => ("content-length", Some(hash.clone())),
            Framing::Plain => ("content-length", None),
        };
        let length = text(headers, name)?.map(|v| v.parse().map_err(|_| s3_error!(InvalidArgument, "{name} is not a number")));
        let length = length.transpose()?;
        if matches!(framing, Framing::Chunked { .. }) && length.is_none() {
            return Err(s3_error!(MissingContentLength, "A chunked body needs the header {name}"));
        }
        if length.is_some_and(|length| length > BODY_MAX) {
            return Err(too_large());
        }
        let md5 = text(headers, "content-md5")?.map(|v| STANDARD.decode(v).ok().and_then(|bytes| bytes.try_into().ok()));
        let md5 = match md5 {
            Some(None) => return Err(s3_error!(InvalidDigest, "Content-MD5 is not the base64 of 16 bytes")),
            Some(md5) => md5,
            None => None,
        };
        Ok(Promises { length, sha256, md5, checksum: if of_body { checksum(headers)? } else { None } })
    }

    /// Nothing is promised but the length.
    pub(crate) fn is_trivial(&self) -> bool {
        self.sha256.is_none() && self.md5.is_none() && self.checksum.is_none()
    }
}

fn checksum(headers: &HeaderMap) -> Result<Option<(Algorithm, Option<String>)>, S3Error> {
    let mut found = Vec::new();
    for algorithm in Algorithm::ALL {
        if let Some(value) = text(headers, &algorithm.header())? {
            if !algorithm.accepts(value) {
                return Err(s3_error!(InvalidRequest, "Value for {} header is invalid.", algorithm.header()));
            }
            found.push((algorithm, Some(value.to_owned())));
        }
        if text(headers, "x-amz-trailer")?.is_some_and(|names| names.split(',').any(|n| n.trim().eq_ignore_ascii_case(&algorithm.header())))
        {
            found.push((algorithm, None));
        }
    }
    if found.len() > 1 {
        return Err(s3_error!(InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed."));
    }
    Ok(found.pop())
}

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, S3Error> {
    let value = headers.get(name).map(|value| value.to_str().map(str::trim));
    value.transpose().map_err(|_| s3_error!(InvalidArgument, "The header {name} is not plain text"))
}

/// What came out, once the body has ended.
#[derive(Clone, Default)]
pub(crate) struct Verdict(Arc<Mutex<Outcome>>);

#[derive(Default)]
struct Outcome {
    broken: Option<S3Error>,
    checksums: BTreeMap<String, String>,
}

impl Verdict {
    /// Why the body broke, if it did.
    pub(crate) fn take_broken(&self) -> Option<S3Error> {
        self.outcome().broken.take()
    }

    /// Checksums that the client sent and that hold.
    pub(crate) fn checksums(&self) -> BTreeMap<String, String> {
        self.outcome().checksums.clone()
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body failed; the [`Verdict`] knows why.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body is not what the request promised")
    }
}

impl std::error::Error for Broken {}

/// The same bytes, which end in an error if they break a promise.
pub(crate) fn hold<B>(body: B, promises: Promises, trailers: Trailers, verdict: Verdict) -> impl Stream<Item = Result<Bytes, Broken>> + Send
where
    B: Stream<Item = Result<Bytes, S3Error>> + Send + 'static,
{
    async_stream::stream! {
        let mut body = std::pin::pin!(body);
        let mut seen = Seen::new(&promises);
        while let Some(piece) = body.next().await {
            match piece.and_then(|piece| seen.update(&piece, &promises).map(|()| piece)) {
                Ok(piece) => yield Ok(piece),
                Err(error) => {
                    verdict.outcome().broken = Some(error);
                    yield Err(Broken);
                    return;
                }
            }
        }
        match seen.judge(promises, &trailers) {
            Ok(checksums) => verdict.outcome().checksums = checksums,
            Err(error) => {
                verdict.outcome().broken = Some(error);
                yield Err(Broken);
            }
        }
    }
}

struct Seen {
    length: u64,
    sha256: Option<Sha256>,
    md5: Option<Md5>,
    checksum: Option<Tally>,
}

impl Seen {
    fn new(promises: &Promises) -> Seen {
        Seen {
            length: 0,
            sha256: promises.sha256.as_ref().map(|_| Sha256::new()),
            md5: promises.md5.map(|_| Md5::new()),
            checksum: promises.checksum.as_ref().map(|(algorithm, _)| Tally::new(*algorithm)),
        }
    }

    fn update(&mut self, piece: &[u8], promises: &Promises) -> Result<(), S3Error> {
        self.length += piece.len() as u64;
        if promises.length.is_some_and(|length| self.length > length) {
            return Err(s3_error!(IncompleteBody, "The body is longer than its length header says"));
        }
        if self.length > BODY_MAX {
            return Err(too_large());
        }
        if let Some(hash) = &mut self.sha256 {
            hash.update(piece);
        }
        if let Some(hash) = &mut self.md5 {
            hash.update(piece);
        }
        if let Some(tally) = &mut self.checksum {
            tally.update(piece);
        }
        Ok(())
    }

    fn judge(self, promises: Promises, trailers: &Trailers) -> Result<BTreeMap<String, String>, S3Error> {
        if promises.length.is_some_and(|length| self.length != length) {
            return Err(s3_error!(IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header"));
        }
        if self.sha256.map(|hash| hex(&hash.finalize())) != promises.sha256 {
            return Err(S3Error::with_message(
                s3s::S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
                "The provided x-amz-content-sha256 header does not match what was computed.",
            )
            .status(http::StatusCode::BAD_REQUEST));
        }
        if self.md5.map(Md5::finalize) != promises.md5 {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        let (Some(tally), Some((algorithm, promised))) = (self.checksum, promises.checksum) else { return Ok(BTreeMap::new()) };
        let name = algorithm.header();
        let promised = promised.or_else(|| trailers.get(&name));
        let promised = promised.ok_or_else(|| s3_error!(IncompleteBody, "The trailer {name} that was announced did not come"))?;
        let value = tally.value();
        if value != promised {
            return Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                algorithm.name().to_uppercase()
            ));
        }
        Ok(BTreeMap::from([(algorithm.name().to_owned(), value)]))
    }
}

trait WithStatus {
    fn status(self, status: http::StatusCode) -> Self;
}

impl WithStatus for S3Error {
    fn status(mut self, status: http::StatusCode) -> Self {
        self.set_status_code(status);
        self
    }
}

fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size of {BODY_MAX} bytes.")
}
