//! `If-Match` and its kind: judged here for reads, handed to the store for writes.

use http::HeaderMap;
use mote_core::store::{ObjectInfo, Precondition};
use s3s::dto::TimestampFormat;
use s3s::{S3Error, s3_error};

use crate::meta::{seconds, wire_time};
use crate::payload::text;

const PLAIN: [&str; 4] = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
const COPY_SOURCE: [&str; 4] = [
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-unmodified-since",
];

/// See the module's text.
#[derive(Default)]
pub(crate) struct Conditions {
    matches: Option<Vec<String>>,
    none_match: Option<Vec<String>>,
    modified_since: Option<s3s::dto::Timestamp>,
    unmodified_since: Option<s3s::dto::Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Holds,
    NotModified,
    Failed,
}

impl Conditions {
    pub(crate) fn of_read(headers: &HeaderMap) -> Result<Conditions, S3Error> {
        Conditions::read(headers, PLAIN)
    }

    pub(crate) fn of_copy_source(headers: &HeaderMap) -> Result<Conditions, S3Error> {
        Conditions::read(headers, COPY_SOURCE)
    }

    fn read(headers: &HeaderMap, [matches, none_match, modified, unmodified]: [&str; 4]) -> Result<Conditions, S3Error> {
        // A date that can't be read is as good as none, says HTTP.
        let date =
            |name| Ok::<_, S3Error>(text(headers, name)?.and_then(|v| s3s::dto::Timestamp::parse(TimestampFormat::HttpDate, v).ok()));
        Ok(Conditions {
            matches: etags(headers, matches)?,
            none_match: etags(headers, none_match)?,
            modified_since: date(modified)?,
            unmodified_since: date(unmodified)?,
        })
    }

    /// In S3's order: an ETag condition that is there outweighs the date beside it.
    pub(crate) fn judge(&self, object: &ObjectInfo) -> Judgement {
        let named = |tags: &[String]| tags.iter().any(|tag| tag == "*" || *tag == object.etag);
        let modified = wire_time(seconds(object.modified));
        match (&self.matches, &self.unmodified_since) {
            (Some(tags), _) if !named(tags) => return Judgement::Failed,
            (None, Some(date)) if modified > *date => return Judgement::Failed,
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(tags), _) if named(tags) => Judgement::NotModified,
            (None, Some(date)) if modified <= *date => Judgement::NotModified,
            _ => Judgement::Holds,
        }
    }
}

/// What a PUT, copy, completion or DELETE wants to stand there.
pub(crate) fn of_write(headers: &HeaderMap) -> Result<Precondition, S3Error> {
    let if_none_match = etags(headers, "if-none-match")?;
    if if_none_match.as_ref().is_some_and(|tags| tags.iter().any(|tag| tag != "*")) {
        return Err(s3_error!(NotImplemented, "A write takes If-None-Match with * alone"));
    }
    Ok(Precondition { if_match: etags(headers, "if-match")?, if_none_match, ..Precondition::default() })
}

/// A list of ETags without their quotes; the weak mark is dropped, as S3 has no weak ones.
fn etags(headers: &HeaderMap, name: &str) -> Result<Option<Vec<String>>, S3Error> {
    let tag = |tag: &str| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
    };
    Ok(text(headers, name)?.map(|value| value.split(',').map(tag).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mote_core::clock::Timestamp;

    fn object() -> ObjectInfo {
        let modified = Timestamp(1_767_225_600_500);
        ObjectInfo { bucket: "b".into(), key: "k".into(), size: 1, etag: "abc".into(), modified, meta: Default::default() }
    }

    #[test]
    fn etags_outweigh_dates() {
        const BEFORE: &str = "Wed, 31 Dec 2025 23:59:59 GMT";
        const SAME: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
        let check = |lines: &[(&'static str, &'static str)], expect| {
            let headers: HeaderMap = lines.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            assert_eq!(Conditions::of_read(&headers).unwrap().judge(&object()), expect, "{lines:?}");
        };
        check(&[], Judgement::Holds);
        check(&[("if-match", "\"abc\"")], Judgement::Holds);
        check(&[("if-match", "*")], Judgement::Holds);
        check(&[("if-match", "\"x\", \"abc\"")], Judgement::Holds);
        check(&[("if-match", "\"x\"")], Judgement::Failed);
        check(&[("if-none-match", "W/\"abc\"")], Judgement::NotModified);
        check(&[("if-none-match", "\"x\"")], Judgement::Holds);
        check(&[("if-modified-since", BEFORE)], Judgement::Holds);
        check(&[("if-modified-since", SAME)], Judgement::NotModified);
        check(&[("if-unmodified-since", SAME)], Judgement::Holds);
        check(&[("if-unmodified-since", BEFORE)], Judgement::Failed);
        check(&[("if-match", "\"abc\""), ("if-unmodified-since", BEFORE)], Judgement::Holds);
        check(&[("if-none-match", "\"x\""), ("if-modified-since", SAME)], Judgement::Holds);
        check(&[("if-none-match", "\"abc\""), ("if-modified-since", BEFORE)], Judgement::NotModified);
        check(&[("if-modified-since", "yesterday")], Judgement::Holds);
    }
}
