//! Tokens, namespaces, signed URLs, limits and the audit, as their users meet them.

use std::path::Path;
use std::time::{Duration, Instant};

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::{Value, json};

use crate::harness::{Reply, Run, Server, folder, http, mote, until};

/// The command line with a token and nothing else, as on another machine.
pub(crate) fn with(server: &Server, token: &str, arguments: &[&str]) -> Run {
    let url = server.ready["control"].as_str().unwrap();
    Run::of(mote().args(arguments).env("MOTE_URL", url).env("MOTE_TOKEN", token))
}

pub(crate) fn token(server: &Server, arguments: &[&str]) -> Value {
    server.mote(&[&["token", "create"], arguments, &["--json"]].concat()).ok().json()
}

pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn refused(run: Run, code: &str) {
    let run = run.exits(1);
    assert!(run.stderr.contains(&format!("error[{code}]")), "{run:#?}");
}

#[test]
fn a_token_may_what_its_rights_say() {
    let server = Server::start();
    server.deploy("hello.py", "def hello():\n    return 'hi'\n");
    let deploy = token(&server, &["ci", "--right", "deploy"]);
    let invoke = token(&server, &["app", "--right", "invoke"]);
    let read = token(&server, &["dashboard", "--right", "read"]);
    let (deploy, invoke, read) = (text(&deploy, "token"), text(&invoke, "token"), text(&read, "token"));
    let files = folder(&[("other.py", "def other():\n    return 1\n")]);
    let path = files.path().join("other.py");
    let path = path.to_str().unwrap();

    with(&server, deploy, &["deploy", path]).ok();
    refused(with(&server, deploy, &["logs"]), "forbidden");
    refused(with(&server, deploy, &["invoke", "hello"]), "forbidden");
    assert_eq!(with(&server, invoke, &["invoke", "hello"]).ok().stdout, "hi");
    refused(with(&server, invoke, &["deploy", path]), "forbidden");
    refused(with(&server, invoke, &["list"]), "forbidden");
    with(&server, read, &["logs"]).ok();
    with(&server, read, &["list"]).ok();
    refused(with(&server, read, &["invoke", "hello"]), "forbidden");
    for token in [deploy, invoke, read] {
        refused(with(&server, token, &["token", "list"]), "forbidden");
        refused(with(&server, token, &["quota", "set", "--rate", "1/s"]), "forbidden");
        refused(with(&server, token, &["list", "--namespace", "office"]), "forbidden");
    }
    refused(with(&server, "mote_guess", &["list"]), "credential-invalid");
}

#[test]
fn a_void_token_opens_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(data.path());
    let kept = token(&server, &["kept", "--right", "read"]);
    let revoked = token(&server, &["gone", "--right", "read"]);
    let short = token(&server, &["short", "--right", "read", "--expires", "1s"]);
    with(&server, text(&revoked, "token"), &["list"]).ok();
    server.mote(&["token", "revoke", "gone"]).ok();
    refused(with(&server, text(&revoked, "token"), &["list"]), "credential-invalid");
    refused(server.mote(&["token", "revoke", "gone"]), "token-not-found");
    until("the short token expires", || with(&server, text(&short, "token"), &["list"]).stderr.contains("expired at"));
    // What was answered survives a kill, and nothing else does.
    server.signal("KILL");
    server.ended();
    let server = Server::start_on(data.path());
    with(&server, text(&kept, "token"), &["list"]).ok();
    refused(with(&server, text(&revoked, "token"), &["list"]), "credential-invalid");
    let names = server.mote(&["token", "list", "--json"]).ok().json();
    let names: Vec<_> = names["tokens"].as_array().unwrap().iter().map(|token| text(token, "name").to_owned()).collect();
    assert_eq!(names, ["kept", "short"]);
}

#[test]
fn no_secret_of_a_token_is_on_disk() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(data.path());
    let made = token(&server, &["ci", "--right", "admin", "--s3"]);
    with(&server, text(&made, "token"), &["list"]).ok();
    server.signal("TERM");
    server.ended();
    let secret = text(&made, "token").rsplit('_').next().unwrap();
    let mut files = 0;
    each_file(data.path(), &mut |path, bytes| {
        files += 1;
        for needle in [secret, text(&made, "secret_access_key")] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()), "{} holds it", path.display());
        }
    });
    assert!(files >= 3, "only {files} files were looked at");
}

