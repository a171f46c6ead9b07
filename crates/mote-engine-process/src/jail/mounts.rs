//! The jail's file tree: a read-only root of our own making, with the host's programs shown in it.
//!
//! Every tree of the host is opened as a detached copy of its mount first, made read-only, and put
//! into place only then: so nothing is hidden by what was mounted before it, and no path is
//! writable for a moment. Needs Linux 5.12 (`mount_setattr`).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_reconfigure, fsconfig_set_string, fsmount, fsopen, fspick, mount_change, move_mount, open_tree, unmount,
};

use super::spec::{CodeTree, Shell, Shown};
use super::syscalls::mount_setattr;

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
/// The one tree that may be changed: the directory that is being built.
const WRITABLE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// What every program may count on, where the host has it.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
const LINKS: &[(&str, &str)] =
    &[("/proc/self/fd", "dev/fd"), ("/proc/self/fd/0", "dev/stdin"), ("/proc/self/fd/1", "dev/stdout"), ("/proc/self/fd/2", "dev/stderr")];
/// What `/opt` leads to: the layers in the artifact, if it has some.
const LAYERS: &str = "/code/.mote/opt";
/// For POSIX shared memory; what it holds counts as memory, so it is small.
const SHM_BYTES: u64 = 64 << 20;

/// Where the artifacts lie for the moment in which one of them is taken: a directory of mode 0000.
const HIDDEN: &str = ".fill";

/// Replaces the root of this mount namespace. Afterwards no path leads to the host's.
pub(super) fn enter(shell: &Shell) -> io::Result<Artifacts> {
    // Nothing mounted from here on may travel back to the host.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let (trees, artifacts) = open_trees(shell)?;

    let root = tmpfs("0755", 1 << 20, MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    // It needs some place in the old tree until it becomes the root; every host has this one.
    attach(&root, &root_of_host()?, "proc")?;
    private(&root, shell.tmp_bytes)?;
    for tree in &trees {
        tree.put(&root)?;
    }
    for path in &shell.hide {
        hide(path, &trees, &root)?;
    }
    links(&root)?;
    read_only(root.as_fd())?;

    rustix::process::fchdir(&root)?;
    rustix::process::pivot_root(".", ".")?;
    // The old root now lies on top of the new one, at the same place.
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    Ok(artifacts)
}

/// The artifacts of all functions, of which the fill shows one.
///
/// Nobody else in the jail can reach them. They are a detached mount, which no path leads to, known
/// by a descriptor of init's alone; and init's descriptors in `/proc` are for who may trace it,
/// which takes a capability over init's user namespace, that no other process in the jail is in.
pub(super) struct Artifacts(Option<OwnedFd>);

impl Artifacts {
    /// Shows one of them at `/code`. Gives back the others, to be closed when nobody waits: the kernel
    /// lets a mount go only when a grace period is over.
    pub(super) fn show(self, name: Option<&str>) -> io::Result<Option<OwnedFd>> {
        let (all, name) = match (self.0, name) {
            (None, None) => return Ok(None),
            (Some(all), Some(name)) if is_plain(name) => (all, name),
            _ => return Err(io::Error::other("no artifact is named, or one where something is built")),
        };
        let one = match copy(&all, Path::new(name), OpenTreeFlags::AT_SYMLINK_NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => copy_attached(&all, name)?,
            copied => copied?,
        };
        attach(&one, CWD, "/code")?;
        Ok(Some(all))
    }
}

/// Before Linux 6.15 a part of a mount is copied only if that is attached somewhere, so for a moment it is:
/// below a directory of mode 0000 on a read-only mount, which needs a capability to be searched and
/// can't be changed. All of it is over before mote hears that a standby may have its code.
fn copy_attached(all: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let place = Path::new("/").join(HIDDEN).join("artifacts");
    attach(all, CWD, &place)?;
    let one = copy(CWD, &place.join(name), OpenTreeFlags::AT_SYMLINK_NOFOLLOW);
    unmount(&place, UnmountFlags::DETACH)?;
    one
}

/// One component that stays where it is.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

/// Gives what is writable the size that the function asks for.
pub(super) fn resize(tmp_bytes: u64) -> io::Result<()> {
    for (path, bytes) in [("/tmp", tmp_bytes), ("/dev/shm", SHM_BYTES.min(tmp_bytes))] {
        let mounted = fspick(CWD, path, FsPickFlags::FSPICK_CLOEXEC)?;
        sized(&mounted, bytes)?;
        fsconfig_reconfigure(&mounted)?;
    }
    Ok(())
}

/// A tree of the host: where it is, where it goes (relative to the root), and its detached copy.
struct Tree {
    from: PathBuf,
    to: PathBuf,
    mount: OwnedFd,
    is_file: bool,
}

impl Tree {
    fn open(from: &Path, to: &Path, attributes: u64) -> io::Result<Tree> {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
        let mount = copy(CWD, from, OpenTreeFlags::empty())?;
        mount_setattr(mount.as_fd(), attributes, true).map_err(told)?;
        let is_file = !rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&mount)?.st_mode).is_dir();
        Ok(Tree { from: from.to_owned(), to: to.to_owned(), mount, is_file })
    }

    fn put(&self, root: &OwnedFd) -> io::Result<()> {
        if self.is_file {
            directory(root, self.to.parent().unwrap_or(Path::new("")))?;
            rustix::fs::openat(root, &self.to, OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))?;
        } else {
            directory(root, &self.to)?;
        }
        attach(&self.mount, root, &self.to)
    }
}

