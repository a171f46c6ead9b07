//! `mote dev`: what is saved is live, and no call is dropped meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::harness::{PATIENCE, folder, http, mote, save, until};

/// A running `mote dev`, and each line that it prints.
struct Dev {
    child: Child,
    lines: Receiver<String>,
}

impl Dev {
    fn start(dir: &std::path::Path) -> Dev {
        let mut child = mote()
            .arg("dev")
            .arg(dir)
            .args(["--public", "127.0.0.1:0", "--control", "127.0.0.1:0", "--aws", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mote starts");
        let (tell, lines) = channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for stream in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
            let tell = tell.clone();
            std::thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        }
        Dev { child, lines }
    }

    /// The next line that holds all of these words.
    fn says(&self, words: &[&str]) -> String {
        let mut seen = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { break };
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with {words:?} in {seen:#?}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `127.0.0.1:12345` of a line with a URL.
fn address(line: &str) -> String {
    let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap_or_else(|| panic!("no URL in {line}"));
    url.split('/').next().unwrap_or_default().to_owned()
}

fn call(address: &str, path: &str) -> (u16, String) {
    let reply = http(address, &format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"), b"");
    (reply.status, reply.text())
}

#[test]
fn a_saved_file_is_live_without_a_dropped_call() {
    let files = folder(&[("count.py", "def count():\n    return 'v0'\n")]);
    let dev = Dev::start(files.path());
    let address = address(&dev.says(&["count", "version 1"]));
    let (done, calls) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (status, text) = call(&address, "/count");
                assert_eq!(status, 200, "a call was dropped: {text}");
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 1..=5 {
            save(&files.path().join("count.py"), &format!("def count():\n    return 'v{round}'\n"));
            until("the saved file answers", || caller.is_finished() || call(&address, "/count").1 == format!("v{round}"));
        }
        done.store(true, Ordering::Relaxed);
        caller.join().expect("no call was dropped");
    });
    assert!(calls.load(Ordering::Relaxed) > 5);
}

#[test]
fn functions_come_and_go_with_their_files() {
    let files = folder(&[("a.py", "def a():\n    return 'a'\n"), ("sub/main.js", "export function main() { return 'sub'; }\n")]);
    let dev = Dev::start(files.path());
    let address = address(&dev.says(&["sub", "version 1"]));
    assert_eq!(call(&address, "/a"), (200, "a".to_owned()));
    assert_eq!(call(&address, "/sub"), (200, "sub".to_owned()));
    save(&files.path().join("b.py"), "def b():\n    return 'b'\n");
    dev.says(&["b ", "version 1"]);
    assert_eq!(call(&address, "/b"), (200, "b".to_owned()));
    std::fs::remove_file(files.path().join("a.py")).unwrap();
    dev.says(&["a is removed"]);
    assert_eq!(call(&address, "/a").0, 404);
    assert_eq!(std::fs::read_to_string(files.path().join(".mote/.gitignore")).unwrap(), "*\n");
}

#[test]
fn a_function_that_is_renamed_leaves_its_old_name() {
    let files = folder(&[("mote.toml", "name = 'old'\n"), ("main.py", "def main():\n    return 'm'\n")]);
    let dev = Dev::start(files.path());
    let address = address(&dev.says(&["old", "version 1"]));
    save(&files.path().join("mote.toml"), "name = 'new'\n");
    dev.says(&["old is removed"]);
    assert_eq!(call(&address, "/new"), (200, "m".to_owned()));
    assert_eq!(call(&address, "/old").0, 404);
}

#[test]
fn of_two_files_with_one_name_the_one_that_is_left_is_live() {
    let files = folder(&[("a.py", "def a():\n    return 'py'\n"), ("a.js", "export function a() { return 'js'; }\n")]);
    let dev = Dev::start(files.path());
    let address = address(&dev.says(&["a ", "version 2"]));
    assert_eq!(call(&address, "/a"), (200, "py".to_owned()));
    std::fs::remove_file(files.path().join("a.py")).unwrap();
    dev.says(&["a ", "version 3"]);
    assert_eq!(call(&address, "/a"), (200, "js".to_owned()));
}

#[test]
fn a_file_that_is_away_for_a_moment_stays_live() {
    let files = folder(&[("a.py", "def a():\n    return 'a'\n")]);
    let dev = Dev::start(files.path());
    let address = address(&dev.says(&["a ", "version 1"]));
    let (file, aside) = (files.path().join("a.py"), files.path().join("a.txt"));
    // Longer than saves are gathered, so that the folder is looked at while the file is away.
    for _ in 0..3 {
        std::fs::rename(&file, &aside).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(100) {
            assert_eq!(call(&address, "/a"), (200, "a".to_owned()));
        }
        std::fs::rename(&aside, &file).unwrap();
    }
    save(&file, "def a():\n    return 'b'\n");
    dev.says(&["a ", "version 2"]);
    assert_eq!(call(&address, "/a"), (200, "b".to_owned()));
}

#[test]
fn a_broken_save_keeps_the_version_before_and_shows_why() {
    let files = folder(&[("say.py", "def say():\n    print('saying')\n    return 'good'\n")]);
    let dev = Dev::start(files.path());
    let address = address(&dev.says(&["say", "version 1"]));
    save(&files.path().join("say.py"), "def say(:\n");
    dev.says(&["SyntaxError"]);
    assert_eq!(call(&address, "/say"), (200, "good".to_owned()));
    dev.says(&["say", "saying"]);
    save(&files.path().join("say.py"), "def say():\n    raise KeyError('lost')\n");
    dev.says(&["say", "version 2"]);
    let (status, text) = call(&address, "/say");
    assert_eq!(status, 500);
    assert!(text.contains("KeyError") && text.contains("say.py"), "a developer sees the trace: {text}");
}

#[test]
fn the_banner_tells_the_doors_and_a_first_failure_is_no_version() {
    let files = folder(&[("bad.py", "def bad(:\n")]);
    let dev = Dev::start(files.path());
    dev.says(&["mote serves"]);
    for door in ["public", "control", "aws"] {
        dev.says(&[door, "http://127.0.0.1:"]);
    }
    dev.says(&["data", ".mote/data"]);
    dev.says(&["Ctrl-C ends it"]);
    let failed = dev.says(&["bad.py is not deployed"]);
    assert!(!failed.contains("version before"), "{failed}");
    save(&files.path().join("bad.py"), "def bad():\n    return 1\n");
    dev.says(&["bad", "version 1"]);
    save(&files.path().join("bad.py"), "def bad(:\n");
    dev.says(&["bad.py is not deployed", "the version before stays live"]);
}
