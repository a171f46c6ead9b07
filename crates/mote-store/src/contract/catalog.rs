//! The promises of records.

use mote_core::error::Code;
use mote_core::store::{Record, Write};

use super::{Subject, refused};

fn put(key: &str, expect: u64, value: &'static str) -> Write {
    Write::Put { key: key.into(), expect, value: value.into() }
}

fn delete(key: &str, expect: u64) -> Write {
    Write::Delete { key: key.into(), expect }
}

async fn record(subject: &Subject, key: &str) -> Option<Record> {
    subject.catalog.get(key).await.expect("the record is read")
}

pub(super) async fn changes_are_judged_by_revision(subject: Subject) {
    let catalog = &subject.catalog;
    assert_eq!(record(&subject, "a").await, None);
    refused(catalog.commit(vec![put("a", 7, "x")]).await, Code::Conflict);
    catalog.commit(vec![put("a", 0, "one")]).await.unwrap();
    let one = record(&subject, "a").await.unwrap();
    assert!(one.revision > 0 && one.value == "one");

    refused(catalog.commit(vec![put("a", 0, "x")]).await, Code::Conflict);
    catalog.commit(vec![put("a", one.revision, "two")]).await.unwrap();
    let two = record(&subject, "a").await.unwrap();
    assert!(two.revision > one.revision && two.value == "two");
    refused(catalog.commit(vec![put("a", one.revision, "x")]).await, Code::Conflict);
    refused(catalog.commit(vec![delete("a", one.revision)]).await, Code::Conflict);
    refused(catalog.commit(vec![delete("a", 0)]).await, Code::Conflict);

    catalog.commit(vec![delete("a", two.revision)]).await.unwrap();
    assert_eq!(record(&subject, "a").await, None);
    catalog.commit(vec![delete("a", 0), put("a", 0, "three")]).await.unwrap();
    // Whoever remembers a revision from before the deletion must not meet it again.
    assert!(record(&subject, "a").await.unwrap().revision > two.revision);
}

pub(super) async fn a_batch_happens_whole_or_not_at_all(subject: Subject) {
    let catalog = &subject.catalog;
    catalog.commit(vec![put("a", 0, "a"), put("b", 0, "b")]).await.unwrap();
    let a = record(&subject, "a").await.unwrap();
    let batch = vec![put("c", 0, "c"), delete("a", a.revision), put("b", 0, "x")];
    refused(catalog.commit(batch).await, Code::Conflict);
    assert_eq!(record(&subject, "a").await, Some(a));
    assert_eq!(record(&subject, "b").await.unwrap().value, "b");
    assert_eq!(record(&subject, "c").await, None);
    catalog.commit(Vec::new()).await.unwrap();
}

pub(super) async fn a_bucket_comes_with_its_batch_or_not_at_all(subject: Subject) {
    let (catalog, objects) = (&subject.catalog, &subject.objects);
    let bucket = |name: &str| Write::Bucket { name: name.into() };
    refused(catalog.commit(vec![bucket("photos"), put("a", 7, "x")]).await, Code::Conflict);
    refused(catalog.commit(vec![bucket("photos"), bucket("No Bucket")]).await, Code::NameInvalid);
    assert!(objects.buckets().await.unwrap().is_empty());
    catalog.commit(vec![put("a", 0, "x"), bucket("photos")]).await.unwrap();
    let made = objects.bucket("photos").await.unwrap();
    // One that is there stays as it is.
    catalog.commit(vec![bucket("photos"), bucket("n/photos")]).await.unwrap();
    assert_eq!((objects.bucket("photos").await.unwrap(), objects.buckets().await.unwrap().len()), (made, 2));
}

pub(super) async fn scans_go_by_bytes_and_pages(subject: Subject) {
    let catalog = &subject.catalog;
    // `.` is before `/`, `0` behind it; `é` and `𝄞` are behind all ASCII; by UTF-16 they would not be in this order.
    let keys = ["f", "f.", "f/", "f/B", "f/a", "f/a/b", "f/é", "f/\u{ffff}", "f/𝄞", "f0", "g"];
    catalog.commit(keys.iter().rev().map(|key| put(key, 0, "v")).collect()).await.unwrap();
    let scan = async |prefix: &str, after: Option<&str>, limit| {
        let found = catalog.scan(prefix, after, limit).await.unwrap();
        found.into_iter().map(|record| record.key).collect::<Vec<_>>()
    };
    assert_eq!(scan("", None, 100).await, keys);
    assert_eq!(scan("f/", None, 100).await, keys[2..9]);
    assert_eq!(scan("f/", None, 2).await, keys[2..4]);
    assert_eq!(scan("f/", Some("f/B"), 2).await, keys[4..6]);
    assert_eq!(scan("f/", Some("f/𝄞"), 2).await, [""; 0]);
    assert_eq!(scan("f/", Some("a"), 1).await, ["f/"]);
    assert_eq!(scan("f/", Some("z"), 1).await, [""; 0]);
    assert_eq!(scan("f/", None, 0).await, [""; 0]);
}
