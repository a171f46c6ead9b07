//! What a change fires, seen through an inner store that keeps only the effects.

use std::sync::Mutex;

use mote_core::access::Root;
use mote_core::clock::{Id, Timestamp};
use mote_core::function::delivery::Retry;
use mote_core::function::{Binding, Family, Function, Name};
use mote_core::invoke::deliver::parcel::Parcel;
use mote_core::store::Item;
use mote_core::{Code, Error};
use mote_testkit::FakeClock;

use super::*;

/// Runs the effects of every change; holds an object at each key but `gone`.
#[derive(Default)]
struct Recorder(Mutex<Vec<Item>>);

impl Recorder {
    fn commit(&self, bucket: &str, key: &str, meta: ObjectMeta, effects: Effects) -> ObjectInfo {
        let info = ObjectInfo { bucket: bucket.into(), key: key.into(), size: 3, etag: "abc".into(), modified: Timestamp(1), meta };
        self.0.lock().unwrap().extend(effects.map(|effects| effects(&info)).unwrap_or_default());
        info
    }

    fn fired(&self) -> Vec<Item> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn other<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T>> {
    Box::pin(async { Err(Error::new(Code::Unsupported, "this store only keeps effects")) })
}

impl Objects for Recorder {
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        _: Box<dyn Staged>,
        meta: ObjectMeta,
        _: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>> {
        Box::pin(async move { Ok(self.commit(bucket, key, meta, effects)) })
    }

    fn complete_upload<'a>(
        &'a self,
        upload: &'a UploadInfo,
        _: Vec<(u32, String)>,
        meta: ObjectMeta,
        _: Precondition,
        effects: Effects,
    ) -> BoxFuture<'a, Result<ObjectInfo>> {
        Box::pin(async move { Ok(self.commit(&upload.bucket, &upload.key, meta, effects)) })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str, _: Precondition, effects: Effects) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if key == "gone" {
                return Ok(false);
            }
            self.commit(bucket, key, ObjectMeta::default(), effects);
            Ok(true)
        })
    }

    fn create_bucket<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        other()
    }

    fn delete_bucket<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        other()
    }

    fn bucket<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<BucketInfo>> {
        other()
    }

    fn buckets(&self) -> BoxFuture<'_, Result<Vec<BucketInfo>>> {
        other()
    }

    fn tag_bucket<'a>(&'a self, _: &'a str, _: Tags) -> BoxFuture<'a, Result<()>> {
        other()
    }

    fn tag<'a>(&'a self, _: &'a str, _: &'a str, _: Tags) -> BoxFuture<'a, Result<()>> {
        other()
    }

    fn stage(&self, _: Body) -> BoxFuture<'_, Result<Box<dyn Staged>>> {
        Box::pin(async { Ok(Box::new(Nothing) as Box<dyn Staged>) })
    }

    fn get<'a>(&'a self, _: &'a str, _: &'a str, _: Option<ByteRange>) -> BoxFuture<'a, Result<(ObjectInfo, Body)>> {
        other()
    }

    fn head<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<ObjectInfo>> {
        other()
    }

    fn list<'a>(&'a self, _: &'a str, _: ObjectListQuery) -> BoxFuture<'a, Result<ObjectList>> {
        other()
    }

    fn create_upload<'a>(&'a self, _: &'a str, _: &'a str, _: ObjectMeta) -> BoxFuture<'a, Result<UploadInfo>> {
        other()
    }

    fn upload<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<UploadInfo>> {
        other()
    }

    fn put_part<'a>(
        &'a self,
        _: &'a UploadInfo,
        _: u32,
        _: Box<dyn Staged>,
        _: BTreeMap<String, String>,
        _: Option<ByteRoom>,
    ) -> BoxFuture<'a, Result<PartInfo>> {
        other()
    }

    fn bytes<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64>> {
        other()
    }

    fn parts<'a>(&'a self, _: &'a UploadInfo, _: u32, _: usize) -> BoxFuture<'a, Result<Vec<PartInfo>>> {
        other()
    }

    fn abort_upload<'a>(&'a self, _: &'a UploadInfo) -> BoxFuture<'a, Result<()>> {
        other()
    }

    fn uploads<'a>(&'a self, _: &'a str, _: &'a str, _: Option<(&'a str, &'a str)>, _: usize) -> BoxFuture<'a, Result<Vec<UploadInfo>>> {
        other()
    }
}

