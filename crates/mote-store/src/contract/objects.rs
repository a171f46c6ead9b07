//! The promises of buckets and objects.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mote_core::Body;
use mote_core::error::{Code, Error};
use mote_core::store::{BucketInfo, ByteRange, ByteRoom, Effects, Item, ObjectInfo, ObjectMeta, Precondition, Room, Tags};

use super::{Subject, pattern, refused};

pub(super) async fn buckets_come_and_go(subject: Subject) {
    let objects = &subject.objects;
    for name in ["photos", "a.b-c", "zebra"] {
        objects.create_bucket(name).await.unwrap();
    }
    refused(objects.create_bucket("photos").await, Code::Conflict);
    assert_eq!(objects.bucket("photos").await.unwrap().created, subject.clock.now());
    let names: Vec<_> = objects.buckets().await.unwrap().into_iter().map(|bucket| bucket.name).collect();
    assert_eq!(names, ["a.b-c", "photos", "zebra"]);

    subject.put("k", "v").await;
    refused(objects.delete_bucket("photos").await, Code::BucketNotEmpty);
    assert!(objects.delete("photos", "k", Precondition::default(), None).await.unwrap());
    assert!(!objects.delete("photos", "k", Precondition::default(), None).await.unwrap());
    // An upload that nobody completes does not keep a bucket.
    let upload = objects.create_upload("photos", "u", ObjectMeta::default()).await.unwrap();
    objects.delete_bucket("photos").await.unwrap();
    objects.create_bucket("photos").await.unwrap();
    refused(objects.upload("photos", "u", &upload.id).await, Code::UploadNotFound);
    objects.delete_bucket("photos").await.unwrap();

    refused(objects.bucket("photos").await, Code::BucketNotFound);
    refused(objects.delete_bucket("photos").await, Code::BucketNotFound);
    refused(objects.head("photos", "k").await, Code::BucketNotFound);
    refused(objects.get("photos", "k", None).await, Code::BucketNotFound);
    refused(objects.list("photos", Default::default()).await, Code::BucketNotFound);
    refused(objects.delete("photos", "k", Precondition::default(), None).await, Code::BucketNotFound);
    refused(objects.create_upload("photos", "k", ObjectMeta::default()).await, Code::BucketNotFound);
    let staged = objects.stage(Body::from("v")).await.unwrap();
    refused(objects.put("photos", "k", staged, ObjectMeta::default(), Precondition::default(), None).await, Code::BucketNotFound);
}

pub(super) async fn tags_change_nothing_else(subject: Subject) {
    let objects = &subject.objects;
    let tags = |key: &str, value: &str| Tags::from([(key.to_owned(), value.to_owned())]);
    objects.create_bucket("photos").await.unwrap();
    let before = objects.bucket("photos").await.unwrap();
    objects.tag_bucket("photos", tags("team", "birds")).await.unwrap();
    let tagged = BucketInfo { tags: tags("team", "birds"), ..before.clone() };
    assert_eq!(objects.bucket("photos").await.unwrap(), tagged);
    assert_eq!(objects.buckets().await.unwrap(), [tagged]);
    objects.tag_bucket("photos", Tags::new()).await.unwrap();
    assert_eq!(objects.bucket("photos").await.unwrap(), before);

    let put = subject.put("k", "v").await;
    (subject.advance)(Duration::from_secs(1));
    objects.tag("photos", "k", tags("a", "é")).await.unwrap();
    let tagged = ObjectInfo { meta: ObjectMeta { tags: tags("a", "é"), ..put.meta.clone() }, ..put.clone() };
    assert_eq!(objects.head("photos", "k").await.unwrap(), tagged);
    assert_eq!(subject.get("k").await.unwrap(), "v");
    objects.tag("photos", "k", Tags::new()).await.unwrap();
    assert_eq!(objects.head("photos", "k").await.unwrap(), put);

    refused(objects.tag("photos", "gone", Tags::new()).await, Code::ObjectNotFound);
    refused(objects.tag("gone", "k", Tags::new()).await, Code::BucketNotFound);
    refused(objects.tag_bucket("gone", Tags::new()).await, Code::BucketNotFound);
}

