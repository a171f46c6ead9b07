//! The promises of multipart uploads.

use std::collections::BTreeMap;

use mote_core::Body;
use mote_core::error::Code;
use mote_core::store::{ByteRange, Effects, Item, ObjectInfo, ObjectMeta, PartInfo, Precondition, UploadInfo};

use super::{Subject, pattern, refused};

const PART_BYTES: usize = 5 << 20;

async fn begin(subject: &Subject, key: &str) -> UploadInfo {
    let meta = ObjectMeta { content_type: Some("text/plain".into()), ..ObjectMeta::default() };
    subject.objects.create_upload("photos", key, meta).await.expect("the upload begins")
}

async fn send(subject: &Subject, upload: &UploadInfo, number: u32, bytes: Vec<u8>) -> PartInfo {
    let staged = subject.objects.stage(Body::from(bytes)).await.expect("the part is staged");
    subject.objects.put_part(upload, number, staged, BTreeMap::new(), None).await.expect("the part is put")
}

fn named(parts: &[&PartInfo]) -> Vec<(u32, String)> {
    parts.iter().map(|part| (part.number, part.etag.clone())).collect()
}

pub(super) async fn parts_become_one_object(subject: Subject) {
    let objects = &subject.objects;
    objects.create_bucket("photos").await.unwrap();
    let upload = begin(&subject, "k").await;
    assert_eq!(objects.upload("photos", "k", &upload.id).await.unwrap(), upload);
    let (first, last) = (pattern(PART_BYTES, 1), pattern(1000, 2));
    send(&subject, &upload, 1, pattern(10, 9)).await;
    let one = send(&subject, &upload, 1, first.clone()).await;
    let nine = send(&subject, &upload, 9, last.clone()).await;
    send(&subject, &upload, 5, pattern(10, 3)).await;
    let numbers = objects.parts(&upload, 1, 10).await.unwrap().iter().map(|part| part.number).collect::<Vec<_>>();
    assert_eq!(numbers, [5, 9]);
    assert_eq!(objects.parts(&upload, 0, 1).await.unwrap(), std::slice::from_ref(&one));
    refused(objects.head("photos", "k").await, Code::ObjectNotFound);

    let id = subject.clock.id();
    let effects: Effects = Some(Box::new(move |info: &ObjectInfo| vec![Item::new(id, "work", info.modified, info.etag.clone())]));
    let complete = objects.complete_upload(&upload, named(&[&one, &nine]), upload.meta.clone(), Precondition::default(), effects);
    let info = complete.await.unwrap();
    assert_eq!((info.size, info.meta.content_type.as_deref()), ((PART_BYTES + 1000) as u64, Some("text/plain")));
    assert!(info.etag.len() == 34 && info.etag.ends_with("-2"), "{}", info.etag);
    assert_eq!(subject.queue.depth("work").await.unwrap(), 1);
    refused(objects.upload("photos", "k", &upload.id).await, Code::UploadNotFound);

    let whole = [first, last].concat();
    assert!(subject.get("k").await.unwrap() == whole);
    let seam = PART_BYTES as u64;
    for (from, to) in [(seam - 10, seam + 10), (seam, seam), (seam - 1, seam - 1), (0, seam + 999)] {
        let (_, body) = objects.get("photos", "k", Some(ByteRange { first: from, last: to })).await.unwrap();
        assert!(body.collect(u64::MAX).await.unwrap() == whole[from as usize..=to as usize], "{from}-{to}");
    }
    // A reader of several files keeps all of them.
    let (_, body) = objects.get("photos", "k", None).await.unwrap();
    subject.put("k", "short").await;
    assert!(body.collect(u64::MAX).await.unwrap() == whole);
    assert_eq!(subject.get("k").await.unwrap(), "short");
}

pub(super) async fn wrong_parts_are_refused(subject: Subject) {
    let objects = &subject.objects;
    objects.create_bucket("photos").await.unwrap();
    let upload = begin(&subject, "k").await;
    for number in [0, 10_001] {
        let staged = objects.stage(Body::from("x")).await.unwrap();
        refused(objects.put_part(&upload, number, staged, BTreeMap::new(), None).await, Code::PartInvalid);
    }
    let one = send(&subject, &upload, 1, pattern(100, 1)).await;
    let two = send(&subject, &upload, 2, pattern(100, 2)).await;
    let absent = PartInfo { number: 3, ..two.clone() };
    let wrong = PartInfo { etag: "0".repeat(32), ..one.clone() };
    for parts in [named(&[]), named(&[&one, &two]), named(&[&two, &one]), named(&[&absent]), named(&[&wrong]), named(&[&two, &two])] {
        let complete = objects.complete_upload(&upload, parts, ObjectMeta::default(), Precondition::default(), None);
        refused(complete.await, Code::PartInvalid);
    }
    subject.put("k", "there").await;
    let never = Precondition { if_none_match: Some(vec!["*".into()]), ..Precondition::default() };
    refused(objects.complete_upload(&upload, named(&[&one]), ObjectMeta::default(), never, None).await, Code::PreconditionFailed);
    // After all these refusals the upload still stands.
    let complete = objects.complete_upload(&upload, named(&[&two]), ObjectMeta::default(), Precondition::default(), None);
    assert_eq!(complete.await.unwrap().size, 100);
}

pub(super) async fn an_aborted_upload_is_gone(subject: Subject) {
    let objects = &subject.objects;
    objects.create_bucket("photos").await.unwrap();
    let (a, b, c) = (begin(&subject, "a").await, begin(&subject, "b/1").await, begin(&subject, "b/1").await);
    let list = async |prefix: &str, after: Option<(&str, &str)>, limit| objects.uploads("photos", prefix, after, limit).await.unwrap();
    assert_eq!(list("", None, 10).await, [a.clone(), b.clone(), c.clone()]);
    assert_eq!(list("b", None, 1).await, std::slice::from_ref(&b));
    assert_eq!(list("b", Some(("b/1", &b.id)), 10).await, std::slice::from_ref(&c));

    let part = send(&subject, &b, 1, pattern(10, 1)).await;
    objects.abort_upload(&b).await.unwrap();
    assert_eq!(list("", None, 10).await, [a, c]);
    refused(objects.abort_upload(&b).await, Code::UploadNotFound);
    refused(objects.parts(&b, 0, 10).await, Code::UploadNotFound);
    let staged = objects.stage(Body::from("x")).await.unwrap();
    refused(objects.put_part(&b, 1, staged, BTreeMap::new(), None).await, Code::UploadNotFound);
    let complete = objects.complete_upload(&b, named(&[&part]), ObjectMeta::default(), Precondition::default(), None);
    refused(complete.await, Code::UploadNotFound);
}
