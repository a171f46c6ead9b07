//! Users' queues at the real server: order and receipts over kills, circles that end, and who may what.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mote_core::clock::Id;
use mote_core::invoke::deliver::outcome::State;
use mote_core::store::Lane;
use mote_testkit::history::{Ending, Fate, Fates, Rules, Said, Sent, Settling, check, ids};
use serde_json::{Value, json};

use crate::access::{text, token, with};
use crate::harness::{PATIENCE, Server, folder, until};

const GROUPS: usize = 8;
const MESSAGES_OF_EACH: usize = 40;
const RECEIVERS: usize = 4;
const KILLS: usize = 3;
/// Functions that lead to one another, with the first.
const DEPTH_MAX: usize = 16;

#[test]
fn groups_keep_their_order_and_nothing_is_lost_over_kills() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(data.path());
    server.mote(&["queue", "create", "work", "--fifo", "--visibility", "2s"]).ok();
    let scene = Scene::new(&server);
    std::thread::scope(|threads| {
        let send = |group| scene.send(format!("g{group}"));
        let senders: Vec<_> = (0..GROUPS).map(|group| threads.spawn(move || send(group))).collect();
        for _ in 0..RECEIVERS {
            threads.spawn(|| scene.receive());
        }
        for kill in 1..=KILLS {
            until("some are deleted", || scene.deleted() > kill * GROUPS * MESSAGES_OF_EACH / (2 * KILLS));
            // Held until the next one listens: whoever asks meanwhile waits here.
            let mut address = scene.address.write().unwrap();
            server.signal("KILL");
            server.ended();
            scene.say(Said::Opened);
            server = Server::start_on(data.path());
            *address = server.address("control").to_owned();
        }
        senders.into_iter().for_each(|sender| scene.sent.lock().unwrap().extend(sender.join().unwrap()));
        until("all are deleted", || server.control("GET", "/v1/queues/work", b"").is(200).json()["messages"] == 0);
        scene.is_over.store(true, Ordering::SeqCst);
    });

    // All that was sent is known to be by now, each group in its sender's order.
    let sent = scene.sent.into_inner().unwrap();
    let mut history = vec![Said::Enqueueing(sent.clone()), Said::Enqueued { ids: sent.iter().map(|sent| sent.id).collect(), sent }];
    history.extend(scene.said.into_inner().unwrap());
    let tally =
        check(&history, &fates(&history), |_| Rules { attempts_max: None, hopeless: &[], unanswered_max: 0, leaves_a_result: true });
    let tally = tally.unwrap_or_else(|wrongs| panic!("{wrongs:#?}"));
    println!("{KILLS} kills, {tally:?}");
    assert_eq!((tally.accepted, tally.succeeded), (GROUPS * MESSAGES_OF_EACH, GROUPS * MESSAGES_OF_EACH));
}

/// The queue is empty: what somebody was about to delete is gone by that, and all else would be lost.
fn fates(history: &[Said]) -> Fates {
    let deleted = |id: &Id| history.iter().any(|said| matches!(said, Said::Settling(settling) if settling.id == *id));
    ids(history).into_iter().filter(deleted).map(|id| (id, Fate::Gone(State::Succeeded))).collect()
}

struct Scene {
    token: String,
    /// Of the control door, whose port changes with every start.
    address: RwLock<String>,
    said: Mutex<Vec<Said>>,
    sent: Mutex<Vec<Sent>>,
    is_over: AtomicBool,
}

impl Scene {
    fn new(server: &Server) -> Scene {
        let (token, address) = (text(&server.ready, "token").to_owned(), RwLock::new(server.address("control").to_owned()));
        Scene { token, address, said: Mutex::default(), sent: Mutex::default(), is_over: AtomicBool::new(false) }
    }

    fn say(&self, said: Said) {
        self.said.lock().unwrap().push(said);
    }

    fn deleted(&self) -> usize {
        self.said.lock().unwrap().iter().filter(|said| matches!(said, Said::Settled(_))).count()
    }