fn each_file(dir: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { each_file(&path, look) } else { look(&path, &std::fs::read(&path).unwrap()) }
    }
}

const KEEPER: &str = "def keep(key: str, context):\n    context.bucket('photos').put('seen', f'{PLACE} saw {key}')\n";
const KEEPER_MANIFEST: &str = "name = 'keep'\nentry = 'keep.py'\n\n[[bucket]]\nname = 'photos'\nevents = ['created']\nprefix = 'in/'\n";

#[test]
fn two_namespaces_share_no_name() {
    let server = Server::start();
    for place in ["shop", "office"] {
        let code = format!("PLACE = '{place}'\n{KEEPER}");
        let files = folder(&[("keep.py", &code), ("mote.toml", KEEPER_MANIFEST)]);
        server.mote(&["bucket", "create", "photos", "--namespace", place]).ok();
        server.mote(&["deploy", files.path().to_str().unwrap(), "--namespace", place]).ok();
    }
    let keys: Vec<_> =
        ["shop", "office"].iter().map(|place| token(&server, &["s3", "--right", "invoke,read", "--s3", "--namespace", place])).collect();
    let s3 = |key: &Value, method: &str, bucket: &str, object: Option<&str>, body: &[u8]| s3(&server, key, method, bucket, object, body);
    // The same bucket and key in each; only the namespace's own function is fired, on its own bucket.
    for (key, place) in keys.iter().zip(["shop", "office"]) {
        s3(key, "PUT", "photos", Some("in/cat"), place.as_bytes()).is(200);
        let saw = format!("{place} saw in/cat");
        until("the function has run", || s3(key, "GET", "photos", Some("seen"), b"").text() == saw);
    }
    assert_eq!(s3(&keys[0], "GET", "photos", Some("in/cat"), b"").is(200).text(), "shop");
    assert_eq!(server.mote(&["bucket", "get", "photos/in/cat", "--namespace", "office"]).ok().stdout, "office");
    server.mote(&["bucket", "create", "cellar", "--namespace", "office"]).ok();
    server.mote(&["bucket", "create", "attic"]).ok();
    let listed =
        |key: &Value| with(&server, text(key, "token"), &["bucket", "list", "--namespace", text(key, "scope"), "--json"]).ok().stdout;
    let (shop, office) = (listed(&keys[0]), listed(&keys[1]));
    assert!(shop.contains("photos") && !shop.contains("cellar") && !shop.contains("attic"), "{shop}");
    assert!(office.contains("cellar") && !office.contains("attic"), "{office}");
    // What is another's is as if it were not there, by whatever name.
    for bucket in ["cellar", "nowhere"] {
        assert!(s3(&keys[0], "GET", bucket, Some("x"), b"").is(404).text().contains("NoSuchBucket"));
    }
    server.control("GET", "/v1/buckets/office%2Fphotos/objects/in/cat", b"").is(400);
    // A key makes no bucket without the right to deploy.
    assert!(s3(&keys[0], "PUT", "mine", None, b"").is(403).text().contains("AccessDenied"));
    let lines = server.mote(&["logs", "--namespace", "default", "--json"]).ok().lines();
    assert!(lines.is_empty(), "{lines:?}");
    let names = server.mote(&["namespace", "list", "--json"]).ok().json();
    assert_eq!(
        names["namespaces"],
        json!([
            { "name": "default", "functions": 0, "buckets": 1, "tokens": 0 },
            { "name": "office", "functions": 1, "buckets": 2, "tokens": 1 },
            { "name": "shop", "functions": 1, "buckets": 1, "tokens": 1 },
        ])
    );
    let own = with(&server, text(&keys[0], "token"), &["namespace", "list", "--json"]).ok().json();
    assert_eq!(own["namespaces"], json!([{ "name": "shop", "functions": 1, "buckets": 1, "tokens": 1 }]));
    let status = with(&server, text(&keys[0], "token"), &["status", "--json"]).ok().json();
    assert_eq!(status["functions"], 1);
}

