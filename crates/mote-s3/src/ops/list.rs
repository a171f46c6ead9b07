//! Both listings over one: they differ in how they say where to go on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mote_core::store::{ObjectInfo, ObjectList, ObjectListQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};

use super::{Answer, Store};
use crate::fault::wire;
use crate::meta::{etag, owner, size, wire_time};

pub(super) const PAGE_MAX: i32 = 1000;
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'*');

pub(super) async fn v1(store: &Store, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
    let input = req.input;
    let encode = Encode::read(input.encoding_type.as_ref())?;
    let max = page(input.max_keys, "max-keys")?;
    let (prefix, marker) = (input.prefix.unwrap_or_default(), input.marker.unwrap_or_default());
    let delimiter = input.delimiter.filter(|d| !d.is_empty());
    let list = read(store, &input.bucket, &prefix, delimiter.clone(), &marker, max).await?;
    let output = ListObjectsOutput {
        name: Some(input.bucket),
        max_keys: Some(max),
        is_truncated: Some(list.next.is_some()),
        // Without a delimiter, a client goes on after the last key.
        next_marker: list.next.filter(|_| delimiter.is_some()).map(|next| encode.text(&next)),
        contents: Some(list.objects.into_iter().map(|info| object(info, encode, true)).collect()),
        common_prefixes: Some(list.common_prefixes.iter().map(|p| CommonPrefix { prefix: Some(encode.text(p)) }).collect()),
        prefix: Some(encode.text(&prefix)),
        marker: Some(encode.text(&marker)),
        delimiter: delimiter.map(|d| encode.text(&d)),
        encoding_type: input.encoding_type,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn v2(store: &Store, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
    let input = req.input;
    let encode = Encode::read(input.encoding_type.as_ref())?;
    let max = page(input.max_keys, "max-keys")?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|d| !d.is_empty());
    let after = match &input.continuation_token {
        Some(token) => token_text(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let list = read(store, &input.bucket, &prefix, delimiter.clone(), &after, max).await?;
    let count = list.objects.len() + list.common_prefixes.len();
    let with_owner = input.fetch_owner.unwrap_or_default();
    let output = ListObjectsV2Output {
        name: Some(input.bucket),
        max_keys: Some(max),
        key_count: i32::try_from(count).ok(),
        is_truncated: Some(list.next.is_some()),
        next_continuation_token: list.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        continuation_token: input.continuation_token,
        contents: Some(list.objects.into_iter().map(|info| object(info, encode, with_owner)).collect()),
        common_prefixes: Some(list.common_prefixes.iter().map(|p| CommonPrefix { prefix: Some(encode.text(p)) }).collect()),
        prefix: Some(encode.text(&prefix)),
        delimiter: delimiter.map(|d| encode.text(&d)),
        start_after: input.start_after.map(|s| encode.text(&s)),
        encoding_type: input.encoding_type,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

/// Of each object the one version that it has.
pub(super) async fn versions(store: &Store, req: S3Request<ListObjectVersionsInput>) -> Answer<ListObjectVersionsOutput> {
    let input = req.input;
    let encode = Encode::read(input.encoding_type.as_ref())?;
    let max = page(input.max_keys, "max-keys")?;
    let (prefix, marker) = (input.prefix.unwrap_or_default(), input.key_marker.unwrap_or_default());
    if marker.is_empty() && input.version_id_marker.as_ref().is_some_and(|version| !version.is_empty()) {
        return Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker."));
    }
    let delimiter = input.delimiter.filter(|d| !d.is_empty());
    let list = read(store, &input.bucket, &prefix, delimiter.clone(), &marker, max).await?;
    let output = ListObjectVersionsOutput {
        name: Some(input.bucket),
        max_keys: Some(max),
        is_truncated: Some(list.next.is_some()),
        next_version_id_marker: list.next.is_some().then(|| VERSION.to_owned()),
        next_key_marker: list.next.map(|next| encode.text(&next)),
        versions: Some(list.objects.into_iter().map(|info| version(info, encode)).collect()),
        common_prefixes: Some(list.common_prefixes.iter().map(|p| CommonPrefix { prefix: Some(encode.text(p)) }).collect()),
        prefix: Some(encode.text(&prefix)),
        key_marker: Some(encode.text(&marker)),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        delimiter: delimiter.map(|d| encode.text(&d)),
        encoding_type: input.encoding_type,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

/// As S3 names it where versions are off.
const VERSION: &str = "null";

fn version(info: ObjectInfo, encode: Encode) -> ObjectVersion {
    let Object { checksum_algorithm, checksum_type, e_tag, last_modified, owner, size, key, restore_status, .. } =
        object(info, encode, true);
    ObjectVersion {
        checksum_algorithm,
        checksum_type,
        e_tag,
        is_latest: Some(true),
        key,
        last_modified,
        owner,
        restore_status,
        size,
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        version_id: Some(VERSION.to_owned()),
    }
}

/// `encoding-type=url`, for keys that XML can't say.
#[derive(Clone, Copy)]
pub(super) struct Encode(bool);

impl Encode {
    pub(super) fn read(wish: Option<&EncodingType>) -> Result<Encode, S3Error> {
        match wish.map(EncodingType::as_str) {
            None => Ok(Encode(false)),
            Some(EncodingType::URL) => Ok(Encode(true)),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn text(self, text: &str) -> String {
        if self.0 { utf8_percent_encode(text, KEY).to_string() } else { text.to_owned() }
    }
}

/// As many as were asked for, at most 1000, which is also the default.
pub(super) fn page(wish: Option<i32>, name: &str) -> Result<i32, S3Error> {
    match wish {
        Some(n) if n < 0 => Err(s3_error!(InvalidArgument, "{name} must not be negative")),
        Some(n) => Ok(n.min(PAGE_MAX)),
        None => Ok(PAGE_MAX),
    }
}

async fn read(store: &Store, bucket: &str, prefix: &str, delimiter: Option<String>, after: &str, max: i32) -> Result<ObjectList, S3Error> {
    let limit = usize::try_from(max).unwrap_or_default();
    if limit == 0 {
        store.objects.bucket(bucket).await.map_err(wire)?;
        return Ok(ObjectList::default());
    }
    let after = Some(after.to_owned()).filter(|after| !after.is_empty());
    store.objects.list(bucket, ObjectListQuery { prefix: prefix.to_owned(), delimiter, after, limit }).await.map_err(wire)
}

fn object(info: ObjectInfo, encode: Encode, with_owner: bool) -> Object {
    let sums = crate::checksum::wire(&info.meta.checksums);
    let algorithm = info.meta.checksums.keys().next().map(|name| vec![ChecksumAlgorithm::from(name.to_uppercase())]);
    Object {
        checksum_algorithm: algorithm,
        checksum_type: sums.checksum_type,
        e_tag: etag(&info.etag),
        last_modified: Some(wire_time(info.modified)),
        owner: with_owner.then(owner),
        size: Some(size(&info)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        key: Some(encode.text(&info.key)),
        restore_status: None,
    }
}

fn token_text(token: &str) -> Result<String, S3Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty());
    text.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_encoding() {
        let check = |key, expect: &str| assert_eq!(Encode(true).text(key), expect);
        check("a/b c+d", "a/b%20c%2Bd");
        check("\u{1}ä", "%01%C3%A4");
        assert_eq!(Encode(false).text("a b"), "a b");
    }

    #[test]
    fn a_token_is_ours_or_refused() {
        assert_eq!(token_text(&URL_SAFE_NO_PAD.encode("a/ä")).unwrap(), "a/ä");
        assert!(token_text("!").is_err());
        assert!(token_text("").is_err());
    }
}