pub(super) async fn names_are_bounded(subject: Subject) {
    let objects = &subject.objects;
    for name in ["", "ab", "Photos", "a..b", "10.0.0.1", "a/b", &"a".repeat(64)] {
        refused(objects.create_bucket(name).await, Code::NameInvalid);
    }
    objects.create_bucket("photos").await.unwrap();
    for key in ["", &"k".repeat(1025)] {
        let staged = objects.stage(Body::from("v")).await.unwrap();
        refused(objects.put("photos", key, staged, ObjectMeta::default(), Precondition::default(), None).await, Code::NameInvalid);
        refused(objects.create_upload("photos", key, ObjectMeta::default()).await, Code::NameInvalid);
        refused(objects.head("photos", key).await, Code::ObjectNotFound);
    }
    // A key is bytes, no path.
    for key in ["../../etc/passwd", "/", "a//b", ".", "\u{0}", "é/𝄞", &"k".repeat(1024)] {
        subject.put(key, key.to_owned()).await;
        assert_eq!(subject.get(key).await.unwrap(), key);
    }
}

pub(super) async fn bytes_come_back_whole_and_in_ranges(subject: Subject) {
    let objects = &subject.objects;
    objects.create_bucket("photos").await.unwrap();
    assert_eq!(subject.put("empty", "").await.etag, "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(subject.get("empty").await.unwrap(), "");

    let meta = ObjectMeta {
        content_type: Some("image/jpeg".into()),
        headers: BTreeMap::from([("cache-control".into(), "no-store".into())]),
        user: BTreeMap::from([("who".into(), "é".into())]),
        tags: BTreeMap::from([("team".into(), "".into())]),
        checksums: BTreeMap::from([("crc32".into(), "AAAAAA==".into())]),
    };
    let bytes = pattern(1_000_000, 1);
    let pieces: Vec<_> = bytes.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let staged = objects.stage(Body::stream(futures_util::stream::iter(pieces), None)).await.unwrap();
    assert_eq!(staged.size(), 1_000_000);
    let put = objects.put("photos", "large", staged, meta.clone(), Precondition::default(), None).await.unwrap();
    assert_eq!((put.size, &put.meta, put.modified), (1_000_000, &meta, subject.clock.now()));
    assert_eq!(objects.head("photos", "large").await.unwrap(), put);
    let (info, body) = objects.get("photos", "large", None).await.unwrap();
    assert_eq!((info, body.length()), (put, Some(1_000_000)));
    assert!(body.collect(u64::MAX).await.unwrap() == bytes);

    for (first, last) in [(0, 0), (999_999, 999_999), (1, 999_998), (262_143, 262_144), (300_000, 900_000)] {
        let (_, body) = objects.get("photos", "large", Some(ByteRange { first, last })).await.unwrap();
        assert!(body.collect(u64::MAX).await.unwrap() == bytes[first as usize..=last as usize], "{first}-{last}");
    }
    for (first, last) in [(0, 1_000_000), (1_000_000, 1_000_000), (2, 1), (0, u64::MAX)] {
        refused(objects.get("photos", "large", Some(ByteRange { first, last })).await, Code::RangeInvalid);
    }
    refused(objects.get("photos", "empty", Some(ByteRange { first: 0, last: 0 })).await, Code::RangeInvalid);
    refused(objects.get("photos", "none", None).await, Code::ObjectNotFound);
}

pub(super) async fn a_reader_keeps_what_it_opened(subject: Subject) {
    let objects = &subject.objects;
    objects.create_bucket("photos").await.unwrap();
    let (old, new) = (pattern(3_000_000, 1), pattern(3_000_000, 2));
    subject.put("k", old.clone()).await;
    let (_, first) = objects.get("photos", "k", None).await.unwrap();
    subject.put("k", new.clone()).await;
    let (_, second) = objects.get("photos", "k", None).await.unwrap();
    assert!(objects.delete("photos", "k", Precondition::default(), None).await.unwrap());
    assert!(first.collect(u64::MAX).await.unwrap() == old);
    assert!(second.collect(u64::MAX).await.unwrap() == new);
    refused(objects.get("photos", "k", None).await, Code::ObjectNotFound);
}

pub(super) async fn conditions_are_judged_with_the_write(subject: Subject) {
    subject.objects.create_bucket("photos").await.unwrap();
    let put = async |if_match: Option<&[&str]>, if_none_match: Option<&[&str]>, bytes: &'static str| {
        let list = |etags: Option<&[&str]>| etags.map(|etags| etags.iter().map(|etag| etag.to_string()).collect());
        let condition = Precondition { if_match: list(if_match), if_none_match: list(if_none_match), ..Precondition::default() };
        let staged = subject.objects.stage(Body::from(bytes)).await.unwrap();
        subject.objects.put("photos", "k", staged, ObjectMeta::default(), condition, None).await
    };
    refused(put(Some(&["*"]), None, "x").await, Code::PreconditionFailed);
    let one = put(None, Some(&["*"]), "one").await.unwrap();
    refused(put(None, Some(&["*"]), "x").await, Code::PreconditionFailed);
    refused(put(None, Some(&["other", &one.etag]), "x").await, Code::PreconditionFailed);
    refused(put(Some(&["other"]), None, "x").await, Code::PreconditionFailed);
    let two = put(Some(&["other", &one.etag]), None, "two").await.unwrap();
    refused(put(Some(&[&one.etag]), None, "x").await, Code::PreconditionFailed);
    put(Some(&["*"]), Some(&[&one.etag]), "three").await.unwrap();
    assert_eq!(subject.get("k").await.unwrap(), "three");

    let wants_two = Precondition { if_match: Some(vec![two.etag]), ..Precondition::default() };
    refused(subject.objects.delete("photos", "k", wants_two, None).await, Code::PreconditionFailed);
    assert_eq!(subject.get("k").await.unwrap(), "three");
}

