//! Attacks by files: archives that are no plain archives, links, modes, and first lines of programs.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::EntryType;

use super::{Attack, attacks};
use crate::ground::{Case, Ground, refused};
use crate::harness::{Reply, http};

pub(super) const ATTACKS: &[Attack] = attacks![
    hostile_archives,
    modes_in_an_archive,
    what_an_installer_leaves,
    own_artifact,
    links_in_tmp,
    setuid_programs,
    hostile_first_lines,
];

/// One entry of an archive, written as no honest packer would.
struct Entry<'a> {
    path: &'a str,
    kind: EntryType,
    link: &'a str,
    mode: u32,
    content: &'a str,
}

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        // Straight into the fields: their setters refuse what an attacker would write.
        let old = header.as_old_mut();
        old.name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        tar.append(&header, entry.content.as_bytes()).expect("an archive in memory");
    }
    tar.into_inner().and_then(GzEncoder::finish).expect("an archive in memory")
}

/// A file of 400 MiB in an archive of half a one; packed by gzip(1), which is quicker at it than this build.
fn bomb() -> Vec<u8> {
    const SIZE: u64 = 400 << 20;
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").expect("a short path");
    header.set_size(SIZE);
    header.set_cksum();
    let mut gzip = Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip runs");
    let mut tar = gzip.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || {
        tar.write_all(header.as_bytes())?;
        io::copy(&mut io::repeat(0).take(SIZE), &mut tar)
    });
    let packed = gzip.wait_with_output().expect("gzip ends").stdout;
    writer.join().expect("no panic").expect("gzip reads to the end");
    packed
}

/// Sent as the command line sends it.
fn deploy(ground: &Ground, name: &str, archive: &[u8]) -> Reply {
    let token = ground.ready["token"].as_str().expect("a token");
    let head = format!(
        "POST /v1/deploy?default_name={name} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-type: application/gzip\r\ncontent-length: {}\r\n\r\n",
        archive.len()
    );
    http(ground.door("control"), &head, archive)
}

const PROGRAM: &str = "def f():\n    return 'it runs'\n";

/// Links, absolute paths, paths that climb, devices, pipes: refused by name, and nothing written.
fn hostile_archives(case: &Case<'_>) {
    let plain = Entry { path: "f.py", kind: EntryType::Regular, link: "", mode: 0o644, content: PROGRAM };
    let witness = case.ground.place.root.join("data/witness");
    let climbing = "../".repeat(12) + "tmp/witness";
    let hostile = [
        ("a link out", "out", EntryType::Symlink, "/etc/shadow"),
        ("a link up", "up", EntryType::Symlink, "../../.."),
        ("a hard link", "hard", EntryType::Link, "/etc/passwd"),
        ("a device", "device", EntryType::Char, ""),
        ("a disk", "disk", EntryType::Block, ""),
        ("a pipe", "pipe", EntryType::Fifo, ""),
        ("an absolute path", "/tmp/witness", EntryType::Regular, ""),
        ("a path that climbs", &climbing, EntryType::Regular, ""),
        ("a path that climbs later", "a/b/../../../witness", EntryType::Regular, ""),
    ];
    for (what, path, kind, link) in hostile {
        let content = if kind == EntryType::Regular { "witness" } else { "" };
        let packed = archive(&[Entry { path, kind, link, mode: 0o777, content }, Entry { ..plain }]);
        let reply = deploy(case.ground, "hostile", &packed);
        assert!(reply.text().contains("bundle-invalid"), "{what}: {reply:?}");
    }
    assert!(!witness.exists() && !std::path::Path::new("/tmp/witness").exists(), "an archive wrote outside");
    // Far more than it says: refused while it is unpacked, not after.
    let reply = deploy(case.ground, "bomb", &bomb());
    assert!(reply.text().contains("\"error\""), "{reply:?}");
}

