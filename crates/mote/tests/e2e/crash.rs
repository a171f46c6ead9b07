//! `kill -9` at random moments: what was answered is there, and its event has run.
//!
//! The one promise that everything durable rests on, held from outside: uploads by presigned S3
//! URLs, a function that leaves a witness for each, and a server that dies again and again.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::Value;

use crate::harness::{PATIENCE, Server, folder, until};

const UPLOADS: usize = 300;
const UPLOADERS: usize = 4;
/// A server answers so many uploads at most before it is killed, with others under way.
const ANSWERS_MAX: u64 = 40;

const WITNESS: &str = "def witness(key: str, context):\n    context.bucket('seen').put(key, b'here')\n";
const MANIFEST: &str = "name = 'witness'\nentry = 'witness.py'\ninstances_max = 2\n\n[[bucket]]\nname = 'uploads'\nevents = ['created']\n";

#[test]
fn what_was_answered_survives_and_has_run() {
    let seed = std::env::var("MOTE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).filter(|seed| *seed != 0);
    let mut random = Random(seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1));
    println!("MOTE_TEST_SEED={}", random.0);

    let data = tempfile::tempdir().unwrap();
    let server = Server::start_on(data.path());
    server.mote(&["bucket", "create", "uploads"]).ok();
    server.mote(&["bucket", "create", "seen"]).ok();
    server.deploy_path(folder(&[("witness.py", WITNESS), ("mote.toml", MANIFEST)]).path());

    let scene = Scene::new(&server, data.path());
    let server = std::thread::scope(|threads| {
        for _ in 0..UPLOADERS {
            threads.spawn(|| scene.upload());
        }
        let mut server = server;
        let mut kills = 0;
        while !scene.is_done() {
            scene.wait_for_answers(1 + random.below(ANSWERS_MAX) as usize);
            // Held until the next one listens: those who are about to upload wait here.
            let mut address = scene.address.write().unwrap();
            server.signal("KILL");
            server.ended();
            server = Server::start_on(data.path());
            *address = server.address("aws").to_owned();
            drop(address);
            kills += 1;
        }
        println!("{kills} kills, {} uploads tried for {UPLOADS} answered", scene.next.load(Ordering::SeqCst));
        server
    });

    let answered = scene.answered.into_inner().unwrap();
    let stored = keys(&server, "uploads");
    assert_eq!(answered.difference(&stored).collect::<Vec<_>>(), Vec::<&String>::new(), "answered, and lost");
    for key in &answered {
        assert_eq!(server.control("GET", &format!("/v1/buckets/uploads/objects/{key}"), b"").is(200).text(), content(key), "{key}");
    }
    // An object that is there, answered or not, has its event; an event has its object.
    until("every object's event has run", || stored.is_subset(&keys(&server, "seen")));
    let unfounded: Vec<_> = keys(&server, "seen").difference(&stored).cloned().collect();
    assert!(unfounded.is_empty(), "events without an object: {unfounded:?}");
}

struct Scene {
    credentials: Credentials,
    /// Of the aws door, whose port changes with every start.
    address: RwLock<String>,
    next: AtomicUsize,
    answered: Mutex<BTreeSet<String>>,
    answer: Condvar,
}

impl Scene {
    fn new(server: &Server, data: &Path) -> Scene {
        let credentials: Value = serde_json::from_slice(&std::fs::read(data.join("credentials.json")).unwrap()).unwrap();
        let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
        let address = server.address("aws").to_owned();
        Scene {
            credentials: Credentials::new(text("access_key_id"), text("secret_access_key")),
            address: RwLock::new(address),
            next: AtomicUsize::new(0),
            answered: Mutex::default(),
            answer: Condvar::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.answered.lock().unwrap().len() >= UPLOADS
    }

    /// Until so many more uploads have been answered, or all of them.
    fn wait_for_answers(&self, count: usize) {
        let answered = self.answered.lock().unwrap();
        let enough = (answered.len() + count).min(UPLOADS);
        let waited = self.answer.wait_timeout_while(answered, PATIENCE, |answered| answered.len() < enough).unwrap();
        assert!(!waited.1.timed_out(), "no upload was answered for {PATIENCE:?}");
    }

    /// Uploads one object after the other until enough have been answered.
    fn upload(&self) {
        while !self.is_done() {
            let key = format!("photo-{:05}", self.next.fetch_add(1, Ordering::SeqCst));
            let address = self.address.read().unwrap().clone();
            let url = bucket(&address).put_object(Some(&self.credentials), &key).sign(Duration::from_secs(60));
            let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
            if put(&address, &target, &content(&key)) == Some(200) {
                self.answered.lock().unwrap().insert(key);
                self.answer.notify_one();
            }
        }
    }
}

fn bucket(address: &str) -> Bucket {
    Bucket::new(format!("http://{address}").parse().unwrap(), UrlStyle::Path, "uploads", "us-east-1").unwrap()
}

/// What an object of this key holds: long enough that a kill can hit in the middle.
fn content(key: &str) -> String {
    format!("{key}\n").repeat(2000)
}

/// The status of the answer; `None` if the server died first.
fn put(address: &str, target: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("PUT {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    assert!(status == 200 || status >= 500, "{answer}");
    Some(status)
}

fn keys(server: &Server, bucket: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = server.control("GET", &format!("/v1/buckets/{bucket}/objects?limit=1000&after={after}"), b"").is(200).json();
        keys.extend(page["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return keys,
        }
    }
}

/// Marsaglia's xorshift: enough to scatter kills, and the same again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
