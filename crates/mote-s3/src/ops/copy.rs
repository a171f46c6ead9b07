//! Copies: bytes stream from one object into another, or into a part of one.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use mote_core::Body;
use mote_core::store::{ObjectInfo, ObjectMeta, Precondition};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Answer, Store, multipart, read, tags, write};
use crate::checksum::{self, Algorithm, Tally};
use crate::condition::{self, Conditions, Judgement};
use crate::fault::wire;
use crate::meta::{etag, said, seconds, wire_time};
use crate::payload::BODY_MAX;

pub(super) async fn object(store: &Store, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let conditions = Conditions::of_copy_source(&req.headers)?;
    let wanted = condition::of_write(&req.headers)?;
    let mut input = req.input;
    let replace = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    let retag = input.tagging_directive.as_ref().is_some_and(|d| d.as_str() == TaggingDirective::REPLACE);
    let (bucket, key) = source(&input.copy_source)?;
    if !replace && !retag && (bucket, key) == (input.bucket.as_str(), input.key.as_str()) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata"
        ));
    }
    let algorithm = input.checksum_algorithm.as_ref().and_then(|a| Algorithm::from_name(a.as_str()));
    let (from, body) = open(store, bucket, key, &conditions, None).await?;
    store.objects.bucket(&input.bucket).await.map_err(wire)?;
    let (body, sum) = tallied(body, algorithm);
    let staged = store.objects.stage(body).await.map_err(wire)?;
    let mut meta = if replace { said!(input).into_meta()? } else { from.meta.clone() };
    meta.checksums = kept(&from.meta, sum);
    meta.tags = if retag { tags::of_header(input.tagging.as_deref())? } else { from.meta.tags.clone() };
    let named = wanted.if_match.is_some();
    let wanted = Precondition { is_copy: true, ..wanted };
    let info = match store.objects.put(&input.bucket, &input.key, staged, meta, wanted, None).await {
        Ok(info) => info,
        Err(error) => return Err(write::unmet(store, &input.bucket, &input.key, named, error).await),
    };
    let sums = checksum::wire(&info.meta.checksums);
    let result = CopyObjectResult {
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        e_tag: etag(&info.etag),
        last_modified: Some(wire_time(seconds(info.modified))),
    };
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
}

pub(super) async fn part(store: &Store, req: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
    let conditions = Conditions::of_copy_source(&req.headers)?;
    let input = req.input;
    let number = multipart::number(input.part_number)?;
    let upload = store.objects.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(wire)?;
    let range = input.copy_source_range.as_deref().map(Range::parse).transpose();
    let range = range.map_err(|e| s3_error!(e, InvalidArgument, "x-amz-copy-source-range must look like bytes=0-9"))?;
    let (bucket, key) = source(&input.copy_source)?;
    let (_, body) = open(store, bucket, key, &conditions, range).await?;
    let (body, sum) = tallied(body, multipart::wish(&upload).map(|(algorithm, _)| algorithm));
    let staged = store.objects.stage(body).await.map_err(wire)?;
    let part = store.objects.put_part(&upload, number, staged, sum.map(|sum| sum.take()).unwrap_or_default(), None).await.map_err(wire)?;
    let sums = checksum::wire(&part.checksums);
    let result = CopyPartResult {
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        e_tag: etag(&part.etag),
        last_modified: Some(wire_time(seconds(part.modified))),
    };
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
}

fn source(source: &CopySource) -> Result<(&str, &str), S3Error> {
    match source {
        CopySource::Bucket { version_id: Some(version), .. } if **version != *"null" => {
            Err(s3_error!(NoSuchVersion, "Objects have no versions here"))
        }
        CopySource::Bucket { bucket, key, .. } => Ok((bucket, key)),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
            Err(s3_error!(NotImplemented, "A copy source is a bucket and a key; access points and outposts are not offered"))
        }
    }
}

async fn open(
    store: &Store,
    bucket: &str,
    key: &str,
    conditions: &Conditions,
    range: Option<Range>,
) -> Result<(ObjectInfo, Body), S3Error> {
    let info = store.objects.head(bucket, key).await.map_err(wire)?;
    let part = range.map(|range| read::within(range, &info)).transpose()?;
    let (read, body) = store.objects.get(bucket, key, part).await.map_err(wire)?;
    if conditions.judge(&read) != Judgement::Holds {
        return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions of the copy source did not hold"));
    }
    if part.is_some() && read.etag != info.etag {
        return Err(s3_error!(OperationAborted, "The copy source was replaced meanwhile. Try again"));
    }
    if body.length().is_some_and(|length| length > BODY_MAX) {
        return Err(s3_error!(InvalidRequest, "A copy takes at most {BODY_MAX} bytes; copy a larger object in parts"));
    }
    Ok((read, body))
}

/// A checksum that is known once the body has been read.
pub(super) struct Sum(Arc<Mutex<Option<Tally>>>, Algorithm);

impl Sum {
    pub(super) fn take(self) -> BTreeMap<String, String> {
        let tally = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        tally.map(|tally| BTreeMap::from([(self.1.name().to_owned(), tally.value())])).unwrap_or_default()
    }
}

/// The same body, with its checksum taken on the way.
pub(super) fn tallied(body: Body, algorithm: Option<Algorithm>) -> (Body, Option<Sum>) {
    let Some(algorithm) = algorithm else { return (body, None) };
    let tally = Arc::new(Mutex::new(Some(Tally::new(algorithm))));
    let shared = tally.clone();
    let length = body.length();
    let body = body.map(move |piece| {
        if let (Ok(piece), Some(tally)) = (&piece, shared.lock().unwrap_or_else(PoisonError::into_inner).as_mut()) {
            tally.update(piece);
        }
        piece
    });
    (Body::stream(body, length), Some(Sum(tally, algorithm)))
}

/// The bytes are the same, so a checksum over all of them stays true; one over parts does not,
/// as the copy has none.
fn kept(from: &ObjectMeta, sum: Option<Sum>) -> BTreeMap<String, String> {
    match sum {
        Some(sum) => sum.take(),
        None => from.checksums.iter().filter(|(_, value)| !value.contains('-')).map(|(n, v)| (n.clone(), v.clone())).collect(),
    }
}
