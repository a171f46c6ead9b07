//! Where this process may make control groups, of both versions.
//!
//! v1 has a hierarchy for each controller, and a group may hold processes and groups. v2 has one
//! hierarchy, and a group that hands controllers down may hold no process: so mote, if it is alone
//! in its group (a service with `Delegate=yes`), moves itself into a leaf of that. It moves nobody
//! else, and writes to no group but its own and those below.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{Controller, is_removed};

/// What a server's directories are called, here and in the leaf.
const PREFIX: &str = "mote-";
/// Where mote itself goes on v2.
const LEAF: &str = "mote-server";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A server's directory in one hierarchy.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) directory: PathBuf,
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    /// Says that it is in use.
    _lock: OwnedFd,
}

pub(super) struct Found {
    pub(super) servers: Vec<Server>,
    pub(super) missing: Vec<(Controller, String)>,
}

pub(super) fn find(name: &str) -> Found {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let places = places(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let mut found = Found { servers: Vec::new(), missing: Vec::new() };
    // v1 first: a controller that is there is not in v2.
    for place in &places {
        let wanted: Vec<_> = match place.version {
            Version::V1 => place.controllers.clone(),
            Version::V2 => offered(&place.own),
        };
        if wanted.is_empty() {
            continue;
        }
        match settle(place, wanted.clone(), name) {
            Ok(server) => found.servers.push(server),
            Err(why) => found.missing.extend(wanted.into_iter().map(|controller| (controller, why.clone()))),
        }
    }
    for controller in Controller::ALL {
        let there = found.servers.iter().any(|server| server.controllers.contains(&controller));
        if !there && !found.missing.iter().any(|(missing, _)| *missing == controller) {
            let why = format!("the {} controller is not handed down to mote's control group", controller.name());
            found.missing.push((controller, why));
        }
    }
    found
}

#[cfg(test)]
pub(super) fn own_of_version_2() -> Option<PathBuf> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let places = places(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    places.into_iter().find(|place| place.version == Version::V2).map(|place| place.own)
}

/// A hierarchy, and this process's own group in it.
#[derive(Debug, PartialEq)]
struct Place {
    own: PathBuf,
    version: Version,
    controllers: Vec<Controller>,
}

fn places(mounts: &str, own: &str) -> Vec<Place> {
    let mut places: Vec<Place> = mounts.lines().filter_map(|line| place(line, own)).collect();
    places.sort_by_key(|place| place.version == Version::V2);
    places.dedup_by(|one, other| one.controllers == other.controllers && one.version == other.version);
    places
}

/// `id parent device root mountpoint options… - type source options`, of `/proc/self/mountinfo`.
fn place(line: &str, own: &str) -> Option<Place> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, mount.next()?);
    let mut kind = kind.split(' ');
    let (version, names) = match (kind.next()?, kind.nth(1)?) {
        ("cgroup2", _) => (Version::V2, ""),
        ("cgroup", options) => (Version::V1, options),
        _ => return None,
    };
    let controllers = controllers(names, ',');
    if version == Version::V1 && controllers.is_empty() {
        return None;
    }
    // `number:controllers:path`, of `/proc/self/cgroup`; v2 names none.
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        let same = if version == Version::V2 { names.is_empty() } else { self::controllers(names, ',') == controllers };
        same.then_some(path)
    })?;
    // A container may see a part of the hierarchy alone, and may see its own place as from outside.
    let below = Path::new(path).strip_prefix(root).or_else(|_| Path::new(path).strip_prefix("/")).ok()?;
    Some(Place { own: Path::new(point).join(below), version, controllers })
}

fn controllers(names: &str, separator: char) -> Vec<Controller> {
    let names: Vec<_> = names.trim().split(separator).collect();
    Controller::ALL.into_iter().filter(|controller| names.contains(&controller.name())).collect()
}

fn offered(own: &Path) -> Vec<Controller> {
    controllers(&fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default(), ' ')
}

fn settle(place: &Place, controllers: Vec<Controller>, name: &str) -> Result<Server, String> {
    let told = |what: &str| {
        let path = place.own.display().to_string();
        let what = what.to_owned();
        move |error: io::Error| format!("{what} {path}: {error}")
    };
    sweep(&place.own);
    if place.version == Version::V2 {
        hand_down_own(&place.own, &controllers)?;
    }
    let (directory, lock) = claim(&place.own, name).map_err(told("no group can be made in"))?;
    if place.version == Version::V2 {
        hand_down(&directory, &controllers).map_err(told("controllers can't be handed down in"))?;
    }
    Ok(Server { directory, version: place.version, controllers, _lock: lock })
}