pub(super) async fn effects_happen_with_the_change_or_not_at_all(subject: Subject) {
    subject.objects.create_bucket("photos").await.unwrap();
    let effects = |id| -> Effects {
        Some(Box::new(move |info: &ObjectInfo| {
            let payload = format!("{}/{} {} {}", info.bucket, info.key, info.size, info.etag);
            vec![Item::new(id, "work", info.modified, payload)]
        }))
    };
    let put = async |condition: Precondition| {
        let staged = subject.objects.stage(Body::from("hello")).await.unwrap();
        subject.objects.put("photos", "k", staged, ObjectMeta::default(), condition, effects(subject.clock.id())).await
    };
    let payloads = async || {
        let leases = subject.queue.lease("work", 10, Duration::from_secs(60)).await.unwrap();
        leases.into_iter().map(|lease| lease.item.payload).collect::<Vec<_>>()
    };
    let waiting = subject.queue.changed();
    put(Precondition::default()).await.unwrap();
    waiting.await;
    assert_eq!(payloads().await, ["photos/k 5 5d41402abc4b2a76b9719d911017c592"]);

    refused(put(Precondition { if_none_match: Some(vec!["*".into()]), ..Precondition::default() }).await, Code::PreconditionFailed);
    let absent = subject.objects.delete("photos", "absent", Precondition::default(), effects(subject.clock.id()));
    assert!(!absent.await.unwrap());
    assert_eq!(payloads().await, [""; 0]);
    let present = subject.objects.delete("photos", "k", Precondition::default(), effects(subject.clock.id()));
    assert!(present.await.unwrap());
    assert_eq!(payloads().await, ["photos/k 5 5d41402abc4b2a76b9719d911017c592"]);

    // Effects that break off take their object along, and nothing else.
    let staged = subject.objects.stage(Body::from("x")).await.unwrap();
    let broken: Effects = Some(Box::new(|_: &ObjectInfo| panic!("on order of the test")));
    let put = subject.objects.put("photos", "broken", staged, ObjectMeta::default(), Precondition::default(), broken);
    refused(put.await, Code::Internal);
    refused(subject.objects.head("photos", "broken").await, Code::ObjectNotFound);
    subject.put("k", "v").await;
}

pub(super) async fn a_change_whose_events_find_no_room_does_not_happen(subject: Subject) {
    subject.objects.create_bucket("photos").await.unwrap();
    let two = |subject: &Subject| -> Effects {
        let ids = [subject.clock.id(), subject.clock.id()];
        Some(Box::new(move |info: &ObjectInfo| ids.iter().map(|id| Item::new(*id, "work/a", info.modified, "")).collect()))
    };
    let room = |items_max| Precondition { queued: vec![Room { prefixes: vec!["work/".into()], items_max }], ..Precondition::default() };
    let put = async |key: &str, condition: Precondition, effects: Effects| {
        let staged = subject.objects.stage(Body::from("hello")).await.unwrap();
        subject.objects.put("photos", key, staged, ObjectMeta::default(), condition, effects).await
    };
    put("a", room(2), two(&subject)).await.unwrap();
    refused(put("b", room(3), two(&subject)).await, Code::Throttled);
    refused(subject.objects.head("photos", "b").await, Code::ObjectNotFound);
    refused(subject.objects.delete("photos", "a", room(3), two(&subject)).await, Code::Throttled);
    subject.objects.head("photos", "a").await.unwrap();
    assert_eq!(subject.queue.depth("work/").await.unwrap(), 2);
    // What fires nothing takes no room.
    put("c", room(0), None).await.unwrap();
    assert!(subject.objects.delete("photos", "a", room(4), two(&subject)).await.unwrap());
}

