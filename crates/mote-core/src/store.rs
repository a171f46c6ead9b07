//! The seams of the store: records with compare-and-swap, a leased queue, objects, logs, records of calls.
//!
//! Small on purpose: an embedded file and a cluster can both keep these promises, and one
//! contract suite (in `mote-store`) holds every implementation to them. What returns `Ok` is on
//! disk, except in [`Logs`] and [`Records`].

mod queue;
mod records;
pub mod within;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::action::LogStream;
use crate::body::Body;
use crate::clock::{Id, Timestamp};
use crate::error::Result;

pub use self::queue::{
    Burst, DeadLetter, DeadQuery, End, Failed, Item, Kept, Lane, Lease, LeaseToken, Once, Priority, Queue, Room, Settlement, Tally,
    Whereabouts,
};
pub use self::records::{CallEnd, CallRecord, Phases, RecordPage, RecordQuery, Records};

// ---- records ----

/// Grows with every change of a record; 0 means that there is none.
pub type Revision = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: String,
    pub revision: Revision,
    pub value: Bytes,
}

/// One change of a batch; `expect` is the revision that must stand there (0: none).
#[derive(Clone, Debug)]
pub enum Write {
    Put {
        key: String,
        expect: Revision,
        value: Bytes,
    },
    Delete {
        key: String,
        expect: Revision,
    },
    /// Makes a bucket, by its name in the store, if it is not there: nothing is expected.
    Bucket {
        name: String,
    },
}

/// Versioned records by key, compared by bytes.
pub trait Catalog: Send + Sync {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>>;
    /// Records whose key begins with `prefix` and comes after `after`, in key order.
    fn scan<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Record>>>;
    /// All of the batch, or none with [`crate::Code::Conflict`] if one expectation fails.
    fn commit(&self, batch: Vec<Write>) -> BoxFuture<'_, Result<()>>;
}

// ---- objects ----

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketInfo {
    pub name: String,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Words under which its owner files a bucket or an object; nothing here goes by them.
pub type Tags = BTreeMap<String, String>;

/// What the uploader says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectMeta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`, `Content-Disposition` and their kind, given back as they came; lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Checksums that were verified on the way in, by algorithm (`crc32`, `sha256`), in base64.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    pub bucket: String,
    pub key: String,
    pub size: u64,
    /// Without quotes: MD5 in hexadecimal, `-N` behind it after a multipart upload of N parts.
    pub etag: String,
    pub modified: Timestamp,
    #[serde(flatten)]
    pub meta: ObjectMeta,
}

/// Bytes on disk that belong to no object yet; dropped unclaimed, they are removed.
pub trait Staged: Send + Sync {
    fn size(&self) -> u64;
    fn md5(&self) -> [u8; 16];
    /// The store's own handle.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// What must hold when the write commits, judged in the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// One of these ETags (`*`: any) must stand there.
    pub if_match: Option<Vec<String>>,
    /// None of these ETags (`*`: any) may stand there.
    pub if_none_match: Option<Vec<String>>,
    pub room: Option<ByteRoom>,
    /// What may wait once the effects are queued; judged if there are any.
    pub queued: Vec<Room>,
    /// Judged by nobody: the bytes are another object's, and that is how the change is told.
    pub is_copy: bool,
}

/// How much may lie in the buckets whose names begin with `prefix` (empty: in those without a `/`),
/// parts of uploads included. A change that makes them smaller is never too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteRoom {
    pub prefix: String,
    pub bytes_max: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectListQuery {
    pub prefix: String,
    pub delimiter: Option<String>,
    /// Only keys (and common prefixes) after this.
    pub after: Option<String>,
    pub limit: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectList {
    pub objects: Vec<ObjectInfo>,
    pub common_prefixes: Vec<String>,
    /// Give this as `after` for the next page.
    pub next: Option<String>,
}

/// First and last byte, both within the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub started: Timestamp,
    pub meta: ObjectMeta,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    pub number: u32,
    pub size: u64,
    pub etag: String,
    pub modified: Timestamp,
    pub checksums: BTreeMap<String, String>,
}

