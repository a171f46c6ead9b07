//! Start and end: draining, restarts, locks, ports, credentials.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::harness::{Run, Server, answer, connect, folder, mote, until};

const SLOW: &str =
    "import time\n\ndef slow(seconds: float = 1.0):\n    print('begun', flush=True)\n    time.sleep(seconds)\n    return 'done'\n";

/// Begins a call, and returns once the function itself has begun.
fn begin(server: &Server, seconds: f64) -> std::net::TcpStream {
    let mut call = connect(server.address("public"));
    write!(call, "GET /slow?seconds={seconds} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    until("the call runs", || server.mote(&["logs", "slow"]).ok().stdout.contains("begun"));
    call
}

#[test]
fn a_signal_lets_what_runs_finish() {
    let mut server = Server::start();
    server.deploy("slow.py", SLOW);
    let call = begin(&server, 1.0);
    server.signal("TERM");
    assert_eq!(answer(call).is(200).text(), "done");
    assert_eq!(server.ended().code(), Some(0));
    assert!(!server.data().join("doors.json").exists(), "the doors are closed and still announced");
}

/// Ctrl-C goes to all processes of a terminal's foreground, jails among them.
#[test]
fn a_signal_to_all_of_the_servers_processes_lets_what_runs_finish() {
    for signal in ["INT", "TERM"] {
        let mut server = Server::start_as_leader();
        server.deploy("slow.py", SLOW);
        let call = begin(&server, 1.0);
        server.signal_group(signal);
        assert_eq!(answer(call).is(200).text(), "done", "{signal}");
        assert_eq!(server.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let mut server = Server::start();
    server.deploy("slow.py", SLOW);
    let mut call = begin(&server, 25.0);
    server.signal("INT");
    until("the doors are closed", || !server.data().join("doors.json").exists());
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(1));
    let mut rest = Vec::new();
    let _ = call.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("done"));
}

#[test]
fn a_log_follower_does_not_hold_up_the_end() {
    let mut server = Server::start();
    server.deploy("slow.py", SLOW);
    server.get("/slow?seconds=0").is(200);
    let mut follow = mote();
    follow.args(["logs", "-f", "--json"]).env("MOTE_DATA", server.data());
    let (mut follower, _) = crate::harness::spawn(follow);
    let begun = std::time::Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert!(begun.elapsed().as_secs() < 20, "the end took {:?}", begun.elapsed());
    follower.wait().unwrap();
}

#[test]
fn a_restart_deletes_artifacts_that_a_crash_left() {
    let data = tempfile::tempdir().unwrap();
    let artifacts = data.path().join("artifacts");
    let mut server = Server::start_on(data.path());
    server.deploy("kept.py", "def kept():\n    return 'kept'\n");
    server.signal("KILL");
    server.ended();
    let orphan = artifacts.join("0".repeat(64));
    std::fs::create_dir(&orphan).unwrap();
    let server = Server::start_on(data.path());
    until("the orphan is gone", || !orphan.exists());
    assert_eq!(std::fs::read_dir(&artifacts).unwrap().count(), 1);
    assert_eq!(server.get("/kept").is(200).text(), "kept");
}

#[test]
fn a_restart_keeps_everything() {
    let data = tempfile::tempdir().unwrap();
    let token = {
        let mut server = Server::start_on(data.path());
        server.deploy("kept.py", "def kept():\n    return 'one'\n");
        server.deploy("kept.py", "def kept():\n    return 'two'\n");
        server.mote(&["bucket", "create", "photos"]).ok();
        let files = folder(&[("x", "bytes")]);
        server.mote(&["bucket", "put", "photos/x", "--file", files.path().join("x").to_str().unwrap()]).ok();
        server.signal("TERM");
        assert_eq!(server.ended().code(), Some(0));
        server.ready["token"].clone()
    };
    let server = Server::start_on(data.path());
    assert_eq!(server.ready["token"], token);
    assert_eq!(server.get("/kept").is(200).text(), "two");
    assert_eq!(server.mote(&["bucket", "get", "photos/x"]).ok().stdout, "bytes");
    server.mote(&["rollback", "kept"]).ok();
    assert_eq!(server.get("/kept").is(200).text(), "one");
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    let data = tempfile::tempdir().unwrap();
    {
        let mut server = Server::start_on(data.path());
        server.deploy("kept.py", "def kept():\n    return 'still here'\n");
        server.signal("KILL");
        server.ended();
    }
    let server = Server::start_on(data.path());
    assert_eq!(server.get("/kept").is(200).text(), "still here");
}

#[test]
fn the_data_is_its_owners_alone() {
    let server = Server::start();
    for file in ["credentials.json", "doors.json"] {
        let mode = std::fs::metadata(server.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn one_directory_has_one_server() {
    let server = Server::start();
    let mut second = mote();
    second.arg("serve").arg("--data").arg(server.data()).args([
        "--public",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
        "--aws",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
    ]);
    let refused = Run::of(&mut second).exits(1);
    assert!(refused.stderr.contains("another server has the data directory"), "{refused:#?}");
    assert!(refused.stderr.contains("hint: Stop that server"), "{refused:#?}");
    server.mote(&["status"]).ok();
}

#[test]
fn a_taken_port_is_named() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let data = tempfile::tempdir().unwrap();
    let refused = Run::of(mote().arg("serve").arg("--data").arg(data.path()).args(["--public", &address.to_string()])).exits(1);
    assert!(refused.stderr.contains(&format!("port {} of 127.0.0.1 is taken", address.port())), "{refused:#?}");
    assert!(refused.stderr.contains("`--public 127.0.0.1:0` takes a free port"), "{refused:#?}");
    assert!(!data.path().join("mote.db").exists(), "a refused start left something");
}

#[test]
fn a_door_to_the_world_is_opened_with_a_warning() {
    let data = tempfile::tempdir().unwrap();
    let mut serve = mote();
    serve.arg("serve").arg("--data").arg(data.path()).args([
        "--public",
        "0.0.0.0:0",
        "--control",
        "127.0.0.1:0",
        "--aws",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
        "--json",
    ]);
    serve.stderr(Stdio::piped());
    let (mut child, ready) = crate::harness::spawn(serve);
    let mut warning = String::new();
    child.kill().unwrap();
    child.stderr.take().unwrap().read_to_string(&mut warning).unwrap();
    child.wait().unwrap();
    assert!(ready.contains("\"public\":\"http://127.0.0.1:"), "{ready}");
    assert!(warning.contains("anybody who reaches it may call every public function"), "{warning}");
    assert!(!warning.contains("--control"), "{warning}");
}

#[test]
fn a_data_directory_that_can_not_be_one_is_the_callers_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("note.txt");
    std::fs::write(&file, "not a folder").unwrap();
    for path in [file.as_path(), std::path::Path::new("/proc/mote")] {
        let refused = Run::of(mote().arg("serve").arg("--data").arg(path)).exits(2);
        let named = format!("error[usage]: {} can't be the data directory", path.display());
        assert!(refused.stderr.contains(&named) && refused.stderr.contains("name another directory with `--data DIR`"), "{refused:#?}");
    }
}
