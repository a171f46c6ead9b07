//! Events that are too large for the queue: the body lies in object storage, under its item's id, in
//! a bucket of the namespace that no caller can name ([`within::EVENTS`]).
//!
//! Body and item are committed together, so neither is there without the other. A body belongs to
//! one item alone, and goes only after the queue has been asked whether that item still waits or lies
//! as a dead letter; whoever sends an event again copies its body. So nothing that still points
//! to a body can lose it. Not here: who may send, and what the item means ([`super::deliver`]).

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};

use super::deliver::EVENT_BYTES_MAX;
use crate::access::Access;
use crate::body::Body;
use crate::clock::{Clock, Id};
use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::function::{Function, Name};
use crate::store::within::{self, EVENTS};
use crate::store::{ByteRoom, Item, ObjectListQuery, ObjectMeta, Objects, Precondition, Queue, Staged, Whereabouts};
use crate::trigger::Stop;

/// Between two looks at what a crash or a purge left.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const PAGE: usize = 500;
/// The largest body that is looked into for its key: it is in memory whole, and its parts many times over.
const KEYED_BYTES_MAX: u64 = 8 << 20;

/// See the module's text.
pub struct Spill {
    /// The store's own: with the buckets of all namespaces, and without what their changes fire.
    objects: Arc<dyn Objects>,
    queue: Arc<dyn Queue>,
    access: Arc<Access>,
}

/// The largest body that a function gets from the queue.
pub(super) fn body_bytes_max(function: &Function) -> u64 {
    // What flows is written down at every step; and what another event may stand for has no data beside it.
    let most = match &function.delivery {
        delivery if function.flow.is_some() || delivery.has_bursts() => EVENT_BYTES_MAX,
        delivery if delivery.reads_data() => KEYED_BYTES_MAX,
        _ => u64::MAX,
    };
    function.limits.body_bytes.min(most)
}

/// Takes off the event a body that is too large for the queue; a smaller one is at hand after this.
pub(super) async fn take_large(event: &mut Event, limit_bytes: u64) -> Result<Option<Body>> {
    let mut body = std::mem::take(&mut event.body).limited(limit_bytes)?;
    let (mut pieces, mut size): (Vec<Result<Bytes>>, u64) = (Vec::new(), 0);
    while size <= EVENT_BYTES_MAX {
        let Some(piece) = body.chunk().await else {
            event.body = joined(pieces, size)?.into();
            return Ok(None);
        };
        let piece = piece?;
        size += piece.len() as u64;
        pieces.push(Ok(piece));
    }
    Ok(Some(Body::stream(stream::iter(pieces).chain(body), None)))
}

fn joined(mut pieces: Vec<Result<Bytes>>, size: u64) -> Result<Bytes> {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut all = BytesMut::with_capacity(size as usize);
    for piece in pieces {
        all.extend_from_slice(&piece?);
    }
    Ok(all.freeze())
}

impl Spill {
    pub fn new(objects: Arc<dyn Objects>, queue: Arc<dyn Queue>, access: Arc<Access>) -> Spill {
        Spill { objects, queue, access }
    }

    /// The store's own, for whatever else the platform keeps to itself.
    pub(crate) fn store(&self) -> &dyn Objects {
        &*self.objects
    }

    /// The body on disk, of nobody's yet.
    pub(super) async fn stage(&self, body: Body) -> Result<Box<dyn Staged>> {
        self.objects.stage(body).await
    }

    /// Queues the item together with its body. The id of an earlier one, where [`Item::once`] has been
    /// seen before.
    pub(super) async fn enqueue(&self, namespace: &Name, item: Item, body: Box<dyn Staged>) -> Result<Id> {
        let (bucket, id) = (bucket(namespace), item.id);
        if let Err(error) = self.objects.bucket(&bucket).await {
            self.made(error, &bucket).await?;
        }
        let limits = &self.access.limits;
        let room = limits.quota(namespace).stored.map(|bytes_max| ByteRoom { prefix: within::prefix(namespace), bytes_max });
        let condition = Precondition { room, queued: limits.queue_room(namespace).into_iter().collect(), ..Precondition::default() };
        let (key, again) = (id.to_string(), item.once.is_some().then(|| item.clone()));
        let put = self.objects.put(&bucket, &key, body, ObjectMeta::default(), condition, Some(Box::new(move |_| vec![item])));
        put.await.map_err(|error| self.told(error, namespace))?;
        let Some(again) = again else { return Ok(id) };
        // It is there, or an earlier one is: this queues nothing, and says which.
        let ids = self.queue.enqueue(vec![again]).await?;
        self.release(namespace, id).await;
        Ok(ids.first().copied().unwrap_or(id))
    }

