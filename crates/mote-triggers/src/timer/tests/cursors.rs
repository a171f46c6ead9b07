//! A cursor's way in the store: forward alone.

use std::sync::Arc;
use std::sync::Mutex;

use mote_core::clock::Timestamp;
use mote_core::function::timer::Cursor;
use mote_core::store::{Catalog, Record, Write};
use mote_core::{BoxFuture, Result};
use mote_testkit::{FakeClock, MemoryStore};

use super::super::cursors::Cursors;

const KEY: &str = "timers/default/f/f";

fn cursor(rule: &str, at: u64) -> Cursor {
    Cursor { rule: rule.into(), at: Timestamp(at), fired: Some(Timestamp(at)), dropped: 0 }
}

async fn stored(store: &dyn Catalog) -> Option<Cursor> {
    store.get(KEY).await.unwrap().map(|record| Cursor::read(&record).unwrap())
}

#[tokio::test]
async fn a_late_write_takes_no_cursor_back() {
    let store = MemoryStore::new(Arc::new(FakeClock::default()));
    let cursors = Cursors::new(store.clone());
    let write = async |rule: &str, at: u64| cursors.write(vec![(KEY, &cursor(rule, at))], vec![]).await.unwrap();
    write("r", 5).await;
    write("r", 9).await;
    write("r", 7).await;
    assert_eq!(stored(&*store).await, Some(cursor("r", 9)));
    // Another rule is another timer.
    write("s", 3).await;
    assert_eq!(stored(&*store).await, Some(cursor("s", 3)));
    cursors.write(vec![], vec![KEY, "timers/default/f/none"]).await.unwrap();
    assert_eq!(stored(&*store).await, None);
}

/// Another writer comes between the look and the write, once.
struct Between {
    inner: Arc<MemoryStore>,
    other: Mutex<Option<Cursor>>,
}

impl Catalog for Between {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        self.inner.get(key)
    }

    fn scan<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Record>>> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        let other = self.other.lock().unwrap().take();
        Box::pin(async move {
            if let Some(other) = other {
                Cursors::new(self.inner.clone()).write(vec![(KEY, &other)], vec![]).await?;
            }
            self.inner.commit(batch).await
        })
    }
}

#[tokio::test]
async fn two_writers_at_once_leave_the_later_cursor() {
    let check = async |first: u64, other: u64, own: u64| {
        let inner = MemoryStore::new(Arc::new(FakeClock::default()));
        Cursors::new(inner.clone()).write(vec![(KEY, &cursor("r", first))], vec![]).await.unwrap();
        let between = Arc::new(Between { inner: inner.clone(), other: Mutex::new(Some(cursor("r", other))) });
        Cursors::new(between).write(vec![(KEY, &cursor("r", own))], vec![]).await.unwrap();
        assert_eq!(stored(&*inner).await, Some(cursor("r", other.max(own))), "{first} {other} {own}");
    };
    check(1, 9, 5).await;
    check(1, 5, 9).await;
}
