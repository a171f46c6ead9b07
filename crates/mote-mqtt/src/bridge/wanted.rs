//! What the other broker was asked for: its session there outlives a restart here, and what is wanted
//! here by then may be less.

use std::sync::Arc;

use mote_core::function::Name;
use mote_core::mqtt::Filter;
use mote_core::store::{Catalog, Write};
use mote_core::{Error, Result};

pub(super) struct Wanted {
    catalog: Arc<dyn Catalog>,
    key: String,
    pub(super) now: Vec<Filter>,
    /// Wanted once, and perhaps still sent.
    pub(super) stale: Vec<Filter>,
}

impl Wanted {
    /// Noted before it is asked for, so that none is forgotten.
    pub(super) async fn note(catalog: Arc<dyn Catalog>, namespace: &Name, now: Vec<Filter>) -> Result<Wanted> {
        let key = format!("mqtt/bridge/{namespace}");
        let unread = |error| Error::internal(format!("the record {key} can't be read")).caused_by(error);
        let known: Vec<Filter> = match catalog.get(&key).await? {
            Some(record) => serde_json::from_slice(&record.value).map_err(unread)?,
            None => Vec::new(),
        };
        let stale: Vec<Filter> = known.iter().filter(|known| !now.contains(known)).cloned().collect();
        let wanted = Wanted { catalog, key, now, stale };
        if wanted.now.iter().any(|filter| !known.contains(filter)) {
            wanted.write(&[&wanted.now[..], &wanted.stale].concat()).await?;
        }
        Ok(wanted)
    }

    /// The other broker has forgotten the rest.
    pub(super) async fn forget_stale(&self) -> Result<()> {
        self.write(&self.now).await
    }

    async fn write(&self, filters: &[Filter]) -> Result<()> {
        let expect = self.catalog.get(&self.key).await?.map_or(0, |record| record.revision);
        let value = serde_json::to_vec(filters).expect("filters are plain data").into();
        self.catalog.commit(vec![Write::Put { key: self.key.clone(), expect, value }]).await
    }
}
