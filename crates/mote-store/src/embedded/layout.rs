//! The data directory as a whole: its layout number and its lock.
//!
//! The number in `VERSION` covers the directory; the one inside the database (`schema.rs`) covers
//! its tables. A newer one is refused; there is no older one yet, and its migration will go here.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use mote_core::error::{Code, Error, Result};

use super::fault;

const VERSION: u32 = 1;

/// Held as long as the directory is open; the system lets go of it when the process ends.
pub(super) struct Lock {
    _file: File,
}

/// Makes the directory if need be, locks it and checks its layout.
pub(super) fn enter(dir: &Path) -> Result<Lock> {
    let fail = |error| fault::io("the data directory", error);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join("lock")).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(Code::StoreFailed, format!("another server has the data directory {} open", dir.display()))
                .hint("Stop that server, or give this one a directory of its own with `--data DIR`."));
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    check_version(dir)?;
    Ok(Lock { _file: file })
}

fn check_version(dir: &Path) -> Result<()> {
    let path = dir.join("VERSION");
    let fail = |error| fault::io("the data directory's VERSION", error);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Written before anything else, whole or not at all: a crash here leaves a directory that opens.
            let draft = dir.join("VERSION.new");
            let mut file = File::create(&draft).map_err(fail)?;
            writeln!(file, "{VERSION}").and_then(|()| file.sync_all()).map_err(fail)?;
            fs::rename(&draft, &path).map_err(fail)?;
            return sync_dir(dir).map_err(fail);
        }
        Err(error) => return Err(fail(error)),
    };
    match text.trim().parse() {
        Ok(VERSION) => Ok(()),
        Ok(other) => Err(newer("data directory", other, VERSION)),
        Err(_) => Err(Error::new(Code::StoreFailed, format!("{} holds no layout number", path.display()))
            .hint("This is no data directory of mote, or it is damaged; give another with `--data DIR`.")),
    }
}

/// The refusal of a layout that a later mote has written.
pub(super) fn newer(what: &str, found: u32, known: u32) -> Error {
    Error::new(Code::StoreFailed, format!("the {what} has layout {found}; this mote knows layouts up to {known}"))
        .hint("Run the mote that wrote it, or a later one.")
}

/// A name in a directory is on disk only after this.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
