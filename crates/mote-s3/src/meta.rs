//! What an uploader says of an object, between S3's fields and [`ObjectMeta`].

use std::time::{Duration, UNIX_EPOCH};

use mote_core::clock::Timestamp;
use mote_core::store::{ObjectInfo, ObjectMeta, Tags};
use s3s::dto::{ETag, Metadata, Owner, TimestampFormat};
use s3s::{S3Error, s3_error};

/// Names and values of the user metadata together, as S3 counts them.
const USER_BYTES_MAX: usize = 2048;
/// What S3 says of an object whose uploader did not say.
pub(crate) const DEFAULT_TYPE: &str = "binary/octet-stream";

/// The fields that a PUT, a copy and a multipart upload have in common.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) expires: Option<s3s::dto::Timestamp>,
    pub(crate) user: Option<Metadata>,
}

/// Takes [`Said`] out of an input; their types differ, their fields do not.
macro_rules! said {
    ($input:expr) => {
        $crate::meta::Said {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            user: $input.metadata.take(),
        }
    };
}
pub(crate) use said;

impl Said {
    pub(crate) fn into_meta(self) -> Result<ObjectMeta, S3Error> {
        let user = self.user.unwrap_or_default();
        let bytes: usize = user.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > USER_BYTES_MAX {
            return Err(s3_error!(MetadataTooLarge, "Your metadata headers take {bytes} bytes; the limit is {USER_BYTES_MAX}"));
        }
        let expires = self.expires.and_then(|time| {
            let mut text = Vec::new();
            time.format(TimestampFormat::HttpDate, &mut text).ok()?;
            String::from_utf8(text).ok()
        });
        let headers = [
            ("cache-control", self.cache_control),
            ("content-disposition", self.content_disposition),
            ("content-encoding", self.content_encoding),
            ("content-language", self.content_language),
            ("expires", expires),
        ];
        Ok(ObjectMeta {
            content_type: self.content_type,
            headers: headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
            user: user.into_iter().collect(),
            tags: Tags::new(),
            checksums: Default::default(),
        })
    }

    pub(crate) fn of(meta: &ObjectMeta) -> Said {
        let header = |name: &str| meta.headers.get(name).cloned();
        Said {
            content_type: Some(meta.content_type.clone().unwrap_or_else(|| DEFAULT_TYPE.to_owned())),
            cache_control: header("cache-control"),
            content_disposition: header("content-disposition"),
            content_encoding: header("content-encoding"),
            content_language: header("content-language"),
            expires: header("expires").and_then(|v| s3s::dto::Timestamp::parse(TimestampFormat::HttpDate, &v).ok()),
            user: Some(meta.user.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        }
    }
}

pub(crate) fn etag(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

pub(crate) fn wire_time(time: Timestamp) -> s3s::dto::Timestamp {
    // Year 9999 is the last that S3's forms of time can say.
    (UNIX_EPOCH + Duration::from_millis(time.0.min(253_402_300_799_000))).into()
}

/// HTTP knows whole seconds alone.
pub(crate) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp(time.0 / 1000 * 1000)
}

pub(crate) fn size(info: &ObjectInfo) -> i64 {
    wire_size(info.size)
}

pub(crate) fn wire_size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// There is one owner of everything.
pub(crate) fn owner() -> Owner {
    Owner { display_name: Some("mote".to_owned()), id: Some("mote".to_owned()) }
}
