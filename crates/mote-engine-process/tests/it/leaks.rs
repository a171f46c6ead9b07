//! After many cold starts nothing is left of them: no process, mount, control group, descriptor or
//! directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mote_core::clock::{Clock, SystemClock};
use mote_core::engine::Engine;
use mote_core::function::Function;

use crate::house::House;

const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// What a leak would add to.
fn counts(place: &Path) -> BTreeMap<&'static str, usize> {
    let own = std::process::id();
    let entries = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
    BTreeMap::from([
        ("processes", descendants(own).len()),
        ("mounts", fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count()),
        ("descriptors", entries(Path::new("/proc/self/fd"))),
        ("files", entries(place)),
        ("artifacts", entries(&place.join("artifacts"))),
        (
            "control groups",
            groups().iter().map(|own| fs::read_dir(own).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()).sum(),
        ),
    ])
}

/// The directories of this process's engines: each holds its own open, to have it locked.
fn groups() -> Vec<PathBuf> {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    open.filter(|path| path.starts_with("/sys/fs/cgroup") && path.is_dir()).collect()
}

/// Whatever this process has started, and what that has, dead but unreaped ones included.
fn descendants(of: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold anything.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let (mut found, mut at) = (vec![of], 0);
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

async fn many_cold_starts(starts: usize) {
    let house = House::with_spares(Arc::new(SystemClock::new()), 2);
    let program = house.function("executable", "f", |_| {});
    let (program, _) = house.deploy(program, &[("f", "#!/bin/sh\necho $$ > /tmp/mine; sleep 86397 & exit 0\n")]).await.unwrap();
    let code = "import subprocess\nsubprocess.Popen(['sleep', '86397'])\n\ndef f():\n    return 1\n";
    let (python, _) = house.deploy(house.function("python", "f.py:f", |_| {}), &[("f.py", code)]).await.unwrap();
    house.engine.retire(&python);
    // Both ways have been gone once, so that what is made once for all is there.
    rest(&house, 2 * usize::from(house.spares)).await;
    let before = counts(house.place.path());
    for number in 0..starts {
        if number % 8 > 0 {
            house.call(&program, "", "").await.unwrap();
            continue;
        }
        let version = Arc::new(Function { id: Clock::id(&*house.clock), ..(*python).clone() });
        assert_eq!(house.call(&version, "", "").await.unwrap(), "1");
        house.engine.retire(&version);
    }
    house.engine.stop(Duration::from_secs(1)).await;
    let mut after = counts(house.place.path());
    // What ends is not waited for by any call, but it ends.
    let begun = Instant::now();
    while after.iter().any(|(what, count)| count > &before[what]) && begun.elapsed() < ENDED_WITHIN {
        tokio::task::yield_now().await;
        after = counts(house.place.path());
    }
    let more: Vec<_> = after.iter().filter(|(what, count)| *count > &before[*what]).collect();
    assert!(more.is_empty(), "after {starts} cold starts there are more of {more:?}; before there were {before:?}");
}

async fn rest(house: &House, spares: usize) {
    while house.engine.spares() < spares.min(1) {
        tokio::task::yield_now().await;
    }
}

/// Alone in a process, since it counts what the process has.
#[test]
fn hundreds_of_cold_starts_leave_nothing() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--test-threads=1", "leaks::three_hundred", "leaks::a_spare_is_killed"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("2 passed"), "{}\n{}", said, String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "counts what its process has, so it is run alone by the test above"]
async fn three_hundred() {
    many_cold_starts(300).await;
}

/// As the host does when its memory runs out.
#[tokio::test]
#[ignore = "ends what its process has started, so it is run alone by the test above"]
async fn a_spare_is_killed() {
    let house = House::with_spares(Arc::new(SystemClock::new()), 1);
    let (f, _) = house.deploy(house.function("executable", "f", |_| {}), &[("f", "#!/bin/sh\necho out\n")]).await.unwrap();
    rest(&house, 1).await;
    let all = descendants(std::process::id());
    assert_eq!(all.len(), 4, "the process that jails come from, and three of the spare's");
    for &pid in &all {
        let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL);
    }
    // One is reaped by who needs it next, and dead until then.
    let dead = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    while !all.iter().all(dead) {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.engine.spares(), 1, "nobody has noticed yet");
    assert_eq!(house.call(&f, "", "").await.unwrap(), "out\n");
}

#[tokio::test]
#[ignore = "takes minutes: cargo test -p mote-engine-process --release -- --ignored --exact leaks::ten_thousand"]
async fn ten_thousand() {
    many_cold_starts(10_000).await;
}
