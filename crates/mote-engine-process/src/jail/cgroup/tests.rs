//! Real groups, where this process may make them; what is only parsed is tested beside its code.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::*;
use crate::jail::syscalls;

/// A group of this host, if it has any; a host without says why for each controller.
fn groups(name: &str) -> Groups {
    let groups = Groups::open(&format!("test-{}-{name}", std::process::id()));
    for controller in Controller::ALL {
        assert!(groups.has(controller) || groups.missing(controller).is_some_and(|why| !why.is_empty()));
    }
    groups
}

/// Past the harness, which keeps what a passing test prints.
fn skipped(what: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED on this host: {what}");
}

#[test]
fn a_group_limits_what_is_in_it_and_goes_with_its_last_process() {
    let groups = groups("limits");
    let Some(group) = groups.make().unwrap() else {
        assert!(Controller::ALL.iter().all(|controller| !groups.has(*controller)), "a controller without a group");
        return skipped("limits of a control group: mote may make none here");
    };
    group.limit(&GroupLimits { memory_bytes: 64 << 20, cpu_millis: 500, processes: 3 }).unwrap();
    let directories: Vec<_> = groups.servers.iter().map(|server| server.directory.join("0")).collect();
    assert!(directories.iter().all(|directory| directory.is_dir()));
    // A process of its own joins: the shell puts itself in, as init does.
    let join: String =
        directories.iter().map(|at| format!("echo 0 > {}/tasks 2>/dev/null || echo 0 > {0}/cgroup.procs;", at.display())).collect();
    let script = format!("{join} for i in 1 2 3 4 5 6; do sleep 60 & done; wait");
    let mut shell = Command::new("sh").args(["-c", &script]).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    if groups.has(Controller::Pids) {
        let refused = BufReader::new(shell.stderr.take().unwrap()).lines().next().unwrap().unwrap();
        assert!(refused.contains("fork"), "{refused}");
        assert!(group.events().unforked > 0);
    }
    drop(group);
    let ours = rustix::process::Pid::from_raw(shell.id() as i32).unwrap();
    rustix::process::kill_process_group(ours, rustix::process::Signal::KILL).unwrap();
    shell.wait().unwrap();
    let servers: Vec<_> = groups.servers.iter().map(|server| server.directory.clone()).collect();
    // Ends the thread, once it has removed everything.
    drop(groups);
    await_gone(&directories);
    await_gone(&servers);
}

/// Removal is a thread's; nothing tells when it is done but the file system.
fn await_gone(directories: &[PathBuf]) {
    let begun = std::time::Instant::now();
    while directories.iter().any(|directory| directory.exists()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{directories:?} stay");
        std::thread::yield_now();
    }
}

#[test]
fn two_servers_share_a_place_and_no_name() {
    let (one, other) = (groups("one"), groups("other"));
    if let (Some(_first), Some(_second)) = (one.make().unwrap(), other.make().unwrap()) {
        assert!(one.servers.iter().zip(&other.servers).all(|(one, other)| one.directory != other.directory));
    }
}

/// On a host of version 1 the hierarchy of version 2 is there too, without controllers: enough for this.
#[test]
fn a_child_is_born_into_a_group_of_version_2() {
    let own = place::own_of_version_2();
    let Some(group) = own.map(|own| own.join(format!("mote-test-born-{}", std::process::id()))) else {
        return skipped("birth into a group: there is no hierarchy of version 2");
    };
    if fs::create_dir(&group).is_err() {
        return skipped("birth into a group: this user may make none");
    }
    let directory = fs::File::open(&group).unwrap().into();
    let (wait, go) = rustix::pipe::pipe().unwrap();
    let Some(child) = syscalls::fork_into(&directory).unwrap() else {
        // Nothing but system calls: other threads of the test may have held any lock.
        drop(go);
        let _ = rustix::io::read(&wait, &mut [0; 1]);
        syscalls::exit(0)
    };
    let within = fs::read_to_string(group.join("cgroup.procs")).unwrap();
    drop(go);
    rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
    fs::remove_dir(&group).unwrap();
    assert_eq!(within.trim(), child.as_raw_nonzero().to_string());
}
