//! What can be learned of a call afterwards: its record, what led to what, and the same once more.

use serde_json::Value;

use crate::harness::{Server, folder, http, until};

const PYTHON: &str = "\
import urllib.request

def thumbnail(event):
    print('drawing', event['subject'])
    return event['subject']

def publish(event, context):
    return urllib.request.urlopen('http://shout/').read().decode()

def shout(context):
    return {'trace': context.traceparent}

def circle(event, context):
    context.bucket('ring').put(event['subject'] + '+', 'once more')

tries = 0

def flaky():
    global tries
    tries += 1
    if tries == 1:
        raise ValueError('not yet')

def broken(n: int = 0):
    raise ValueError('no such thing as %d' % n)
";

const MANIFEST: &str = "\
[[function]]
name = \"thumbnail\"
entry = \"f.py:thumbnail\"
[[function.bucket]]
name = \"photos\"
[function.async]
on_success = \"publish\"

[[function]]
name = \"publish\"
entry = \"f.py:publish\"
[function.async]
on_failure = \"nobody\"

[[function]]
name = \"shout\"
entry = \"f.py:shout\"

[function.cors]
origins = [\"https://shop.example\"]

[[function]]
name = \"circle\"
entry = \"f.py:circle\"
[[function.bucket]]
name = \"ring\"
[function.async]
attempts = 1

[[function]]
name = \"flaky\"
entry = \"f.py:flaky\"
[function.async]
attempts = 2
backoff = \"10ms\"

[[function]]
name = \"broken\"
entry = \"f.py:broken\"
[function.async]
attempts = 2
backoff = \"10ms\"
";

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn server() -> Server {
    let server = Server::start();
    let folder = folder(&[("mote.toml", MANIFEST), ("f.py", PYTHON)]);
    let deployed = server.mote(&["deploy", folder.path().to_str().unwrap()]).ok();
    assert!(deployed.stderr.contains("on_failure of publish names nobody"), "{deployed:?}");
    server
}

impl Server {
    fn calls(&self, arguments: &[&str]) -> Vec<Value> {
        let all: Vec<&str> = ["calls", "list", "--json"].iter().chain(arguments).copied().collect();
        self.mote(&all).ok().json()["calls"].as_array().unwrap().clone()
    }
}

#[test]
fn a_call_that_somebody_waited_for_is_found_by_what_its_reply_says() {
    let server = server();
    let request = format!(
        "GET /shout?token=s3cret HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntraceparent: {TRACE}\r\nauthorization: Bearer s3cret\r\n\r\n"
    );
    let reply = http(server.address("public"), &request, b"");
    assert!(reply.text().contains(TRACE), "the function has its trace context: {reply:?}");
    let id = reply.header("x-request-id").unwrap().to_owned();
    let shown = server.mote(&["calls", "show", &id, "--json"]).ok().json();
    assert_eq!((&shown["state"], &shown["reply"]["status"]), (&"succeeded".into(), &200.into()));
    let traced = server.mote(&["trace", &id]).ok().stdout;
    for word in ["shout ◀", "GET /shout?token=(not-kept)", "by nobody known", "queued", "run"] {
        assert!(traced.contains(word), "{word}: {traced}");
    }
    let kept = server.mote(&["trace", &id, "--json"]).ok();
    assert!(!kept.stdout.contains("s3cret"), "{kept:?}");

    let failed = server.get("/broken?n=7");
    assert_eq!(failed.status, 500);
    let id = failed.header("x-request-id").unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&failed.text()).unwrap()["error"]["invocation"], id.as_str());
    assert!(server.mote(&["trace", &id]).ok().stdout.contains("ValueError: no such thing as 7"));
    assert_eq!(server.calls(&["--failed", "--error", "thing as 7"])[0]["id"], id.as_str());
    assert!(server.calls(&["--function", "shout", "--failed"]).is_empty());
    let asked = "OPTIONS /shout HTTP/1.1\r\nhost: test\r\nconnection: close\r\norigin: https://shop.example\r\naccess-control-request-method: GET\r\n\r\n";
    assert_eq!(http(server.address("public"), asked, b"").status, 204);
    assert_eq!(server.calls(&["--function", "shout"]).len(), 1, "a preflight runs nothing");
    let other = server.mote(&["trace", &id, "--namespace", "other", "--json"]);
    assert!(other.code == 1 && other.stdout.contains("call-not-found"), "{other:?}");
    assert_eq!(server.mote(&["status", "--json"]).ok().json()["records_dropped"], 0);
}