/// One presigned request of an S3 client with this key pair.
fn s3(server: &Server, key: &Value, method: &str, bucket: &str, object: Option<&str>, body: &[u8]) -> Reply {
    let endpoint = server.ready["aws"].as_str().unwrap().parse().unwrap();
    let place = Bucket::new(endpoint, UrlStyle::Path, bucket.to_owned(), "us-east-1").unwrap();
    let pair = Credentials::new(text(key, "access_key_id"), text(key, "secret_access_key"));
    let life = Duration::from_secs(60);
    let url = match (method, object) {
        ("PUT", Some(object)) => place.put_object(Some(&pair), object).sign(life),
        ("PUT", None) => place.create_bucket(&pair).sign(life),
        (_, object) => place.get_object(Some(&pair), object.unwrap_or_default()).sign(life),
    };
    let target = url.as_str().strip_prefix(server.ready["aws"].as_str().unwrap()).unwrap();
    let address = server.address("aws");
    let head = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    http(address, &head, body)
}

fn get_with(server: &Server, method: &str, path: &str, header: &str) -> Reply {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 0\r\n{header}\r\n");
    http(server.address("public"), &head, b"")
}

const SHOWN: &str = "def shown(event):\n    return event\n";

#[test]
fn a_signed_url_is_for_one_call() {
    let server = Server::start();
    let files = folder(&[("shown.py", SHOWN), ("mote.toml", "name = 'shown'\nentry = 'shown.py'\naccess = 'signed'\n")]);
    server.deploy_path(files.path());
    let sign = |arguments: &[&str]| {
        let url = server.mote(&[&["sign", "shown"], arguments].concat()).ok().stdout;
        url.trim().strip_prefix(server.ready["public"].as_str().unwrap()).unwrap().to_owned()
    };
    let url = sign(&["--path", "/shown/2026?kind=photo", "--expires", "1m"]);
    let shown = server.get(&url).is(200).text();
    assert!(shown.contains("photo") || shown.contains("mote.http.request"), "{shown}");
    assert!(!shown.contains("mote-signature") && !shown.contains("mote-expires"), "{shown}");
    let code = |reply: Reply| {
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{reply:?}");
        reply.is(401).code()
    };
    assert_eq!(code(server.get("/shown")), "credential-missing");
    assert_eq!(code(server.get(&url.replace("2026", "2025"))), "credential-invalid");
    assert_eq!(code(server.get(&url.replace("photo", "secret"))), "credential-invalid");
    assert_eq!(code(get_with(&server, "POST", &url, "")), "credential-invalid");
    let (cut, last) = url.split_at(url.len() - 1);
    assert_eq!(code(server.get(&format!("{cut}{}", if last == "0" { '1' } else { '0' }))), "credential-invalid");
    let short = sign(&["--expires", "1s"]);
    until("the URL expires", || server.get(&short).text().contains("expired at"));
    server.mote(&["sign", "shown", "--path", "/elsewhere"]).exits(1);
    server.mote(&["sign", "--rotate"]).ok();
    assert_eq!(code(server.get(&url)), "credential-invalid");
    server.get(&sign(&[])).is(200);
    // A token does as well, and the function never sees it.
    let made = token(&server, &["app", "--right", "invoke"]);
    let shown = get_with(&server, "GET", "/shown", &format!("authorization: Bearer {}\r\n", text(&made, "token"))).is(200).text();
    assert!(!shown.contains(text(&made, "token")), "{shown}");
    let foreign = token(&server, &["app", "--right", "invoke", "--namespace", "office"]);
    get_with(&server, "GET", "/shown", &format!("x-mote-token: {}\r\n", text(&foreign, "token"))).is(403);
}