    /// The body of an item's event, as a stream.
    pub async fn open(&self, namespace: &Name, id: Id) -> Result<Body> {
        match self.objects.get(&bucket(namespace), &id.to_string(), None).await {
            Ok((_, body)) => Ok(body),
            Err(error) if is_absent(&error) => {
                Err(Error::new(Code::EventNotKept, format!("the data of the event {id} is not kept any more")).caused_by(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a body, unless its item is still there. What fails is left to the next sweep.
    pub async fn release(&self, namespace: &Name, id: Id) {
        let (bucket, key) = (bucket(namespace), id.to_string());
        // Most events have none, and looking is cheaper than a write.
        let released = match self.objects.head(&bucket, &key).await {
            Ok(_) => self.collect(&bucket, &key, id).await,
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = released {
            tracing::warn!(%id, ?error, "an event's data stay on disk until the next sweep");
        }
    }

    async fn collect(&self, bucket: &str, key: &str, id: Id) -> Result<()> {
        match self.queue.find(id).await? {
            Some(Whereabouts::Queued { .. } | Whereabouts::Dead(_)) => Ok(()),
            // An id is given once: what is gone does not come back under it.
            Some(Whereabouts::Gone(_)) | None => match self.objects.delete(bucket, key, Precondition::default(), None).await {
                Err(error) if !is_absent(&error) => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Deletes the bodies of a namespace whose items are gone.
    pub async fn sweep(&self, namespace: &Name) -> Result<()> {
        self.swept(&bucket(namespace)).await
    }

    async fn swept(&self, bucket: &str) -> Result<()> {
        let mut after = None;
        loop {
            let query = ObjectListQuery { after: after.take(), limit: PAGE, ..ObjectListQuery::default() };
            let list = match self.objects.list(bucket, query).await {
                Err(error) if is_absent(&error) => return Ok(()),
                list => list?,
            };
            for object in &list.objects {
                if let Ok(id) = object.key.parse() {
                    self.collect(bucket, &object.key, id).await?;
                }
            }
            match list.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Sweeps all namespaces, now and every so often.
    pub async fn keep_swept(&self, clock: &dyn Clock, mut stop: Stop) {
        while !stop.is_stopped() {
            if let Err(error) = self.sweep_all().await {
                tracing::warn!(?error, "data of events that are gone stay on disk until the next sweep");
            }
            tokio::select! { () = clock.sleep(SWEEP_EVERY) => {}, () = stop.wait() => {} }
        }
    }

    async fn sweep_all(&self) -> Result<()> {
        for bucket in self.objects.buckets().await? {
            if bucket.name.ends_with(EVENTS) {
                self.swept(&bucket.name).await?;
            }
        }
        Ok(())
    }

    /// The namespace's first large event makes the bucket, whoever is first.
    async fn made(&self, missing: Error, bucket: &str) -> Result<()> {
        if missing.code() != Code::BucketNotFound {
            return Err(missing);
        }
        match self.objects.create_bucket(bucket).await {
            Err(error) if error.code() != Code::Conflict => Err(error),
            _ => Ok(()),
        }
    }

    fn told(&self, error: Error, namespace: &Name) -> Error {
        match error.code() {
            Code::QuotaExceeded => {
                let detail = format!("the quota `stored` of the namespace {namespace} has no room for the event: {}", error.detail());
                Error::new(Code::QuotaExceeded, detail).hint("Send less than 1 MiB, delete objects, or have the quota raised.")
            }
            _ => self.access.limits.told(error, namespace),
        }
    }
}

fn bucket(namespace: &Name) -> String {
    format!("{}{EVENTS}", within::prefix(namespace))
}

fn is_absent(error: &Error) -> bool {
    matches!(error.code(), Code::ObjectNotFound | Code::BucketNotFound)
}