/// A detached copy of a mount, or of the part of it that `from` names.
fn copy(below: impl AsFd, from: &Path, more: OpenTreeFlags) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE | more;
    open_tree(below, from, flags)
        .map_err(io::Error::from)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", from.display())))
}

fn open_trees(shell: &Shell) -> io::Result<(Vec<Tree>, Artifacts)> {
    let mut trees = Vec::new();
    for program in PROGRAMS.iter().map(Path::new) {
        if program.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            trees.push(Tree::open(program, relative(program), READ_ONLY)?);
        }
    }
    // Before what is shown, some of which may lie in it.
    trees.push(Tree::open(&shell.etc, Path::new("etc"), READ_ONLY)?);
    for Shown { from, at } in &shell.show {
        // What lies within a tree that is shown already is there; a second mount would only cost.
        if !trees.iter().any(|tree: &Tree| at.starts_with(&tree.from) && from.starts_with(&tree.from)) {
            trees.push(Tree::open(from, relative(at), READ_ONLY)?);
        }
    }
    for device in DEVICES {
        trees.push(Tree::open(&Path::new("/dev").join(device), &Path::new("dev").join(device), DEVICE)?);
    }
    let artifacts = match &shell.code {
        CodeTree::Below(path) => Some(Tree::open(path, Path::new(""), READ_ONLY)?.mount),
        CodeTree::Building(path) => {
            trees.push(Tree::open(path, Path::new("code"), WRITABLE)?);
            None
        }
    };
    if let Some(runner) = &shell.runner {
        trees.push(Tree::open(runner, Path::new("runner"), READ_ONLY)?);
    }
    Ok((trees, Artifacts(artifacts)))
}

/// Covers a path that lies within a shown tree by an empty directory that nobody may open.
fn hide(path: &Path, trees: &[Tree], root: &OwnedFd) -> io::Result<()> {
    if !trees.iter().any(|tree| path.starts_with(&tree.from) && Path::new("/").join(&tree.to) == tree.from) {
        return Ok(());
    }
    match attach(&tmpfs("0000", 4096, MountAttrFlags::MOUNT_ATTR_RDONLY)?, root, relative(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// `/bin` and its kind are links on most hosts; the jail has the same ones.
fn links(root: &OwnedFd) -> io::Result<()> {
    for program in PROGRAMS {
        if let Ok(target) = std::fs::read_link(program) {
            rustix::fs::symlinkat(&target, root, relative(Path::new(program)))?;
        }
    }
    for (target, link) in LINKS {
        rustix::fs::symlinkat(*target, root, *link)?;
    }
    // A host that has programs there shows those.
    match rustix::fs::symlinkat(LAYERS, root, "opt") {
        Err(Errno::EXIST) => Ok(()),
        linked => Ok(linked?),
    }
}

/// What belongs to this jail alone.
fn private(root: &OwnedFd, tmp_bytes: u64) -> io::Result<()> {
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    for directory in ["proc", "tmp", "dev/shm", "code", "secrets"] {
        self::directory(root, Path::new(directory))?;
    }
    rustix::fs::mkdirat(root, HIDDEN, Mode::empty())?;
    rustix::fs::mkdirat(root, Path::new(HIDDEN).join("artifacts"), Mode::empty())?;
    attach(&tmpfs("1777", tmp_bytes, safe)?, root, "tmp")?;
    attach(&tmpfs("1777", SHM_BYTES.min(tmp_bytes), safe | MountAttrFlags::MOUNT_ATTR_NOEXEC)?, root, "dev/shm")?;
    let proc = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&proc)?;
    attach(&fsmount(&proc, FsMountFlags::FSMOUNT_CLOEXEC, safe | MountAttrFlags::MOUNT_ATTR_NOEXEC)?, root, "proc")
}

pub(super) fn tmpfs(mode: &str, size_bytes: u64, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let tmpfs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&tmpfs, "mode", mode)?;
    sized(&tmpfs, size_bytes)?;
    fsconfig_create(&tmpfs)?;
    Ok(fsmount(&tmpfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn sized(tmpfs: &OwnedFd, size_bytes: u64) -> io::Result<()> {
    fsconfig_set_string(tmpfs, "size", size_bytes.max(4096).to_string())?;
    // Inodes cost kernel memory that no size counts.
    Ok(fsconfig_set_string(tmpfs, "nr_inodes", (size_bytes / 4096).clamp(64, 65_536).to_string())?)
}

pub(super) fn read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    mount_setattr(mount, READ_ONLY, false)
}

pub(super) fn attach(mount: &OwnedFd, root: impl AsFd, to: impl AsRef<Path>) -> io::Result<()> {
    let to = to.as_ref();
    let told =
        |errno: Errno| io::Error::new(io::Error::from(errno).kind(), format!("mounting {}: {errno}", Path::new("/").join(to).display()));
    move_mount(mount, "", root, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(told)
}

/// Makes a directory and those above it, below the new root.
fn directory(root: &OwnedFd, path: &Path) -> io::Result<()> {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let Component::Normal(part) = part else { return Err(io::Error::other(format!("{} is no plain path", path.display()))) };
        so_far.push(part);
        match rustix::fs::mkdirat(root, &so_far, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            // A read-only tree that was put there before and has it already.
            Err(Errno::ROFS) if rustix::fs::statat(root, &so_far, AtFlags::empty()).is_ok() => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn root_of_host() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(OsStr::new("/")).unwrap_or(path)
}
