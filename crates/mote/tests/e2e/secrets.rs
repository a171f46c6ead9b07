//! Secrets from the command line to a function's hands, and that they are found nowhere else.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Run, Server, folder, mote, until};

const ONE: &str = "first-value-3141592653";
const TWO: &str = "second-value-2718281828";

const PYTHON: &str = "\
import os

def py():
    file = open('/secrets/key.pem')
    mode = os.fstat(file.fileno()).st_mode & 0o777
    return f\"{os.environ['TOKEN']} {file.read()} {mode:o}\"

def tell():
    print('told', os.environ['TOKEN'])
    raise ValueError('bad ' + os.environ['TOKEN'])
";
const NODE: &str = "\
import { readFileSync } from 'node:fs';
export function js() { return process.env.TOKEN + ' ' + readFileSync('/secrets/key.pem', 'utf8'); }
";
const SHELL: &str = "#!/bin/sh\necho \"$TOKEN $(cat /secrets/key.pem)\"\necho \"told $TOKEN\" >&2\n";
const GIVEN: &str = "[secrets]\nTOKEN = \"token\"\n[secret_files]\n\"key.pem\" = \"token\"\n";

impl Server {
    fn set(&self, name: &str, value: &str) -> Run {
        self.pipe(&["secret", "set", name, "--json"], value)
    }

    /// A command with something on its standard input.
    fn pipe(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = mote();
        command.args(arguments).env("MOTE_DATA", self.data());
        piped(command, input)
    }

    fn deploy_given(&self, name: &str, file: &str, text: &str, runtime: &str) {
        let entry = if runtime == "executable" { file.to_owned() } else { format!("{file}:{name}") };
        let manifest = format!("name = \"{name}\"\nruntime = \"{runtime}\"\nentry = \"{entry}\"\n{GIVEN}");
        let folder = folder(&[("mote.toml", &manifest), (file, text)]);
        self.deploy_path(folder.path());
    }
}