pub(super) async fn a_broken_body_leaves_nothing(subject: Subject) {
    subject.objects.create_bucket("photos").await.unwrap();
    let pieces = vec![Ok(Bytes::from(pattern(600_000, 3))), Err(Error::new(Code::BodyInvalid, "the connection broke"))];
    let body = Body::stream(futures_util::stream::iter(pieces), Some(1_000_000));
    refused(subject.objects.stage(body).await.map(drop), Code::BodyInvalid);
    assert_eq!(
        subject.objects.list("photos", mote_core::store::ObjectListQuery { limit: 9, ..Default::default() }).await.unwrap(),
        Default::default()
    );
}

pub(super) async fn a_room_of_bytes_is_never_overfull(subject: Subject) {
    let objects = &subject.objects;
    for bucket in ["photos", "shop/photos", "shop/other"] {
        objects.create_bucket(bucket).await.unwrap();
    }
    let put = async |bucket: &str, key: &str, body: &'static str, room: Option<&ByteRoom>| {
        let staged = objects.stage(Body::from(body)).await.unwrap();
        let condition = Precondition { room: room.cloned(), ..Precondition::default() };
        objects.put(bucket, key, staged, ObjectMeta::default(), condition, None).await
    };
    let room = |prefix: &str, bytes_max| ByteRoom { prefix: prefix.into(), bytes_max };
    let shop = room("shop/", 10);
    put("photos", "a", "0123456789", Some(&room("", 10))).await.unwrap();
    put("shop/photos", "a", "01234", Some(&shop)).await.unwrap();
    put("shop/other", "b", "01234", Some(&shop)).await.unwrap();
    refused(put("shop/photos", "c", "0", Some(&shop)).await, Code::QuotaExceeded);
    refused(put("shop/photos", "a", "012345", Some(&shop)).await, Code::QuotaExceeded);
    assert_eq!((objects.bytes("").await.unwrap(), objects.bytes("shop/").await.unwrap()), (10, 10));
    // As large, smaller, or too much before: no change for the worse.
    put("shop/photos", "a", "56789", Some(&shop)).await.unwrap();
    put("shop/photos", "a", "5678", Some(&room("shop/", 3))).await.unwrap();
    assert_eq!(objects.bytes("shop/").await.unwrap(), 9);

    // A part counts as soon as it is there, and once: the object takes its place.
    let upload = objects.create_upload("shop/photos", "big", ObjectMeta::default()).await.unwrap();
    let part = async |body: &'static str| {
        let staged = objects.stage(Body::from(body)).await.unwrap();
        objects.put_part(&upload, 1, staged, Default::default(), Some(shop.clone())).await
    };
    refused(part("01").await, Code::QuotaExceeded);
    let etag = part("0").await.unwrap().etag;
    assert_eq!(objects.bytes("shop/").await.unwrap(), 10);
    let condition = Precondition { room: Some(shop.clone()), ..Precondition::default() };
    objects.complete_upload(&upload, vec![(1, etag)], ObjectMeta::default(), condition, None).await.unwrap();
    assert_eq!(objects.bytes("shop/").await.unwrap(), 10);
    let other = objects.create_upload("shop/photos", "never", ObjectMeta::default()).await.unwrap();
    let staged = objects.stage(Body::from("0123")).await.unwrap();
    objects.put_part(&other, 1, staged, Default::default(), None).await.unwrap();
    objects.abort_upload(&other).await.unwrap();
    for (bucket, key) in [("shop/photos", "a"), ("shop/photos", "big"), ("shop/other", "b")] {
        assert!(objects.delete(bucket, key, Precondition::default(), None).await.unwrap());
    }
    objects.delete_bucket("shop/other").await.unwrap();
    assert_eq!(objects.bytes("shop/").await.unwrap(), 0);
}
