//! What is refused rather than silently left out: a client that asks for encryption or a lock
//! must not believe that it got one.

use http::request::Parts;
use s3s::{S3Error, s3_error};

use crate::payload::text;

/// Headers that change what is stored, for features that are not here.
const NOT_OFFERED: &[&str] = &[
    "x-amz-bucket-object-lock-enabled",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-mfa",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];

pub(crate) fn check(parts: &Parts) -> Result<(), S3Error> {
    let headers = &parts.headers;
    if let Some(name) = NOT_OFFERED.iter().find(|name| headers.contains_key(**name)) {
        return Err(s3_error!(NotImplemented, "The header {name} asks for something that is not offered here"));
    }
    if let Some(acl) = text(headers, "x-amz-acl")?.filter(|acl| !["private", "bucket-owner-full-control"].contains(acl)) {
        return Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs; {acl:?} would have no effect"));
    }
    if let Some(class) = text(headers, "x-amz-storage-class")?.filter(|class| *class != "STANDARD") {
        return Err(s3_error!(InvalidStorageClass, "The storage class {class:?} is not offered; there is only STANDARD"));
    }
    if text(headers, "content-type")?.is_some_and(|t| t.starts_with("multipart/form-data")) && parts.method == http::Method::POST {
        return Err(s3_error!(NotImplemented, "Uploads by an HTML form are not offered; use a presigned PUT"));
    }
    let query = parts.uri.query().unwrap_or_default();
    if query.split('&').any(|pair| pair.strip_prefix("versionId=").is_some_and(|version| version != "null")) {
        return Err(s3_error!(NoSuchVersion, "Objects have no versions here; the only one is \"null\""));
    }
    if query.split('&').any(|pair| pair.starts_with("partNumber=")) && !query.contains("uploadId=") {
        return Err(s3_error!(NotImplemented, "Reading an object by part number is not offered; use a range"));
    }
    Ok(())
}
