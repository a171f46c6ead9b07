//! `kill -9` at random moments: what was answered is there, an object and its event both or neither.
//!
//! The parent starts itself as a child that writes and says what was answered, kills it after a
//! drawn number of answers, opens the directory and compares. The seed is printed; `MOTE_SEED`
//! repeats a run. Not here: a power cut, which would also test the disk.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mote_core::Body;
use mote_core::clock::{Clock as _, Id, SystemClock};
use mote_core::error::Code;
use mote_core::store::{Catalog, Effects, End, Item, ObjectInfo, ObjectListQuery, ObjectMeta, Objects, Precondition, Queue, Write};
use mote_store::Embedded;

const ROUNDS: u64 = 12;
const LEASE: Duration = Duration::from_secs(3600);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, dir, base] = arguments.as_slice()
        && child == "--child"
    {
        return runtime.block_on(write(Path::new(dir), base.parse().unwrap()));
    }
    let seed = std::env::var("MOTE_SEED").map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
    println!("crash: MOTE_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed);
    let mut said = Said::default();
    for round in 0..ROUNDS {
        let answers = 1 + dice.roll(600);
        said.listen(dir.path(), round * 1_000_000, answers);
        runtime.block_on(said.compare(dir.path()));
    }
    println!("crash: {ROUNDS} kills, {} objects, {} items, {} changes of a record: ok", said.put.len(), said.queued.len(), said.record);
}

/// A small generator of its own: the draws must be the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

// ---- the child ----

