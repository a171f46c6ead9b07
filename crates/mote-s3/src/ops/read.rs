//! GET and HEAD of an object: conditions first, then the range.

use http::HeaderMap;
use mote_core::Body;
use mote_core::store::{ByteRange, ObjectInfo};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};

use super::{Answer, Store, bucket, tags};
use crate::checksum;
use crate::condition::{Conditions, Judgement};
use crate::fault::wire;
use crate::meta::{Said, etag, owner, seconds, size, wire_time};

/// How often a ranged read starts anew when the object is replaced meanwhile.
const ATTEMPTS: usize = 5;

pub(super) async fn get(store: &Store, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
    let conditions = Conditions::of_read(&req.headers)?;
    let input = req.input;
    let (info, part, body) = open(store, &input.bucket, &input.key, input.range, &conditions).await?;
    let sums = checksums(&info, input.checksum_mode.as_ref(), part);
    let said = Said::of(&info.meta);
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(s3s::Body::http_body_unsync(body).into()),
        cache_control: said.cache_control,
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        content_disposition: said.content_disposition,
        content_encoding: said.content_encoding,
        content_language: said.content_language,
        content_length: Some(length(&info, part)),
        content_range: part.map(|part| content_range(&info, part)),
        content_type: said.content_type,
        e_tag: etag(&info.etag),
        expires: said.expires,
        last_modified: Some(wire_time(seconds(info.modified))),
        metadata: said.user,
        tag_count: tags::count(&info),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn head(store: &Store, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
    let conditions = Conditions::of_read(&req.headers)?;
    let input = req.input;
    let info = store.objects.head(&input.bucket, &input.key).await.map_err(wire)?;
    judge(&conditions, &info)?;
    let part = input.range.map(|range| within(range, &info)).transpose()?;
    let sums = checksums(&info, input.checksum_mode.as_ref(), part);
    let said = Said::of(&info.meta);
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: input.response_cache_control.or(said.cache_control),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        content_disposition: input.response_content_disposition.or(said.content_disposition),
        content_encoding: input.response_content_encoding.or(said.content_encoding),
        content_language: input.response_content_language.or(said.content_language),
        content_length: Some(length(&info, part)),
        content_range: part.map(|part| content_range(&info, part)),
        content_type: input.response_content_type.or(said.content_type),
        e_tag: etag(&info.etag),
        expires: input.response_expires.or(said.expires),
        last_modified: Some(wire_time(seconds(info.modified))),
        metadata: said.user,
        ..Default::default()
    };
    let mut response = S3Response::new(output);
    // The crate has no member for it.
    if let Some(count) = tags::count(&info) {
        response.headers.insert("x-amz-tagging-count", count.into());
    }
    Ok(response)
}

pub(super) async fn acl(store: &Store, req: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
    store.objects.head(&req.input.bucket, &req.input.key).await.map_err(wire)?;
    Ok(S3Response::new(GetObjectAclOutput { grants: Some(bucket::grants()), owner: Some(owner()), ..Default::default() }))
}

async fn open(
    store: &Store,
    bucket: &str,
    key: &str,
    range: Option<Range>,
    conditions: &Conditions,
) -> Result<(ObjectInfo, Option<ByteRange>, Body), S3Error> {
    let Some(range) = range else {
        let (info, body) = store.objects.get(bucket, key, None).await.map_err(wire)?;
        judge(conditions, &info)?;
        return Ok((info, None, body));
    };
    // The size is needed to place the range, and the object may be another by the time it is read.
    for _ in 0..ATTEMPTS {
        let info = store.objects.head(bucket, key).await.map_err(wire)?;
        judge(conditions, &info)?;
        let part = within(range, &info)?;
        match store.objects.get(bucket, key, Some(part)).await {
            Ok((read, body)) if read.etag == info.etag && read.size == info.size => return Ok((read, Some(part), body)),
            Ok(_) => {}
            Err(error) if error.code() == mote_core::Code::RangeInvalid => {}
            Err(error) => return Err(wire(error)),
        }
    }
    Err(s3_error!(OperationAborted, "The object is being replaced over and over. Try again"))
}

fn judge(conditions: &Conditions, info: &ObjectInfo) -> Result<(), S3Error> {
    match conditions.judge(info) {
        Judgement::Holds => Ok(()),
        Judgement::Failed => Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")),
        Judgement::NotModified => {
            let mut error = s3_error!(NotModified);
            let mut headers = HeaderMap::new();
            if let Ok(tag) = format!("\"{}\"", info.etag).parse() {
                headers.insert(http::header::ETAG, tag);
            }
            error.set_headers(headers);
            Err(error)
        }
    }
}

pub(super) fn within(range: Range, info: &ObjectInfo) -> Result<ByteRange, S3Error> {
    let part = range.check(info.size).map_err(S3Error::from).and_then(|range| match range.end.checked_sub(1) {
        Some(last) if range.start <= last => Ok(ByteRange { first: range.start, last }),
        _ => Err(s3_error!(InvalidRange)),
    });
    part.map_err(|mut error| {
        error.set_message(format!("The requested range is not satisfiable: the object has {} bytes", info.size));
        if let Ok(value) = format!("bytes */{}", info.size).parse() {
            let mut headers = HeaderMap::from_iter([(http::header::CONTENT_RANGE, value)]);
            headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
            error.set_headers(headers);
        }
        error
    })
}

fn length(info: &ObjectInfo, part: Option<ByteRange>) -> i64 {
    part.map_or(size(info), |part| crate::meta::wire_size(part.last - part.first + 1))
}

fn content_range(info: &ObjectInfo, part: ByteRange) -> String {
    format!("bytes {}-{}/{}", part.first, part.last, info.size)
}

/// A checksum is of the whole object: beside a part of it a client would find it wrong.
fn checksums(info: &ObjectInfo, mode: Option<&ChecksumMode>, part: Option<ByteRange>) -> Checksum {
    let wanted = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) && part.is_none();
    if wanted { checksum::wire(&info.meta.checksums) } else { Checksum::default() }
}