    /// One group's messages, each until it is answered: its key makes it one, however often it is sent.
    fn send(&self, group: String) -> Vec<Sent> {
        let one = |number: usize| {
            let key = format!("{group}-{number}");
            let path = format!("/v1/queues/work/messages?group={group}&key={key}");
            let ids = std::iter::repeat_with(|| self.ask(&path, "body")).flatten().next().expect("it repeats for ever");
            let lane = Some(Lane::new(group.clone(), 1));
            Sent { id: id(&ids["ids"][0]), queue: "work".to_owned(), once: Some(key), lane }
        };
        (0..MESSAGES_OF_EACH).map(one).collect()
    }

    /// Deletes what it receives, until all is over.
    fn receive(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            let Some(found) = self.ask("/v1/queues/work/receive?max=3&wait=200ms", "") else { continue };
            let messages = found["messages"].as_array().unwrap();
            for message in messages {
                let attempt = message["receives"].as_u64().unwrap() as u32;
                self.say(Said::Leased { id: id(&message["id"]), epoch: epoch(text(message, "receipt")), attempt });
            }
            messages.iter().for_each(|message| self.delete(id(&message["id"]), text(message, "receipt")));
        }
    }

    fn delete(&self, id: Id, receipt: &str) {
        let settling = Settling { id, epoch: epoch(receipt), end: Ending::Done, follow: Vec::new() };
        self.say(Said::Settling(settling.clone()));
        let Some(answer) = self.ask("/v1/queues/work/ack", &json!({ "receipts": [receipt] }).to_string()) else { return };
        match &answer["settled"][0] {
            Value::Null => self.say(Said::Settled(settling)),
            error => {
                assert_eq!(error["code"], "lease-lost", "{answer}");
                self.say(Said::Unsettled { id, epoch: settling.epoch });
            }
        }
    }

    /// `None`: the server died before it had answered.
    fn ask(&self, path: &str, body: &str) -> Option<Value> {
        let address = self.address.read().unwrap().clone();
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (token, length) = (&self.token, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let whole: Value = serde_json::from_str(body).ok()?;
        assert!(head.starts_with("HTTP/1.1 2") || head.starts_with("HTTP/1.1 503"), "{answer}");
        head.starts_with("HTTP/1.1 2").then_some(whole)
    }
}

fn id(value: &Value) -> Id {
    value.as_str().unwrap().parse().unwrap()
}

/// What a receipt says of its lease; nobody but a test looks into one.
fn epoch(receipt: &str) -> u64 {
    let bytes = URL_SAFE_NO_PAD.decode(receipt).unwrap();
    u64::from_be_bytes(bytes[16..24].try_into().unwrap())
}

#[test]
fn a_circle_over_a_queue_ends() {
    const SEND: &str = "\
import urllib.request
def send(event, context):
    context.bucket('seen').put('send/' + event['id'], b'')
    urllib.request.urlopen('http://events.mote/queues/sent', data=b'again').close()
";
    const REPLY: &str = "\
def reply(event, context):
    context.bucket('seen').put('reply/' + event['id'], b'')
    return 'again'
";
    let server = Server::start();
    server.mote(&["bucket", "create", "seen"]).ok();
    server.mote(&["queue", "create", "dead"]).ok();
    server.mote(&["queue", "create", "sent", "--dead-letters", "dead"]).ok();
    let manifest = "name = 'send'\nentry = 'send.py'\n[[queue]]\nname = 'sent'\nattempts = 1\n";
    server.deploy_path(folder(&[("send.py", SEND), ("mote.toml", manifest)]).path());
    // The other way: calls that nobody waits for, whose replies go to a queue, whose function sends a call.
    const CALL: &str = "\
import urllib.request
def call(event, context):
    context.bucket('seen').put('call/' + event['id'], b'')
    urllib.request.urlopen('http://events.mote/functions/reply', data=b'again').close()
";
    let manifest = "name = 'reply'\nentry = 'reply.py'\n[async]\non_success = 'queue:replies'\nattempts = 1\n";
    server.deploy_path(folder(&[("reply.py", REPLY), ("mote.toml", manifest)]).path());
    let manifest = "name = 'call'\nentry = 'call.py'\n[[queue]]\nname = 'replies'\nattempts = 1\n";
    server.deploy_path(folder(&[("call.py", CALL), ("mote.toml", manifest)]).path());

    server.mote(&["queue", "send", "sent", "--data", "once"]).ok();
    server.mote(&["invoke", "reply", "--async"]).ok();
    // The last of each is refused what it sends; the message of one is a dead letter.
    until("one circle ends", || server.control("GET", "/v1/queues/dead", b"").is(200).json()["messages"] == 1);
    until("the other ends", || server.mote(&["logs", "call"]).ok().stdout.contains("508"));
    let of = |prefix: &str| {
        let found = server.control("GET", &format!("/v1/buckets/seen/objects?prefix={prefix}/"), b"").is(200).json();
        found["objects"].as_array().unwrap().len()
    };
    assert_eq!((of("send"), of("reply") + of("call")), (DEPTH_MAX, DEPTH_MAX));
}

