//! Changes in buckets as events: an [`Objects`] around another that adds what a change fires.
//!
//! The events go with the change itself, as its effects, so that the store commits both or
//! neither. Which functions are bound is asked at the commit, not before. What a function changes is
//! the cause of what that fires, and a circle of such changes ends. What a namespace may store is
//! added here too, since every change comes by. Not here: the bytes, and running anything — the
//! queue's deliverer does.

use std::collections::BTreeMap;
use std::sync::Arc;

use mote_core::access::Access;
use mote_core::clock::Clock;
use mote_core::directory::{Directory, Wanted};
use mote_core::engine::{DEPTH_MAX, Depth, Standing};
use mote_core::event::StoredEvent;
use mote_core::event::lineage::{BINDING, How, Lineage, TRACE_PARENT};
use mote_core::function::delivery::Destination;
use mote_core::function::{FunctionRef, Name, ObjectChange};
use mote_core::invoke::Dialects;
use mote_core::invoke::address::{self, Addresses};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::queues::Queues;
use mote_core::store::within;
use mote_core::store::{
    BucketInfo, ByteRange, ByteRoom, Effects, Item, ObjectInfo, ObjectList, ObjectListQuery, ObjectMeta, Objects, PartInfo, Precondition,
    Room, Staged, Tags, UploadInfo,
};
use mote_core::topic::Topics;
use mote_core::{Body, BoxFuture, Code, Error, Result};
use serde_json::json;

/// See the module's text.
pub struct ObjectTrigger {
    inner: Arc<dyn Objects>,
    known: Known,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    /// Of the instance whose changes these are; `None`: of no function's.
    origin: Option<Depth>,
}

/// Who hears of changes, and where they are.
#[derive(Clone)]
pub struct Known {
    pub directory: Arc<Directory>,
    pub topics: Arc<Topics>,
    pub queues: Arc<Queues>,
    pub dialects: Dialects,
}

impl Known {
    fn addresses<'a>(&'a self, clock: &'a dyn Clock) -> Addresses<'a> {
        Addresses { directory: &self.directory, topics: &self.topics, queues: &self.queues, dialects: &self.dialects, clock }
    }
}

impl ObjectTrigger {
    pub fn new(inner: Arc<dyn Objects>, known: Known, access: Arc<Access>, clock: Arc<dyn Clock>) -> ObjectTrigger {
        ObjectTrigger { inner, known, access, clock, origin: None }
    }

    /// The same objects, for what code in an instance changes.
    pub fn inside(&self, origin: Depth) -> ObjectTrigger {
        let (inner, known, access, clock) = (self.inner.clone(), self.known.clone(), self.access.clone(), self.clock.clone());
        ObjectTrigger { inner, known, access, clock, origin: Some(origin) }
    }

    /// How what a change fires comes about. Refused where the change would be one too many of those that
    /// led to one another.
    fn standing(&self, bucket: &str, key: &str, change: ObjectChange) -> Result<Standing> {
        let Some(origin) = &self.origin else { return Ok(Standing::default()) };
        let Standing { depth, call, trace } = origin.now();
        let (namespace, plain) = within::parted(bucket)?;
        if depth + 1 >= DEPTH_MAX && !self.known.directory.bound_to(&namespace, plain, key, change).is_empty() {
            return Err(Error::new(
                Code::LoopDetected,
                format!("what this change of {key:?} fires would be number {} of functions that led to one another", depth + 2),
            )
            .hint(format!(
                "At most {DEPTH_MAX} may: does a function write where its own binding looks? A prefix or suffix keeps them apart."
            )));
        }
        Ok(Standing { depth: depth + 1, call, trace })
    }

    /// What the quota of a bucket's namespace leaves to its objects, where it has one.
    fn room(&self, bucket: &str) -> Result<Option<ByteRoom>> {
        let (namespace, _) = within::parted(bucket)?;
        let room = |bytes_max| ByteRoom { prefix: within::prefix(&namespace), bytes_max };
        Ok(self.access.limits.quota(&namespace).stored.map(room))
    }

