//! `/secrets`: files that only the function's user can read, and nobody can change.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::mount::MountAttrFlags;

use super::mounts;
use super::spec::{FUNCTION_ID, SecretFile};

/// Called by init at the fill. Without secrets there is nothing to mount. `user` is who reads them,
/// unless that is this process's own.
pub(super) fn write(secrets: &[SecretFile], user: Option<u32>) -> io::Result<()> {
    if secrets.is_empty() {
        return Ok(());
    }
    let bytes: u64 = secrets.iter().map(|secret| secret.value.len().next_multiple_of(4096) as u64 + 4096).sum();
    let never = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let user = user.unwrap_or(FUNCTION_ID);
    let place = mounts::tmpfs("0555", bytes, never)?;
    for SecretFile { name, value } in secrets {
        if !mounts::is_plain(name) {
            return Err(io::Error::other("a secret's file has no plain name"));
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place, name.as_str(), flags, Mode::RUSR)?;
        rustix::fs::fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?;
        std::fs::File::from(file).write_all(value)?;
    }
    mounts::read_only(place.as_fd())?;
    mounts::attach(&place, CWD, "/secrets")
}
