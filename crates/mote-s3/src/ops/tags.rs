//! Tags of buckets and objects: kept and given back. Nothing here is judged, or sorted, by them.

use mote_core::store::{ObjectInfo, Tags};
use percent_encoding::percent_decode_str;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, s3_error};

use super::{Answer, NoContent, Store};
use crate::fault::wire;

const BUCKET_TAGS_MAX: usize = 50;
const OBJECT_TAGS_MAX: usize = 10;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

pub(super) async fn put_bucket(store: &Store, req: S3Request<PutBucketTaggingInput>) -> Answer<PutBucketTaggingOutput> {
    let tags = checked(req.input.tagging.tag_set, BUCKET_TAGS_MAX)?;
    store.objects.tag_bucket(&req.input.bucket, tags).await.map_err(wire)?;
    Ok(no_content(PutBucketTaggingOutput::default()))
}

pub(super) async fn get_bucket(store: &Store, req: S3Request<GetBucketTaggingInput>) -> Answer<GetBucketTaggingOutput> {
    let info = store.objects.bucket(&req.input.bucket).await.map_err(wire)?;
    if info.tags.is_empty() {
        return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
    }
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set: set(info.tags) }))
}

pub(super) async fn delete_bucket(store: &Store, req: S3Request<DeleteBucketTaggingInput>) -> Answer<DeleteBucketTaggingOutput> {
    store.objects.tag_bucket(&req.input.bucket, Tags::new()).await.map_err(wire)?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

pub(super) async fn put_object(store: &Store, req: S3Request<PutObjectTaggingInput>) -> Answer<PutObjectTaggingOutput> {
    let tags = checked(req.input.tagging.tag_set, OBJECT_TAGS_MAX)?;
    store.objects.tag(&req.input.bucket, &req.input.key, tags).await.map_err(wire)?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

pub(super) async fn get_object(store: &Store, req: S3Request<GetObjectTaggingInput>) -> Answer<GetObjectTaggingOutput> {
    let info = store.objects.head(&req.input.bucket, &req.input.key).await.map_err(wire)?;
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set: set(info.meta.tags), version_id: None }))
}

pub(super) async fn delete_object(store: &Store, req: S3Request<DeleteObjectTaggingInput>) -> Answer<DeleteObjectTaggingOutput> {
    store.objects.tag(&req.input.bucket, &req.input.key, Tags::new()).await.map_err(wire)?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}

/// As a read of the object tells it; nothing is told of none.
pub(super) fn count(info: &ObjectInfo) -> Option<i32> {
    i32::try_from(info.meta.tags.len()).ok().filter(|count| *count > 0)
}

/// Of `x-amz-tagging: team=birds&year=2026`.
pub(super) fn of_header(header: Option<&str>) -> Result<Tags, S3Error> {
    let malformed = || {
        s3_error!(
            InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
        )
    };
    let plain = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned()).map_err(|_| malformed())
    };
    let mut set = TagSet::new();
    for pair in header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if value.contains('=') {
            return Err(malformed());
        }
        let tag = Tag { key: Some(plain(key)?), value: Some(plain(value)?) };
        if set.iter().any(|earlier| earlier.key == tag.key) {
            return Err(malformed());
        }
        set.push(tag);
    }
    checked(set, OBJECT_TAGS_MAX)
}

fn checked(set: TagSet, max: usize) -> Result<Tags, S3Error> {
    if set.len() > max {
        let mut error = S3Error::with_message(S3ErrorCode::Custom("BadRequest".into()), format!("{} tags; there may be {max}", set.len()));
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return Err(error);
    }
    let mut tags = Tags::new();
    for tag in set {
        let (Some(key), Some(value)) = (tag.key, tag.value) else {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        };
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(s3_error!(InvalidTag, "System tags cannot be added/updated by requester"));
        }
        if key.is_empty() || !is_sound(&key, KEY_CHARS_MAX) {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if !is_sound(&value, VALUE_CHARS_MAX) {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

fn is_sound(text: &str, chars_max: usize) -> bool {
    let sound = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    text.chars().count() <= chars_max && text.chars().all(sound)
}

fn set(tags: Tags) -> TagSet {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

/// The crate answers 200 to what S3 answers 204 to.
fn no_content<T>(output: T) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.extensions.insert(NoContent);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_tags_as_a_query() {
        let check = |header: &str, expect: &[(&str, &str)]| {
            let tags: Vec<_> = of_header(Some(header)).unwrap().into_iter().collect();
            let expect: Vec<_> = expect.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(tags, expect, "{header}");
        };
        check("", &[]);
        check("team=birds&year=2026", &[("team", "birds"), ("year", "2026")]);
        check("a+b=%C3%A9&c", &[("a b", "é"), ("c", "")]);
        for wrong in ["a=1&a=2", "a=1,b=2", "aws:x=1", "%ff=1", "=1", "a,b=1", "a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=11"] {
            assert!(of_header(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(of_header(Some(&format!("{}=1", "k".repeat(129)))).is_err());
    }
}