#[test]
fn what_a_full_queue_has_no_room_for_is_kept_and_sent_into_it_again() {
    let server = Server::start();
    server.mote(&["queue", "create", "replies", "--messages", "1"]).ok();
    server.mote(&["queue", "send", "replies", "--data", "first"]).ok();
    let manifest = "name = 'reply'\nentry = 'reply.py'\n[async]\non_success = 'queue:replies'\n";
    server.deploy_path(folder(&[("mote.toml", manifest), ("reply.py", "def reply():\n    return 'second'\n")]).path());
    server.mote(&["invoke", "reply", "--async"]).ok();
    let dead = || server.mote(&["dlq", "list", "--queues", "--json"]).ok().lines();
    until("the reply is kept", || dead().len() == 1);
    assert_eq!(text(&dead()[0], "function"), "replies");
    assert!(text(&dead()[0], "reason").starts_with("throttled"), "{:?}", dead());
    assert!(server.mote(&["dlq", "list", "--json"]).ok().lines().is_empty(), "no call was given up");
    server.mote(&["queue", "purge", "replies", "--yes"]).ok();
    server.mote(&["dlq", "redrive", "--queues", "--all"]).ok();
    assert!(dead().is_empty());
    let message = server.mote(&["queue", "receive", "replies", "--json"]).ok().json();
    assert!(message.to_string().contains("second"), "{message}");
}

#[test]
fn a_queue_is_its_namespaces_and_its_rights_hold() {
    let server = Server::start();
    let of = |name: &str, right: &str, namespace: &str| {
        text(&token(&server, &[name, "--right", right, "--namespace", namespace]), "token").to_owned()
    };
    let (invoke, deploy, read) = (of("app", "invoke", "shop"), of("ci", "deploy", "shop"), of("eye", "read", "shop"));
    let stranger = of("app", "invoke", "office");
    for namespace in ["shop", "office"] {
        server.mote(&["queue", "create", "orders", "--namespace", namespace]).ok();
    }
    let shop = |token: &str, words: &[&str]| with(&server, token, &[&["queue"], words, &["--namespace", "shop"]].concat());
    shop(&invoke, &["send", "orders", "--data", "one"]).ok();
    for (token, words) in [
        (&stranger, &["send", "orders", "--data", "x"][..]),
        (&stranger, &["receive", "orders"]),
        (&stranger, &["show", "orders"]),
        (&read, &["receive", "orders"]),
        (&read, &["send", "orders", "--data", "x"]),
        (&deploy, &["receive", "orders"]),
        (&invoke, &["purge", "orders", "--yes"]),
        (&invoke, &["delete", "orders", "--yes"]),
        (&invoke, &["set", "orders", "--visibility", "1s"]),
    ] {
        let run = shop(token, words).exits(1);
        assert!(run.stderr.contains("error[forbidden]"), "{words:?}: {run:?}");
    }
    let message = shop(&invoke, &["receive", "orders", "--json"]).ok().json();
    // Somebody else's receipt is none, though the queue has the same name.
    let run = with(&server, &stranger, &["queue", "ack", "orders", "--receipt", text(&message, "receipt"), "--namespace", "office"]);
    assert!(run.exits(1).stderr.contains("error[request-invalid]"));
    assert_eq!(shop(&read, &["show", "orders", "--json"]).ok().json()["in_flight"], 1);
    shop(&invoke, &["ack", "orders", "--receipt", text(&message, "receipt")]).ok();
    shop(&deploy, &["delete", "orders", "--yes"]).ok();
    assert!(shop(&invoke, &["receive", "orders"]).exits(1).stderr.contains("error[queue-not-found]"));
    assert_eq!(server.mote(&["queue", "list", "--namespace", "office", "--json"]).ok().lines().len(), 1);
}
