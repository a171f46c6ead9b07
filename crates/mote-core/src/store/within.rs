//! The buckets of one namespace: an [`Objects`] around another that shows no more than those.
//!
//! The default namespace's buckets are stored under their plain names, another's as
//! `namespace/bucket`, which is no name that anybody can give a bucket. What may be done to them
//! is asked of whoever made the view, at each operation. What the platform keeps for itself in a
//! namespace ([`EVENTS`], [`FILES`]) no view shows, or lets anybody name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    BucketInfo, ByteRange, ByteRoom, Effects, ObjectInfo, ObjectList, ObjectListQuery, ObjectMeta, Objects, PartInfo, Precondition, Staged,
    Tags, UploadInfo,
};
use crate::BoxFuture;
use crate::access::rights::Touch;
use crate::body::Body;
use crate::error::{Code, Error, Result};
use crate::function::Name;

/// The bucket of a namespace's large events: see [`crate::invoke::spill`]. No bucket of anybody's has a `+`.
pub const EVENTS: &str = "+events";

/// The bucket of what a namespace's functions were made of: see [`crate::action::Action::KeepFile`].
pub const FILES: &str = "+files";

/// Whether a bucket, by its name in the store, is the platform's own.
pub fn is_hidden(stored: &str) -> bool {
    stored.contains('+')
}

/// Who is asked before a bucket is touched, and told of what was changed.
pub trait Guard: Send + Sync {
    fn permit(&self, touch: Touch, bucket: &str) -> Result<()>;
    fn changed(&self, touch: Touch, bucket: &str, outcome: &Result<()>);
}

/// For callers that were judged before.
pub struct Judged;

impl Guard for Judged {
    fn permit(&self, _: Touch, _: &str) -> Result<()> {
        Ok(())
    }

    fn changed(&self, _: Touch, _: &str, _: &Result<()>) {}
}

/// The view of one namespace.
pub fn within(objects: Arc<dyn Objects>, namespace: &Name, guard: impl Guard + 'static) -> Arc<dyn Objects> {
    Arc::new(Within { inner: objects, prefix: prefix(namespace), guard })
}

/// The namespace and the plain name of a bucket as it is stored.
pub fn parted(stored: &str) -> Result<(Name, &str)> {
    match stored.split_once('/') {
        Some((namespace, bucket)) => Ok((Name::new(namespace)?, bucket)),
        None => Ok((Name::default_namespace(), stored)),
    }
}

/// What the names of a namespace's buckets begin with in the store.
pub fn prefix(namespace: &Name) -> String {
    if namespace.as_str() == Name::DEFAULT { String::new() } else { format!("{namespace}/") }
}

/// The name in the store of a caller's bucket.
pub fn stored(namespace: &Name, bucket: &str) -> Result<String> {
    named(&prefix(namespace), bucket)
}

fn named(prefix: &str, bucket: &str) -> Result<String> {
    // Else the default namespace could name what is another's, and everybody what is the platform's.
    if bucket.contains('/') || is_hidden(bucket) {
        let shown: String = bucket.chars().take(80).collect();
        return Err(Error::new(Code::NameInvalid, format!("{shown:?} is no name for a bucket")));
    }
    Ok(format!("{prefix}{bucket}"))
}

struct Within<G> {
    inner: Arc<dyn Objects>,
    /// Before each name in the store; nothing for the default namespace.
    prefix: String,
    guard: G,
}

impl<G: Guard> Within<G> {
    /// The name in the store, if it may be touched so.
    fn name(&self, bucket: &str, touch: Touch) -> Result<String> {
        self.guard.permit(touch, bucket)?;
        named(&self.prefix, bucket)
    }

    fn upload_in_store(&self, upload: &UploadInfo) -> Result<UploadInfo> {
        Ok(UploadInfo { bucket: self.name(&upload.bucket, Touch::Write)?, ..upload.clone() })
    }

    fn plain(&self, stored: String) -> String {
        stored.strip_prefix(&self.prefix).map(str::to_owned).unwrap_or(stored)
    }

    fn object(&self, info: ObjectInfo) -> ObjectInfo {
        ObjectInfo { bucket: self.plain(info.bucket), ..info }
    }

    fn upload_seen(&self, upload: UploadInfo) -> UploadInfo {
        UploadInfo { bucket: self.plain(upload.bucket), ..upload }
    }

    fn effects(&self, effects: Effects) -> Effects {
        let prefix = self.prefix.clone();
        effects.map(|effects| {
            let seen = move |info: &ObjectInfo| {
                let bucket = info.bucket.strip_prefix(&prefix).unwrap_or(&info.bucket).to_owned();
                effects(&ObjectInfo { bucket, ..info.clone() })
            };
            Box::new(seen) as Box<dyn FnOnce(&ObjectInfo) -> Vec<super::Item> + Send>
        })
    }
}

