//! Where things are: the repository's root, what tasks make below `target/`, the binaries.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::shell::{cargo, show};

pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// What tasks download, install and leave behind.
pub(crate) fn own(path: &str) -> PathBuf {
    target().join("xtask").join(path)
}

/// An empty folder of that name below [`own`].
pub(crate) fn fresh(path: &str) -> Result<PathBuf> {
    let dir = own(path);
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Bytes that the file system of the repository has left.
pub(crate) fn free() -> Result<u64> {
    let disk = rustix::fs::statvfs(root())?;
    Ok(disk.f_bavail * disk.f_frsize)
}

pub(crate) fn example(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

/// A mote to test instead of building one: a packaged binary, or a debug build while developing.
const BINARY: &str = "XTASK_MOTE";

/// The binary under test.
pub(crate) fn mote() -> Result<PathBuf> {
    match std::env::var_os(BINARY) {
        Some(binary) => {
            let binary = std::path::absolute(binary)?;
            println!("{BINARY} is set: this is about {}", binary.display());
            Ok(binary)
        }
        None => release("mote"),
    }
}

/// Builds the release binary of a package; cargo's own progress is the progress.
pub(crate) fn release(package: &str) -> Result<PathBuf> {
    show(cargo().args(["build", "--release", "--locked", "--package", package]), Duration::from_secs(40 * 60))?;
    Ok(target().join("release").join(package))
}
