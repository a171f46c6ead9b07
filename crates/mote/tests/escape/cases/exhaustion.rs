//! Attacks that take all there is: processes, memory, disk, descriptors, processor, output.
//!
//! Each must end at a limit of the function's own, and the caller must be told which.

use super::{Attack, attacks};
use crate::ground::Case;

pub(super) const ATTACKS: &[Attack] =
    attacks![disk_filler, shared_memory_filler, inode_filler, descriptor_exhaustion, output_flood, reply_flood, large_arguments,];
pub(super) const HEAVY: &[Attack] = attacks![fork_bomb, thread_bomb, heap_bomb, mapping_bomb, anonymous_file_bomb, busy_loop];

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
}

/// Memory that no heap knows of.
fn mapping_bomb(case: &Case<'_>) {
    memory(case, "mapping");
}

/// Files that are nowhere but in memory.
fn anonymous_file_bomb(case: &Case<'_>) {
    memory(case, "anonymous_file");
}

fn memory(case: &Case<'_>, how: &str) {
    let attacker = case.attacker("memory = \"128MiB\"\ntimeout = \"20s\"", include_str!("../attacks/memory.py"));
    attacker.hits(&attacker.call(how), "memory");
    attacker.logs("memory");
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

fn reply_flood(case: &Case<'_>) {
    let attacker = case.attacker("reply = \"1MiB\"\ntimeout = \"20s\"", include_str!("../attacks/flood.py"));
    attacker.hits(&attacker.call("whole_reply"), "reply");
    let reply = attacker.call("endless_reply");
    assert!(reply.body.len() <= 1 << 20, "{} bytes of a reply came through", reply.body.len());
}

/// What exec takes is bounded, and bounds nothing but the caller.
fn large_arguments(case: &Case<'_>) {
    let attacker = case.attacker("memory = \"128MiB\"", include_str!("../attacks/arguments.py"));
    crate::ground::refused(&attacker.found());
}

/// It may use a fifth of a processor, and gets no more however it loops.
fn busy_loop(case: &Case<'_>) {
    let attacker = case.attacker("cpu = 0.2\nprocesses = 40\ntimeout = \"20s\"", include_str!("../attacks/busy.py"));
    let share = attacker.attack().is(200).json()["share"].as_f64().expect("a number");
    assert!(share < 0.5, "it used {share} processors, and may use 0.2");
}
