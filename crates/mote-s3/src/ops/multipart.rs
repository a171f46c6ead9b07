//! Multipart uploads: begin, send parts, complete or abort. Their listings: `lists.rs`.
//!
//! Which checksum the object shall have stands in the upload's metadata until there is one:
//! the algorithm's name with the kind (`COMPOSITE`, `FULL_OBJECT`) in place of a value.

mod lists;

use std::collections::BTreeMap;

use mote_core::store::{PartInfo, UploadInfo};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};

use super::{Answer, Store, body, copy, tags, verdict, write};
use crate::checksum::{self, Algorithm, Kind};
use crate::condition;
use crate::fault::wire;
use crate::meta::{etag, said};

pub(super) use lists::{list_parts, list_uploads};

const PARTS_MAX: u32 = 10_000;
/// Of every part but the last.
const PART_MIN: u64 = 5 << 20;
const PAGE: usize = 1000;

pub(super) async fn create(store: &Store, req: S3Request<CreateMultipartUploadInput>) -> Answer<CreateMultipartUploadOutput> {
    let mut input = req.input;
    let mut meta = said!(input).into_meta()?;
    meta.tags = tags::of_header(input.tagging.as_deref())?;
    let wish = wished(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
    if let Some((algorithm, kind)) = wish {
        meta.checksums = BTreeMap::from([(algorithm.name().to_owned(), kind.name().to_owned())]);
    }
    let upload = store.objects.create_upload(&input.bucket, &input.key, meta).await.map_err(wire)?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: wish.map(|(algorithm, _)| ChecksumAlgorithm::from(algorithm.name().to_uppercase())),
        checksum_type: wish.map(|(_, kind)| ChecksumType::from_static(kind.name())),
        key: Some(input.key),
        upload_id: Some(upload.id),
        ..Default::default()
    }))
}

pub(super) async fn put_part(store: &Store, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
    let verdict = verdict(&req);
    let input = req.input;
    let number = number(input.part_number)?;
    let upload = store.objects.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(wire)?;
    let wish = wish(&upload).map(|(algorithm, _)| algorithm);
    let (body, sum) = copy::tallied(body(input.body, input.content_length), wish);
    let staged = store.objects.stage(body).await.map_err(wire)?;
    let mut sums = verdict.checksums();
    if let Some(algorithm) = wish
        && sums.keys().any(|name| name != algorithm.name())
    {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            algorithm.name(),
            sums.keys().next().map_or("null", String::as_str)
        ));
    }
    // A part that came without the upload's checksum gets the one that was taken on the way.
    sums.extend(sum.map(|sum| sum.take()).unwrap_or_default());
    let part = store.objects.put_part(&upload, number, staged, sums, None).await.map_err(wire)?;
    let sums = checksum::wire(&part.checksums);
    Ok(S3Response::new(UploadPartOutput {
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        e_tag: etag(&part.etag),
        ..Default::default()
    }))
}

pub(super) async fn complete(store: &Store, req: S3Request<CompleteMultipartUploadInput>) -> Answer<CompleteMultipartUploadOutput> {
    let condition = condition::of_write(&req.headers)?;
    let input = req.input;
    let upload = store.objects.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(wire)?;
    let named = input.multipart_upload.as_ref().and_then(|list| list.parts.as_deref()).unwrap_or_default();
    let parts = chosen(named, &all_parts(store, &upload).await?)?;
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|wanted| u64::try_from(wanted) != Ok(size)) {
        return Err(s3_error!(InvalidRequest, "The provided 'x-amz-mp-object-size' header does not match what was computed: {size}"));
    }
    let mut meta = upload.meta.clone();
    meta.checksums = match wish(&upload) {
        Some((algorithm, kind)) => joined(algorithm, kind, &parts, &input)?,
        None => BTreeMap::new(),
    };
    let list = parts.iter().map(|part| (part.number, part.etag.clone())).collect();
    let matched = condition.if_match.is_some();
    let info = match store.objects.complete_upload(&upload, list, meta, condition, None).await {
        Ok(info) => info,
        Err(error) => return Err(write::unmet(store, &input.bucket, &input.key, matched, error).await),
    };
    let sums = checksum::wire(&info.meta.checksums);
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
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

pub(super) async fn abort(store: &Store, req: S3Request<AbortMultipartUploadInput>) -> Answer<AbortMultipartUploadOutput> {
    let input = req.input;
    let upload = store.objects.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(wire)?;
    store.objects.abort_upload(&upload).await.map_err(wire)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) fn number(wish: i32) -> Result<u32, S3Error> {
    let number = u32::try_from(wish).ok().filter(|n| (1..=PARTS_MAX).contains(n));
    number.ok_or_else(|| s3_error!(InvalidArgument, "Part number must be an integer between 1 and {PARTS_MAX}, inclusive"))
}

/// Which checksum the upload's object shall have.
pub(super) fn wish(upload: &UploadInfo) -> Option<(Algorithm, Kind)> {
    let (name, kind) = upload.meta.checksums.first_key_value()?;
    Some((Algorithm::from_name(name)?, Kind::from_name(kind)?))
}