/// What a write tells the queue, in the same transaction as the object itself: made from the
/// object as it was committed (or, by a removal, as it was before).
pub type Effects = Option<Box<dyn FnOnce(&ObjectInfo) -> Vec<Item> + Send>>;

/// Buckets and objects. Bytes go to and from disk as streams, never whole in memory.
pub trait Objects: Send + Sync {
    fn create_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
    fn delete_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<BucketInfo>>;
    fn buckets(&self) -> BoxFuture<'_, Result<Vec<BucketInfo>>>;
    /// In place of those that it has.
    fn tag_bucket<'a>(&'a self, name: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>>;

    /// Streams a body to disk; nothing can be seen of it before [`Objects::put`].
    fn stage(&self, body: Body) -> BoxFuture<'_, Result<Box<dyn Staged>>>;
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        staged: Box<dyn Staged>,
        meta: ObjectMeta,
        condition: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>>;
    /// The metadata as it stands, and the body from a file that stays readable till the end.
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str, range: Option<ByteRange>) -> BoxFuture<'a, Result<(ObjectInfo, Body)>>;
    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectInfo>>;
    /// Whether there was such an object; without one, `effects` do not happen.
    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str, condition: Precondition, effects: Effects) -> BoxFuture<'a, Result<bool>>;
    /// In place of those that it has; neither its bytes nor the time of its last change are others then.
    fn tag<'a>(&'a self, bucket: &'a str, key: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>>;
    fn list<'a>(&'a self, bucket: &'a str, query: ObjectListQuery) -> BoxFuture<'a, Result<ObjectList>>;

    fn create_upload<'a>(&'a self, bucket: &'a str, key: &'a str, meta: ObjectMeta) -> BoxFuture<'a, Result<UploadInfo>>;
    fn upload<'a>(&'a self, bucket: &'a str, key: &'a str, id: &'a str) -> BoxFuture<'a, Result<UploadInfo>>;
    fn put_part<'a>(
        &'a self,
        upload: &'a UploadInfo,
        number: u32,
        staged: Box<dyn Staged>,
        checksums: BTreeMap<String, String>,
        room: Option<ByteRoom>,
    ) -> BoxFuture<'a, Result<PartInfo>>;
    /// In number order, after a number.
    fn parts<'a>(&'a self, upload: &'a UploadInfo, after: u32, limit: usize) -> BoxFuture<'a, Result<Vec<PartInfo>>>;
    /// Joins the named parts (number and ETag, ascending) into the object.
    fn complete_upload<'a>(
        &'a self,
        upload: &'a UploadInfo,
        parts: Vec<(u32, String)>,
        meta: ObjectMeta,
        condition: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>>;
    fn abort_upload<'a>(&'a self, upload: &'a UploadInfo) -> BoxFuture<'a, Result<()>>;
    /// What lies there, as [`ByteRoom`] counts it.
    fn bytes<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>>;
    /// In key and id order, after a key and id.
    fn uploads<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<(&'a str, &'a str)>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UploadInfo>>>;
}

// ---- logs ----

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub time: Timestamp,
    pub namespace: String,
    pub function: String,
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<Id>,
    pub stream: LogSource,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSource {
    Stdout,
    Stderr,
    /// mote's own words about the function: starts, crashes, errors with their trace.
    Platform,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    pub namespace: Option<String>,
    pub function: Option<String>,
    pub invocation: Option<Id>,
    pub since: Option<Timestamp>,
    /// The newest so many of those that match.
    pub tail: usize,
    /// Go on with what comes.
    pub follow: bool,
    pub version: Option<u64>,
    /// The last moment that counts.
    pub until: Option<Timestamp>,
    /// The oldest so many, in the order of their times: for whoever reads on from there.
    pub from_oldest: bool,
}

/// A bounded log. Appending never waits and never fails: under pressure lines are dropped and counted.
pub trait Logs: Send + Sync {
    fn append(&self, line: LogLine);
    fn read(&self, query: LogQuery) -> BoxFuture<'_, Result<LogStream>>;
}