#[test]
fn an_upload_is_traced_to_the_last_call_that_came_of_it() {
    let server = server();
    server.mote(&["bucket", "create", "photos"]).ok();
    let photo = folder(&[("cat.jpg", "meow")]);
    server.mote(&["bucket", "put", "photos/cat.jpg", "--file", photo.path().join("cat.jpg").to_str().unwrap()]).ok();
    // The caller ends after the one that it calls, so its record is the last.
    until("the whole chain ran", || !server.calls(&["--function", "publish"]).is_empty());
    let first = server.calls(&["--function", "thumbnail"])[0]["id"].as_str().unwrap().to_owned();
    let last = server.calls(&["--function", "shout"])[0]["id"].as_str().unwrap().to_owned();
    for id in [&first, &last] {
        let traced = server.mote(&["trace", id, "--json"]).ok().json();
        let names: Vec<&str> =
            traced["calls"].as_array().unwrap().iter().map(|call| call["attempts"][0]["function"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["thumbnail", "publish", "shout"]);
        let how: Vec<_> = traced["calls"].as_array().unwrap().iter().map(|call| call["cause"]["how"].as_str()).collect();
        assert_eq!(how, [None, Some("succeeded"), Some("called")]);
    }
    let traced = server.mote(&["trace", &first]).ok().stdout;
    for word in ["mote.object.created from /buckets/photos  cat.jpg", "└─ on success publish", "   └─ called shout", "drawing cat.jpg"]
    {
        assert!(traced.contains(word), "{word}: {traced}");
    }
}

#[test]
fn a_call_that_was_given_up_tells_why_and_is_replayed_when_it_is_mended() {
    let server = server();
    let id = server.mote(&["invoke", "broken", "--data", "{\"n\": 7}", "--async"]).ok().stdout.trim().to_owned();
    assert_eq!(server.mote(&["calls", "wait", &id]).code, 1);
    let letter = server.mote(&["dlq", "show", &id]).ok().stdout;
    for word in ["\"n\": 7", "attempt 1", "attempt 2", "ValueError: no such thing as 7"] {
        assert!(letter.contains(word), "{word}: {letter}");
    }
    assert_eq!(server.calls(&["--function", "broken"]).len(), 2, "a record for each attempt");

    let again = server.mote(&["replay", &id, "--wait"]);
    assert!(again.code == 1 && again.stderr.contains("function-failed"), "the same version fails again: {again:?}");
    let mended = folder(&[("broken.py", "def broken(n: int = 0):\n    return n + 1\n")]);
    server.deploy_path(&mended.path().join("broken.py"));
    assert_eq!(server.mote(&["replay", &id, "--live", "--wait"]).ok().stdout, "8");
    let many = server.mote(&["replay", "--failed", "--function", "broken", "--since", "1h", "--live", "--rate", "100"]).ok();
    assert_eq!(many.stdout.lines().count(), 2, "the first call and its failed replay, once each: {many:?}");
    let traced = server.mote(&["trace", &id, "--json"]).ok().json();
    until("every replay ran", || {
        let traced = server.mote(&["trace", &id, "--json"]).ok().json();
        traced["calls"].as_array().unwrap().iter().all(|call| !call["attempts"].as_array().unwrap().is_empty())
            && traced["calls"].as_array().unwrap().len() >= 4
    });
    assert_eq!(traced["calls"][1]["cause"]["how"], "replayed");
}

#[test]
fn a_call_that_succeeded_in_the_end_is_not_replayed_for_an_attempt_that_failed() {
    let server = server();
    let id = server.mote(&["invoke", "flaky", "--async"]).ok().stdout.trim().to_owned();
    server.mote(&["calls", "wait", &id]).ok();
    assert_eq!(server.calls(&["--function", "flaky", "--failed"]).len(), 1);
    let replayed = server.mote(&["replay", "--failed", "--function", "flaky"]).ok();
    assert!(replayed.stdout.is_empty() && replayed.stderr.contains("0 replayed, 1 left alone, 0 refused"), "{replayed:?}");
}

#[test]
fn a_function_that_fires_itself_through_a_bucket_is_one_trace_that_ends() {
    let server = server();
    server.mote(&["bucket", "create", "ring"]).ok();
    let one = folder(&[("0", "begin")]);
    server.mote(&["bucket", "put", "ring/0", "--file", one.path().join("0").to_str().unwrap()]).ok();
    until("the circle was cut", || !server.calls(&["--function", "circle", "--failed", "--error", "fires would be number 17"]).is_empty());
    let last = server.calls(&["--function", "circle"])[0]["id"].as_str().unwrap().to_owned();
    let traced = server.mote(&["trace", &last, "--json"]).ok().json();
    let how: Vec<_> = traced["calls"].as_array().unwrap().iter().map(|call| call["cause"]["how"].as_str()).collect();
    assert_eq!((how.len(), how[0], how[15]), (16, None, Some("called")));
}

#[test]
fn how_many_records_are_kept_is_said_at_the_start() {
    for (flag, none) in [("--records-size", "0B"), ("--records-age", "0s")] {
        let server = Server::start_with(&[flag, none]);
        let one = folder(&[("one.py", "def one():\n    return 1\n")]);
        server.deploy_path(&one.path().join("one.py"));
        server.get("/one").is(200);
        // Those of the same millisecond are not older than none.
        until("no record was left", || server.calls(&[]).is_empty());
        let sized = server.mote(&["serve", "--data", one.path().to_str().unwrap(), flag, "much"]);
        assert!(sized.code == 2 && sized.stderr.contains("wanted: a number and"), "{sized:?}");
    }
}
