//! PUT and DELETE of objects.

use futures_util::StreamExt;
use futures_util::stream;
use mote_core::error::{Code, Error};
use mote_core::store::Precondition;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};

use super::{Answer, Store, body, tags, verdict};
use crate::condition;
use crate::fault::wire;
use crate::meta::{etag, said};

const DELETE_MAX: usize = 1000;
const DELETE_AT_ONCE: usize = 32;

pub(super) async fn put(store: &Store, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
    let verdict = verdict(&req);
    let condition = condition::of_write(&req.headers)?;
    let mut input = req.input;
    let mut meta = said!(input).into_meta()?;
    meta.tags = tags::of_header(input.tagging.as_deref())?;
    // Before the body is read: gigabytes for a bucket that is not there help nobody.
    store.objects.bucket(&input.bucket).await.map_err(wire)?;
    let staged = store.objects.stage(body(input.body, input.content_length)).await.map_err(wire)?;
    meta.checksums = verdict.checksums();
    let named = condition.if_match.is_some();
    let info = store.objects.put(&input.bucket, &input.key, staged, meta, condition, None).await;
    let info = match info {
        Ok(info) => info,
        Err(error) => return Err(unmet(store, &input.bucket, &input.key, named, error).await),
    };
    let sums = crate::checksum::wire(&info.meta.checksums);
    Ok(S3Response::new(PutObjectOutput {
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        e_tag: etag(&info.etag),
        ..Default::default()
    }))
}

/// `If-Match` where nothing stands is a 404 with S3, and not a 412.
pub(super) async fn unmet(store: &Store, bucket: &str, key: &str, named: bool, error: Error) -> S3Error {
    if named
        && error.code() == Code::PreconditionFailed
        && let Err(absent) = store.objects.head(bucket, key).await
    {
        return wire(absent);
    }
    wire(error)
}

pub(super) async fn delete(store: &Store, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
    let condition = condition::of_write(&req.headers)?;
    let named = condition.if_match.is_some();
    if let Err(error) = store.objects.delete(&req.input.bucket, &req.input.key, condition, None).await {
        // Removing what is not there is a success in S3.
        if error.code() != Code::ObjectNotFound || named {
            return Err(unmet(store, &req.input.bucket, &req.input.key, named, error).await);
        }
    }
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn delete_many(store: &Store, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
    let DeleteObjectsInput { bucket, delete, .. } = req.input;
    if delete.objects.is_empty() || delete.objects.len() > DELETE_MAX {
        return Err(s3_error!(MalformedXML, "A request deletes from 1 to {DELETE_MAX} objects, not {}", delete.objects.len()));
    }
    store.objects.bucket(&bucket).await.map_err(wire)?;
    // Together, so that the store syncs its disk for many at a time.
    let outcomes = delete.objects.into_iter().map(|one| delete_one(store, &bucket, one));
    let outcomes: Vec<_> = stream::iter(outcomes).buffered(DELETE_AT_ONCE).collect().await;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (key, outcome) in outcomes {
        match outcome {
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
            Err(error) => errors.push(s3s::dto::Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(key),
                message: error.message().map(str::to_owned),
                version_id: None,
            }),
        }
    }
    let quiet = delete.quiet.unwrap_or_default();
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet && !deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    }))
}

async fn delete_one(store: &Store, bucket: &str, one: ObjectIdentifier) -> (ObjectKey, Result<(), S3Error>) {
    let condition = Precondition { if_match: one.e_tag.map(|tag| vec![tag.into_value()]), ..Precondition::default() };
    let outcome = match one.version_id.filter(|version| version != "null") {
        Some(_) => Err(s3_error!(NoSuchVersion, "Objects have no versions here")),
        None => match store.objects.delete(bucket, &one.key, condition, None).await {
            Err(error) if error.code() != Code::ObjectNotFound => Err(wire(error)),
            _ => Ok(()),
        },
    };
    (one.key, outcome)
}