    /// Room in the bucket, and for what the change fires.
    fn condition(&self, bucket: &str, key: &str, change: ObjectChange, condition: Precondition) -> Result<Precondition> {
        let (namespace, plain) = within::parted(bucket)?;
        let mut queued: Vec<Room> = self.access.limits.queue_room(&namespace).into_iter().collect();
        let known = self.known.addresses(&*self.clock);
        for wanted in self.known.directory.bound_to(&namespace, plain, key, change) {
            let queues = address::queues_of(&known, &namespace, &wanted.to);
            queued.extend(queues.iter().map(|queue| self.known.queues.room(&namespace, queue)));
        }
        Ok(Precondition { room: self.room(bucket)?, queued, ..condition })
    }

    /// A bucket that is full, or a queue, in the words of their namespace.
    fn told(&self, error: Error, bucket: &str) -> Error {
        match within::parted(bucket) {
            Ok((namespace, _)) => told(self.access.limits.told(error, &namespace), &namespace),
            Err(_) => error,
        }
    }

    /// The caller's effects, and then the events of the change.
    fn effects(&self, change: ObjectChange, from: Standing, callers: Effects) -> Effects {
        let (known, clock) = (self.known.clone(), self.clock.clone());
        Some(Box::new(move |object| {
            let mut items = callers.map(|effects| effects(object)).unwrap_or_default();
            items.extend(fired(&known.addresses(&*clock), change, &from, object));
            items
        }))
    }
}

fn told(error: Error, namespace: &Name) -> Error {
    if error.code() != Code::QuotaExceeded {
        return error;
    }
    let hint = format!("Delete what nobody needs, or an administrator raises it: `mote quota set --namespace {namespace} --stored 10GB`.");
    Error::new(Code::QuotaExceeded, format!("the quota `stored` of the namespace {namespace} is used up: {}", error.detail())).hint(hint)
}

fn fired(known: &Addresses<'_>, change: ObjectChange, from: &Standing, object: &ObjectInfo) -> Vec<Item> {
    // Here a bucket has its name in the store; the event says the one that its namespace knows.
    let Ok((namespace, bucket)) = within::parted(&object.bucket) else { return Vec::new() };
    let bound = known.directory.bound_to(&namespace, bucket, &object.key, change);
    if bound.is_empty() {
        return Vec::new();
    }
    let operation = change.operation();
    let mut data = json!({ "bucket": bucket, "key": object.key, "size": object.size, "etag": object.etag, "operation": operation });
    if let Some(content_type) = &object.meta.content_type {
        data["content_type"] = content_type.as_str().into();
    }
    let body = bytes::Bytes::from(data.to_string());
    let now = known.clock.now();
    let items = |Wanted { to, qualifier, retry, label, by }: Wanted| {
        let trace = from.trace.iter().map(|trace| (TRACE_PARENT.to_owned(), trace.as_str().into()));
        let event = StoredEvent {
            subject: Some(object.key.clone()),
            content_type: Some("application/json".to_owned()),
            body: body.clone(),
            lineage: from.call.map(|call| Lineage::of(How::Called, call)).unwrap_or_default(),
            extensions: trace.chain(label.map(|label| (BINDING.to_owned(), label.into()))).collect(),
            // An id each: it becomes the invocation's.
            ..StoredEvent::new(known.clock.id(), format!("/buckets/{bucket}"), change.kind(), now)
        };
        match (to, by) {
            (Destination::Function(name), _) => {
                let to = FunctionRef { namespace: namespace.clone(), name };
                let wish = Wish { retry, version: qualifier, ..Wish::default() };
                vec![address::to_function(known.directory, now, to, event, from.depth, wish)]
            }
            (_, Some(bound)) => address::of_bound(known, &bound, event, from.depth),
            (_, None) => Vec::new(),
        }
    };
    bound.into_iter().flat_map(items).collect()
}

