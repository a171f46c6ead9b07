//! The timers' cursors in the catalog. None goes back, whoever writes and however late.

use std::sync::Arc;

use mote_core::function::timer::Cursor;
use mote_core::store::{Catalog, Write};
use mote_core::{Code, Result};

use super::agenda::Known;

const PAGE: usize = 1000;
/// Cursors of one transaction.
const BATCH: usize = 500;
/// Looks at what stands there, if somebody else writes at the same time.
const ATTEMPTS: usize = 5;

pub(super) struct Cursors {
    catalog: Arc<dyn Catalog>,
}

impl Cursors {
    pub(super) fn new(catalog: Arc<dyn Catalog>) -> Cursors {
        Cursors { catalog }
    }

    pub(super) async fn load(&self) -> Result<Known> {
        let (mut after, mut known) = (None::<String>, Known::new());
        loop {
            let page = self.catalog.scan(Cursor::PREFIX, after.as_deref(), PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|record| record.key.clone());
            for record in page {
                match Cursor::read(&record) {
                    Ok(cursor) => drop(known.insert(record.key, cursor)),
                    // Its timer begins anew, and so does the record.
                    Err(error) => tracing::error!(?error, "a timer's cursor is lost"),
                }
            }
            if !full {
                return Ok(known);
            }
        }
    }

    /// Writes these, except where as much or more is there, and forgets those that are gone.
    pub(super) async fn write(&self, cursors: Vec<(&str, &Cursor)>, gone: Vec<&str>) -> Result<()> {
        for part in cursors.chunks(BATCH) {
            self.commit(part, &[]).await?;
        }
        for part in gone.chunks(BATCH) {
            self.commit(&[], part).await?;
        }
        Ok(())
    }

    async fn commit(&self, cursors: &[(&str, &Cursor)], gone: &[&str]) -> Result<()> {
        for attempt in 1.. {
            let mut batch = Vec::new();
            for (key, cursor) in cursors {
                let stored = self.catalog.get(key).await?;
                let expect = stored.as_ref().map_or(0, |record| record.revision);
                let stored = stored.and_then(|record| Cursor::read(&record).ok());
                if stored.is_none_or(|stored| stored.rule != cursor.rule || stored.at < cursor.at) {
                    batch.push(Write::Put { key: (*key).to_owned(), expect, value: cursor.to_bytes().into() });
                }
            }
            for key in gone {
                if let Some(record) = self.catalog.get(key).await? {
                    batch.push(Write::Delete { key: record.key, expect: record.revision });
                }
            }
            if batch.is_empty() {
                break;
            }
            match self.catalog.commit(batch).await {
                // It is looked at once more what stands there.
                Err(error) if error.code() == Code::Conflict && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
        Ok(())
    }
}
