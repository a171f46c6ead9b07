//! Trees that the processes of a jail write to: lent to them, taken back, and removed whatever
//! they made of it.
//!
//! A package's install script is not to be trusted, so nothing is assumed of what it leaves: there
//! may be links to anywhere, directories that nobody may open, pipes, or a thousand levels. Nothing
//! here follows a link. All of it is called before the jail starts or after its last process has
//! ended, so nothing changes meanwhile.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat};

use crate::jail;
use crate::jail::spec::FUNCTION_ID;

/// Deeper than any package manager nests; with it, no path grows too long and no stack too high.
const DEPTH_MAX: usize = 100;

/// Lets the jail's user write to everything in `directory`. Its mounts decide what it can reach.
pub(crate) fn lend(directory: &Path) -> io::Result<()> {
    if !jail::runs_as_another_user()? {
        return Ok(());
    }
    each(directory, 0, &mut |path, _| lchown(path, Some(FUNCTION_ID), Some(FUNCTION_ID)))
}

/// Makes everything in `directory` mote's own again, and leaves only files, directories and links.
pub(crate) fn take_back(directory: &Path) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    each(directory, 0, &mut |path, meta| {
        if meta.uid() != user || meta.gid() != group {
            lchown(path, Some(user), Some(group))?;
        }
        let kind = meta.file_type();
        if kind.is_dir() {
            fs::set_permissions(path, Permissions::from_mode(0o755))
        } else if kind.is_file() || kind.is_symlink() {
            Ok(())
        } else {
            fs::remove_file(path)
        }
    })
}

/// A directory before what is in it.
fn each(path: &Path, depth: usize, act: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other(format!("directories lie more than {DEPTH_MAX} deep")));
    }
    let meta = fs::symlink_metadata(path)?;
    act(path, &meta)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            each(&entry?.path(), depth + 1, act)?;
        }
    }
    Ok(())
}

/// Removes a tree, also one that was made to resist it.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => flatten(directory)?,
    }
    fs::remove_dir_all(directory)
}

/// Brings every directory to the top and makes it one that can be opened: with two open files and
/// no recursion, so no depth stops it.
fn flatten(directory: &Path) -> io::Result<()> {
    let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = Mode::from_raw_mode(0o700);
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    let top = openat(CWD, directory, open, Mode::empty())?;
    let mut left = directories(&top)?;
    let mut lifted = 0_u64;
    while let Some(name) = left.pop() {
        chmodat(&top, &name, own, AtFlags::empty())?;
        let here = openat(&top, &name, open, Mode::empty())?;
        for child in directories(&here)? {
            // Moving a directory writes to it: to its way up.
            chmodat(&here, &child, own, AtFlags::empty())?;
            let name = loop {
                lifted += 1;
                let name = std::ffi::CString::new(format!("lifted-{lifted}"))?;
                if rustix::fs::statat(&top, &name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
                    break name;
                }
            };
            renameat(&here, &child, &top, &name)?;
            left.push(name);
        }
    }
    Ok(())
}

fn directories(of: &rustix::fd::OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(of)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(of, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_resists_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        // Deeper than any path may be long, and closed to its owner, who may not be root.
        let mut at = fs::File::open(&root).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "deeper", Mode::from_raw_mode(0o755)).unwrap();
            at = openat(&at, "deeper", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap().into();
        }
        fs::create_dir(root.join("closed")).unwrap();
        fs::create_dir(root.join("closed/in")).unwrap();
        fs::set_permissions(root.join("closed"), Permissions::from_mode(0o000)).unwrap();
        assert!(take_back(&root).is_err(), "it is too deep to keep");
        remove(&root).unwrap();
        assert!(!root.exists());
        remove(&root).unwrap();
    }

    #[test]
    fn what_is_taken_back_is_files_directories_and_links() {
        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("root"), place.path().join("outside"));
        fs::create_dir_all(root.join("closed")).unwrap();
        fs::write(&outside, "").unwrap();
        fs::set_permissions(&outside, Permissions::from_mode(0o600)).unwrap();
        fs::write(root.join("closed/file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
        fs::set_permissions(root.join("closed"), Permissions::from_mode(0o000)).unwrap();
        lend(&root).unwrap();
        take_back(&root).unwrap();
        assert!(root.join("closed/file").is_file());
        assert!(fs::symlink_metadata(root.join("link")).unwrap().is_symlink());
        assert!(!root.join("socket").exists());
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(owner(&root.join("closed/file")), rustix::process::geteuid().as_raw());
        assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o777, 0o600, "no link was followed");
    }
}
