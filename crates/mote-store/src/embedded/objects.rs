//! Buckets and objects: an index in the database, bytes in files.
//!
//! A put is: bytes to a file, fsync, then one transaction that writes the index row and queues the
//! effects. No file is ever changed or given another object's name, so a reader is never
//! surprised. [`files`] makes files, [`read`] streams them, [`reaper`] takes them away.
//! Not here: the S3 wire, signatures, checksums; that is `mote-s3`.

mod files;
mod index;
mod list;
mod names;
mod read;
mod reaper;
mod uploads;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use mote_core::BoxFuture;
use mote_core::body::Body;
use mote_core::clock::Timestamp;
use mote_core::error::{Code, Error, Result};
use mote_core::store::{
    BucketInfo, ByteRange, ByteRoom, Effects, ObjectInfo, ObjectList, ObjectListQuery, ObjectMeta, Objects, PartInfo, Precondition, Room,
    Staged, Tags, UploadInfo,
};
use rusqlite::params;

use super::fault::Fault;
use super::writer::Transaction;
use super::{Database, queue};

pub use self::names::{BUCKET_NAME_RULE, KEY_BYTES_MAX};
pub use self::uploads::{PART_BYTES_MIN, PART_NUMBER_MAX};

pub(super) use self::files::{Files, StagedFile, files};
pub(super) use self::reaper::Leftovers;

pub(super) struct ObjectStore {
    pub(super) db: Arc<Database>,
    pub(super) files: Arc<Files>,
}

