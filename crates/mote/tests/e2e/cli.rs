//! The command line: what it prints, in both forms, and how it fails.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Run, Server, folder, mote, until};

const FORMULA: &str = "def formula(a: float, b: float, c: float) -> float:\n    \"\"\"F = (A + B) * C.\"\"\"\n    return (a + b) * c\n";

#[test]
fn deploy_invoke_list_show_remove() {
    let server = Server::start();
    let deployed = server.deploy("formula.py", FORMULA);
    assert_eq!(deployed["name"], "formula");
    assert_eq!(deployed["version"], 1);
    assert_eq!(deployed["url"], format!("http://{}/formula", server.address("public")));
    assert!(deployed["isolation"].as_array().is_some_and(|barriers| !barriers.is_empty()), "{deployed}");
    assert_eq!(server.get("/formula?a=1&b=2&c=3").is(200).text(), "9.0");

    assert_eq!(server.mote(&["invoke", "formula", "--data", r#"{"a":1,"b":2,"c":3}"#]).ok().stdout, "9.0");
    let reply = server.mote(&["invoke", "formula", "--data", r#"{"a":1,"b":2,"c":3}"#, "--json"]).ok().json();
    assert_eq!(reply["status"], 200);
    assert_eq!(reply["body"], 9.0);
    assert!(reply["headers"]["content-type"].as_str().is_some_and(|kind| kind.starts_with("application/json")), "{reply}");
    assert!(reply["timing"]["run"].is_number(), "{reply}");
    assert_eq!(reply["timing"]["warm"], true, "a deployed function has a warm instance: {reply}");

    let listed = server.mote(&["list", "--json"]).ok().json();
    assert_eq!(listed["functions"][0]["name"], "formula");
    let table = server.mote(&["list"]).ok().stdout;
    assert!(table.lines().next().is_some_and(|head| head.starts_with("NAME")) && table.contains("/formula"), "{table}");
    let shown = server.mote(&["show", "formula", "--json"]).ok().json();
    assert_eq!(shown["versions"], json!([1]));
    let text = server.mote(&["show", "formula"]).ok().stdout;
    assert!(text.contains("a: number, b: number, c: number") && text.contains("F = (A + B) * C."), "{text}");

    assert_eq!(server.mote(&["remove", "formula", "--json"]).ok().json(), json!({"name": "formula", "removed": true}));
    server.get("/formula?a=1&b=2&c=3").is(404);
    assert_eq!(server.mote(&["list", "--json"]).ok().json(), json!({"functions": []}));
}

#[test]
fn deploy_tells_a_person_what_they_got() {
    let server = Server::start();
    let files = folder(&[("formula.py", FORMULA)]);
    let told = server.mote(&["deploy", files.path().join("formula.py").to_str().unwrap()]).ok();
    for word in ["formula is live", "url", "http://127.0.0.1:", "version", "runtime", "isolation", "dependencies", "total"] {
        assert!(told.stdout.contains(word), "no {word:?} in {told:#?}");
    }
    assert!(told.stdout.contains(" barriers\n") && !told.stdout.contains("fired by"), "{told:#?}");
    let manifest = "url = false\n[[http]]\npath = '/here'\n[[bucket]]\nname = 'photos'\n";
    let files = folder(&[("mote.toml", manifest), ("main.py", "def main(event):\n    return 1\n")]);
    let told = server.mote(&["deploy", files.path().to_str().unwrap(), "--name", "bound"]).ok();
    assert!(told.stdout.contains("fired by      /here, bucket photos\n") && told.stdout.contains("url           none\n"), "{told:#?}");
    assert!(server.mote(&["show", "bound"]).ok().stdout.contains("16, 1 call each\n"));
    assert!(!told.stdout.contains('\u{1b}'), "colours without a terminal: {told:#?}");
}

#[test]
fn a_folder_of_several_functions_deploys_as_one() {
    let server = Server::start();
    let manifest = "runtime = 'python'\n[[function]]\nname = 'one'\nentry = 'm.py:one'\n[[function]]\nname = 'two'\nentry = 'm.py:two'\n";
    let files = folder(&[("mote.toml", manifest), ("m.py", "def one():\n    return 1\ndef two():\n    return 2\n")]);
    let deployed = server.deploy_path(files.path());
    let names: Vec<_> = deployed["functions"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(server.get("/two").is(200).text(), "2");
}

#[test]
fn versions_are_kept_and_rollback_returns() {
    let server = Server::start();
    server.deploy("answer.py", "def answer():\n    return 'old'\n");
    assert_eq!(server.deploy("answer.py", "def answer():\n    return 'new'\n")["version"], 2);
    assert_eq!(server.mote(&["invoke", "answer"]).ok().stdout, "new");
    assert_eq!(server.mote(&["invoke", "answer", "--version", "1"]).ok().stdout, "old");
    assert_eq!(server.mote(&["rollback", "answer", "--json"]).ok().json(), json!({"name": "answer", "version": 1}));
    assert_eq!(server.get("/answer").is(200).text(), "old");
    server.mote(&["rollback", "answer", "--version", "2"]).ok();
    assert_eq!(server.get("/answer").is(200).text(), "new");
    let failed = server.mote(&["rollback", "answer", "--version", "9"]).exits(1);
    assert!(failed.stderr.contains("error[version-not-found]") && failed.stderr.contains("hint:"), "{failed:#?}");
}

#[test]
fn a_namespace_keeps_its_own() {
    let server = Server::start();
    let files = folder(&[("hello.py", "def hello():\n    return 'from the shop'\n")]);
    let path = files.path().join("hello.py");
    let deployed = server.mote(&["deploy", path.to_str().unwrap(), "--namespace", "shop", "--name", "greet", "--json"]).ok().json();
    assert_eq!((&deployed["name"], &deployed["namespace"]), (&json!("greet"), &json!("shop")));
    assert_eq!(server.get("/@shop/greet").is(200).text(), "from the shop");
    server.get("/greet").is(404);
    server.mote(&["invoke", "greet"]).exits(1);
    assert_eq!(server.mote(&["invoke", "greet", "--namespace", "shop"]).ok().stdout, "from the shop");
}

#[test]
fn an_event_runs_later_and_says_so_in_the_log() {
    let server = Server::start();
    server.deploy("note.py", "def note(event, text='none'):\n    print('noted', text, event['type'])\n");
    let accepted = server.mote(&["invoke", "note", "--data", r#"{"text":"later"}"#, "--async", "--json"]).ok().json();
    let id = accepted["id"].as_str().expect("an id").to_owned();
    // The follower ends when its line has come: nothing here waits for a time.
    let mut follow = mote();
    follow.args(["logs", "note", "-f", "--json"]).env("MOTE_DATA", server.data());
    let (mut child, line) = crate::harness::spawn(follow);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("noted later mote.invoke"), "{line}");
    assert!(line.contains(&id), "the log line does not name the invocation {id}: {line}");
    until("the log of one call can be read", || {
        let lines = server.mote(&["logs", "--invocation", &id, "--json"]).ok().lines();
        lines.iter().any(|line| line["text"] == "noted later mote.invoke" && line["stream"] == "stdout")
    });
    let none = server.mote(&["logs", "note", "--tail", "0"]).ok();
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "no lines\n"));
    server.mote(&["logs", "note", "--since", "soon"]).exits(2);
}

#[test]
fn a_failure_is_told_to_the_owner_and_not_to_the_caller() {
    let server = Server::start();
    server.deploy("broken.py", "def broken():\n    raise ValueError('the secret is 42')\n");
    let reply = server.get("/broken").is(500);
    assert_eq!(reply.code(), "function-failed");
    // Not the number alone: an id may have it.
    assert!(!reply.text().contains("secret is"), "{}", reply.text());
    let failed = server.mote(&["invoke", "broken"]).exits(1);
    assert!(failed.stderr.contains("error[function-failed]"), "{failed:#?}");
    until("the trace is in the log", || {
        let log = server.mote(&["logs", "broken"]).ok().stdout;
        log.contains("ValueError: the secret is 42") && log.contains("broken.py")
    });
}

#[test]
fn a_reply_with_a_status_is_the_functions_own() {
    let server = Server::start();
    let source = "def picky(status: int):\n    body = {'error': {'code': 'conflict', 'message': 'mine'}}\n    return {'status': status, 'body': body}\n";
    server.deploy("picky.py", source);
    let reply = server.mote(&["invoke", "picky", "--data", r#"{"status":409}"#, "--json"]).exits(1).json();
    assert_eq!((&reply["status"], &reply["body"]["error"]["message"]), (&json!(409), &json!("mine")));
    let told = server.mote(&["invoke", "picky", "--data", r#"{"status":409}"#]).exits(1);
    assert!(told.stderr.contains("error: the function answered 409") && told.stdout.contains("mine"), "{told:#?}");
    let told = server.mote(&["invoke", "picky", "--data", r#"{"status":302}"#]).ok();
    assert!(told.stderr.contains("302") && !told.stderr.contains("error:"), "{told:#?}");
}

#[test]
fn buckets_and_objects() {
    let server = Server::start();
    server.mote(&["bucket", "create", "photos"]).ok();
    assert_eq!(server.mote(&["bucket", "list", "--json"]).ok().json()["buckets"][0]["name"], "photos");
    let files = folder(&[("cat.txt", "a cat")]);
    let file = files.path().join("cat.txt");
    let stored =
        server.mote(&["bucket", "put", "photos/2026/a cat #1.txt", "--file", file.to_str().unwrap(), "--type", "text/plain", "--json"]);
    assert_eq!(stored.ok().json()["size"], 5);
    assert_eq!(server.mote(&["bucket", "get", "photos/2026/a cat #1.txt"]).ok().stdout, "a cat");
    let copy = files.path().join("copy.txt");
    server.mote(&["bucket", "get", "photos/2026/a cat #1.txt", "--file", copy.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "a cat");
    let listed = server.mote(&["bucket", "objects", "photos/2026/", "--json"]).ok().json();
    assert_eq!(listed["objects"][0]["key"], "2026/a cat #1.txt");
    assert_eq!(server.mote(&["bucket", "objects", "photos/2025/", "--json"]).ok().json()["objects"], json!([]));
    let none = server.mote(&["bucket", "objects", "photos/2025/"]).ok();
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "no objects in photos under 2025/\n"));

    let kept = server.mote(&["bucket", "remove", "photos"]).exits(1);
    assert!(kept.stderr.contains("error[bucket-not-empty]"), "{kept:#?}");
    server.mote(&["bucket", "delete", "photos/2026/a cat #1.txt"]).ok();
    server.mote(&["bucket", "delete", "photos/2026/a cat #1.txt"]).exits(1);
    server.mote(&["bucket", "remove", "photos"]).ok();
    assert!(server.mote(&["bucket", "list"]).ok().stderr.starts_with("no buckets\n"));
    assert!(server.mote(&["bucket", "get", "photos/x"]).exits(1).stderr.contains("error[bucket-not-found]"));
    assert!(server.mote(&["bucket", "put", "photos", "--file", "x"]).exits(2).stderr.contains("wanted: BUCKET/KEY"));

    let credentials = server.mote(&["bucket", "credentials", "--json"]).ok().json();
    assert_eq!(credentials["endpoint"], format!("http://{}", server.address("aws")));
    let shell = server.mote(&["bucket", "credentials"]).ok().stdout;
    assert!(shell.contains(&format!("export AWS_SECRET_ACCESS_KEY={}", credentials["secret_access_key"].as_str().unwrap())), "{shell}");
}

#[test]
fn what_can_not_be_written_or_read_is_told() {
    let server = Server::start();
    let files = folder(&[("note.txt", "hello")]);
    server.mote(&["bucket", "create", "notes"]).ok();
    server.mote(&["bucket", "put", "notes/a", "--file", files.path().join("note.txt").to_str().unwrap()]).ok();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let get = Run::of(mote().args(["bucket", "get", "notes/a"]).env("MOTE_DATA", server.data()).stdout(full)).exits(1);
    assert!(get.stderr.contains("standard output can't be written"), "{get:#?}");
    let put = server.mote(&["bucket", "put", "notes/b", "--file", files.path().to_str().unwrap()]).exits(2);
    assert!(put.stderr.contains("can't be read"), "{put:#?}");
}

#[test]
fn a_reader_that_leaves_ends_an_endless_reply() {
    let server = Server::start();
    server.deploy("ticks.py", "def ticks():\n    while True:\n        yield 'tick\\n'\n");
    let mut invoke = mote().args(["invoke", "ticks"]).env("MOTE_DATA", server.data()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 5];
    std::io::Read::read_exact(&mut invoke.stdout.take().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"tick\n");
    assert!(invoke.wait().unwrap().success());
}

#[test]
fn an_upload_fires_the_function_that_is_bound() {
    let server = Server::start();
    let manifest =
        "name = 'seen'\nruntime = 'python'\nentry = 'm.py:seen'\n[[bucket]]\nname = 'inbox'\nevents = ['created']\nsuffix = '.txt'\n";
    let files =
        folder(&[("mote.toml", manifest), ("m.py", "def seen(event):\n    print('got', event['subject'], event['data']['size'])\n")]);
    let early = server.mote(&["deploy", files.path().to_str().unwrap()]).ok();
    assert!(format!("{early:?}").contains("seen waits for a bucket that is not there yet: `mote bucket create inbox`"), "{early:#?}");
    server.mote(&["bucket", "create", "inbox"]).ok();
    let source = files.path().join("m.py");
    for key in ["inbox/a.bin", "inbox/a.txt"] {
        server.mote(&["bucket", "put", key, "--file", source.to_str().unwrap()]).ok();
    }
    until("the function has run", || server.mote(&["logs", "seen"]).ok().stdout.contains("got a.txt "));
    assert!(!server.mote(&["logs", "seen"]).ok().stdout.contains("a.bin"));
}

#[test]
fn errors_say_what_was_found_and_what_to_do() {
    let server = Server::start();
    server.deploy("formula.py", FORMULA);
    let near = server.mote(&["invoke", "fromula"]).exits(1);
    assert!(near.stderr.contains("error[function-not-found]: there is no function fromula"), "{near:#?}");
    assert!(near.stderr.contains("hint: Did you mean `formula`?"), "{near:#?}");
    let unheard = server.mote(&["logs", "fromula"]).exits(1);
    assert!(unheard.stderr.contains("Did you mean `formula`?"), "{unheard:#?}");
    server.mote(&["logs", "formula"]).ok();
    let json = server.mote(&["show", "fromula", "--json"]).exits(1).json();
    assert_eq!(json["error"]["code"], "function-not-found");
    assert!(json["error"]["hint"].as_str().is_some_and(|hint| hint.contains("formula")), "{json}");

    let missing = server.mote(&["invoke", "formula", "--data", r#"{"a":1}"#]).exits(1);
    assert!(missing.stderr.contains("error[argument-missing]") && missing.stderr.contains('b'), "{missing:#?}");
    let absent = server.mote(&["deploy", "/nonexistent/f.py"]).exits(1);
    assert!(absent.stderr.contains("there is no such file or folder") && absent.stderr.contains("hint: `mote new NAME`"), "{absent:#?}");
    let files =
        folder(&[("mote.toml", "name = 'x'\nruntime = 'python'\nentry = 'm.py'\ntimeoutt = '3s'\n"), ("m.py", "def x():\n    return 1\n")]);
    let typo = server.mote(&["deploy", files.path().to_str().unwrap()]).exits(1);
    assert!(typo.stderr.contains("error[manifest-invalid]") && typo.stderr.contains("timeout"), "{typo:#?}");
    let broken = folder(&[("m.py", "def x(:\n")]);
    let broken = server.mote(&["deploy", broken.path().join("m.py").to_str().unwrap(), "--json"]).exits(1).json();
    assert!(broken.to_string().contains("SyntaxError"), "{broken}");
    assert_eq!(
        server.mote(&["list", "--json"]).ok().json()["functions"].as_array().map(Vec::len),
        Some(1),
        "a failed deploy left something"
    );
}

#[test]
fn a_server_that_is_not_there_is_exit_code_three() {
    let empty = tempfile::tempdir().unwrap();
    let none = Run::of(mote().args(["list"]).env("MOTE_DATA", empty.path())).exits(3);
    assert!(none.stderr.contains("no server runs on the data directory") && none.stderr.contains("hint: Start one"), "{none:#?}");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = Run::of(mote().args(["list", "--json"]).env("MOTE_URL", format!("http://127.0.0.1:{port}"))).exits(3);
    assert_eq!(gone.json()["error"]["code"], "unreachable");
    Run::of(mote().args(["list"]).env("MOTE_URL", format!("https://127.0.0.1:{port}"))).exits(3);
    Run::of(mote().args(["list"]).env("MOTE_URL", "ftp://127.0.0.1")).exits(2);
    Run::of(mote().args(["frobnicate"])).exits(2);
    // The ports that it has by itself may be somebody's here.
    let free = ["--public", "127.0.0.1:0", "--control", "127.0.0.1:0", "--aws", "127.0.0.1:0"];
    Run::of(mote().arg("serve").args(free).args(["--mqtt", "nowhere"])).exits(2);
}

#[test]
fn a_token_opens_the_control_door_and_nothing_else_does() {
    let server = Server::start();
    let url = format!("http://{}", server.address("control"));
    let with = |token: &str| Run::of(mote().args(["status", "--json"]).env("MOTE_URL", &url).env("MOTE_TOKEN", token));
    assert_eq!(with(server.ready["token"].as_str().unwrap()).ok().json()["functions"], 0);
    assert_eq!(with("wrong").exits(1).json()["error"]["code"], "credential-invalid");
    assert_eq!(with("").exits(1).json()["error"]["code"], "credential-missing");
    // A client that knows the control door alone still prints whole URLs.
    let files = folder(&[("remote.py", "def remote():\n    return 1\n")]);
    let mut deploy = mote();
    deploy
        .arg("deploy")
        .arg(files.path().join("remote.py"))
        .args(["--json"])
        .env("MOTE_URL", &url)
        .env("MOTE_TOKEN", server.ready["token"].as_str().unwrap());
    let deployed = Run::of(&mut deploy).ok().json();
    assert_eq!(deployed["url"], format!("{}/remote", server.ready["public"].as_str().unwrap()));
}

#[test]
fn new_makes_what_deploys_and_answers() {
    let server = Server::start();
    for (runtime, expect) in
        [("python", "Hello, Ada! Hello, Ada!"), ("node", "Hello, Ada! Hello, Ada!"), ("typescript", "Hello, Ada! Hello, Ada!")]
    {
        let dir = tempfile::tempdir().unwrap();
        let made = Run::of(mote().args(["new", "greet", "--runtime", runtime, "--json", "--dir"]).arg(dir.path())).ok().json();
        let folder = made["folder"].as_str().unwrap().to_owned();
        let again = Run::of(mote().args(["new", "greet", "--runtime", runtime, "--dir"]).arg(dir.path())).exits(1);
        assert!(again.stderr.contains("is there already"), "{again:#?}");
        server.deploy_path(std::path::Path::new(&folder));
        assert_eq!(server.get("/greet?name=Ada&times=2").is(200).json()["greeting"], expect, "{runtime}");
    }
    let dir = tempfile::tempdir().unwrap();
    Run::of(mote().args(["new", "say", "--runtime", "executable", "--dir"]).arg(dir.path())).ok();
    server.deploy_path(&dir.path().join("say"));
    assert_eq!(server.post("/say", "text/plain", b"good morning").is(200).text(), "Hello! You sent: good morning");
}

#[test]
fn sample_events_fire_what_they_are_samples_of() {
    let server = Server::start();
    server.deploy("seen.py", "def seen(event):\n    return [event['type'], event['subject'], event['data']['bucket']]\n");
    let sample = Run::of(mote().args(["event", "show", "object-created"])).ok().stdout;
    let files = folder(&[("event.json", &sample)]);
    let file = files.path().join("event.json");
    let reply = server.mote(&["invoke", "seen", "--event", file.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(reply["body"], json!(["mote.object.created", "2026/cat.jpg", "photos"]));
    let kinds = Run::of(mote().args(["event", "list", "--json"])).ok().json();
    for kind in kinds["events"].as_array().unwrap() {
        let shown = Run::of(mote().args(["event", "show", kind["name"].as_str().unwrap(), "--json"])).ok().json();
        assert_eq!(shown["type"], kind["type"]);
    }
}

#[test]
fn doctor_tells_what_this_machine_can_do() {
    let empty = tempfile::tempdir().unwrap();
    let found = Run::of(mote().args(["doctor", "--json"]).env("MOTE_DATA", empty.path()));
    let told = found.json();
    assert_eq!(told["able"], found.code == 0, "{told}");
    assert!(told["barriers"].as_array().is_some_and(|barriers| barriers.len() >= 5), "{told}");
    assert!(told["strict"].is_boolean() && told["user"]["found"].is_string(), "{told}");
    assert_eq!(told["data"]["good"], true, "{told}");
}

#[test]
fn completions_and_help_need_no_server() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(Run::of(mote().args(["completion", shell])).ok().stdout.contains("rollback"), "{shell}");
    }
    let help = Run::of(mote().arg("--help")).ok().stdout;
    assert!(help.contains("Exit codes:") && help.contains("MOTE_URL"), "{help}");
    assert!(Run::of(mote().args(["deploy", "--help"])).ok().stdout.contains("mote deploy formula.py"));
}

#[test]
fn an_interrupted_deploy_says_that_the_server_goes_on() {
    let server = Server::start();
    let files = folder(&[("slow.py", "import time\ntime.sleep(3)\ndef slow():\n    return 'live'\n")]);
    let mut deploy = mote();
    deploy.arg("deploy").arg(files.path().join("slow.py")).env("MOTE_DATA", server.data());
    let mut child = deploy.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // By its first word of progress, the server has the whole request.
    said.next().expect("progress").unwrap();
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.starts_with("stopped waiting: the server goes on")), "{rest:?}");
    until("the server has deployed it", || server.get("/slow").status == 200);
}

#[test]
fn a_command_line_that_is_not_understood_is_json_too() {
    let wrong = Run::of(mote().args(["list", "--jsn", "--json"])).exits(2).json();
    assert_eq!(wrong["error"]["code"], "usage");
    assert_eq!(wrong["error"]["message"], "unexpected argument '--jsn' found");
    assert!(wrong["error"]["hint"].as_str().is_some_and(|hint| hint.contains("Usage: mote list")), "{wrong}");
    let missing = Run::of(mote().args(["invoke", "--json"])).exits(2).json();
    assert!(missing["error"]["message"].as_str().is_some_and(|text| text.contains("<NAME>")), "{missing}");
}

#[test]
fn a_folder_without_a_function_is_told_by_its_files() {
    let server = Server::start();
    let files = folder(&[("a.txt", ""), ("b.txt", ""), ("c.txt", ""), ("d.txt", "")]);
    let refused = server.mote(&["deploy", files.path().to_str().unwrap()]).exits(1);
    assert!(refused.stderr.contains(r#"among "a.txt", "b.txt", "c.txt" and 1 more"#), "{refused:#?}");
}
