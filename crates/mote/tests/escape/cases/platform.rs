//! Attacks on mote itself: through the platform's address, by what is replied, from other namespaces.

use serde_json::{Value, json};

use super::{Attack, attacks};
use crate::ground::{Case, refused};

pub(super) const ATTACKS: &[Attack] =
    attacks![other_namespaces, control_api_through_the_platform, hostile_replies, strict_isolation, node_in_the_same_jail];

const ASK: &str = include_str!("../attacks/ask_the_platform.py");

/// Buckets, objects and siblings of a namespace are not there for another's functions.
fn other_namespaces(case: &Case<'_>) {
    let theirs = ["--namespace", "theirs"];
    let run = |words: &[&str]| case.ground.run(&[words, &theirs].concat());
    run(&["bucket", "create", "vault"]).ok();
    let file = case.ground.place.root.join("treasure");
    std::fs::write(&file, "the treasure of another namespace").expect("a file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    run(&["bucket", "put", "vault/treasure", "--file", file.to_str().expect("a path in UTF-8")]).ok();
    let folder = crate::harness::folder(&[("theirs-only.py", "def f():\n    return 'the treasure of another namespace'\n")]);
    let path = folder.path().join("theirs-only.py");
    case.ground.open_to_all(folder.path());
    run(&["deploy", path.to_str().expect("a path in UTF-8")]).ok();

    let attacker = case.attacker("timeout = \"30s\"", ASK);
    let ask = |what: &str| attacker.with(&json!({ "how": "ask", "what": what })).is(200).text();
    for request in
        ["GET /", "GET /vault", "GET /vault/treasure", "GET /theirs:vault/treasure", "GET /theirs/vault/treasure", "GET /vault?list-type=2"]
    {
        let answer = ask(request);
        assert!(answer.starts_with("HTTP/1.") && !answer.contains("treasure"), "{request}: {answer}");
    }
    for request in ["PUT /vault/mine", "DELETE /vault/treasure", "DELETE /vault"] {
        let answer = ask(request);
        assert!(!answer.starts_with("HTTP/1.0 2") && !answer.starts_with("HTTP/1.1 2"), "{request}: {answer}");
    }
    let siblings = attacker.with(&json!({ "how": "siblings", "what": "theirs-only theirs-only.theirs theirs.theirs-only" })).is(200).json();
    refused(&siblings);
    run(&["remove", "theirs-only"]).ok();
    let kept = run(&["bucket", "objects", "vault"]).ok().stdout;
    assert!(kept.contains("treasure"), "{kept}");
}

/// The platform's address is for storage; nobody is an administrator there.
fn control_api_through_the_platform(case: &Case<'_>) {
    let attacker = case.attacker("timeout = \"30s\"", ASK);
    for request in [
        "GET /v1/functions",
        "POST /v1/deploy?default_name=x",
        "DELETE /v1/functions/neighbour",
        "GET /v1/secrets",
        "GET /v1/logs",
        "GET /v1/tokens",
        "GET /metrics",
        "POST /neighbour",
        "GET //etc/passwd",
        "GET /../../etc/passwd",
        "CONNECT 127.0.0.1:8081",
        "GET http://127.0.0.1:8081/v1/functions",
    ] {
        let answer = attacker.with(&json!({ "how": "ask", "what": request })).is(200).text();
        let fine = answer.starts_with("HTTP/1.0 2") || answer.starts_with("HTTP/1.1 2");
        assert!(!fine && !answer.contains("root:") && !answer.contains("square"), "{request}: {answer}");
    }
}

/// Heads that would split the response, claim another length, or are none.
fn hostile_replies(case: &Case<'_>) {
    let attacker = case.attacker("", include_str!("../attacks/hostile_replies.py"));
    for how in [
        "split_header",
        "split_name",
        "wild_status",
        "small_status",
        "wrong_length",
        "smuggled",
        "many_headers",
        "large_header",
        "no_text",
        "deep",
        "hop_by_hop",
    ] {
        let reply = attacker.call(how);
        assert!((200..600).contains(&reply.status), "{how}: {reply:?}");
        assert!(reply.header("x-injected").is_none(), "{how}: {reply:?}");
        // What ends the body is mote's to say.
        let length = reply.header("content-length").map_or(reply.body.len(), |length| length.parse().expect("a number"));
        assert!(length == reply.body.len(), "{how}: {length} bytes were announced: {reply:?}");
        assert!(reply.header("x-request-id").is_some_and(|id| !id.contains("forged")), "{how}: {reply:?}");
    }
}

/// Every barrier that mote knows, or no deploy, and the reason: nothing in between.
fn strict_isolation(case: &Case<'_>) {
    let manifest = format!("name = \"{}\"\nisolation = \"strict\"\nentry = \"f.py\"\n[env]\nMARK = \"{}\"\n", case.name, case.mark);
    let run = case.program(case.name, &[("f.py", "def f():\n    return 'strictly'\n"), ("mote.toml", &manifest)]);
    let doctor: Value = serde_json::from_str(&case.ground.run(&["doctor", "--json"]).stdout).expect("the doctor speaks JSON");
    let barriers = doctor["barriers"].as_array().expect("barriers");
    let missing: Vec<&str> =
        barriers.iter().filter(|barrier| barrier["enforced"] != true).filter_map(|barrier| barrier["name"].as_str()).collect();
    println!(
        "    strict: {}",
        if missing.is_empty() { "every barrier stands".to_owned() } else { format!("this host has no {}", missing.join(", ")) }
    );
    if missing.is_empty() {
        run.ok();
        let reply = case.ground.post(&format!("/{}", case.name), &json!({})).is(200);
        assert_eq!(reply.text(), "strictly");
    } else {
        let said = format!("{run:?}");
        assert!(run.code != 0 && said.contains("unsupported"), "{missing:?}: {said}");
        assert!(missing.iter().any(|barrier| said.contains(barrier)), "none of {missing:?} is named in {said}");
    }
}

/// JavaScript is in the same jail: a few attempts from the other cases, made by Node.
fn node_in_the_same_jail(case: &Case<'_>) {
    let manifest = format!(
        "name = \"{}\"\nruntime = \"node\"\nentry = \"attack.cjs\"\nprocesses = 60\ntimeout = \"20s\"\n[env]\nMARK = \"{}\"\n",
        case.name, case.mark
    );
    case.program(case.name, &[("attack.cjs", include_str!("../attacks/node_in_the_same_jail.cjs")), ("mote.toml", &manifest)]).ok();
    let what = json!({ "server": case.ground.server, "control": case.ground.door("control") });
    refused(&case.ground.post(&format!("/{}", case.name), &what).is(200).json());
}
