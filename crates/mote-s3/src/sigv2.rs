//! Signature Version 2, in presigned URLs alone: what boto3 and the AWS CLI still make by default.
//!
//! Such a URL says when it ends, so it is as safe as its secret. The same signature in a header
//! has no end and is refused: no current client makes one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use mote_core::access::Access;
use mote_core::access::sigv4::query_pairs;
use mote_core::clock::Timestamp;
use s3s::{S3Error, s3_error};
use sha1::Sha1;

use crate::fault::refused;
use crate::host::bucket_of;

/// Query parameters that are signed; the rest may be anything, and so must mean nothing.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// The key that signed the URL, if it is one of this kind.
pub(crate) fn verify(parts: &Parts, access: &Access, now: Timestamp) -> Result<Option<String>, S3Error> {
    let query = query_pairs(&parts.uri).map_err(refused)?;
    let field = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let Some(key_id) = field("AWSAccessKeyId") else { return Ok(None) };
    let (Some(expires), Some(signature)) = (field("Expires"), field("Signature")) else {
        return Err(s3_error!(AccessDenied, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"));
    };
    let ends: u64 = expires.parse().map_err(|_| s3_error!(AccessDenied, "Invalid date (should be seconds since epoch): {expires}"))?;
    if now.0 / 1000 >= ends {
        return Err(s3_error!(AccessDenied, "Request has expired"));
    }
    let secret = access.secret_of(key_id);
    let secret = secret.ok_or_else(|| s3_error!(InvalidAccessKeyId, "The access key {key_id:?} is not one of this server's"))?;
    let wrong = || s3_error!(SignatureDoesNotMatch, "The signature that was computed here is not the one of the URL");
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.as_bytes()).map_err(|_| wrong())?;
    mac.update(text(parts, &query, expires)?.as_bytes());
    let signature = STANDARD.decode(signature).map_err(|_| wrong())?;
    mac.verify_slice(&signature).map_err(|_| wrong())?;
    Ok(Some(key_id.to_owned()))
}

/// The key that the URL names, if it names one.
pub(crate) fn key_of(parts: &Parts) -> Option<String> {
    let query = query_pairs(&parts.uri).ok()?;
    query.into_iter().find(|(name, _)| name == "AWSAccessKeyId").map(|(_, key)| key)
}

fn text(parts: &Parts, query: &[(String, String)], expires: &str) -> Result<String, S3Error> {
    // A header that the URL itself carries need not be sent again.
    let value = |name: &str| match crate::payload::text(&parts.headers, name)? {
        Some(value) => Ok(value.to_owned()),
        None => Ok::<_, S3Error>(query.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default()),
    };
    let mut text = format!("{}\n{}\n{}\n{expires}\n", parts.method, value("content-md5")?, value("content-type")?);
    let in_query = query.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    let in_headers = parts.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    let mut names: Vec<&str> = in_query.chain(in_headers).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        text.push_str(&format!("{name}:{}\n", value(name)?));
    }
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    if let Some(bucket) = host.or(parts.uri.authority().map(|a| a.as_str())).and_then(bucket_of) {
        text.push_str(&format!("/{bucket}"));
    }
    text.push_str(parts.uri.path());
    let mut signed: Vec<_> = query.iter().filter(|(name, _)| SUBRESOURCES.contains(&name.as_str())).collect();
    signed.sort_unstable();
    for (place, (name, value)) in signed.into_iter().enumerate() {
        text.push(if place == 0 { '?' } else { '&' });
        text.push_str(name);
        if !value.is_empty() {
            text.push_str(&format!("={value}"));
        }
    }
    Ok(text)
}