struct Nothing;

impl Staged for Nothing {
    fn size(&self) -> u64 {
        0
    }

    fn md5(&self) -> [u8; 16] {
        [0; 16]
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn function(name: &str, events: &[ObjectChange], prefix: &str, suffix: &str) -> Arc<Function> {
    let binding =
        Binding::Bucket { bucket: "photos".into(), events: events.to_vec(), prefix: prefix.into(), suffix: suffix.into(), retry: None };
    Arc::new(Function {
        name: Name::new(name).unwrap(),
        runtime: Family::Python.into(),
        bindings: vec![binding],
        ..mote_testkit::function("f")
    })
}

fn world() -> (Arc<Recorder>, ObjectTrigger) {
    let directory = Arc::new(Directory::default());
    directory.replace(vec![
        function("thumbnail", &[ObjectChange::Created], "in/", ".jpg"),
        function("index", &[ObjectChange::Created, ObjectChange::Removed], "", ""),
    ]);
    let recorder = Arc::new(Recorder::default());
    let clock = Arc::new(FakeClock::default());
    let root = Root { token: "token".into(), keys: Vec::new(), server_key: [7; 32] };
    let access = Arc::new(Access::new(root, clock.clone()));
    let known = Known {
        topics: Arc::new(Topics::new(directory.clone())),
        queues: Arc::new(Queues::new([7; 32])),
        dialects: Dialects::default(),
        directory,
    };
    let trigger = ObjectTrigger::new(recorder.clone(), known, access, clock);
    (recorder, trigger)
}

/// Function, kind and data of each item.
fn parcels(items: &[Item]) -> Vec<(String, String, serde_json::Value)> {
    let read = |item: &Item| {
        let parcel: Parcel = serde_json::from_slice(&item.payload).unwrap();
        assert_eq!((item.id, item.queue.clone()), (parcel.event.id, format!("invoke/default/{}", parcel.to.name)));
        assert_eq!(parcel.event.source, "/buckets/photos");
        let data: serde_json::Value = serde_json::from_slice(&parcel.event.body).unwrap();
        assert_eq!(parcel.event.subject.as_deref(), data["key"].as_str());
        (parcel.to.to_string(), parcel.event.kind, data)
    };
    let mut parcels: Vec<_> = items.iter().map(read).collect();
    parcels.sort_by(|a, b| a.0.cmp(&b.0));
    parcels
}

fn event(function: &str, kind: &str, data: serde_json::Value) -> (String, String, serde_json::Value) {
    (function.into(), kind.into(), data)
}

async fn put(trigger: &ObjectTrigger, bucket: &str, key: &str, effects: Effects) {
    let meta = ObjectMeta { content_type: Some("image/jpeg".into()), ..Default::default() };
    let staged = trigger.stage(Body::empty()).await.unwrap();
    trigger.put(bucket, key, staged, meta, Precondition::default(), effects).await.unwrap();
}

#[tokio::test]
async fn a_put_fires_each_function_that_is_bound_to_it() {
    let (recorder, trigger) = world();
    put(&trigger, "photos", "in/cat.jpg", None).await;
    let items = recorder.fired();
    let data = json!({"bucket": "photos", "key": "in/cat.jpg", "size": 3, "etag": "abc", "content_type": "image/jpeg", "operation": "put"});
    let kind = "mote.object.created";
    assert_eq!(parcels(&items), [event("index", kind, data.clone()), event("thumbnail", kind, data)]);
    assert_ne!(items[0].id, items[1].id);
    put(&trigger, "photos", "out/cat.jpg", None).await;
    assert_eq!(recorder.fired().len(), 1);
    put(&trigger, "others", "in/cat.jpg", None).await;
    assert_eq!(recorder.fired(), []);
}

#[tokio::test]
async fn who_wants_one_way_of_coming_hears_of_no_other() {
    let (recorder, trigger) = world();
    trigger.known.directory.replace(vec![function("copied", &[ObjectChange::Copy], "", "")]);
    let copy = Precondition { is_copy: true, ..Precondition::default() };
    let staged = trigger.stage(Body::empty()).await.unwrap();
    trigger.put("photos", "a", staged, ObjectMeta::default(), copy, None).await.unwrap();
    let data = json!({"bucket": "photos", "key": "a", "size": 3, "etag": "abc", "operation": "copy"});
    let kind = "mote.object.created";
    assert_eq!(parcels(&recorder.fired()), [event("copied", kind, data.clone()), event("index", kind, data)]);
    put(&trigger, "photos", "a", None).await;
    assert_eq!(recorder.fired().len(), 1);
}

#[tokio::test]
async fn a_bindings_own_rule_goes_with_its_events() {
    let rule = Retry { attempts_max: 1, ..Retry::default() };
    let mut own = Function::clone(&function("own", &[ObjectChange::Created], "", ""));
    *own.bindings[0].retry_mut().unwrap() = Some(rule.clone());
    let (recorder, trigger) = world();
    trigger.known.directory.replace(vec![Arc::new(own)]);
    put(&trigger, "photos", "a", None).await;
    let read = |item: &Item| {
        let parcel: Parcel = serde_json::from_slice(&item.payload).unwrap();
        (parcel.to.to_string(), parcel.retry)
    };
    let mut rules: Vec<_> = recorder.fired().iter().map(read).collect();
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(rules, [("index".to_owned(), None), ("own".to_owned(), Some(rule))]);
}

#[tokio::test]
async fn a_multipart_upload_and_a_removal_say_what_they_are() {
    let (recorder, trigger) = world();
    let upload =
        UploadInfo { id: "u".into(), bucket: "photos".into(), key: "a".into(), started: Timestamp(0), meta: ObjectMeta::default() };
    trigger.complete_upload(&upload, vec![], ObjectMeta::default(), Precondition::default(), None).await.unwrap();
    let data = json!({"bucket": "photos", "key": "a", "size": 3, "etag": "abc", "operation": "complete-multipart-upload"});
    assert_eq!(parcels(&recorder.fired()), [event("index", "mote.object.created", data)]);
    assert!(trigger.delete("photos", "a", Precondition::default(), None).await.unwrap());
    let data = json!({"bucket": "photos", "key": "a", "size": 3, "etag": "abc", "operation": "delete"});
    assert_eq!(parcels(&recorder.fired()), [event("index", "mote.object.removed", data)]);
    assert!(!trigger.delete("photos", "gone", Precondition::default(), None).await.unwrap());
    assert_eq!(recorder.fired(), []);
}

#[tokio::test]
async fn the_callers_own_effects_come_first() {
    let (recorder, trigger) = world();
    let own = Item::new(Id(99), "own", Timestamp(0), "");
    let effects: Effects = Some(Box::new({
        let own = own.clone();
        move |_| vec![own]
    }));
    put(&trigger, "photos", "a", effects).await;
    let items = recorder.fired();
    assert_eq!((items.len(), &items[0]), (2, &own));
}

#[tokio::test]
async fn what_a_function_changes_is_the_cause_of_what_that_fires_and_a_circle_ends() {
    let (recorder, trigger) = world();
    let origin = Depth::default();
    let inside = trigger.inside(origin.clone());
    origin.enter(Standing { depth: 3, call: Some(Id(7)), trace: Some("00-1-2-01".into()) }, true);
    put(&inside, "photos", "a", None).await;
    let parcel: Parcel = serde_json::from_slice(&recorder.fired()[0].payload).unwrap();
    assert_eq!((parcel.hops, parcel.event.lineage), (4, Lineage::of(How::Called, Id(7))));
    assert_eq!(parcel.event.extensions[TRACE_PARENT], "00-1-2-01");

    origin.enter(Standing { depth: DEPTH_MAX, ..Standing::default() }, true);
    let change = async |bucket: &str| {
        let staged = inside.stage(Body::empty()).await.unwrap();
        inside.put(bucket, "a", staged, ObjectMeta::default(), Precondition::default(), None).await.map(drop)
    };
    assert_eq!(change("photos").await.unwrap_err().code(), Code::LoopDetected);
    assert_eq!(inside.delete("photos", "a", Precondition::default(), None).await.unwrap_err().code(), Code::LoopDetected);
    change("others").await.unwrap();
    put(&trigger, "photos", "a", None).await;
    let parcel: Parcel = serde_json::from_slice(&recorder.fired()[0].payload).unwrap();
    assert_eq!((parcel.hops, parcel.event.lineage.cause), (0, None), "from outside, a change begins anew");
}