fn wished(algorithm: Option<&ChecksumAlgorithm>, kind: Option<&ChecksumType>) -> Result<Option<(Algorithm, Kind)>, S3Error> {
    let Some(algorithm) = algorithm else {
        return match kind {
            Some(_) => {
                Err(s3_error!(InvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."))
            }
            None => Ok(None),
        };
    };
    let named = Algorithm::from_name(algorithm.as_str());
    let algorithm = named.ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported: {}", algorithm.as_str()))?;
    let kind = match kind {
        None => algorithm.default_kind(),
        Some(kind) => Kind::from_name(kind.as_str())
            .filter(|kind| algorithm.allows(*kind))
            .ok_or_else(|| s3_error!(InvalidRequest, "The {} checksum type cannot be used with {}", kind.as_str(), algorithm.name()))?,
    };
    Ok(Some((algorithm, kind)))
}

async fn all_parts(store: &Store, upload: &UploadInfo) -> Result<Vec<PartInfo>, S3Error> {
    let mut all: Vec<PartInfo> = Vec::new();
    loop {
        let after = all.last().map_or(0, |part| part.number);
        let page = store.objects.parts(upload, after, PAGE).await.map_err(wire)?;
        let done = page.len() < PAGE;
        all.extend(page);
        if done {
            return Ok(all);
        }
    }
}

/// The parts that the client names, in its order, each as it was sent; `sent` is in number order.
fn chosen(named: &[CompletedPart], sent: &[PartInfo]) -> Result<Vec<PartInfo>, S3Error> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "An upload is completed with at least one part"));
    }
    let mut parts: Vec<PartInfo> = Vec::with_capacity(named.len());
    for one in named {
        let malformed = || s3_error!(MalformedXML, "Each part needs its PartNumber and ETag");
        let number = one.part_number.and_then(|n| u32::try_from(n).ok()).ok_or_else(malformed)?;
        let tag = one.e_tag.as_ref().ok_or_else(malformed)?;
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order of their numbers"));
        }
        let place = sent.binary_search_by_key(&number, |part| part.number).ok();
        let found = place.and_then(|place| sent.get(place)).filter(|part| part.etag == tag.value() && agrees(one, part));
        let invalid = || s3_error!(InvalidPart, "The part {number} was not sent, or it has another ETag or checksum now");
        parts.push(found.ok_or_else(invalid)?.clone());
    }
    let small = parts.split_last().and_then(|(_, earlier)| earlier.iter().find(|part| part.size < PART_MIN));
    match small {
        Some(part) => Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size: part {} has {} bytes, and only the last may have less than {PART_MIN}",
            part.number,
            part.size
        )),
        None => Ok(parts),
    }
}

fn agrees(named: &CompletedPart, sent: &PartInfo) -> bool {
    let values = [
        (Algorithm::Crc32, &named.checksum_crc32),
        (Algorithm::Crc32c, &named.checksum_crc32c),
        (Algorithm::Crc64Nvme, &named.checksum_crc64nvme),
        (Algorithm::Sha1, &named.checksum_sha1),
        (Algorithm::Sha256, &named.checksum_sha256),
    ];
    values.iter().all(|(algorithm, value)| value.is_none() || sent.checksums.get(algorithm.name()) == value.as_ref())
}

/// The object's checksum out of its parts', held against the one that the client may send.
fn joined(
    algorithm: Algorithm,
    kind: Kind,
    parts: &[PartInfo],
    input: &CompleteMultipartUploadInput,
) -> Result<BTreeMap<String, String>, S3Error> {
    let values = parts.iter().map(|part| Some((part.checksums.get(algorithm.name())?.as_str(), part.size))).collect::<Option<Vec<_>>>();
    let value = values.and_then(|values| checksum::joined(algorithm, kind, &values));
    let value = value.ok_or_else(|| s3_error!(InvalidPart, "A part has no {} checksum", algorithm.name()))?;
    let promised = match algorithm {
        Algorithm::Crc32 => &input.checksum_crc32,
        Algorithm::Crc32c => &input.checksum_crc32c,
        Algorithm::Crc64Nvme => &input.checksum_crc64nvme,
        Algorithm::Sha1 => &input.checksum_sha1,
        Algorithm::Sha256 => &input.checksum_sha256,
    };
    match promised {
        // A composite value may come without the number of parts behind it.
        Some(promised) if *promised != value && value.split('-').next() != Some(promised) => {
            Err(s3_error!(BadDigest, "The {} you specified did not match the calculated checksum.", algorithm.name().to_uppercase()))
        }
        _ => Ok(BTreeMap::from([(algorithm.name().to_owned(), value)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mote_core::clock::Timestamp;
    use s3s::S3ErrorCode;

    fn sent(number: u32, size: u64) -> PartInfo {
        PartInfo { number, size, etag: format!("e{number}"), modified: Timestamp(0), checksums: BTreeMap::new() }
    }

    fn named(number: i32, tag: &str) -> CompletedPart {
        CompletedPart { part_number: Some(number), e_tag: etag(tag), ..Default::default() }
    }

    #[test]
    fn a_completion_names_parts_that_were_sent_in_order_and_large_enough() {
        let parts = [sent(1, PART_MIN), sent(2, PART_MIN - 1), sent(3, 1)];
        let check = |list: &[CompletedPart], expect: Option<S3ErrorCode>| {
            assert_eq!(chosen(list, &parts).err().map(|e| e.code().clone()), expect);
        };
        check(&[named(1, "e1"), named(2, "e2")], None);
        check(&[named(2, "e2")], None);
        check(&[named(1, "e1"), named(2, "e2"), named(3, "e3")], Some(S3ErrorCode::EntityTooSmall));
        check(&[named(2, "e2"), named(1, "e1")], Some(S3ErrorCode::InvalidPartOrder));
        check(&[named(1, "e1"), named(1, "e1")], Some(S3ErrorCode::InvalidPartOrder));
        check(&[named(1, "e2")], Some(S3ErrorCode::InvalidPart));
        check(&[named(4, "e4")], Some(S3ErrorCode::InvalidPart));
        check(&[], Some(S3ErrorCode::MalformedXML));
        check(&[CompletedPart::default()], Some(S3ErrorCode::MalformedXML));
    }
}
