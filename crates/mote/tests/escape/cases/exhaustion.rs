//! Attacks that take all there is: processes, memory, disk, descriptors, processor, output.
//!
//! Each must end at a limit of the function's own, and the caller must be told which.

use super::{Attack, attacks};
use crate::ground::Case;
use crate::world::Pass;

pub(super) const ATTACKS: &[Attack] = attacks![
    disk_filler,
    shared_memory_filler,
    inode_filler,
    descriptor_exhaustion,
    output_flood,
    reply_flood,
    large_arguments,
    first_when_memory_ends,
    pots_of_a_user,
];
pub(super) const HEAVY: &[Attack] = attacks![fork_bomb, thread_bomb, heap_bomb, mapping_bomb, anonymous_file_bomb, busy_loop];

const MEMORY: &str = include_str!("../attacks/memory.py");

/// Processes that make processes, and never end.
fn fork_bomb(case: &Case<'_>) {
    let attacker = case.attacker("processes = 40\ntimeout = \"5s\"", include_str!("../attacks/fork_bomb.py"));
    attacker.hits(&attacker.attack(), "processes");
    attacker.logs("processes");
}

fn thread_bomb(case: &Case<'_>) {
    let attacker = case.attacker("processes = 40\ntimeout = \"5s\"", include_str!("../attacks/thread_bomb.py"));
    attacker.hits(&attacker.attack(), "processes");
    attacker.logs("processes");
}

fn heap_bomb(case: &Case<'_>) {
    memory(case, "heap");
    memory(case, "private_mapping");
}

/// Memory that no heap knows of, and no limit of a process.
fn mapping_bomb(case: &Case<'_>) {
    shared_memory(case, "mapping");
}

/// What the kernel counts for each user of the host: one jail takes all that it gets, and keeps it.
fn pots_of_a_user(case: &Case<'_>) {
    let attack = include_str!("../attacks/pots_of_a_user.py");
    let (attacker, other) = (case.attacker("", attack), case.another("pots_of_another", "", attack));
    let taken = attacker.call("take").is(200).json();
    assert_eq!((&taken["instances"], &taken["watches"]), (&32.into(), &8192.into()), "{taken:#}");
    assert!(taken["pipes"].as_u64().is_some_and(|pipes| pipes > 1), "{taken:#}");
    let left = other.call("look").is(200).json();
    assert_eq!(left["instances"], 1, "{left:#}");
    // As root, mote has a user for each jail; else this pot has no limit for a jail.
    if case.ground.pass == Pass::Root {
        assert!(taken["pipe"].as_u64() < left["pipe"].as_u64(), "the attacker emptied its own pot alone: {taken:#} {left:#}");
    }
}

/// Files that are nowhere but in memory.
fn anonymous_file_bomb(case: &Case<'_>) {
    shared_memory(case, "anonymous_file");
}

fn memory(case: &Case<'_>, how: &str) {
    let attacker = case.attacker("memory = \"128MiB\"\ntimeout = \"30s\"", MEMORY);
    attacker.hits(&attacker.call(how), "memory");
    attacker.logs("memory");
}

/// Only a control group counts it. Where there is none, the doctor says so and `strict` is refused
/// (`strict_isolation`); what is left is that the function goes first when the host is full.
fn shared_memory(case: &Case<'_>, how: &str) {
    if case.ground.has("memory of all processes together") {
        return memory(case, how);
    }
    let attacker = case.attacker("memory = \"128MiB\"\ntimeout = \"30s\"", MEMORY);
    assert_eq!(attacker.call("score").is(200).text(), "1000");
    let reply = attacker.call(how);
    println!("    {}: no control group counts memory here; 1 GiB at a limit of 128 MiB: {}", case.name, reply.text());
}

/// A function ends before mote does when the host itself is out of memory.
fn first_when_memory_ends(case: &Case<'_>) {
    let attacker = case.attacker("", MEMORY);
    assert_eq!(attacker.call("score").is(200).text(), "1000");
}

/// `/tmp` ends at its size: the function's error is told as what it is, and the next call has room.
fn disk_filler(case: &Case<'_>) {
    let attacker = case.attacker("tmp = \"8MiB\"", include_str!("../attacks/disk.py"));
    let reply = attacker.call("in_tmp");
    attacker.hits(&reply, "tmp");
    attacker.logs("tmp");
}

fn shared_memory_filler(case: &Case<'_>) {
    let attacker = case.attacker("tmp = \"8MiB\"", include_str!("../attacks/disk.py"));
    attacker.hits(&attacker.call("in_shared_memory"), "tmp");
}

/// Empty files cost no size, but kernel memory.
fn inode_filler(case: &Case<'_>) {
    let attacker = case.attacker("tmp = \"8MiB\"", include_str!("../attacks/disk.py"));
    attacker.hits(&attacker.call("by_inodes"), "tmp");
}

fn descriptor_exhaustion(case: &Case<'_>) {
    let attacker = case.attacker("open_files = 64", include_str!("../attacks/descriptors.py"));
    attacker.hits(&attacker.call("own"), "open_files");
    // What is sent over a socket and never received is open all the same.
    let found = attacker.call("in_flight").is(200).json();
    let most = found["in flight"].as_u64().expect("a number");
    assert!(most <= 64 * 4, "{most} descriptors in flight of a function that may open 64");
}

/// Stdout and stderr without an end: the log keeps its size and says what it dropped.
fn output_flood(case: &Case<'_>) {
    let attacker = case.attacker("log = \"64KiB\"\ntimeout = \"20s\"", include_str!("../attacks/flood.py"));
    for how in ["stdout", "stderr", "descriptor", "logger"] {
        attacker.call(how).is(200);
    }
    attacker.logs("dropped");
    let kept = attacker.log().len();
    assert!(kept < 4 * 80 * 1024, "{kept} bytes of log were kept");
}

/// A short one is refused; one that is on its way already breaks off at the limit, and the log says at which.
fn reply_flood(case: &Case<'_>) {
    let attacker = case.attacker("reply = \"64KiB\"\ntimeout = \"20s\"", include_str!("../attacks/flood.py"));
    attacker.hits(&attacker.call("short_reply"), "reply");
    for how in ["whole_reply", "endless_reply"] {
        let reply = attacker.call(how);
        assert!(reply.body.len() <= 64 << 10, "{} bytes of a reply came through", reply.body.len());
    }
    attacker.logs("reply");
}

/// What exec takes is bounded, and bounds nothing but the caller.
fn large_arguments(case: &Case<'_>) {
    let attacker = case.attacker("memory = \"128MiB\"", include_str!("../attacks/arguments.py"));
    crate::ground::refused(&attacker.found());
}

/// It may use a fifth of a processor, and gets no more however it loops; without a control group one
/// whole core is the least that can be had.
fn busy_loop(case: &Case<'_>) {
    let attacker = case.attacker("cpu = 0.2\nprocesses = 40\ntimeout = \"20s\"", include_str!("../attacks/busy.py"));
    let most = if case.ground.has("CPU quota") { 0.4 } else { 1.1 };
    let share = attacker.attack().is(200).json()["share"].as_f64().expect("a number");
    assert!(share < most, "it used {share} processors, of {most} at the most");
}
