//! Bad input through the public door and at deploy: a clear error, nothing stored, nothing leaked.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{Server, answer, connect, folder, http};

fn function(server: &Server, manifest: &str, code: &str) {
    let manifest = format!("name = 'f'\nruntime = 'python'\nentry = 'm.py:f'\n{manifest}");
    server.deploy_path(folder(&[("mote.toml", &manifest), ("m.py", code)]).path());
}

#[test]
fn what_is_not_there_is_404() {
    let server = Server::start();
    assert_eq!(server.get("/nothing").is(404).code(), "function-not-found");
    assert_eq!(server.get("/").is(404).code(), "function-not-found");
    assert_eq!(server.get("/@nobody/f").is(404).code(), "function-not-found");
    // The public door knows nothing of the API.
    assert_eq!(server.get("/v1/functions").is(404).code(), "function-not-found");
    server.get("/..%2f..%2fetc/passwd").is(404);
}

#[test]
fn an_argument_that_is_missing_or_wrong_is_named() {
    let server = Server::start();
    function(&server, "", "def f(count: int, name: str = 'x'):\n    return name * count\n");
    let missing = server.get("/f").is(400);
    assert_eq!(missing.code(), "argument-missing");
    assert!(missing.text().contains("count"), "{}", missing.text());
    let wrong = server.get("/f?count=many").is(400);
    assert_eq!(wrong.code(), "argument-invalid");
    assert!(wrong.text().contains("count") && wrong.text().contains("many"), "{}", wrong.text());
    assert_eq!(server.post("/f", "application/json", b"{\"count\":").is(400).code(), "body-invalid");
    assert_eq!(server.get("/f?count=2&name=ab").is(200).text(), "abab");
}

#[test]
fn a_body_over_the_limit_is_413() {
    let server = Server::start();
    function(&server, "body = '1KB'", "def f(body: bytes):\n    return len(body)\n");
    assert_eq!(server.post("/f", "application/octet-stream", &[7; 1000]).is(200).text(), "1000");
    assert_eq!(server.post("/f", "application/octet-stream", &[7; 5000]).is(413).code(), "body-too-large");
    let head = "POST /f HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("1388\r\n{}\r\n0\r\n\r\n", "x".repeat(5000));
    assert_eq!(http(server.address("public"), head, body.as_bytes()).is(413).code(), "body-too-large");
    assert_eq!(server.post("/f", "application/octet-stream", &[7; 1000]).is(200).text(), "1000");
}

#[test]
fn a_method_that_is_not_offered_is_405() {
    let server = Server::start();
    function(&server, "methods = ['POST']", "def f():\n    return 'x'\n");
    let refused = server.get("/f").is(405);
    assert_eq!(refused.code(), "method-not-allowed");
    assert_eq!(refused.header("allow"), Some("POST"));
    assert_eq!(server.post("/f", "text/plain", b"").is(200).text(), "x");
}

#[test]
fn a_function_that_takes_too_long_is_504() {
    let server = Server::start();
    function(&server, "timeout = '300ms'", "import time\ndef f(s: float):\n    time.sleep(s)\n    return 'awake'\n");
    assert_eq!(server.get("/f?s=20").is(504).code(), "function-timeout");
    assert_eq!(server.get("/f?s=0").is(200).text(), "awake");
}

#[test]
fn a_function_that_dies_is_502_and_harms_no_other_call() {
    let server = Server::start();
    function(&server, "", "import os\ndef f(die: bool = False):\n    if die:\n        os._exit(3)\n    return 'alive'\n");
    assert_eq!(server.get("/f?die=true").is(502).code(), "function-crashed");
    assert_eq!(server.get("/f").is(200).text(), "alive");
}