impl Objects for ObjectTrigger {
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
            let change = if condition.is_copy { ObjectChange::Copy } else { ObjectChange::Put };
            let effects = self.effects(change, self.standing(bucket, key, change)?, effects);
            let condition = self.condition(bucket, key, change, condition)?;
            self.inner.put(bucket, key, staged, meta, condition, effects).await.map_err(|error| self.told(error, bucket))
        })
    }

    fn complete_upload<'a>(
        &'a self,
        upload: &'a UploadInfo,
        parts: Vec<(u32, String)>,
        meta: ObjectMeta,
        condition: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>> {
        Box::pin(async move {
            let from = self.standing(&upload.bucket, &upload.key, ObjectChange::CompleteMultipartUpload)?;
            let effects = self.effects(ObjectChange::CompleteMultipartUpload, from, effects);
            let condition = self.condition(&upload.bucket, &upload.key, ObjectChange::CompleteMultipartUpload, condition)?;
            let completed = self.inner.complete_upload(upload, parts, meta, condition, effects).await;
            completed.map_err(|error| self.told(error, &upload.bucket))
        })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str, condition: Precondition, effects: Effects) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let from = self.standing(bucket, key, ObjectChange::Removed)?;
            let effects = self.effects(ObjectChange::Removed, from, effects);
            let condition = self.condition(bucket, key, ObjectChange::Removed, condition)?;
            self.inner.delete(bucket, key, condition, effects).await.map_err(|error| self.told(error, bucket))
        })
    }

    // The rest changes no object.

    fn create_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.inner.create_bucket(name)
    }

    fn delete_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.inner.delete_bucket(name)
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<BucketInfo>> {
        self.inner.bucket(name)
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<BucketInfo>>> {
        self.inner.buckets()
    }

    fn tag_bucket<'a>(&'a self, name: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>> {
        self.inner.tag_bucket(name, tags)
    }

    fn tag<'a>(&'a self, bucket: &'a str, key: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>> {
        self.inner.tag(bucket, key, tags)
    }

    fn stage(&self, body: Body) -> BoxFuture<'_, Result<Box<dyn Staged>>> {
        self.inner.stage(body)
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str, range: Option<ByteRange>) -> BoxFuture<'a, Result<(ObjectInfo, Body)>> {
        self.inner.get(bucket, key, range)
    }

    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectInfo>> {
        self.inner.head(bucket, key)
    }

    fn list<'a>(&'a self, bucket: &'a str, query: ObjectListQuery) -> BoxFuture<'a, Result<ObjectList>> {
        self.inner.list(bucket, query)
    }

    fn create_upload<'a>(&'a self, bucket: &'a str, key: &'a str, meta: ObjectMeta) -> BoxFuture<'a, Result<UploadInfo>> {
        self.inner.create_upload(bucket, key, meta)
    }

    fn upload<'a>(&'a self, bucket: &'a str, key: &'a str, id: &'a str) -> BoxFuture<'a, Result<UploadInfo>> {
        self.inner.upload(bucket, key, id)
    }

    fn put_part<'a>(
        &'a self,
        upload: &'a UploadInfo,
        number: u32,
        staged: Box<dyn Staged>,
        checksums: BTreeMap<String, String>,
        _: Option<ByteRoom>,
    ) -> BoxFuture<'a, Result<PartInfo>> {
        Box::pin(async move {
            let room = self.room(&upload.bucket)?;
            self.inner.put_part(upload, number, staged, checksums, room).await.map_err(|error| self.told(error, &upload.bucket))
        })
    }

    fn bytes<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        self.inner.bytes(prefix)
    }

    fn parts<'a>(&'a self, upload: &'a UploadInfo, after: u32, limit: usize) -> BoxFuture<'a, Result<Vec<PartInfo>>> {
        self.inner.parts(upload, after, limit)
    }

    fn abort_upload<'a>(&'a self, upload: &'a UploadInfo) -> BoxFuture<'a, Result<()>> {
        self.inner.abort_upload(upload)
    }

    fn uploads<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<(&'a str, &'a str)>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UploadInfo>>> {
        self.inner.uploads(bucket, prefix, after, limit)
    }
}

#[cfg(test)]
mod tests;
