//! Landlock: the file tree a second time, by rules that a process carries itself.
//!
//! Mounts say what is there and what is read-only; these rules hold even if a mount would not. All
//! may be read and executed, and nothing written but what belongs to this jail alone. A rule holds
//! for whatever is mounted below its path later, so the artifact may still come. Where the kernel
//! knows how, signals and abstract Unix sockets end at the jail as well.
//!
//! Not every host has it, so `standard` does without; `strict` does not ([`super::strict`]).

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope,
};
use mote_core::function::Isolation;

use super::syscalls;

/// What the rules are written for. A kernel that knows less is given what it knows.
const KNOWN: ABI = ABI::V6;
/// Before this one no file could be moved to another directory, not even within `/tmp`.
const LEAST: u32 = 2;
/// From this one on.
const SCOPES: u32 = 6;

/// Everything may happen to what lies below these, devices excepted.
const OWN: &[&str] = &["/tmp", "/dev/shm"];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Why this kernel has none that can be used.
pub(super) fn missing() -> Option<String> {
    match syscalls::landlock_version() {
        Ok(version) if version < LEAST => Some(format!("this kernel's Landlock has version {version}; {LEAST} (Linux 5.19) is the least")),
        Ok(_) => None,
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            Some("Landlock was not switched on when this kernel started".to_owned())
        }
        Err(_) => Some("this kernel was built without Landlock".to_owned()),
    }
}

/// Whether signals and abstract sockets are covered.
pub(super) fn has_scopes() -> bool {
    syscalls::landlock_version().is_ok_and(|version| version >= SCOPES)
}

/// Needs `no_new_privs`, and the jail's own root. False if the host has none, and `standard` does without.
pub(super) fn install(isolation: Isolation, building: bool) -> io::Result<bool> {
    match missing() {
        Some(why) if isolation == Isolation::Strict => return Err(io::Error::new(io::ErrorKind::Unsupported, why)),
        Some(_) => return Ok(false),
        None => {}
    }
    rules(building).and_then(RulesetCreated::restrict_self).map_err(io::Error::other)?;
    Ok(true)
}

fn rules(building: bool) -> Result<RulesetCreated, RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        // Already set: nothing left to do.
        .no_new_privs(false);
    rules = allow(rules, "/", AccessFs::from_read(KNOWN))?;
    for path in OWN.iter().copied().chain(building.then_some("/code")) {
        rules = allow(rules, path, all & !AccessFs::IoctlDev)?;
    }
    for device in DEVICES {
        rules = allow(rules, device, AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate)?;
    }
    Ok(rules)
}

fn allow(rules: RulesetCreated, path: &str, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(Path::new(path)) {
        Ok(path) => rules.add_rule(PathBeneath::new(path, access)),
        // What is not there can't be written to.
        Err(_) => Ok(rules),
    }
}
