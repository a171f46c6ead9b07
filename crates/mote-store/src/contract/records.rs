//! The promises of the records of calls.

use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Id;
use mote_core::event::HttpRequest;
use mote_core::event::lineage::{Cause, How};
use mote_core::store::{CallEnd, CallRecord, RecordQuery};

use super::Subject;

fn all() -> RecordQuery {
    RecordQuery { limit: 100, ..RecordQuery::default() }
}

fn record(subject: &Subject, id: u128, function: &str, change: impl FnOnce(&mut CallRecord)) {
    let mut record = super::record(Id(id), function, subject.clock.now());
    change(&mut record);
    subject.records.append(Box::new(record));
}

fn failed(code: &str, message: &str) -> CallEnd {
    CallEnd::Failed { code: code.into(), message: message.into(), report: "Traceback: 100% wrong".into() }
}

pub(super) async fn records_are_found_by_all_that_they_tell(subject: Subject) {
    record(&subject, 1, "f", |_| {});
    record(&subject, 2, "f", |record| (record.attempt, record.end) = (1, failed("function-failed", "it raised")));
    record(&subject, 2, "f", |record| record.attempt = 2);
    record(&subject, 3, "g", |record| record.event.lineage.cause = Some(Cause { how: How::Succeeded, call: Id(2) }));
    record(&subject, 4, "f", |record| record.function.namespace = "other".parse().unwrap());
    let later = {
        (subject.advance)(Duration::from_secs(60));
        subject.clock.now()
    };
    record(&subject, 5, "g", |record| {
        record.event.lineage.caller = Some("token default/ci".into());
        record.end = CallEnd::Replied { status: 503, content_type: None, reply_bytes: 0 };
    });

    let attempts = subject.records.attempts(Id(2)).await.unwrap();
    assert_eq!(attempts.iter().map(|record| record.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(attempts[0].end, failed("function-failed", "it raised"));
    assert!(subject.records.attempts(Id(9)).await.unwrap().is_empty());

    let check = async |query: RecordQuery, expect: &[u128]| {
        let found = subject.records.search(query.clone()).await.unwrap();
        assert_eq!(found.records.iter().map(|record| record.id.0).collect::<Vec<_>>(), expect, "{query:?}");
    };
    check(all(), &[5, 4, 3, 2, 2, 1]).await;
    check(RecordQuery { namespace: Some("other".parse().unwrap()), ..all() }, &[4]).await;
    check(RecordQuery { namespace: Some("none".parse().unwrap()), ..all() }, &[]).await;
    check(RecordQuery { function: Some("f".parse().unwrap()), ..all() }, &[4, 2, 2, 1]).await;
    check(RecordQuery { failed: Some(true), ..all() }, &[5, 2]).await;
    check(RecordQuery { failed: Some(false), ..all() }, &[4, 3, 2, 1]).await;
    check(RecordQuery { status: Some(503), ..all() }, &[5]).await;
    check(RecordQuery { since: Some(later), ..all() }, &[5]).await;
    check(RecordQuery { until: Some(later), failed: Some(true), ..all() }, &[2]).await;
    check(RecordQuery { caller: Some("token default/ci".into()), ..all() }, &[5]).await;
    check(RecordQuery { error: Some("it raised".into()), ..all() }, &[2]).await;
    check(RecordQuery { error: Some("100%".into()), ..all() }, &[2]).await;
    check(RecordQuery { error: Some("100_".into()), ..all() }, &[]).await;
    check(RecordQuery { cause: Some(Id(2)), ..all() }, &[3]).await;
    check(RecordQuery { limit: 0, ..all() }, &[]).await;
}

pub(super) async fn credentials_are_in_no_record(subject: Subject) {
    let mut request = HttpRequest { query: "a=1&session=s3cret".into(), ..HttpRequest::default() };
    request.headers.insert("x-functions-key", "s3cret".parse().expect("a value"));
    let request = Arc::new(request);
    record(&subject, 1, "f", |record| {
        record.event.request = Some(request.clone());
        record.event.extensions.insert("devicetoken".into(), "s3cret".into());
    });
    let found = subject.records.attempts(Id(1)).await.unwrap();
    let told = serde_json::to_string(&found).unwrap();
    assert!(told.contains("a=1") && !told.contains("s3cret"), "{told}");
    assert_eq!(request.query, "a=1&session=s3cret", "the call that shares it has it as it was");
}

pub(super) async fn pages_of_records_miss_none_while_more_come(subject: Subject) {
    for id in 1..=5 {
        record(&subject, id, "f", |_| {});
    }
    let (mut seen, mut query) = (Vec::new(), RecordQuery { limit: 2, ..RecordQuery::default() });
    loop {
        let page = subject.records.search(query.clone()).await.unwrap();
        seen.extend(page.records.iter().map(|record| record.id.0));
        record(&subject, 100, "f", |_| {});
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}