/// A setuid bit, a sticky one and a world-writable one: none of them arrives.
fn modes_in_an_archive(case: &Case<'_>) {
    let manifest = format!("runtime = \"python\"\nentry = \"f.py\"\n[env]\nMARK = \"{}\"\n", case.mark);
    let look =
        "import os\n\ndef f():\n    return {name: oct(os.stat(f'/code/{name}').st_mode & 0o7777) for name in ('f.py', 'tool', 'open')}\n";
    let packed = archive(&[
        Entry { path: "f.py", kind: EntryType::Regular, link: "", mode: 0o644, content: look },
        Entry { path: "mote.toml", kind: EntryType::Regular, link: "", mode: 0o644, content: &manifest },
        Entry { path: "tool", kind: EntryType::Regular, link: "", mode: 0o6755, content: "#!/bin/sh\nid\n" },
        Entry { path: "open", kind: EntryType::Regular, link: "", mode: 0o1666, content: "" },
    ]);
    let reply = deploy(case.ground, case.name, &packed);
    assert!(reply.text().contains("\"done\""), "{reply:?}");
    let found = case.ground.post(&format!("/{}", case.name), &json!({})).is(200).json();
    case.ground.run(&["remove", case.name]).ok();
    for (name, mode) in found.as_object().expect("three files") {
        let mode = u32::from_str_radix(mode.as_str().unwrap_or_default().trim_start_matches("0o"), 8).expect("a mode");
        assert_eq!(mode & 0o7022, 0, "{name} has the mode {mode:o}");
    }
}

/// An install script plants links out of the artifact; where they lead is the jail's own, for the
/// function, and mote follows none of them.
fn what_an_installer_leaves(case: &Case<'_>) {
    let package = r#"{"name":"planted","version":"1.0.0","scripts":{"install":"node plant.cjs"}}"#;
    let manifest = format!("name = \"{}\"\nruntime = \"node\"\nentry = \"f.cjs\"\n[env]\nMARK = \"{}\"\n", case.name, case.mark);
    let run = case.program(
        case.name,
        &[
            ("package.json", package),
            ("plant.cjs", include_str!("../attacks/plant.cjs")),
            ("f.cjs", include_str!("../attacks/what_an_installer_leaves.cjs")),
            ("mote.toml", &manifest),
        ],
    );
    let shadow = std::fs::metadata("/etc/shadow").map(|meta| meta.len()).ok();
    // Refused or deployed: either is contained.
    if run.code == 0 {
        let found = case.ground.post(&format!("/{}", case.name), &json!({})).is(200).json();
        refused(&found);
    }
    assert_eq!(std::fs::metadata("/etc/shadow").map(|meta| meta.len()).ok(), shadow);
}

/// Its code, the runner and the host's programs, in every way a file can be changed.
fn own_artifact(case: &Case<'_>) {
    let attacker = case.attacker("", include_str!("../attacks/own_artifact.py"));
    refused(&attacker.found());
    // And what it loaded is what was deployed.
    assert_eq!(attacker.call("intact").is(200).text(), "intact");
}

fn links_in_tmp(case: &Case<'_>) {
    refused(&case.attacker("", include_str!("../attacks/links_in_tmp.py")).found());
}

/// The host's own setuid programs, and one made in /tmp, run as who started them.
fn setuid_programs(case: &Case<'_>) {
    let found = case.attacker("timeout = \"60s\"", include_str!("../attacks/setuid_programs.py")).found();
    assert!(found["tried"].as_array().is_some_and(|tried| !tried.is_empty()), "{found:#}");
    assert_eq!(found["gained"], json!([]), "{found:#}");
}

/// Programs that name the interpreter they would like to be.
fn hostile_first_lines(case: &Case<'_>) {
    let long = format!("#!/{}\n", "x".repeat(5000));
    let lines = [
        ("own", "#!/proc/self/exe serve\n"),
        ("init", "#!/proc/1/exe\n"),
        ("itself", "#!/code/itself\n"),
        ("away", "#!../../../../bin/sh\n"),
        ("secret", "#!/proc/self/environ\n"),
        ("empty", "#!\n"),
        ("zeros", "#!/bin/sh\0/bin/true\n"),
        ("long", &long),
    ];
    for (name, line) in lines {
        let function = format!("first_line_{name}");
        let manifest = format!("name = \"{function}\"\nruntime = \"executable\"\nentry = \"{name}\"\ntimeout = \"5s\"\n");
        let run = case.program(&function, &[(name, line), ("mote.toml", &manifest)]);
        // These two lead to the jail's own shell, if anywhere, with nothing to do.
        let harmless = ["zeros", "away"].contains(&name);
        if run.code == 0 && !harmless {
            let reply = case.ground.post(&format!("/{function}"), &Value::Null);
            assert!((400..600).contains(&reply.status), "{name}: {reply:?}");
        }
    }
}