fn piped(mut command: Command, input: &str) -> Run {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses early does not read it.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Every file below that holds the bytes.
fn holding(dir: &Path, needle: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            holding(&entry.path(), needle, found);
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}

#[test]
fn a_secret_reaches_its_functions_and_nothing_else() {
    let server = Server::start();
    let missing = folder(&[("mote.toml", &format!("name = \"py\"\nentry = \"py.py:py\"\n{GIVEN}")), ("py.py", PYTHON)]);
    let refused = server.mote(&["deploy", missing.path().to_str().unwrap()]).exits(1);
    assert!(refused.stderr.contains("secret-not-found") && refused.stderr.contains("mote secret set token"), "{refused:?}");

    let set = server.set("token", &format!("{ONE}\n")).ok();
    assert_eq!(set.json()["generation"], 1);
    server.deploy_given("py", "py.py", PYTHON, "python");
    server.deploy_given("tell", "py.py", PYTHON, "python");
    server.deploy_given("js", "js.mjs", NODE, "node");
    server.deploy_given("sh", "sh.sh", SHELL, "executable");
    assert_eq!(server.get("/py").is(200).text(), format!("{ONE} {ONE} 400"));
    assert_eq!(server.get("/js").is(200).text(), format!("{ONE} {ONE}"));
    assert_eq!(server.get("/sh").is(200).text(), format!("{ONE} {ONE}\n"));
    server.get("/tell").is(500);
    until("what was told is in the log", || {
        let logs = server.mote(&["logs", "--tail", "100"]).ok().stdout;
        logs.matches("told ***").count() == 2 && logs.contains("bad ***")
    });

    let listed = server.mote(&["secret", "list", "--json"]).ok();
    assert_eq!(listed.json()["secrets"][0]["used_by"], serde_json::json!(["js", "py", "sh", "tell"]));
    let told: Vec<String> =
        [&["secret", "list"][..], &["show", "py", "--json"], &["logs", "--tail", "1000", "--json"], &["list", "--json"]]
            .iter()
            .map(|arguments| server.mote(arguments).ok().stdout)
            .chain([listed.stdout, set.stdout])
            .collect();
    assert!(told.iter().all(|text| !text.contains(ONE)), "{told:#?}");
    assert_eq!(server.control("GET", "/v1/secrets/token", b"").is(405).header("allow"), Some("PUT, DELETE"));

    let in_use = server.mote(&["secret", "remove", "token"]).exits(1);
    assert!(in_use.stderr.contains("secret-in-use") && in_use.stderr.contains("js, py, sh, tell"), "{in_use:?}");
    let mut found = Vec::new();
    holding(server.data(), ONE, &mut found);
    assert_eq!(found, Vec::<String>::new());
    server.mote(&["secret", "remove", "token", "--force"]).ok();
    assert_eq!(server.get("/sh").is(502).code(), "function-start-failed");
}

#[test]
fn a_new_value_needs_no_deploy_and_costs_no_call() {
    let server = Server::start();
    server.set("token", ONE).ok();
    server.deploy_given("py", "py.py", PYTHON, "python");
    server.deploy_given("sh", "sh.sh", SHELL, "executable");
    let done = AtomicBool::new(false);
    let seen: Vec<Vec<String>> = std::thread::scope(|scope| {
        let caller = || {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                seen.push(server.get("/py").is(200).text());
            }
            seen
        };
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(caller)).collect();
        let old = server.get("/py").is(200).text();
        assert!(old.starts_with(ONE), "{old}");
        assert_eq!(server.set("token", TWO).ok().json()["generation"], 2);
        // From here on: no call that begins now sees the old value.
        for _ in 0..20 {
            let new = server.get("/py").is(200).text();
            assert_eq!(new, format!("{TWO} {TWO} 400"));
        }
        assert_eq!(server.get("/sh").is(200).text(), format!("{TWO} {TWO}\n"));
        done.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    for seen in seen {
        let first_new = seen.iter().position(|text| text.starts_with(TWO)).unwrap_or(seen.len());
        assert!(seen.iter().skip(first_new).all(|text| text.starts_with(TWO)), "an old value after a new one: {seen:?}");
    }
}

#[test]
fn a_call_that_runs_ends_with_the_value_it_began_with() {
    let server = Server::start();
    server.set("token", ONE).ok();
    let slow = "import os, time\n\ndef slow(seconds: float = 0.0):\n    before = open('/secrets/key.pem').read()\n    print('begun', flush=True)\n    time.sleep(seconds)\n    return before + ' ' + open('/secrets/key.pem').read() + ' ' + os.environ['TOKEN']\n";
    server.deploy_given("slow", "slow.py", slow, "python");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.get("/slow?seconds=3").is(200).text());
        until("the call runs", || server.mote(&["logs", "slow"]).ok().stdout.contains("begun"));
        server.set("token", TWO).ok();
        assert_eq!(server.get("/slow").is(200).text(), format!("{TWO} {TWO} {TWO}"));
        assert_eq!(running.join().unwrap(), format!("{ONE} {ONE} {ONE}"));
    });
}

#[test]
fn another_function_finds_nothing() {
    let server = Server::start();
    server.set("token", ONE).ok();
    server.deploy_given("py", "py.py", PYTHON, "python");
    let nosy = "import glob, os\n\ndef nosy():\n    seen = [str(dict(os.environ))]\n    for path in glob.glob('/secrets/*') + glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n        try:\n            seen.append(open(path, errors='replace').read())\n        except OSError:\n            pass\n    return '\\n'.join(seen)\n";
    server.deploy("nosy.py", nosy);
    server.get("/py").is(200);
    let seen = server.get("/nosy").is(200).text();
    assert!(seen.contains("nosy") && !seen.contains(ONE), "{seen}");
}

