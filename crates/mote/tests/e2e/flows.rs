//! Flows from the command line to their end, through kills and restarts of the server.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, folder, until};

const PYTHON: &str = "\
import time

def double(event):
    return event['data'] * 2

def total(event):
    return {'sum': sum(event['data'])}

def broken(event):
    raise ValueError('no')

def sorry(event):
    return {'step': event['data']['error']['step'], 'was': event['data']['input']}

def slow(event):
    time.sleep(0.02)
    return event['data'] + 1
";

const MANIFEST: &str = "\
[[function]]
name = 'double'
entry = 'f.py:double'
[[function]]
name = 'total'
entry = 'f.py:total'
[[function]]
name = 'broken'
entry = 'f.py:broken'
[[function]]
name = 'sorry'
entry = 'f.py:sorry'
[[function]]
name = 'slow'
entry = 'f.py:slow'

[[flow]]
name = 'sums'
steps = [
  { each = '$', width = 8, steps = [{ call = 'slow' }, { call = 'double' }] },
  { call = 'total' },
  { if = { data = { sum = [{ numeric = ['>', 1000] }] } }, steps = [{ set = { large = true } }] },
]

[[flow]]
name = 'patient'
steps = [{ call = 'double' }, { wait = '3s' }, { name = 'again', call = 'double' }]

[[flow]]
name = 'careful'
steps = [{ call = 'broken', retry = { attempts = 2, backoff = '10ms' }, catch = [{ call = 'sorry' }] }]

[[flow]]
name = 'careless'
timeout = '20s'
steps = [{ call = 'double' }, { name = 'bad', call = 'broken', retry = { attempts = 1 } }]
";

fn files() -> TempDir {
    folder(&[("mote.toml", MANIFEST), ("f.py", PYTHON)])
}

fn deployed(data: &Path) -> Server {
    let server = Server::start_on(data);
    server.deploy_path(files().path());
    server
}

fn begin(server: &Server, flow: &str, body: &Value) -> String {
    let run = server.mote(&["invoke", flow, "--data", &body.to_string(), "--async"]).ok();
    run.stdout.trim().to_owned()
}

fn status(server: &Server, id: &str) -> Value {
    server.mote(&["flow", "show", id, "--json"]).ok().json()
}

fn wait(server: &Server, id: &str) -> Value {
    let body = server.mote(&["calls", "wait", id, "--for", "120s"]).ok().stdout;
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
}

#[test]
fn a_flow_is_a_function_with_a_url_a_picture_and_steps_to_look_at() {
    let data = tempfile::tempdir().unwrap();
    let server = deployed(data.path());
    assert_eq!(server.post("/sums", "application/json", b"[1, 2, 3]").is(200).json(), json!({"sum": 18}));
    let reply = server.mote(&["invoke", "careful", "--data", "7", "--json"]).ok().json();
    assert_eq!(reply["body"], json!({"step": "broken", "was": 7}));
    let id = reply["headers"]["x-mote-call"].as_str().unwrap();
    let shown = server.mote(&["flow", "show", id]).ok().stdout;
    assert!(shown.contains("broken  failed") && shown.contains("sorry") && shown.contains("careful"), "{shown}");
    let listed = server.mote(&["flow", "list"]).ok().stdout;
    assert!(listed.contains("each (slow → double) → total"), "{listed}");
    let picture = server.mote(&["show", "sums"]).ok().stdout;
    assert!(picture.contains("each $, 8 at a time\n│ slow\n│ double\ntotal\n"), "{picture}");
    // What fails is told by its step, and can be sent again from there.
    let failed = server.post("/careless", "application/json", b"1").is(500).json();
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["message"]),
        (&json!("function-failed"), &json!("the flow failed at step `bad`: the function raised an error"))
    );
    let dead = server.mote(&["dlq", "list", "--json"]).ok().json();
    assert!(dead["reason"].as_str().unwrap().contains("at step `bad`") && dead["function"] == "careless", "{dead}");
}

#[test]
fn a_wait_goes_on_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = deployed(data.path());
    let id = begin(&server, "patient", &json!(5));
    until("it waits", || status(&server, &id)["flow"]["at"]["doing"] == "waiting");
    server.signal("KILL");
    drop(server);
    let server = Server::start_on(data.path());
    assert_eq!(status(&server, &id)["flow"]["at"]["step"], "wait");
    assert_eq!(wait(&server, &id), json!(20));
    let steps = status(&server, &id)["flow"]["steps"].clone();
    let names: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["double", "wait", "again"]);
}

#[test]
fn a_fan_out_of_a_hundred_survives_a_kill_in_its_middle() {
    let data = tempfile::tempdir().unwrap();
    let server = deployed(data.path());
    let list: Vec<u64> = (0..100).collect();
    let id = begin(&server, "sums", &json!(list));
    let over = || status(&server, &id)["flow"]["at"]["over"].as_u64().unwrap_or_default();
    until("a part of them is over", || over() >= 20);
    server.signal("KILL");
    drop(server);
    // What it had leased runs again when the lease is over.
    let server = Server::start_on(data.path());
    // (n + 1) * 2 for each: 10100.
    assert_eq!(wait(&server, &id), json!({"sum": 10100, "large": true}));
    let steps = &status(&server, &id)["flow"]["steps"];
    assert_eq!((&steps[0]["step"], &steps[0]["children"]), (&json!("each"), &json!(100)));
}

#[test]
fn a_run_is_cancelled_with_all_that_it_has_begun() {
    let data = tempfile::tempdir().unwrap();
    let server = deployed(data.path());
    let id = begin(&server, "patient", &json!(5));
    until("it waits", || status(&server, &id)["flow"]["at"]["doing"] == "waiting");
    assert_eq!(server.mote(&["calls", "cancel", &id, "--json"]).ok().json()["state"], "cancelled");
    assert_eq!(server.mote(&["status", "--json"]).ok().json()["queued"], 0);
}
