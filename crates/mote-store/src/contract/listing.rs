//! The promises of listings, judged against a plain model of them.

use std::collections::BTreeSet;

use mote_core::store::{ObjectList, ObjectListQuery};

use super::Subject;

const KEYS: [&str; 16] = ["a", "a!", "a-b", "a/", "a/b", "a/b/c", "a/b0", "a/c", "a0", "b/x", "b/y", "é/1", "é/2", "é0", "\u{ffff}/x", "𝄞"];

async fn fill(subject: &Subject) {
    subject.objects.create_bucket("photos").await.unwrap();
    // A neighbour's keys must not leak into the pages.
    subject.objects.create_bucket("photos2").await.unwrap();
    for key in KEYS.iter().rev() {
        subject.put(key, "v").await;
    }
}

async fn list(subject: &Subject, prefix: &str, delimiter: Option<&str>, after: Option<&str>, limit: usize) -> ObjectList {
    let query = ObjectListQuery { prefix: prefix.into(), delimiter: delimiter.map(Into::into), after: after.map(Into::into), limit };
    subject.objects.list("photos", query).await.expect("the bucket is listed")
}

fn keys(list: &ObjectList) -> Vec<&str> {
    list.objects.iter().map(|object| object.key.as_str()).collect()
}

pub(super) async fn pages_fold_common_prefixes(subject: Subject) {
    fill(&subject).await;
    let page = list(&subject, "", Some("/"), None, 100).await;
    assert_eq!(keys(&page), ["a", "a!", "a-b", "a0", "é0", "𝄞"]);
    assert_eq!(page.common_prefixes, ["a/", "b/", "é/", "\u{ffff}/"]);
    assert_eq!(page.next, None);

    let page = list(&subject, "a/", Some("/"), None, 100).await;
    assert_eq!((keys(&page), &page.common_prefixes), (vec!["a/", "a/b", "a/b0", "a/c"], &vec!["a/b/".to_owned()]));

    // A page that ends with a common prefix goes on behind all of its keys.
    let page = list(&subject, "", Some("/"), None, 4).await;
    assert_eq!((keys(&page), &page.common_prefixes), (vec!["a", "a!", "a-b"], &vec!["a/".to_owned()]));
    let page = list(&subject, "", Some("/"), page.next.as_deref(), 2).await;
    assert_eq!((keys(&page), &page.common_prefixes), (vec!["a0"], &vec!["b/".to_owned()]));

    // Exactly as many as there are is no cut page.
    assert_eq!(list(&subject, "b/", None, None, 2).await.next, None);
    assert_eq!(list(&subject, "b/", None, None, 1).await.next.as_deref(), Some("b/x"));
    assert_eq!(list(&subject, "nothing", Some("/"), None, 10).await, ObjectList::default());
    assert_eq!(list(&subject, "", None, None, 0).await, ObjectList::default());
}

/// What a listing must give, from the whole set of keys.
fn model(prefix: &str, delimiter: Option<&str>, after: Option<&str>) -> Vec<String> {
    let entry = |key: &&str| {
        let rest = key.strip_prefix(prefix)?;
        let folded = delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
        Some(format!("{prefix}{}", &rest[..folded.unwrap_or(rest.len())]))
    };
    let all: BTreeSet<String> = KEYS.iter().filter_map(entry).collect();
    all.into_iter().filter(|entry| after.is_none_or(|after| entry.as_str() > after)).collect()
}

pub(super) async fn every_paging_gives_the_same_keys(subject: Subject) {
    fill(&subject).await;
    for prefix in ["", "a", "a/", "a/b", "é", "z"] {
        for delimiter in [None, Some("/"), Some("b"), Some("é"), Some("/b")] {
            for start in [None, Some("a/"), Some("a/b"), Some("a/zzz"), Some("b"), Some("𝄞")] {
                for limit in [1, 2, 3, 100] {
                    let (mut found, mut after) = (Vec::new(), start.map(str::to_owned));
                    loop {
                        let page = list(&subject, prefix, delimiter, after.as_deref(), limit).await;
                        assert!(page.objects.len() + page.common_prefixes.len() <= limit);
                        let mut entries: Vec<_> = page.objects.into_iter().map(|object| object.key).chain(page.common_prefixes).collect();
                        entries.sort();
                        found.extend(entries);
                        match page.next {
                            Some(next) => after = Some(next),
                            None => break,
                        }
                    }
                    assert_eq!(found, model(prefix, delimiter, start), "{prefix:?} {delimiter:?} {start:?} {limit}");
                }
            }
        }
    }
}