/// Writes till it is killed; a line on stdout for each answer, and before what must not be undone.
async fn write(dir: &Path, base: u64) {
    let store = Embedded::open(dir, Arc::new(SystemClock::new())).unwrap();
    match store.objects().create_bucket("photos").await {
        Ok(()) => {}
        Err(error) => assert_eq!(error.code(), Code::Conflict),
    }
    let putting = (0..3).map(|lane| tokio::spawn(put_and_delete(store.objects(), base + lane * 100_000)));
    let queueing = (0..3).map(|lane| tokio::spawn(enqueue_and_settle(store.queue(), base + lane * 100_000)));
    let swapping = std::iter::once(tokio::spawn(swap(store.catalog())));
    for task in putting.chain(queueing).chain(swapping).collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn put_and_delete(objects: Arc<dyn Objects>, base: u64) {
    for number in base.. {
        let staged = objects.stage(Body::from(bytes(number))).await.unwrap();
        let key = key(number);
        let put = objects.put("photos", &key, staged, ObjectMeta::default(), Precondition::default(), tell("put"));
        put.await.unwrap();
        println!("put {number}");
        if number % 3 == 0 {
            println!("deleting {number}");
            assert!(objects.delete("photos", &key, Precondition::default(), tell("deleted")).await.unwrap());
            println!("deleted {number}");
        }
    }
}

fn tell(queue: &'static str) -> Effects {
    Some(Box::new(move |info: &ObjectInfo| vec![Item::new(SystemClock::new().id(), queue, info.modified, info.key.clone())]))
}

async fn enqueue_and_settle(queue: Arc<dyn Queue>, base: u64) {
    for number in base.. {
        let item = Item::new(Id(number.into()), "work", Default::default(), vec![b'x'; 1000]);
        queue.enqueue(vec![item]).await.unwrap();
        println!("queued {number}");
        for lease in queue.lease("work", 1, LEASE).await.unwrap() {
            println!("leased {} {}", lease.item.id.0, lease.attempt);
            if lease.item.id.0 % 2 == 0 {
                println!("settling {}", lease.item.id.0);
                queue.settle(lease.token(), End::Done.into()).await.unwrap();
                println!("settled {}", lease.item.id.0);
            }
        }
    }
}

async fn swap(catalog: Arc<dyn Catalog>) {
    loop {
        let record = catalog.get("count").await.unwrap();
        let count: u64 = record.as_ref().map_or(0, |record| std::str::from_utf8(&record.value).unwrap().parse().unwrap()) + 1;
        let expect = record.map_or(0, |record| record.revision);
        catalog.commit(vec![Write::Put { key: "count".into(), expect, value: count.to_string().into() }]).await.unwrap();
        println!("record {count}");
    }
}

fn key(number: u64) -> String {
    format!("k/{number:08}")
}

/// Some fit into one piece, some do not.
fn bytes(number: u64) -> Vec<u8> {
    let length = if number.is_multiple_of(5) { 400_000 } else { number % 3000 };
    (0..length).map(|at| (at ^ number) as u8).collect()
}

// ---- the parent ----

/// All that any child has said.
#[derive(Default)]
struct Said {
    put: BTreeSet<u64>,
    deleting: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
    queued: BTreeSet<u64>,
    attempts: BTreeMap<u64, u32>,
    settling: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    record: u64,
}

impl Said {
    /// Runs a child and kills it after so many answers.
    fn listen(&mut self, dir: &Path, base: u64, answers: u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--child", dir.to_str().unwrap(), &base.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        let mut heard = 0;
        for line in lines {
            // A last line that was cut off is an answer that nobody got.
            let line = String::from_utf8(line.unwrap()).unwrap();
            self.note(&line);
            heard += 1;
            if heard == answers {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= answers, "the child ended by itself after {heard} answers of {answers}");
    }

    fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (word, number) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        let set = match word {
            "put" => &mut self.put,
            "deleting" => &mut self.deleting,
            "deleted" => &mut self.deleted,
            "queued" => &mut self.queued,
            "settling" => &mut self.settling,
            "settled" => &mut self.settled,
            "leased" => {
                self.attempts.insert(number, words.next().unwrap().parse().unwrap());
                return;
            }
            "record" => {
                self.record = self.record.max(number);
                return;
            }
            other => panic!("the child said {other:?}"),
        };
        set.insert(number);
    }

    async fn compare(&mut self, dir: &Path) {
        let store = Embedded::open(dir, Arc::new(SystemClock::new())).unwrap();
        let present = self.compare_objects(&store).await;
        self.compare_items(&*store.queue()).await;

        let count = store.catalog().get("count").await.unwrap();
        let count: u64 = count.map_or(0, |record| std::str::from_utf8(&record.value).unwrap().parse().unwrap());
        assert!(count == self.record || count == self.record + 1, "the record says {count}, answered was {}", self.record);
        self.record = count;

        // Staged bytes of the killed child, and files of deleted objects, are swept.
        let started = Instant::now();
        while files(&dir.join("objects")) != present {
            assert!(started.elapsed() < Duration::from_secs(30), "{} files for {present} objects", files(&dir.join("objects")));
            tokio::task::yield_now().await;
        }
    }

    /// How many objects there are.
    async fn compare_objects(&self, store: &Embedded) -> usize {
        let objects = store.objects();
        let list = objects.list("photos", ObjectListQuery { limit: 1_000_000, ..Default::default() }).await.unwrap_or_default();
        let present: HashSet<String> = list.objects.iter().map(|object| object.key.clone()).collect();
        let put = told(&*store.queue(), "put").await;
        let deleted = told(&*store.queue(), "deleted").await;
        for number in &self.put {
            assert!(put.contains(&key(*number)), "the event of object {number} is lost");
            assert!(present.contains(&key(*number)) || self.deleting.contains(number), "object {number} is lost");
        }
        for number in &self.deleted {
            assert!(deleted.contains(&key(*number)), "the event of the removal of {number} is lost");
        }
        // Both or neither, for what was answered and for what was not.
        assert!(deleted.is_disjoint(&present), "an object is there, and so is the event of its removal");
        assert_eq!(put, present.union(&deleted).cloned().collect::<HashSet<_>>());
        for object in &list.objects {
            let body = objects.get("photos", &object.key, None).await.unwrap().1.collect(1 << 20).await.unwrap();
            assert!(body == bytes(object.key[2..].parse().unwrap()), "the bytes of {} are not those that were put", object.key);
        }
        present.len()
    }

    async fn compare_items(&self, queue: &dyn Queue) {
        let leases = queue.lease("work", 1_000_000, LEASE).await.unwrap();
        let present: BTreeMap<u64, u32> = leases.iter().map(|lease| (lease.item.id.0 as u64, lease.attempt)).collect();
        for number in self.queued.difference(&self.settling) {
            assert!(present.contains_key(number), "item {number} is lost");
        }
        for number in &self.settled {
            assert!(!present.contains_key(number), "item {number} was settled and is there again");
        }
        for (number, attempt) in &present {
            let counted = self.attempts.get(number).copied().unwrap_or(0);
            assert!(*attempt > counted, "item {number}: attempt {attempt} after attempt {counted} had been handed out");
        }
    }
}

/// The keys that a queue of events tells of.
async fn told(queue: &dyn Queue, name: &str) -> HashSet<String> {
    let leases = queue.lease(name, 1_000_000, LEASE).await.unwrap();
    leases.into_iter().map(|lease| String::from_utf8(lease.item.payload.to_vec()).unwrap()).collect()
}

fn files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
