//! Calls that nobody waits for, from the command line: their results, their failures, their order.

use std::time::Duration;

use mote_core::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::harness::{Server, folder, http, until};

const PYTHON: &str = "\
import time

def double(n: int, wait: float = 0):
    time.sleep(wait)
    return n * 2

def broken(n: int = 0):
    raise ValueError('no such thing')

def audit(event):
    print('got', event['type'], event['data'])
";

const MANIFEST: &str = "\
[[function]]
name = \"double\"
entry = \"f.py:double\"
[function.async]
on_success = \"audit\"

[[function]]
name = \"broken\"
entry = \"f.py:broken\"
[function.async]
attempts = 2
backoff = \"10ms\"
on_failure = \"audit\"

[[function]]
name = \"audit\"
entry = \"f.py:audit\"
";

fn server() -> Server {
    let server = Server::start();
    let folder = folder(&[("mote.toml", MANIFEST), ("f.py", PYTHON)]);
    server.deploy_path(folder.path());
    server
}

impl Server {
    fn sent(&self, arguments: &[&str]) -> String {
        let all: Vec<&str> = ["invoke"].iter().chain(arguments).chain(&["--async"]).copied().collect();
        self.mote(&all).ok().stdout.trim().to_owned()
    }

    fn lines(&self, function: &str) -> String {
        self.mote(&["logs", function]).stdout
    }
}

#[test]
fn a_result_waits_to_be_fetched() {
    let server = server();
    let id = server.sent(&["double", "--data", "{\"n\": 21}"]);
    assert_eq!(server.mote(&["calls", "wait", &id]).ok().stdout, "42");
    let shown = server.mote(&["calls", "show", &id, "--json"]).ok().json();
    assert_eq!((&shown["state"], &shown["attempts"], &shown["reply"]["status"]), (&"succeeded".into(), &1.into(), &200.into()));
    assert!(server.mote(&["calls", "show", &id]).ok().stdout.contains("succeeded"));
    until("the destination ran", || server.lines("audit").contains("got mote.call.succeeded 42"));
    // It is over, and nobody else's business.
    let late = server.mote(&["calls", "cancel", &id, "--json"]);
    assert!(late.code == 1 && late.stdout.contains("conflict"), "{late:?}");
    let other = server.mote(&["calls", "show", &id, "--namespace", "other", "--json"]);
    assert!(other.code == 1 && other.stdout.contains("call-not-found"), "{other:?}");
}

#[test]
fn a_failed_call_becomes_a_dead_letter_that_can_be_sent_again() {
    let server = server();
    let id = server.sent(&["broken", "--data", "{\"n\": 7}"]);
    let failed = server.mote(&["calls", "wait", &id]);
    assert!(failed.code == 1 && failed.stderr.contains("function-failed"), "{failed:?}");
    until("the destination ran", || server.lines("audit").contains("got mote.call.failed"));
    let letter = server.mote(&["dlq", "list", "--json"]).ok().json();
    assert_eq!((letter["id"].as_str(), letter["attempts"].as_u64()), (Some(id.as_str()), Some(2)));
    let shown: Value = serde_json::from_str(&server.mote(&["dlq", "show", &id, "--json"]).ok().stdout).unwrap();
    assert_eq!(shown["event"]["body"]["text"], "{\"n\": 7}");
    assert_eq!(shown["failed"].as_array().map(Vec::len), Some(1), "the attempt before the last: {shown}");

    assert_eq!(server.mote(&["dlq", "redrive", "--function", "brok"]).ok().stdout.trim(), "0 sent again");
    // Mended meanwhile, it succeeds.
    let mended = folder(&[("broken.py", "def broken(n: int = 0):\n    return n + 1\n")]);
    server.deploy_path(&mended.path().join("broken.py"));
    assert_eq!(server.mote(&["dlq", "redrive", &id]).ok().stdout.trim(), "1 sent again");
    assert_eq!(server.mote(&["calls", "wait", &id]).ok().stdout, "8");
    assert!(server.mote(&["dlq", "list"]).ok().stderr.contains("no dead letters"));
    assert_eq!(server.mote(&["dlq", "purge", "--all"]).ok().stdout.trim(), "0 forgotten");
}

#[test]
fn a_call_for_later_can_be_taken_back() {
    let server = server();
    let id = server.sent(&["double", "--data", "{\"n\": 1}", "--in", "1h", "--key", "only one"]);
    assert_eq!(server.sent(&["double", "--data", "{\"n\": 2}", "--at", &in_an_hour(), "--key", "only one"]), id);
    let waits = server.mote(&["calls", "wait", &id, "--for", "1ms"]);
    assert!(waits.code == 1 && waits.stderr.contains("queued still"), "{waits:?}");
    let cancelled = server.mote(&["calls", "cancel", &id, "--json"]).ok().json();
    assert_eq!(cancelled["state"], "cancelled");
    let over = server.mote(&["calls", "wait", &id]);
    assert!(over.code == 1 && over.stderr.contains("cancelled"), "{over:?}");
}

/// As `--at` takes it.
fn in_an_hour() -> String {
    SystemClock::new().now().plus(Duration::from_secs(3600)).rfc3339()
}

#[test]
fn a_request_to_a_url_need_not_wait() {
    let server = server();
    // Query and all: it runs as the request that it was, but for what shows who called.
    for header in ["x-mote-async: true", "prefer: respond-async"] {
        let head = format!("GET /double?n=21 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n");
        let accepted = http(server.address("public"), &head, b"").is(202).json();
        let shown = server.mote(&["calls", "wait", accepted["id"].as_str().expect("an id")]).ok();
        assert_eq!(shown.stdout.trim(), "42", "{header}");
    }
    let head = "GET /nobody-is-here HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-mote-async: true\r\n\r\n";
    http(server.address("public"), head, b"").is(404);
}