/// Removes what servers left that are gone. What another one uses is locked, or has a process in it.
fn sweep(own: &Path) {
    for left in fs::read_dir(own).into_iter().flatten().flatten() {
        let path = left.path();
        if left.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) && lock(&path).is_ok() {
            for group in fs::read_dir(&path).into_iter().flatten().flatten() {
                if group.file_type().is_ok_and(|kind| kind.is_dir()) {
                    is_removed(&group.path());
                }
            }
            is_removed(&path);
        }
    }
}

fn lock(directory: &Path) -> io::Result<OwnedFd> {
    let directory = OwnedFd::from(File::open(directory)?);
    rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
    Ok(directory)
}

/// Between making and locking it, another server's sweep may take it away.
fn claim(own: &Path, name: &str) -> io::Result<(PathBuf, OwnedFd)> {
    let directory = own.join(format!("{PREFIX}{name}"));
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..5 {
        if let Err(error) = fs::create_dir(&directory)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        match lock(&directory) {
            Ok(lock) if directory.is_dir() => return Ok((directory, lock)),
            Ok(_) => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// v2: what `own` hands down to the groups in it, if need be after mote has left it.
fn hand_down_own(own: &Path, controllers: &[Controller]) -> Result<(), String> {
    let down = self::controllers(&fs::read_to_string(own.join("cgroup.subtree_control")).unwrap_or_default(), ' ');
    if controllers.iter().all(|controller| down.contains(controller)) {
        return Ok(());
    }
    let own_group = own.display();
    let Err(error) = hand_down(own, controllers) else { return Ok(()) };
    if error.raw_os_error() != Some(libc::EBUSY) {
        return Err(format!("mote's control group {own_group} is not its own to divide: {error}"));
    }
    let processes = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
    let pid = std::process::id().to_string();
    if processes.lines().any(|process| process != pid) {
        return Err(format!("other programs are in mote's control group {own_group}, so it can't be divided"));
    }
    let (leaf, failed) = (own.join(LEAF), |error: io::Error| format!("mote can't move within its control group {own_group}: {error}"));
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    fs::write(leaf.join("cgroup.procs"), &pid).map_err(failed)?;
    hand_down(own, controllers).map_err(|error| {
        let _ = fs::write(own.join("cgroup.procs"), &pid);
        format!("controllers can't be handed down in {own_group}: {error}")
    })
}

fn hand_down(group: &Path, controllers: &[Controller]) -> io::Result<()> {
    let words: Vec<_> = controllers.iter().map(|controller| format!("+{}", controller.name())).collect();
    fs::write(group.join("cgroup.subtree_control"), words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_off_the_mounts() {
        let check = |mounts: &str, own: &str, wanted: &[(&str, Version, &[Controller])]| {
            let places = places(mounts, own);
            let found: Vec<_> = places.iter().map(|place| (place.own.to_str().unwrap(), place.version, &*place.controllers)).collect();
            assert_eq!(found, wanted, "{mounts}");
        };
        use Controller::{Cpu, Memory, Pids};
        // One hierarchy, as most hosts have it.
        check(
            "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n22 1 8:1 / / rw - ext4 /dev/sda1 rw",
            "0::/system.slice/mote.service\n",
            &[("/sys/fs/cgroup/system.slice/mote.service", Version::V2, &[])],
        );
        // Both versions; what has no controller of ours does not count.
        check(
            "1 0 0:1 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n2 0 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
             3 0 0:3 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n4 0 0:4 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
            "4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n",
            &[
                ("/sys/fs/cgroup/cpu/", Version::V1, &[Cpu]),
                ("/sys/fs/cgroup/memory/a/b", Version::V1, &[Memory]),
                ("/sys/fs/cgroup/unified/", Version::V2, &[]),
            ],
        );
        // A container that sees its part alone.
        check(
            "5 4 0:5 /docker/c1 /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids",
            "7:pids:/docker/c1/x\n",
            &[("/sys/fs/cgroup/pids/x", Version::V1, &[Pids])],
        );
        check("nonsense\n1 2 3 - cgroup2\n", "0::/\n", &[]);
    }

    #[test]
    fn what_nobody_holds_is_swept_and_the_rest_stays() {
        let own = tempfile::tempdir().unwrap();
        let (ours, _lock) = claim(own.path(), "live").unwrap();
        fs::create_dir(ours.join("0")).unwrap();
        let left = own.path().join("mote-left");
        fs::create_dir_all(left.join("1")).unwrap();
        fs::create_dir(own.path().join("other")).unwrap();
        sweep(own.path());
        assert!(ours.join("0").is_dir() && own.path().join("other").is_dir());
        assert!(!left.exists());
        assert!(claim(own.path(), "live").is_err(), "one name, one server");
    }
}