impl<G: Guard> Objects for Within<G> {
    fn create_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let outcome = self.inner.create_bucket(&self.name(name, Touch::Create)?).await;
            self.guard.changed(Touch::Create, name, &outcome);
            outcome
        })
    }

    fn delete_bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let outcome = self.inner.delete_bucket(&self.name(name, Touch::Remove)?).await;
            self.guard.changed(Touch::Remove, name, &outcome);
            outcome
        })
    }

    /// For those who read, and for those who only write: it comes before every write.
    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<BucketInfo>> {
        Box::pin(async move {
            let stored = self.name(name, Touch::Probe)?;
            let info = self.inner.bucket(&stored).await?;
            Ok(BucketInfo { name: self.plain(info.name), ..info })
        })
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<BucketInfo>>> {
        Box::pin(async move {
            self.guard.permit(Touch::List, "")?;
            let all = self.inner.buckets().await?.into_iter();
            let own = all.filter_map(|info| match info.name.strip_prefix(&self.prefix) {
                Some(name) if !name.contains('/') && !is_hidden(name) => Some(BucketInfo { name: name.to_owned(), ..info }),
                _ => None,
            });
            Ok(own.collect())
        })
    }

    fn tag_bucket<'a>(&'a self, name: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let outcome = self.inner.tag_bucket(&self.name(name, Touch::Tag)?, tags).await;
            self.guard.changed(Touch::Tag, name, &outcome);
            outcome
        })
    }

    /// For a bucket that is named later; who may write none does not fill the disk meanwhile.
    fn stage(&self, body: Body) -> BoxFuture<'_, Result<Box<dyn Staged>>> {
        Box::pin(async move {
            self.guard.permit(Touch::Write, "")?;
            self.inner.stage(body).await
        })
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
            let bucket = self.name(bucket, Touch::Write)?;
            self.inner.put(&bucket, key, staged, meta, condition, self.effects(effects)).await.map(|info| self.object(info))
        })
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str, range: Option<ByteRange>) -> BoxFuture<'a, Result<(ObjectInfo, Body)>> {
        Box::pin(async move {
            let (info, body) = self.inner.get(&self.name(bucket, Touch::Read)?, key, range).await?;
            Ok((self.object(info), body))
        })
    }

    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<ObjectInfo>> {
        Box::pin(async move { self.inner.head(&self.name(bucket, Touch::Read)?, key).await.map(|info| self.object(info)) })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str, condition: Precondition, effects: Effects) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { self.inner.delete(&self.name(bucket, Touch::Write)?, key, condition, self.effects(effects)).await })
    }

    fn tag<'a>(&'a self, bucket: &'a str, key: &'a str, tags: Tags) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.inner.tag(&self.name(bucket, Touch::Write)?, key, tags).await })
    }

    fn list<'a>(&'a self, bucket: &'a str, query: ObjectListQuery) -> BoxFuture<'a, Result<ObjectList>> {
        Box::pin(async move {
            let list = self.inner.list(&self.name(bucket, Touch::Read)?, query).await?;
            Ok(ObjectList { objects: list.objects.into_iter().map(|info| self.object(info)).collect(), ..list })
        })
    }

    // An upload is known to those who write; only the list of a bucket's uploads is read.

    fn create_upload<'a>(&'a self, bucket: &'a str, key: &'a str, meta: ObjectMeta) -> BoxFuture<'a, Result<UploadInfo>> {
        Box::pin(async move {
            let upload = self.inner.create_upload(&self.name(bucket, Touch::Write)?, key, meta).await?;
            Ok(self.upload_seen(upload))
        })
    }

    fn upload<'a>(&'a self, bucket: &'a str, key: &'a str, id: &'a str) -> BoxFuture<'a, Result<UploadInfo>> {
        Box::pin(async move {
            let upload = self.inner.upload(&self.name(bucket, Touch::Write)?, key, id).await?;
            Ok(self.upload_seen(upload))
        })
    }

    fn put_part<'a>(
        &'a self,
        upload: &'a UploadInfo,
        number: u32,
        staged: Box<dyn Staged>,
        checksums: BTreeMap<String, String>,
        room: Option<ByteRoom>,
    ) -> BoxFuture<'a, Result<PartInfo>> {
        Box::pin(async move { self.inner.put_part(&self.upload_in_store(upload)?, number, staged, checksums, room).await })
    }

    /// Of this namespace, whatever is asked for.
    fn bytes<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            self.guard.permit(Touch::List, "")?;
            self.inner.bytes(&self.prefix).await
        })
    }

    fn parts<'a>(&'a self, upload: &'a UploadInfo, after: u32, limit: usize) -> BoxFuture<'a, Result<Vec<PartInfo>>> {
        Box::pin(async move { self.inner.parts(&self.upload_in_store(upload)?, after, limit).await })
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
            let upload = self.upload_in_store(upload)?;
            let done = self.inner.complete_upload(&upload, parts, meta, condition, self.effects(effects)).await;
            done.map(|info| self.object(info))
        })
    }

    fn abort_upload<'a>(&'a self, upload: &'a UploadInfo) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.inner.abort_upload(&self.upload_in_store(upload)?).await })
    }

    fn uploads<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<(&'a str, &'a str)>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UploadInfo>>> {
        Box::pin(async move {
            let uploads = self.inner.uploads(&self.name(bucket, Touch::Read)?, prefix, after, limit).await?;
            Ok(uploads.into_iter().map(|upload| self.upload_seen(upload)).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parted_knows_whose_a_bucket_is() {
        let check = |stored, expect: (&str, &str)| {
            let (namespace, bucket) = parted(stored).unwrap();
            assert_eq!((namespace.as_str(), bucket), expect);
        };
        check("photos", ("default", "photos"));
        check("shop/photos", ("shop", "photos"));
        assert!(parted("../photos").is_err());
    }
}