#[test]
fn the_servers_memory_is_nobody_elses() {
    use std::os::unix::fs::MetadataExt;
    let server = Server::start();
    let own = Path::new("/proc").join(server.id().to_string());
    let limits = std::fs::read_to_string(own.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["1", "1"]);
    // What can be attached to belongs to its user there; what can't, to root.
    assert_eq!(std::fs::metadata(own.join("mem")).unwrap().uid(), 0);
}

#[test]
fn what_a_value_is_made_of() {
    let server = Server::start();
    let sizes = "import os\n\ndef sizes():\n    return [len(os.environ['TOKEN']), os.stat('/secrets/key.pem').st_size]\n";
    server.set("token", "12345678\n").ok();
    server.deploy_given("sizes", "sizes.py", sizes, "python");
    let check = |expect: &str| assert_eq!(server.get("/sizes").is(200).text(), expect);
    check("[8,8]");
    server.pipe(&["secret", "set", "token", "--exact"], "12345678\n").ok();
    check("[9,9]");
    let file = folder(&[("value", &"x".repeat(64 << 10))]);
    let file = file.path().join("value");
    server.mote(&["secret", "set", "token", "--file", file.to_str().unwrap()]).ok();
    check("[65536,65536]");
    let over = server.set("token", &"x".repeat((64 << 10) + 1)).exits(2);
    assert!(over.stdout.contains("longer than 65536"), "{over:?}");
    server.set("token", "").exits(2);
    server.control("PUT", "/v1/secrets/token", &vec![b'x'; (64 << 10) + 1]).is(413);
    // Bytes are a file's affair.
    server.control("PUT", "/v1/secrets/token", b"\xff\x00").is(200);
    let failed = server.get("/sizes").is(502).json();
    assert!(failed["error"]["message"].as_str().unwrap().contains("is no text"), "{failed}");
}

#[test]
fn a_passphrase_opens_the_secrets_or_nothing_starts() {
    let data = tempfile::tempdir().unwrap();
    let words = folder(&[("right", "correct horse\n"), ("wrong", "correct house\n")]);
    let serve = |passphrase: Option<&str>| {
        let mut serve = mote();
        serve.arg("serve").arg("--data").arg(data.path()).arg("--json");
        for door in ["--public", "--control", "--aws", "--mqtt"] {
            serve.args([door, "127.0.0.1:0"]);
        }
        if let Some(name) = passphrase {
            serve.env("MOTE_SECRET_PASSPHRASE_FILE", words.path().join(name));
        }
        serve
    };
    let started = |passphrase: Option<&str>| Server::of(serve(passphrase), data.path());
    {
        // First without, then sealed with one, which touches no secret.
        let mut server = started(None);
        server.set("token", ONE).ok();
        server.signal("TERM");
        server.ended();
    }
    for _ in 0..2 {
        let mut server = started(Some("right"));
        server.deploy_given("sh", "sh.sh", SHELL, "executable");
        assert_eq!(server.get("/sh").is(200).text(), format!("{ONE} {ONE}\n"));
        server.signal("TERM");
        server.ended();
    }
    let wrong = Run::of(&mut serve(Some("wrong"))).exits(1);
    assert!(wrong.stdout.contains("does not open the key"), "{wrong:?}");
    let none = Run::of(&mut serve(None)).exits(1);
    assert!(none.stdout.contains("sealed with a passphrase") && none.stdout.contains("--secret-passphrase-file"), "{none:?}");
    let asked = piped(
        {
            let mut asked = serve(None);
            asked.args(["--secret-passphrase-file", "-"]);
            asked
        },
        "correct house\n",
    );
    assert!(asked.exits(1).stdout.contains("does not open the key"));
    std::fs::remove_file(data.path().join("secret.key")).unwrap();
    let lost = Run::of(&mut serve(Some("right"))).exits(1);
    assert!(lost.stdout.contains("is missing"), "{lost:?}");
}