#[test]
fn too_many_waiting_is_429_with_retry_after() {
    let server = Server::start();
    let manifest = "concurrency = 1\ninstances_max = 1\nwaiting_max = 1\ntimeout = '20s'";
    function(&server, manifest, "import time\ndef f(s: float = 0):\n    time.sleep(s)\n    return 'x'\n");
    let begin = || {
        let mut call = connect(server.address("public"));
        call.write_all(b"GET /f?s=3 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").unwrap();
        call
    };
    // One runs and one waits; of eight at once, the others are turned away.
    let replies: Vec<_> = (0..8).map(|_| begin()).collect::<Vec<_>>().into_iter().map(answer).collect();
    let turned_away: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert_eq!(turned_away.len(), 6, "{replies:#?}");
    assert_eq!(turned_away[0].code(), "throttled");
    assert!(turned_away[0].header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{replies:#?}");
    assert!(replies.iter().filter(|reply| reply.status == 200).count() == 2, "{replies:#?}");
}

#[test]
fn a_manifest_that_says_something_impossible_is_refused() {
    let server = Server::start();
    let before = files_below(server.data());
    let check = |manifest: &str, word: &str| {
        let files = folder(&[("mote.toml", manifest), ("m.py", "def f():\n    return 1\n")]);
        let failed = server.mote(&["deploy", files.path().to_str().unwrap(), "--json"]).exits(1).json();
        assert_eq!(failed["error"]["code"], "manifest-invalid", "{failed}");
        assert!(failed.to_string().contains(word), "no {word:?} in {failed}");
    };
    check("name = ", "line 1");
    check("name = 'f'\nruntime = 'cobol'\nentry = 'm.py'\n", "cobol");
    check("name = '../f'\nruntime = 'python'\nentry = 'm.py'\n", "../f");
    check("name = 'f'\nruntime = 'python'\nentry = 'gone.py'\n", "gone.py");
    check("name = 'f'\nruntime = 'python'\nentry = '/etc/passwd'\n", "/etc/passwd");
    check("name = 'f'\nruntime = 'python'\nentry = 'm.py'\nmemmory = '1GB'\n", "memory");
    check("name = 'f'\nruntime = 'python'\nentry = 'm.py'\ntimeout = 30\n", "timeout");
    assert_eq!(files_below(server.data()), before, "a refused deploy left files");
}

#[test]
fn an_archive_that_leaves_its_root_is_refused() {
    let server = Server::start();
    let before = files_below(server.data());
    for (path, kind) in [
        ("../../evil.py", tar::EntryType::Regular),
        ("/tmp/evil.py", tar::EntryType::Regular),
        ("a/../../evil.py", tar::EntryType::Regular),
        ("evil.py", tar::EntryType::Symlink),
        ("evil.py", tar::EntryType::Link),
        ("evil.py", tar::EntryType::Fifo),
    ] {
        let reply = server.control("POST", "/v1/deploy?default_name=evil", &archive(path, kind));
        assert!(reply.text().contains("bundle-invalid"), "{path} {kind:?}: {}", reply.text());
    }
    let whole = archive("f.py", tar::EntryType::Regular);
    for broken in [&whole[..whole.len() / 2], b"PK\x03\x04 and no more", b"no archive at all", b""] {
        let reply = server.control("POST", "/v1/deploy?default_name=f", broken);
        assert!(reply.text().contains("bundle-invalid"), "{}", reply.text());
    }
    assert_eq!(server.control("POST", "/v1/deploy?name=..%2Ff", &whole).is(400).code(), "name-invalid");
    assert_eq!(files_below(server.data()), before, "a refused deploy left files");
    assert_eq!(server.control("GET", "/v1/functions", b"").is(200).json()["functions"].as_array().map(Vec::len), Some(0));
}

#[test]
fn names_of_buckets_and_objects_are_judged() {
    let server = Server::start();
    for name in ["A", "a", "a_b_c", "..", "-photos", "photos.", "192.168.0.1", &"x".repeat(64)] {
        let failed = server.mote(&["bucket", "create", name, "--json"]);
        assert_ne!(failed.code, 0, "{name:?} became a bucket");
    }
    server.mote(&["bucket", "create", "photos"]).ok();
    let long = format!("/v1/buckets/photos/objects/{}", "k".repeat(1100));
    assert_eq!(server.control("PUT", &long, b"x").is(400).code(), "request-invalid");
    assert_eq!(server.control("PUT", "/v1/buckets/photos/objects/a%00b", b"x").is(400).code(), "request-invalid");
    assert_eq!(server.control("PUT", "/v1/buckets/photos/objects/a%ffb", b"x").is(400).code(), "request-invalid");
    assert_eq!(server.control("GET", "/v1/buckets/photos/objects", b"").is(200).json()["objects"].as_array().map(Vec::len), Some(0));
}

#[test]
fn an_upload_that_is_cut_short_stores_nothing() {
    let server = Server::start();
    server.mote(&["bucket", "create", "photos"]).ok();
    let token = server.ready["token"].as_str().unwrap();
    let mut upload = connect(server.address("control"));
    let head = format!(
        "PUT /v1/buckets/photos/objects/half HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\ncontent-length: 1000000\r\n\r\n"
    );
    upload.write_all(head.as_bytes()).and_then(|()| upload.write_all(&[7; 100_000])).unwrap();
    drop(upload);
    assert_eq!(server.control("GET", "/v1/buckets/photos/objects/half", b"").is(404).code(), "object-not-found");
    crate::harness::until("the half upload is swept away", || bytes_below(&server.data().join("objects")) < 100_000);
}

#[test]
fn a_request_beyond_the_bounds_gets_an_answer() {
    let server = Server::start();
    server.deploy("f.py", "def f():\n    return 'x'\n");
    assert_eq!(server.get(&format!("/f?q={}", "x".repeat(9000))).is(400).code(), "request-invalid");
    let long = format!("/{}", "p".repeat(9000));
    assert_eq!(server.get(&long).is(400).code(), "request-invalid");
    let address = server.address("public");
    let headers: String = (0..2000).map(|i| format!("x-{i}: {}\r\n", "v".repeat(100))).collect();
    assert!((400..500).contains(&http(address, &format!("GET /f HTTP/1.1\r\nhost: t\r\n{headers}\r\n"), b"").status));
    assert_eq!(http(address, "no request at all\r\n\r\n", b"").status, 400);
    assert_eq!(http(address, "POST /f HTTP/1.1\r\nhost: t\r\ncontent-length: -5\r\n\r\n", b"").status, 400);
    assert_eq!(server.get("/f").is(200).text(), "x");
}

fn archive(path: &str, kind: tar::EntryType) -> Vec<u8> {
    let content: &[u8] = if kind == tar::EntryType::Regular { b"def f():\n    return 1\n" } else { b"" };
    let mut header = tar::Header::new_ustar();
    // Straight into the fields: the builder refuses what an attacker would write.
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.as_mut_bytes()[157..168].copy_from_slice(b"/etc/passwd");
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    tar.append(&header, content).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

/// Every file but those of the database, which change by themselves.
fn files_below(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    walk(dir, &mut |path, _| all.push(path.display().to_string()));
    all.retain(|path| !path.contains(".db"));
    all.sort();
    all
}

fn bytes_below(dir: &Path) -> u64 {
    let mut sum = 0;
    walk(dir, &mut |_, size| sum += size);
    sum
}

fn walk(dir: &Path, each: &mut impl FnMut(&Path, u64)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(status) if status.is_dir() => walk(&entry.path(), each),
            Ok(status) => each(&entry.path(), status.len()),
            Err(_) => {}
        }
    }
}
