//! What functions were made of: archives and layers, in a bucket of the namespace that no caller can name.
//!
//! It counts as stored. What belongs to one function lies below [`files_of`] it, and goes with it.

use super::House;
use crate::action::{Over, files_of};
use crate::body::Body;
use crate::error::{Code, Error, Result};
use crate::function::{FunctionRef, Name};
use crate::store::within::{self, FILES};
use crate::store::{ByteRoom, ObjectInfo, ObjectList, ObjectListQuery, ObjectMeta, Objects, Precondition};

const PAGE: usize = 500;

impl House {
    fn files(&self) -> &dyn Objects {
        self.invoker.spill.store()
    }

    pub(super) async fn read_file(&self, namespace: &Name, key: &str) -> Result<(ObjectInfo, Body)> {
        self.files().get(&bucket(namespace), key, None).await.map_err(|error| match is_absent(&error) {
            true => Error::new(Code::ObjectNotFound, format!("there is no file {key:?} any more")),
            false => error,
        })
    }

    pub(super) async fn keep_file(&self, namespace: &Name, key: &str, body: Body, over: Over) -> Result<ObjectInfo> {
        let bucket = bucket(namespace);
        match self.files().create_bucket(&bucket).await {
            Err(error) if error.code() != Code::Conflict => return Err(error),
            _ => {}
        }
        let staged = self.files().stage(body).await?;
        let stored = self.access.limits.quota(namespace).stored;
        let (if_match, if_none_match) = match over {
            Over::Anything => (None, None),
            Over::Nothing => (None, Some(vec!["*".to_owned()])),
            Over::This(etag) => (Some(vec![etag]), None),
        };
        let condition = Precondition {
            if_match,
            if_none_match,
            room: stored.map(|bytes_max| ByteRoom { prefix: within::prefix(namespace), bytes_max }),
            ..Precondition::default()
        };
        self.files().put(&bucket, key, staged, ObjectMeta::default(), condition, None).await
    }

    pub(super) async fn list_files(&self, namespace: &Name, query: ObjectListQuery) -> Result<ObjectList> {
        match self.files().list(&bucket(namespace), query).await {
            Err(error) if is_absent(&error) => Ok(ObjectList::default()),
            listed => listed,
        }
    }

    pub(super) async fn drop_file(&self, namespace: &Name, key: &str) -> Result<()> {
        match self.files().delete(&bucket(namespace), key, Precondition::default(), None).await {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// What fails lies there for nothing until a function of that name is removed again.
    pub(super) async fn drop_files_of(&self, function: &FunctionRef) {
        let dropped = async {
            loop {
                let query = ObjectListQuery { prefix: files_of(&function.name), limit: PAGE, ..ObjectListQuery::default() };
                let list = self.list_files(&function.namespace, query).await?;
                for object in &list.objects {
                    self.drop_file(&function.namespace, &object.key).await?;
                }
                if list.next.is_none() {
                    return Ok::<_, Error>(());
                }
            }
        };
        if let Err(error) = dropped.await {
            tracing::warn!(%function, ?error, "what a function was made of stays on disk");
        }
    }
}

fn bucket(namespace: &Name) -> String {
    format!("{}{FILES}", within::prefix(namespace))
}

fn is_absent(error: &Error) -> bool {
    matches!(error.code(), Code::ObjectNotFound | Code::BucketNotFound)
}
