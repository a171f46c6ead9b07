//! `kill -9` on the real server while events flood in over HTTP: every event that was answered with
//! 202 comes to an end that can be asked for, and none of them is told wrong.
//!
//! The suite between all steps, a thousand times, is the store's (`faults.rs` there); this is about
//! the binary, its door and its jail. `MOTE_TEST_SEED` repeats the drawn moments.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::{PATIENCE, Server, folder, until};

const KILLS: usize = 6;
const SENDERS: usize = 3;
/// A server answers so many events at most before it is killed, with others under way.
const ANSWERS_MAX: u64 = 60;

const PYTHON: &str = "def steady(n: int):\n    return n * 2\n\ndef broken(n: int):\n    raise ValueError(f'no {n}')\n";
const MANIFEST: &str = "\
[[function]]
name = \"steady\"
entry = \"f.py:steady\"
instances_max = 1

[[function]]
name = \"broken\"
entry = \"f.py:broken\"
instances_max = 1
[function.async]
attempts = 2
backoff = \"10ms\"
";

/// A server that dies again and again, and those who send to it.
struct Flood {
    /// Address of the control door and the token; both change with every start.
    door: RwLock<(String, String)>,
    /// By id: the function and its argument.
    accepted: Mutex<BTreeMap<String, (&'static str, usize)>>,
    answer: Condvar,
    over: AtomicBool,
}

#[test]
fn every_accepted_event_ends_though_the_server_is_killed() {
    let seed = std::env::var("MOTE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).filter(|seed| *seed != 0);
    let mut draw = seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1);
    println!("MOTE_TEST_SEED={draw}");
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_on(data.path());
    server.deploy_path(folder(&[("mote.toml", MANIFEST), ("f.py", PYTHON)]).path());
    let flood =
        Flood { door: RwLock::new(door(&server)), accepted: Mutex::default(), answer: Condvar::new(), over: AtomicBool::new(false) };
    let server = std::thread::scope(|threads| {
        for sender in 0..SENDERS {
            let flood = &flood;
            threads.spawn(move || flood.send(sender));
        }
        let mut server = server;
        for _ in 0..KILLS {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            flood.wait_for_answers(1 + ((draw >> 33) % ANSWERS_MAX) as usize);
            // Held until the next one listens: those who are about to send wait here.
            let mut at = flood.door.write().unwrap();
            server.signal("KILL");
            server.ended();
            server = Server::start_on(data.path());
            *at = door(&server);
        }
        flood.over.store(true, Ordering::SeqCst);
        server
    });

    let accepted = flood.accepted.into_inner().unwrap();
    println!("{KILLS} kills, {} events accepted", accepted.len());
    assert!(accepted.len() >= KILLS, "hardly anything was accepted");
    let (mut succeeded, mut failed) = (0, 0);
    for (id, (function, n)) in &accepted {
        let mut call = Value::Null;
        until("the call is over", || {
            call = server.control("GET", &format!("/v1/calls/{id}?wait=30s"), b"").is(200).json();
            !matches!(call["state"].as_str(), Some("queued" | "running"))
        });
        let attempts = call["attempts"].as_u64().unwrap_or_default();
        match *function {
            "steady" => {
                assert_eq!((&call["state"], &call["reply"]["body"]["text"]), (&"succeeded".into(), &(n * 2).to_string().into()), "{call}");
                succeeded += 1;
            }
            _ => {
                assert_eq!((&call["state"], &call["error"]["code"]), (&"failed".into(), &"function-failed".into()), "{call}");
                assert!(attempts >= 2, "{call}");
                failed += 1;
            }
        }
    }
    assert!(succeeded > 0 && failed > 0, "{succeeded} succeeded, {failed} failed");
}

fn door(server: &Server) -> (String, String) {
    (server.address("control").to_owned(), server.ready["token"].as_str().expect("a token").to_owned())
}

impl Flood {
    fn send(&self, sender: usize) {
        for n in (sender..).step_by(SENDERS) {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let function = if n % 5 == 0 { "broken" } else { "steady" };
            let (address, token) = self.door.read().unwrap().clone();
            if let Some(id) = post(&address, &token, function, n) {
                self.accepted.lock().unwrap().insert(id, (function, n));
                self.answer.notify_one();
            }
        }
    }

    fn wait_for_answers(&self, count: usize) {
        let accepted = self.accepted.lock().unwrap();
        let enough = accepted.len() + count;
        let waited = self.answer.wait_timeout_while(accepted, PATIENCE, |accepted| accepted.len() < enough).unwrap();
        assert!(!waited.1.timed_out(), "no event was accepted for {PATIENCE:?}");
    }
}

/// The id that the 202 tells; `None` if the server died first.
fn post(address: &str, token: &str, function: &str, n: usize) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let body = format!("{{\"n\":{n}}}");
    let request = format!(
        "POST /v1/functions/{function}/send HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 202"), "{answer}");
    let call: Value = serde_json::from_str(body).ok()?;
    Some(call["id"].as_str().unwrap_or_else(|| panic!("no id in {call}")).to_owned())
}