/// Whether it was not there.
pub(super) fn make_bucket(transaction: &Transaction<'_>, name: &str, now: Timestamp) -> Result<bool, Fault> {
    names::check_bucket(name)?;
    let mut insert = transaction.prepare_cached("INSERT INTO buckets (name, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    Ok(insert.execute(params![name, now.0])? > 0)
}

impl Objects for ObjectStore {
    fn create_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (name, clock) = (name.to_owned(), self.db.clock.clone());
            let work = move |transaction: &mut Transaction<'_>| {
                if make_bucket(transaction, &name, clock.now())? {
                    return Ok(());
                }
                Err(Error::new(Code::Conflict, format!("there is a bucket {name} already"))
                    .hint("Use it as it is, or take another name; `mote bucket list` shows them.")
                    .into())
            };
            self.db.writer.run(work).await
        })
    }

    fn delete_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        let name = name.to_owned();
        Box::pin(self.db.writer.run(move |transaction| index::delete_bucket(transaction, &name)))
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<BucketInfo>> {
        let name = name.to_owned();
        Box::pin(self.db.readers.run(move |connection| index::bucket(connection, &name)))
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<BucketInfo>>> {
        Box::pin(self.db.readers.run(index::buckets))
    }

    fn tag_bucket<'a>(&'a self, name: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>> {
        let name = name.to_owned();
        Box::pin(self.db.writer.run(move |transaction| index::tag_bucket(transaction, &name, &tags)))
    }

    fn tag<'a>(&'a self, bucket: &'a str, key: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Box::pin(self.db.writer.run(move |transaction| index::tag(transaction, &bucket, &key, tags)))
    }

    fn stage(&self, body: Body) -> BoxFuture<'_, Result<Box<dyn Staged>>> {
        Box::pin(self.files.stage(body))
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        staged: Box<dyn Staged>,
        meta: ObjectMeta,
        condition: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>> {
        Box::pin(async move {
            names::check_key(key)?;
            let staged = files::claim(&*staged)?;
            let (bucket, key, clock) = (bucket.to_owned(), key.to_owned(), self.db.clock.clone());
            let work = move |transaction: &mut Transaction<'_>| {
                let (size, etag) = (staged.size(), files::hex(&staged.md5()));
                let info = ObjectInfo { bucket, key, size, etag, modified: clock.now(), meta };
                let earlier = index::judge(transaction, &info.bucket, &info.key, &condition)?;
                usage::within(transaction, condition.room.as_ref(), |transaction| {
                    let file = transaction.claim(staged)?;
                    index::replace(transaction, &info, file, 1, earlier)
                })?;
                happen(transaction, effects, &info, &condition.queued)?;
                Ok(info)
            };
            self.db.writer.run(work).await
        })
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str, range: Option<ByteRange>) -> BoxFuture<'a, Result<(ObjectInfo, Body)>> {
        let (bucket, key, files) = (bucket.to_owned(), key.to_owned(), self.files.clone());
        Box::pin(self.db.readers.run(move |connection| read::open(connection, files, &bucket, &key, range)))
    }

    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectInfo>> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Box::pin(self.db.readers.run(move |connection| Ok(index::find(connection, &bucket, &key)?.info)))
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str, condition: Precondition, effects: Effects) -> BoxFuture<'a, Result<bool>> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Box::pin(self.db.writer.run(move |transaction| {
            let Some(earlier) = index::judge(transaction, &bucket, &key, &condition)? else { return Ok(false) };
            transaction.prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?.execute(params![bucket, key.as_bytes()])?;
            let info = index::discard(transaction, earlier)?;
            happen(transaction, effects, &info, &condition.queued)?;
            Ok(true)
        }))
    }

    fn list<'a>(&'a self, bucket: &'a str, query: ObjectListQuery) -> BoxFuture<'a, Result<ObjectList>> {
        let bucket = bucket.to_owned();
        Box::pin(self.db.readers.run(move |connection| list::list(connection, &bucket, query)))
    }

    fn create_upload<'a>(&'a self, bucket: &'a str, key: &'a str, meta: ObjectMeta) -> BoxFuture<'a, Result<UploadInfo>> {
        Box::pin(async move {
            names::check_key(key)?;
            let started = self.db.clock.now();
            let upload = UploadInfo { id: self.db.clock.id().to_string(), bucket: bucket.into(), key: key.into(), started, meta };
            self.db.writer.run(move |transaction| uploads::create(transaction, upload)).await
        })
    }

    fn upload<'a>(&'a self, bucket: &'a str, key: &'a str, id: &'a str) -> BoxFuture<'a, Result<UploadInfo>> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        Box::pin(self.db.readers.run(move |connection| uploads::find(connection, &bucket, &key, &id)))
    }

    fn put_part<'a>(
        &'a self,
        upload: &'a UploadInfo,
        number: u32,
        staged: Box<dyn Staged>,
        checksums: BTreeMap<String, String>,
        room: Option<ByteRoom>,
    ) -> BoxFuture<'a, Result<PartInfo>> {
        Box::pin(async move {
            uploads::check_number(number)?;
            let staged = files::claim(&*staged)?;
            let (upload, modified) = (upload.clone(), self.db.clock.now());
            let part = PartInfo { number, size: staged.size(), etag: files::hex(&staged.md5()), modified, checksums };
            let work = move |transaction: &mut Transaction<'_>| {
                usage::within(transaction, room.as_ref(), |transaction| uploads::put_part(transaction, &upload, part, staged))
            };
            self.db.writer.run(work).await
        })
    }

    fn parts<'a>(&'a self, upload: &'a UploadInfo, after: u32, limit: usize) -> BoxFuture<'a, Result<Vec<PartInfo>>> {
        let upload = upload.clone();
        Box::pin(self.db.readers.run(move |connection| {
            uploads::find(connection, &upload.bucket, &upload.key, &upload.id)?;
            uploads::parts(connection, &upload.id, after, limit)
        }))
    }

    fn complete_upload<'a>(
        &'a self,
        upload: &'a UploadInfo,
        parts: Vec<(u32, String)>,
        meta: ObjectMeta,
        condition: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>> {
        let (upload, clock) = (upload.clone(), self.db.clock.clone());
        Box::pin(self.db.writer.run(move |transaction| {
            let complete =
                |transaction: &mut Transaction<'_>| uploads::complete(transaction, upload, &parts, meta, &condition, clock.now());
            let info = usage::within(transaction, condition.room.as_ref(), complete)?;
            happen(transaction, effects, &info, &condition.queued)?;
            Ok(info)
        }))
    }

    fn abort_upload<'a>(&'a self, upload: &'a UploadInfo) -> BoxFuture<'a, Result<()>> {
        let upload = upload.clone();
        Box::pin(self.db.writer.run(move |transaction| uploads::abort(transaction, &upload)))
    }

    fn bytes<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        let prefix = prefix.to_owned();
        Box::pin(self.db.readers.run(move |connection| usage::bytes(connection, &prefix)))
    }

    fn uploads<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<(&'a str, &'a str)>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UploadInfo>>> {
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let after = after.map(|(key, id)| (key.to_owned(), id.to_owned()));
        Box::pin(self.db.readers.run(move |connection| uploads::list(connection, &bucket, &prefix, after, limit)))
    }
}

/// Queues what the change of an object sets off, in the transaction of the change.
fn happen(transaction: &mut Transaction<'_>, effects: Effects, info: &ObjectInfo, rooms: &[Room]) -> Result<(), Fault> {
    let items = effects.map(|effects| effects(info)).unwrap_or_default();
    if items.is_empty() {
        return Ok(());
    }
    queue::add(transaction, &items, info.modified)?;
    rooms.iter().try_for_each(|room| queue::holds(transaction, room))
}
