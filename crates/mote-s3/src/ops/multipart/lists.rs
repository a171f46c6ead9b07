//! The listings of parts and of uploads under way.

use mote_core::store::UploadInfo;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};

use super::super::list::{Encode, page};
use super::super::{Answer, Store};
use super::{PAGE, wish};
use crate::fault::wire;
use crate::meta::{etag, owner, wire_size, wire_time};

/// Comes after every upload id and behind every key of a prefix.
const LAST: &str = "\u{10ffff}";

pub(in super::super) async fn list_parts(store: &Store, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
    let input = req.input;
    let max = page(input.max_parts, "max-parts")?;
    let after = input.part_number_marker.unwrap_or_default();
    let number = u32::try_from(after).map_err(|_| s3_error!(InvalidArgument, "part-number-marker must not be negative"))?;
    let upload = store.objects.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(wire)?;
    let limit = usize::try_from(max).unwrap_or_default();
    let mut parts = store.objects.parts(&upload, number, limit + 1).await.map_err(wire)?;
    let more = limit > 0 && parts.len() > limit;
    parts.truncate(limit);
    let last = parts.last().and_then(|part| i32::try_from(part.number).ok());
    let describe = |part: mote_core::store::PartInfo| {
        let sums = crate::checksum::wire(&part.checksums);
        Part {
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            e_tag: etag(&part.etag),
            last_modified: Some(wire_time(part.modified)),
            part_number: i32::try_from(part.number).ok(),
            size: Some(wire_size(part.size)),
        }
    };
    let (algorithm, kind) = checksum_of(&upload);
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: algorithm,
        checksum_type: kind,
        initiator: Some(initiator()),
        is_truncated: Some(more),
        key: Some(input.key),
        max_parts: Some(max),
        next_part_number_marker: last.or(Some(after)),
        owner: Some(owner()),
        part_number_marker: Some(after),
        parts: Some(parts.into_iter().map(describe).collect()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(input.upload_id),
        ..Default::default()
    }))
}

pub(in super::super) async fn list_uploads(store: &Store, req: S3Request<ListMultipartUploadsInput>) -> Answer<ListMultipartUploadsOutput> {
    let input = req.input;
    let encode = Encode::read(input.encoding_type.as_ref())?;
    let max = page(input.max_uploads, "max-uploads")?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|d| !d.is_empty());
    store.objects.bucket(&input.bucket).await.map_err(wire)?;

    let id = input.upload_id_marker.clone().filter(|id| !id.is_empty());
    let after = input.key_marker.clone().filter(|key| !key.is_empty()).map(|key| {
        let listed = id.is_none() && common_prefix(&key, &prefix, delimiter.as_deref()) == Some(&key);
        if listed { behind(&key) } else { (key, id.unwrap_or_else(|| LAST.to_owned())) }
    });
    let limit = usize::try_from(max).unwrap_or_default();
    let found = gather(store, &input.bucket, &prefix, delimiter.as_deref(), after, limit).await?;
    let prefixes = found.prefixes.iter().map(|p| CommonPrefix { prefix: Some(encode.text(p)) }).collect();
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(prefixes),
        delimiter: delimiter.map(|d| encode.text(&d)),
        encoding_type: input.encoding_type,
        is_truncated: Some(found.next.is_some()),
        key_marker: input.key_marker.map(|key| encode.text(&key)),
        max_uploads: Some(max),
        next_key_marker: found.next.as_ref().map(|(key, _)| encode.text(key)),
        next_upload_id_marker: found.next.map(|(_, id)| id),
        prefix: Some(encode.text(&prefix)),
        upload_id_marker: input.upload_id_marker,
        uploads: Some(found.uploads.into_iter().map(|upload| describe(upload, encode)).collect()),
        ..Default::default()
    }))
}

#[derive(Default)]
struct Found {
    uploads: Vec<UploadInfo>,
    prefixes: Vec<String>,
    /// Key and id of the last one, if there are more.
    next: Option<(String, String)>,
}

/// Uploads and common prefixes, together at most `limit`.
async fn gather(
    store: &Store,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    mut after: Option<(String, String)>,
    limit: usize,
) -> Result<Found, S3Error> {
    let mut found = Found::default();
    if limit == 0 {
        return Ok(found);
    }
    let mut last = None;
    'pages: loop {
        let from = after.as_ref().map(|(key, id)| (key.as_str(), id.as_str()));
        let page = store.objects.uploads(bucket, prefix, from, PAGE).await.map_err(wire)?;
        let full = page.len() == PAGE;
        for upload in page {
            if found.uploads.len() + found.prefixes.len() == limit {
                found.next = last;
                return Ok(found);
            }
            if let Some(common) = common_prefix(&upload.key, prefix, delimiter).map(str::to_owned) {
                // The rest of the prefix is skipped by asking anew behind it.
                after = Some(behind(&common));
                last = Some((common.clone(), String::new()));
                found.prefixes.push(common);
                continue 'pages;
            }
            after = Some((upload.key.clone(), upload.id.clone()));
            last = after.clone();
            found.uploads.push(upload);
        }
        if !full {
            return Ok(found);
        }
    }
}

fn behind(prefix: &str) -> (String, String) {
    (format!("{prefix}{LAST}"), LAST.to_owned())
}

fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let (rest, delimiter) = (key.strip_prefix(prefix)?, delimiter?);
    let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
    key.get(..end)
}

fn describe(upload: UploadInfo, encode: Encode) -> MultipartUpload {
    let (checksum_algorithm, checksum_type) = checksum_of(&upload);
    MultipartUpload {
        checksum_algorithm,
        checksum_type,
        initiated: Some(wire_time(upload.started)),
        initiator: Some(initiator()),
        key: Some(encode.text(&upload.key)),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(upload.id),
    }
}

fn checksum_of(upload: &UploadInfo) -> (Option<ChecksumAlgorithm>, Option<ChecksumType>) {
    let wish = wish(upload);
    (
        wish.map(|(algorithm, _)| ChecksumAlgorithm::from(algorithm.name().to_uppercase())),
        wish.map(|(_, kind)| ChecksumType::from_static(kind.name())),
    )
}

fn initiator() -> Initiator {
    Initiator { display_name: owner().display_name, id: owner().id }
}
