//! Directories that are whole or not there: artifacts, runners, the jail's `/etc`.
//!
//! Named by what they hold, made beside their place, made durable, then renamed: a reader never
//! sees half of one, and a crash leaves only a directory that the next start sweeps away.

pub(crate) mod foreign;
mod shelf;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mote_core::bundle::Bundle;
use mote_core::function::Digest;
use sha2::{Digest as _, Sha256};

pub(crate) use shelf::{Shelf, Use};

const UNFINISHED: &str = ".unfinished-";

/// `under/name`, filled by `fill` unless it is there already.
pub(crate) fn build(under: &Path, name: &str, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    let target = under.join(name);
    if target.exists() {
        return Ok(target);
    }
    let building = Building::new(under)?;
    fill(&building.path)?;
    building.finish(&target)?;
    Ok(target)
}

/// A directory on its way; dropped before [`Building::finish`], it is removed.
pub(crate) struct Building {
    pub path: PathBuf,
    place: Arc<Place>,
}

/// Removed when nobody needs it any more, wherever that happens.
pub(crate) struct Place(PathBuf);

impl Building {
    pub(crate) fn new(under: &Path) -> io::Result<Building> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(under)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = under.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(Building { place: Arc::new(Place(path.clone())), path })
    }

    /// Keeps the directory while processes that write to it live; it is not removed under them.
    pub(crate) fn hold(&self) -> Arc<Place> {
        self.place.clone()
    }

    /// Makes it durable and readable for the jail's user, and gives it its name. If somebody else
    /// was faster, theirs stays: the same name is the same content.
    pub(crate) fn finish(self, target: &Path) -> io::Result<()> {
        let mut written = Vec::new();
        settle(&self.path, &mut written)?;
        make_durable(&self.path, &written)?;
        match fs::rename(&self.path, target) {
            Err(error) if target.is_dir() && error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
            other => other?,
        }
        sync(target.parent().unwrap_or(target))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove; otherwise the next sweep tries again.
        let _ = foreign::remove(&self.0);
    }
}

/// Removes what a crash left behind; gives the names of what is whole.
pub(crate) fn sweep(under: &Path) -> io::Result<Vec<String>> {
    fs::create_dir_all(under)?;
    let mut whole = Vec::new();
    for entry in fs::read_dir(under)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(UNFINISHED) {
            foreign::remove(&entry.path())?;
        } else {
            whole.extend(name.into_string());
        }
    }
    Ok(whole)
}

/// Writes a bundle's files, 0755 or 0644.
pub(crate) fn write(bundle: &Bundle, directory: &Path) -> io::Result<()> {
    for (path, file) in bundle.files() {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(&path, &file.content)?;
        fs::set_permissions(&path, Permissions::from_mode(if file.executable { 0o755 } else { 0o644 }))?;
    }
    Ok(())
}

/// Depth first: modes that any user may read. Gives everything that has to reach the disk.
fn settle(directory: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            settle(&entry.path(), written)?;
        } else if kind.is_file() {
            let mode = if entry.metadata()?.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
            written.push(entry.path());
        }
    }
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    written.push(directory.to_owned());
    Ok(())
}

/// Past this many, writing back the whole file system at once is cheaper than one file at a time.
const SINGLE_SYNCS_MAX: usize = 256;

fn make_durable(directory: &Path, written: &[PathBuf]) -> io::Result<()> {
    if written.len() <= SINGLE_SYNCS_MAX {
        return written.iter().try_for_each(|path| sync(path));
    }
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// SHA-256 over parts, each with its length, so that no two lists of parts look alike.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into())
}