#[test]
fn a_preflight_of_a_guarded_function_is_answered() {
    let server = Server::start();
    let manifest = "name = 'shown'\nentry = 'shown.py'\naccess = 'token'\n\n[cors]\norigins = ['https://a.example']\n";
    server.deploy_path(folder(&[("shown.py", SHOWN), ("mote.toml", manifest)]).path());
    let origin = "origin: https://a.example\r\n";
    let asks = format!("{origin}access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n");
    let answer = get_with(&server, "OPTIONS", "/shown", &asks).is(204);
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization"));
    // A page can read why it was refused.
    let refused = get_with(&server, "GET", "/shown", origin).is(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a.example"));
}

#[test]
fn limits_are_told_and_lifted() {
    let server = Server::start();
    server.deploy("hello.py", "def hello():\n    return 'hi'\n");
    server.get("/hello").is(200);
    server.mote(&["quota", "set", "--caller-rate", "1/h", "--caller-burst", "2"]).ok();
    server.get("/hello").is(200);
    server.get("/hello").is(200);
    let late = server.get("/hello").is(429);
    assert_eq!(late.code(), "throttled");
    let wait: u64 = late.header("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    // The administrator is another caller.
    server.mote(&["invoke", "hello"]).ok();
    server.mote(&["quota", "set", "--caller-rate", "none", "--caller-burst", "none", "--functions", "1"]).ok();
    server.get("/hello").is(200);
    let files = folder(&[("more.py", "def more():\n    return 1\n")]);
    let more = server.mote(&["deploy", files.path().join("more.py").to_str().unwrap()]);
    assert!(more.stderr.contains("`functions` of the namespace default is 1"), "{more:#?}");
    refused(more, "quota-exceeded");
    let report = server.mote(&["quota", "show", "--json"]).ok().json();
    assert_eq!(report["quota"], json!({ "functions": 1 }));
    assert_eq!(report["used"]["functions"], 1);

    server.mote(&["bucket", "create", "photos"]).ok();
    server.mote(&["quota", "set", "--stored", "10B"]).ok();
    let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("small"), "12345678").unwrap();
    std::fs::write(file("large"), "12345").unwrap();
    server.mote(&["bucket", "put", "photos/small", "--file", &file("small")]).ok();
    let full = server.mote(&["bucket", "put", "photos/large", "--file", &file("large")]);
    assert!(full.stderr.contains("`stored` of the namespace default"), "{full:#?}");
    refused(full, "quota-exceeded");
    assert_eq!(server.mote(&["quota", "show", "--json"]).ok().json()["used"]["stored"], 8);
}

#[test]
fn calls_at_once_are_bounded_for_a_namespace() {
    let server = Server::start();
    server.deploy("slow.py", "import time\n\ndef slow():\n    print('begun', flush=True)\n    time.sleep(2)\n    return 'done'\n");
    server.mote(&["quota", "set", "--calls", "1"]).ok();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.get("/slow"));
        until("the call runs", || server.mote(&["logs", "slow"]).ok().stdout.contains("begun"));
        assert!(server.get("/slow").is(429).text().contains("`calls` of the namespace default is 1"));
        assert_eq!(first.join().unwrap().is(200).text(), "done");
    });
    server.get("/slow").is(200);
}

#[test]
fn the_audit_names_who_did_what() {
    let server = Server::start();
    server.deploy("hello.py", "def hello():\n    return 'hi'\n");
    let made = token(&server, &["spy", "--right", "invoke"]);
    refused(with(&server, text(&made, "token"), &["logs"]), "forbidden");
    refused(with(&server, text(&made, "token"), &["audit"]), "forbidden");
    server.mote(&["remove", "hello"]).ok();
    let begun = Instant::now();
    let lines = loop {
        let lines = server.mote(&["audit", "--json"]).ok();
        if lines.stdout.contains("\"remove\"") || begun.elapsed() > crate::harness::PATIENCE {
            break lines;
        }
    };
    assert!(!lines.stdout.contains(text(&made, "token")));
    let told: Vec<_> =
        lines.lines().iter().map(|line| ["who", "verb", "about", "result"].map(|key| text(line, key).to_owned()).join(" ")).collect();
    let expect = [
        "admin deploy hello ok",
        "admin create-token spy ok",
        "token default/spy logs  forbidden",
        "token default/spy audit  forbidden",
        "admin remove hello ok",
    ];
    assert_eq!(told, expect);
}
